"""How much room does a text need in a drawing, where nothing else breaks its lines?"""

import re
import unicodedata
from typing import Final
from xml.sax.saxutils import escape

__all__ = ["escaped", "width_of", "wrapped"]

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
# Controls, halves of surrogate pairs (which no UTF-8 file can hold), and the signs that turn the
# direction of the text after them.
_OBEYED: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
_NARROW: Final = frozenset("iljtfrI.,:;'|!()[] ·")
_BROAD: Final = frozenset("mwMW@%")


def escaped(text: str) -> str:
    """Return a text that a drawing can hold: markup and signs that are obeyed are taken away.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        For the content of an element, or an attribute between double quotes.

    Examples
    --------
    >>> escaped('a < "b"')
    'a &lt; &quot;b&quot;'
    """
    return escape(_OBEYED.sub(_REPLACEMENT, text), {'"': "&quot;"})


def width_of(text: str, size: float) -> float:
    """Return about how wide a text is in a plain sans-serif font, rather too wide.

    Parameters
    ----------
    text : str
        One line.
    size : float
        Height of the letters, in the drawing's units.

    Returns
    -------
    float
        In the same units.
    """
    return size * sum(map(_share, text))


def _share(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in {"W", "F"}:
        return 1.0
    if letter in _NARROW:
        return 0.36
    if letter in _BROAD:
        return 0.95
    return 0.70 if letter.isupper() else 0.61


def wrapped(text: str, *, width: float, size: float, most_lines: int) -> tuple[str, ...]:
    """Break a text into lines.

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
        At least one line.

    Examples
    --------
    >>> wrapped("wait for one day", width=60, size=10, most_lines=2)
    ('wait for', 'one day')
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        for piece in _pieces(word, width, size):
            longer = f"{line} {piece}" if line else piece
            if line and width_of(longer, size) > width:
                lines.append(line)
                line = piece
            else:
                line = longer
    lines.append(line)
    if len(lines) <= most_lines:
        return tuple(lines)
    last = lines[most_lines - 1]
    while last and width_of(last + _ELLIPSIS, size) > width:
        last = last[:-1]
    return (*lines[: most_lines - 1], last.rstrip() + _ELLIPSIS)


def _pieces(word: str, width: float, size: float) -> list[str]:
    """Cut a word that is wider than the room, behind an underscore where there is one."""
    pieces = [""]
    for part in re.findall(r"[^_]*_|[^_]+", word) if width_of(word, size) > width else [word]:
        if pieces[-1] and width_of(pieces[-1] + part, size) > width:
            pieces.append("")
        for letter in part:
            if pieces[-1] and width_of(pieces[-1] + letter, size) > width:
                pieces.append("")
            pieces[-1] += letter
    return pieces
