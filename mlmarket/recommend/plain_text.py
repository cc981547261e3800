"""How does a text of a shop stand on one line, without doing anything there?

Titles come from catalogues that people fill. A line break in one moves every later cell of a file, and signs that turn
the direction of text change what the words around them seem to say.
"""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["is_web_address", "one_line", "one_line_each", "web_addresses"]

# Controls, and the signs that turn the direction of what follows; written so that RE2 reads it too.
_OBEYED: Final = (
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_BREAKS: Final = "[ \t\n\x0b\x0c\r\x85\u00a0\u2028\u2029]+"
_WEB: Final = r"https?://[^\s<>\"'\\]+"


def one_line(text: str) -> str:
    r"""Return a text on one line, without signs that are obeyed and not read.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        With single spaces.

    Examples
    --------
    >>> one_line("Set of 3 \r\n  tins")
    'Set of 3 tins'
    """
    return re.sub(_BREAKS, " ", re.sub(_OBEYED, "", text)).strip(" ")


def one_line_each(texts: "pa.Array") -> "pa.StringArray":
    """Return texts as :func:`one_line` does, and empty ones as missing.

    Parameters
    ----------
    texts : pyarrow.StringArray or pyarrow.LargeStringArray
        Texts.

    Returns
    -------
    pyarrow.StringArray
        Of the same length.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.replace_substring_regex(texts.cast(pa.string()), _OBEYED, "")
    plain = pc.utf8_trim(pc.replace_substring_regex(plain, _BREAKS, " "), " ")
    return pc.if_else(pc.equal(plain, ""), None, plain)


def is_web_address(text: object) -> bool:
    """Say whether a text is an address of the web, and nothing that would run.

    Parameters
    ----------
    text : object
        What stands where an address should.

    Returns
    -------
    bool
        True for ``http://…`` and ``https://…`` without spaces or quotes.

    Examples
    --------
    >>> is_web_address("https://shop.example/tins"), is_web_address("javascript:alert(1)")
    (True, False)
    """
    return isinstance(text, str) and re.fullmatch(_WEB, text) is not None


def web_addresses(texts: "pa.Array") -> "pa.StringArray":
    """Return the addresses of the web; everything else is missing.

    Parameters
    ----------
    texts : pyarrow.StringArray or pyarrow.LargeStringArray
        What stands where addresses should.

    Returns
    -------
    pyarrow.StringArray
        Of the same length.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = texts.cast(pa.string())
    return pc.if_else(pc.match_substring_regex(plain, f"^{_WEB}$"), plain, None)
