"""How does a receiver know that a request is ours, and which secret says so?

References
----------
.. [1] Standard Webhooks 1.0.0, https://github.com/standard-webhooks/standard-webhooks
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from mlmarket.errors import ConfigurationError

__all__ = ["Secret", "signature_is_valid", "signed_headers"]

_PREFIX: Final = "whsec_"
_LEAST, _MOST = 24, 64
_TOLERANCE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Secret:
    """A key for signatures, which never shows itself.

    Parameters
    ----------
    key : bytes
        From 24 to 64 bytes.
    """

    key: bytes = field(repr=False)

    @classmethod
    def from_environment(cls, variable: str, environ: Mapping[str, str]) -> "Secret":
        """Read a secret from an environment variable.

        Parameters
        ----------
        variable : str
            Its name; it holds ``whsec_`` and 24 to 64 bytes in base64.
        environ : mapping of str to str
            The environment.

        Returns
        -------
        Secret
            The key.

        Raises
        ------
        ConfigurationError
            Where the variable is not set or holds something else; the message does not repeat it.
        """
        text = environ.get(variable, "").strip()
        fix = f"set it: export {variable}=whsec_$(openssl rand -base64 32)"
        if not text:
            what = f"The environment has no {variable}."
            raise ConfigurationError(what, "Requests to the receiver are signed with it.", fix)
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not text.startswith(_PREFIX) or not _LEAST <= len(key) <= _MOST:
            what = f"{variable} is not 'whsec_' with {_LEAST} to {_MOST} bytes in base64."
            raise ConfigurationError(
                what, "Receivers could not check signatures made with it.", fix
            )
        return cls(key)

    def signature(self, identity: str, timestamp: int, body: bytes) -> str:
        """Return the signature of one request.

        Parameters
        ----------
        identity : str
            Its ``webhook-id``.
        timestamp : int
            Its ``webhook-timestamp``, in seconds since 1970.
        body : bytes
            Exactly as it is sent.

        Returns
        -------
        str
            ``v1,`` and the HMAC-SHA256 of ``id.timestamp.body`` in base64 [1]_.

        References
        ----------
        .. [1] Standard Webhooks 1.0.0, section "Signature scheme".
        """
        content = f"{identity}.{timestamp}.".encode() + body
        digest = hmac.new(self.key, content, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(
    secrets: Sequence[Secret], identity: str, body: bytes, *, at: datetime
) -> dict[str, str]:
    """Return the headers of one request.

    Parameters
    ----------
    secrets : sequence of Secret
        The current one, and while it is replaced, the former.
    identity : str
        The same for each attempt.
    body : bytes
        Exactly as it is sent.
    at : datetime
        Of this attempt, with a zone.

    Returns
    -------
    dict
        ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``.
    """
    timestamp = int(at.timestamp())
    signatures = [secret.signature(identity, timestamp, body) for secret in secrets]
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def signature_is_valid(
    headers: Mapping[str, str], body: bytes, secret: Secret, *, now: datetime | None = None
) -> bool:
    """Return whether a request was signed with a secret, lately.

    Parameters
    ----------
    headers : mapping of str to str
        Of the request, with names in small letters.
    body : bytes
        Exactly as it came.
    secret : Secret
        What the sender is known to sign with.
    now : datetime, optional
        With a zone; by default the clock's.

    Returns
    -------
    bool
        False also where a header is missing, or the request is more than five minutes off.
    """
    identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identity or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    moment = datetime.now(UTC) if now is None else now
    if abs(moment.timestamp() - int(timestamp)) > _TOLERANCE.total_seconds():
        return False
    expected = secret.signature(identity, int(timestamp), body).encode()
    given = headers.get("webhook-signature", "").encode().split(b" ")
    return any(hmac.compare_digest(expected, one) for one in given)
