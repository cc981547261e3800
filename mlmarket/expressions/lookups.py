"""Calls whose values are found before an expression is computed, such as a count of events.

Such a call says what is asked: ``count(open, within='14d', where value > 20)``. Nothing of it is
computed by the expression, which reads the answer from a column, or a key of a row, that is named
after the call. Who gives the functions to ``parse`` puts the answers there.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from mlmarket.expressions.kinds import Schema, Type

__all__ = ["LONGEST_SUBJECT", "Keyword", "Lookup", "Subject", "key_of"]

LONGEST_SUBJECT: Final = 200
"""Characters of the name of an event, a campaign or a segment."""

Keyword: TypeAlias = Callable[[str], str]
"""Turns what a keyword was given into the one way to write it, or raises ``ArgumentError``."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the first argument of a lookup names.

    Parameters
    ----------
    words : str
        What it is, such as ``a type of event``.
    known : collection of str, optional
        The names there are; None where any will do.
    is_column : bool, default False
        Whether it is a column of the expression's table. All other names may be written as a bare
        word or as a text in single quotes.
    """

    words: str
    known: Collection[str] | None = None
    is_column: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """A function whose calls are answered before the expression is computed.

    Parameters
    ----------
    subject : Subject
        What its first argument names.
    example : str
        A call, for error messages.
    gives : Type, optional
        What it gives; None for the kind of the column that it names.
    keywords : mapping of str to callable, optional
        How the text of each keyword argument is read; in the order of the canonical form.
    needed : frozenset of str, optional
        Keywords that must be there.
    where : mapping of str to Type, optional
        The columns that a condition behind ``where`` may use; None where there can be no such
        condition.
    """

    subject: Subject
    example: str
    gives: Type | None = None
    keywords: Mapping[str, Keyword] = field(default_factory=lambda: MappingProxyType({}))
    needed: frozenset[str] = frozenset()
    where: Schema | None = None


def key_of(text: str) -> str:
    """Return the name of the column, or the key of a row, that answers a call.

    Parameters
    ----------
    text : str
        The call in its canonical form.

    Returns
    -------
    str
        The text itself. Databases take names that differ only in upper and lower case for the
        same, so a text with a capital letter carries a part of its SHA-256.

    Examples
    --------
    >>> key_of("count(open)"), key_of("count(Open)")
    ('count(open)', 'count(Open) #64e73817')
    """
    if text == text.lower():
        return text
    return f"{text} #{hashlib.sha256(text.encode()).hexdigest()[:8]}"
