"""How does a text from outside reach the page without doing anything there?

Markup is escaped by whatever writes the page. What escaping leaves alone is taken away here:
signs that are not written but obeyed.
"""

import re
import unicodedata
from typing import Final

from markupsafe import Markup

__all__ = ["cut", "visible", "wrapped"]

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
# Controls, halves of surrogate pairs (which no UTF-8 file can hold), and the signs that turn the
# direction of the text after them.
_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
_WIDE, _CAPITAL, _COMMON = 1.0, 0.72, 0.56


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


def wrapped(text: str, *, width: float, size: float, most_lines: int) -> tuple[str, ...]:
    """Break a text into lines for a drawing, where nothing else breaks it.

    Parameters
    ----------
    text : str
        A text.
    width : float
        Room, in the drawing's units.
    size : float
        Height of the letters, in the same units.
    most_lines : int
        How many lines at most; the last one then ends with an ellipsis.

    Returns
    -------
    tuple of str
        At least one line. Widths are estimates for a plain sans-serif font.

    Examples
    --------
    >>> wrapped("wait for one day", width=60, size=10, most_lines=2)
    ('wait for', 'one day')
    """
    lines: list[str] = []
    line = ""
    for word in str(visible(text)).split():
        for piece in _pieces(word, width, size):
            longer = f"{line} {piece}" if line else piece
            if line and _width(longer, size) > width:
                lines.append(line)
                line = piece
            else:
                line = longer
    lines.append(line)
    if len(lines) > most_lines:
        lines = [*lines[: most_lines - 1], lines[most_lines - 1].rstrip() + _ELLIPSIS]
    return tuple(lines)


def _pieces(word: str, width: float, size: float) -> list[str]:
    """Cut a word that is wider than the room."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and _width(pieces[-1] + letter, size) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _width(text: str, size: float) -> float:
    return size * sum(_share(letter) for letter in text)


def _share(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in {"W", "F"}:
        return _WIDE
    return _CAPITAL if letter.isupper() or letter in "mw@%" else _COMMON
