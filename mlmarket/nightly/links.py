"""Is a web address that a message shows there?"""

import http.client
import urllib.error
import urllib.request

__all__ = ["wrong_with"]

_SECONDS = 10.0


def wrong_with(address: str) -> str | None:
    """Ask a web address for its head, following redirections.

    Parameters
    ----------
    address : str
        Beginning with ``http://`` or ``https://``.

    Returns
    -------
    str or None
        What is wrong with it; None where it answers.
    """
    if not address.startswith(("http://", "https://")):
        return "it is no web address"
    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - looked at above
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
            return None
    except urllib.error.HTTPError as error:
        # Some servers refuse to show a head alone; that says nothing about the page.
        return None if error.code in {405, 501} else f"it answers {error.code}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"it cannot be reached ({type(error).__name__})"
