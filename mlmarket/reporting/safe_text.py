"""How does a text from outside reach the page without doing anything there?

Markup is escaped by whatever writes the page. What escaping leaves alone is taken away here:
signs that are not written but obeyed.
"""

import re
from typing import Final

from markupsafe import Markup

__all__ = ["cut", "visible"]

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
# Controls, halves of surrogate pairs (which no UTF-8 file can hold), and the signs that turn the
# direction of the text after them.
_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)


def visible(value: object) -> object:
    """Return a value with the signs that are obeyed replaced, if it is a text.

    Parameters
    ----------
    value : object
        Anything that is printed; what is known to be safe markup is left as it is.

    Returns
    -------
    object
        A text, or the value.

    Examples
    --------
    >>> visible("a" + chr(0)) == "a" + chr(0xFFFD)
    True
    """
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _OBEYED.sub(_REPLACEMENT, value)


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters.

    Parameters
    ----------
    text : str
        A text.
    most : int
        How long it may be.

    Returns
    -------
    str
        With an ellipsis where something is missing.

    Examples
    --------
    >>> cut("a long name", 7)
    'a long…'
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + _ELLIPSIS
