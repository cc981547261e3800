"""How is a call read whose value is found elsewhere: name, keywords, and ``where``?"""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

from mlmarket.errors import suggestion
from mlmarket.expressions.canonical import KEYWORDS
from mlmarket.expressions.cursor import Cursor
from mlmarket.expressions.errors import ExpressionError
from mlmarket.expressions.functions import ArgumentError
from mlmarket.expressions.kinds import Schema, Type
from mlmarket.expressions.lookups import LONGEST_SUBJECT, Lookup
from mlmarket.expressions.nodes import Known, Node
from mlmarket.expressions.rules import Rules
from mlmarket.expressions.tokens import Form, Token

__all__ = ["LookupReader"]

_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Categories of characters that cannot be seen, or that change how others are shown."""


class LookupReader:
    """Reads what stands between the brackets of a lookup.

    Parameters
    ----------
    cursor : Cursor
        Where the expression is being read.
    rules : Rules
        Of the expression.
    schema : Schema
        The columns of the expression.
    read_condition : callable
        Reads an expression over the columns it is given.
    """

    def __init__(
        self,
        cursor: Cursor,
        rules: Rules,
        schema: Schema,
        read_condition: Callable[[Schema], Node],
    ) -> None:
        self._cursor = cursor
        self._rules = rules
        self._schema = schema
        self._read_condition = read_condition

    def read(self, called: Token, lookup: Lookup) -> Node:
        """Return the call whose opening bracket was just read; reads its closing one.

        Parameters
        ----------
        called : Token
            The function's name.
        lookup : Lookup
            What may stand in the call.

        Returns
        -------
        Node
            Of the kind that the lookup gives.

        Raises
        ------
        ExpressionError
            If the call is not written as the lookup says.
        """
        subject, kind = self._subject(called, lookup)
        options: dict[str, str] = {}
        where: Node | None = None
        while where is None and self._cursor.took(","):
            if self._cursor.next.word == "where":
                where = self._where(called, lookup)
            else:
                self._keyword(called, lookup, options)
        self._end(called, lookup, after_where=where is not None)
        lacking = [name for name in lookup.keywords if name in lookup.needed - options.keys()]
        if lacking:
            problem = f"{called.word} needs {lacking[0]}=."
            raise self._wrong(called.at, called, problem, f"write {lookup.example}.")
        ordered = tuple((name, options[name]) for name in lookup.keywords if name in options)
        return Known(
            called.word, subject, ordered, where, lookup.subject.is_column, kind=kind, at=called.at
        )

    def _subject(self, called: Token, lookup: Lookup) -> tuple[str, Type]:
        token, expected = self._cursor.next, lookup.subject
        quote = Form.NAME if expected.is_column else Form.TEXT
        bare = token.form is Form.WORD and token.word not in {"where", *KEYWORDS}
        if not bare and token.form is not quote:
            marks = "double" if expected.is_column else "single"
            problem = f"{called.word} needs {expected.words} here."
            fix = f"write {lookup.example}; in {marks} quotes where it is not one plain word."
            raise self._wrong(token.at, called, problem, fix)
        self._cursor.take()
        self._refuse_strange(token, called, lookup)
        if not expected.is_column:
            if expected.known is not None and token.text not in expected.known:
                problem = f"There is no '{token.text}' among what {called.word} knows."
                fix = suggestion(token.text, expected.known)
                raise self._wrong(token.at, called, problem, fix)
            return token.text, lookup.gives or Type.UNKNOWN
        kind = self._schema.get(token.text, Type.UNKNOWN)
        if kind == Type.UNKNOWN:
            usable = [name for name, one in self._schema.items() if one != Type.UNKNOWN]
            problem = f"There is no column '{token.text}' that can be used."
            raise self._wrong(token.at, called, problem, suggestion(token.text, usable))
        return token.text, lookup.gives or Type(kind)

    def _refuse_strange(self, token: Token, called: Token, lookup: Lookup) -> None:
        name = token.text
        unseen = any(unicodedata.category(character) in _UNSEEN for character in name)
        if not name or name != name.strip() or unseen or len(name) > LONGEST_SUBJECT:
            problem = f"This cannot be the name of {lookup.subject.words}."
            fix = f"write its name alone, of at most {LONGEST_SUBJECT} characters that can be seen."
            raise self._wrong(token.at, called, problem, fix)
        if token.form is Form.WORD and self._cursor.next.word in {".", "-", "->", ":"}:
            fix = f"write it in single quotes: '{name}{self._cursor.next.text}…'."
            raise self._wrong(token.at, called, "A name with signs in it needs quotes.", fix)

    def _keyword(self, called: Token, lookup: Lookup, options: dict[str, str]) -> None:
        name = self._cursor.next
        if name.form is not Form.WORD or self._cursor.second.word != "=":
            problem = "Only the first argument stands without a name."
            raise self._wrong(name.at, called, problem, f"write {lookup.example}.")
        read = lookup.keywords.get(name.word)
        if read is None:
            problem = f"{called.word} has no '{name.text}'."
            raise self._wrong(name.at, called, problem, _choice(name.word, lookup))
        if name.word in options:
            problem = f"'{name.word}' is there twice."
            raise self._wrong(name.at, called, problem, "keep one of them.")
        self._cursor.take()
        self._cursor.take()
        value = self._cursor.next
        if value.form is not Form.TEXT:
            problem = f"{name.word}= is followed by a text in single quotes."
            raise self._wrong(value.at, called, problem, f"write {lookup.example}.")
        self._cursor.take()
        try:
            options[name.word] = read(value.text)
        except ArgumentError as error:
            raise self._wrong(value.at, called, error.problem, error.fix) from error

    def _where(self, called: Token, lookup: Lookup) -> Node:
        word = self._cursor.take()
        if lookup.where is None:
            problem = f"{called.word} has no 'where'."
            raise self._wrong(word.at, called, problem, _choice("where", lookup))
        return self._rules.need(self._read_condition(lookup.where), Type.BOOLEAN, "WHERE")

    def _end(self, called: Token, lookup: Lookup, *, after_where: bool) -> None:
        if self._cursor.took(")"):
            return
        token = self._cursor.next
        if after_where and token.word == ",":
            fix = "write the other arguments before it."
            raise self._wrong(token.at, called, "'where …' is the last part of a call.", fix)
        if token.form is Form.WORD and token.word in {"where", *lookup.keywords}:
            problem = f"A comma is missing before '{token.word}'."
            raise self._wrong(token.at, called, problem, f"write {lookup.example}.")
        if token.form is Form.END:
            self._cursor.expect(")", "A bracket that was opened is not closed.")
        raise self._cursor.unexpected(token, after_value=True)

    def _wrong(self, at: int, called: Token, problem: str, fix: str) -> ExpressionError:
        why = f"What {called.word} asks must be clear before anybody is looked at."
        return self._rules.error(at, problem, why, fix)


def _choice(word: str, lookup: Lookup) -> str:
    parts: Mapping[str, object] = lookup.keywords
    names = [*parts, *(["where"] if lookup.where is not None else [])]
    return suggestion(word, names) if names else f"write {lookup.example}."
