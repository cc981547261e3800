"""Patterns of ``LIKE``, matched on one text without ever trying a way twice."""

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["matches"]


def matches(text: str, pattern: str) -> bool:
    """Tell whether a pattern describes the whole of a text.

    Parameters
    ----------
    text : str
        The text, compared by code point.
    pattern : str
        ``%`` stands for any characters or none, ``_`` for any one; upper and lower case
        differ, and nothing is an escape.

    Returns
    -------
    bool
        Whether it does.

    Examples
    --------
    >>> matches("C536379", "C%"), matches("c536379", "C%")
    (True, False)
    """
    return _compiled(pattern).matches(text)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """The pieces between the ``%``, each of a fixed length."""

    pieces: tuple[re.Pattern[str], ...]
    lengths: tuple[int, ...]

    def matches(self, text: str) -> bool:
        if len(self.pieces) == 1:
            return self.pieces[0].fullmatch(text) is not None
        last = len(text) - self.lengths[-1]
        if self.pieces[0].match(text) is None or last < self.lengths[0]:
            return False
        # The leftmost place for each piece leaves the most room for those after it, so one
        # pass decides; a single regular expression with many .* could take for ever.
        position = self.lengths[0]
        for piece in self.pieces[1:-1]:
            found = piece.search(text, position, last)
            if found is None:
                return False
            position = found.end()
        return self.pieces[-1].match(text, last) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> _Pattern:
    pieces = pattern.split("%")
    expressions = (
        "".join("." if character == "_" else re.escape(character) for character in piece)
        for piece in pieces
    )
    compiled = tuple(re.compile(expression, re.DOTALL) for expression in expressions)
    return _Pattern(compiled, tuple(map(len, pieces)))
