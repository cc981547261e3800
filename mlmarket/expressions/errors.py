"""The error of an expression: it shows the text, with a caret under the place that is wrong."""

import unicodedata

from mlmarket.errors import ConfigurationError

__all__ = ["ExpressionError"]

_WIDTH = 72
"""Characters of the expression that are shown, at most."""


class ExpressionError(ConfigurationError):
    """An expression that cannot be read, or does not fit the table or row it is used on.

    Parameters
    ----------
    problem : str
        What is wrong, in one sentence.
    why : str
        Why it is refused.
    fix : str
        What to write instead.
    text : str
        The whole expression.
    at : int
        Where in the text, counted in characters from 0.

    Attributes
    ----------
    text : str
        The whole expression.
    at : int
        Where in the text, counted in characters from 0.
    """

    def __init__(self, problem: str, why: str, fix: str, *, text: str, at: int) -> None:
        super().__init__(f"{problem}\n{_picture(text, at)}", why, fix)
        self.text = text
        self.at = at


def _picture(text: str, at: int) -> str:
    """Return the line of the text around one character, and a line with a caret under it."""
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    left = max(start, min(at - _WIDTH // 2, end - _WIDTH))
    right = min(end, left + _WIDTH)
    before = ("…" if left > start else "") + text[left:at]
    shown = before + text[at:right] + ("…" if right < end else "")
    printable = "".join(map(_printable, shown))
    return f"    {printable}\n    {' ' * sum(map(_cells, before))}^"


def _printable(character: str) -> str:
    # A text from a file must not be able to steer the reader's terminal.
    return " " if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else character


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
