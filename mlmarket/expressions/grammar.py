"""From tokens to the tree: the grammar, and what is said about all that is not in it.

The operators bind as in DuckDB and PostgreSQL. sqlglot's own parser is not used beyond its
tokenizer: it reads ``a - b % c`` as ``(a - b) % c`` and ``a = b is null`` as
``a = (b is null)``, drops comments and a unary plus, and overflows the stack on a hundred
brackets; a parser of only this language is short, and can point at each mistake.
"""

from typing import Final, cast

from mlmarket.errors import nearest, suggestion
from mlmarket.expressions.canonical import KEYWORDS, LEVELS, quoted
from mlmarket.expressions.cursor import Cursor
from mlmarket.expressions.errors import ExpressionError
from mlmarket.expressions.functions import NONE, Functions
from mlmarket.expressions.kinds import Schema, Type
from mlmarket.expressions.lookup_reader import LookupReader
from mlmarket.expressions.lookups import Lookup
from mlmarket.expressions.nodes import (
    ArithmeticSign,
    Column,
    ComparisonSign,
    IsMissing,
    Literal,
    Node,
)
from mlmarket.expressions.refusals import refusal_of_word
from mlmarket.expressions.rules import Rules
from mlmarket.expressions.tokens import Form, Token, read_tokens

__all__ = ["MAX_DEPTH", "Grammar"]

MAX_DEPTH = 50
"""Levels of brackets and operators; a chain of ``and`` or of ``or`` counts as one."""

_LARGEST: Final = 2**63
_ONCE: Final = frozenset({LEVELS["="], LEVELS["in"]})
"""Levels whose operators cannot be chained: ``a < b < c`` means nothing."""


class Grammar:
    """Reads one expression.

    Parameters
    ----------
    text : str
        The expression.
    schema : Schema
        The columns it may use.
    functions : Functions
        The functions it may call.
    """

    def __init__(self, text: str, schema: Schema, functions: Functions) -> None:
        self._rules = Rules(text)
        self._cursor = Cursor(read_tokens(text), self._rules)
        self._depth = 0
        self._schema = schema
        self._functions = functions
        self._refused: frozenset[str] = frozenset()

    def read(self) -> Node:
        """Return the tree of the whole text.

        Returns
        -------
        Node
            Its top; all kinds are checked.

        Raises
        ------
        ExpressionError
            If the text is not an expression of the language.
        """
        node = self._expression(0)
        if self._cursor.next.form is not Form.END:
            raise self._cursor.unexpected(self._cursor.next, after_value=True)
        return node

    # ---------------------------------------------------------------- operators

    def _expression(self, lowest: int) -> Node:
        """Read a value and all operators that bind at least as tightly as ``lowest``."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._too_deep(self._cursor.next.at)
        left = self._value(lowest)
        level_before = None
        while True:
            operator = self._operator()
            level = LEVELS.get(operator, -1)
            if level < max(lowest, 1):
                break
            if level in _ONCE and level == level_before:
                raise self._chained()
            left = self._operation(operator, left)
            if left.height > MAX_DEPTH:
                raise self._too_deep(left.at)
            level_before = level
        self._depth -= 1
        return left

    def _operator(self) -> str:
        word = self._cursor.next.word
        if word == "not" and self._cursor.second.word in {"in", "between", "like"}:
            return f"not {self._cursor.second.word}"
        return "" if word == "not" else word

    def _operation(self, operator: str, left: Node) -> Node:
        """Read the operator and its right side."""
        self._cursor.take()
        if operator.startswith("not "):
            self._cursor.take()
            plain = self._condition(operator.removeprefix("not "), left)
            return self._rules.denial(plain, left.at)
        if operator in {"is", "in", "between", "like"}:
            return self._condition(operator, left)
        right = self._expression(LEVELS[operator] + 1)
        if operator in {"and", "or"}:
            return self._rules.joined(operator, left, right)
        if operator == "||":
            return self._rules.concatenation(left, right)
        if LEVELS[operator] == LEVELS["="]:
            sign = "<>" if operator == "!=" else operator
            return self._rules.comparison(cast("ComparisonSign", sign), left, right)
        return self._rules.arithmetic(cast("ArithmeticSign", operator), left, right)

    def _condition(self, operator: str, left: Node) -> Node:
        if operator == "is":
            return self._is(left)
        if operator == "in":
            return self._in(left)
        return self._between(left) if operator == "between" else self._like(left)

    def _is(self, left: Node) -> Node:
        denied = self._cursor.took("not")
        word = self._cursor.next.word
        if word not in {"null", "true", "false"}:
            raise self._cursor.error(
                problem="IS must be followed by NULL, NOT NULL, TRUE or FALSE.",
                why="Anything else is compared with =.",
                fix="write IS NULL, or = and the value.",
            )
        self._cursor.take()
        if word == "null":
            plain: Node = IsMissing(left, kind=Type.BOOLEAN, at=left.at)
        else:
            plain = self._rules.truth(left, truth=word == "true")
        return self._rules.denial(plain, left.at) if denied else plain

    def _in(self, left: Node) -> Node:
        self._cursor.expect("(", "IN is followed by a list of values in brackets.")
        choices = [self._expression(0)]
        while self._cursor.took(","):
            choices.append(self._expression(0))
        self._close()
        return self._rules.membership(left, choices)

    def _between(self, left: Node) -> Node:
        low = self._expression(LEVELS["between"] + 1)
        self._cursor.expect("and", "BETWEEN has two ends, with AND between them.")
        high = self._expression(LEVELS["between"] + 1)
        return self._rules.between(left, low, high)

    def _like(self, left: Node) -> Node:
        return self._rules.like(left, self._expression(LEVELS["like"] + 1))

    # ------------------------------------------------------------------- values

    def _value(self, lowest: int) -> Node:
        token = self._cursor.next
        if token.word == "(":
            self._cursor.take()
            node = self._expression(0)
            self._close()
            return node
        if token.word == "not":
            return self._not(lowest)
        if token.word == "-":
            return self._minus()
        if token.form is Form.NUMBER:
            return self._number(self._cursor.take(), token.at)
        if token.form is Form.TEXT:
            return Literal(self._cursor.take().text, kind=Type.TEXT, at=token.at)
        if token.form in {Form.WORD, Form.NAME}:
            return self._word()
        raise self._cursor.unexpected(token, after_value=False)

    def _not(self, lowest: int) -> Node:
        if lowest > LEVELS["not"]:
            raise self._cursor.error(
                problem="NOT cannot stand here without brackets.",
                why="It would not be clear how far it reaches.",
                fix="put brackets around it: a = (not b).",
            )
        at = self._cursor.take().at
        return self._rules.denial(self._expression(LEVELS["not"]), at)

    def _minus(self) -> Node:
        at = self._cursor.take().at
        if self._cursor.next.form is Form.NUMBER:
            return self._number(self._cursor.take(), at, sign="-")
        return self._rules.negative(self._expression(LEVELS["negative"]), at)

    def _number(self, token: Token, at: int, sign: str = "") -> Node:
        value: int | float = float(sign + token.text)
        if token.text.isdigit() and -_LARGEST <= int(sign + token.text) < _LARGEST:
            value = int(sign + token.text)
        elif abs(value) == float("inf"):
            raise self._rules.error(
                token.at,
                "The number is too large.",
                "Numbers are 64-bit floats, below 1.8e308.",
                "write a smaller number.",
            )
        return Literal(value, kind=Type.NUMBER, at=at)

    def _word(self) -> Node:
        token = self._cursor.next
        if token.word in {"date", "timestamp"} and self._cursor.second.form is Form.TEXT:
            self._cursor.take()
            text = self._cursor.take()
            return self._rules.time(text.text, text.at)
        if token.word in {"null", "true", "false"}:
            self._cursor.take()
            if token.word == "null":
                return Literal(None, kind=Type.UNKNOWN, at=token.at)
            return Literal(token.word == "true", kind=Type.BOOLEAN, at=token.at)
        if token.word in KEYWORDS:
            raise self._cursor.unexpected(token, after_value=False)
        if self._cursor.second.word == "(" and token.form is Form.WORD:
            return self._call()
        return self._column()

    def _call(self) -> Node:
        token = self._cursor.next
        function = self._functions.get(token.word)
        if function is None:
            raise self._unknown_function(token)
        self._cursor.take()
        self._cursor.take()
        if isinstance(function, Lookup):
            reader = LookupReader(self._cursor, self._rules, self._schema, self._where)
            return reader.read(token, function)
        arguments: list[Node] = []
        if self._cursor.next.word != ")":
            arguments.append(self._expression(0))
            while self._cursor.took(","):
                arguments.append(self._expression(0))
        self._close()
        return self._rules.call(token.word, function, arguments, token.at)

    def _where(self, schema: Schema) -> Node:
        """Read a condition over the columns of what a lookup looks at."""
        outside = self._schema, self._functions
        self._schema, self._functions, self._refused = schema, NONE, frozenset(self._functions)
        node = self._expression(0)
        (self._schema, self._functions), self._refused = outside, frozenset()
        return node

    def _column(self) -> Node:
        token = self._cursor.next
        kind = self._schema.get(token.text)
        if kind is None:
            raise self._unknown_column(token)
        if kind == Type.UNKNOWN:
            raise self._cursor.error(
                problem=f"Column '{token.text}' is of a type that expressions cannot use.",
                why="They work on numbers, text, times and true/false.",
                fix="take a part of it into a column of its own first.",
            )
        self._cursor.take()
        return Column(token.text, kind=Type(kind), at=token.at)

    # ------------------------------------------------------------------- errors

    def _close(self) -> None:
        if self._cursor.took(")"):
            return
        if self._cursor.next.form is Form.END:
            self._cursor.expect(")", "A bracket that was opened is not closed.")
        raise self._cursor.unexpected(self._cursor.next, after_value=True)

    def _chained(self) -> ExpressionError:
        written = self._cursor.next.text.upper()
        return self._cursor.error(
            f"'{written}' cannot follow another comparison.",
            "a < b < c would compare true or false with c.",
            "write a < b and b < c, or use brackets.",
        )

    def _too_deep(self, at: int) -> ExpressionError:
        return self._rules.error(
            at,
            f"The expression is nested more than {MAX_DEPTH} levels deep.",
            "Nobody could review it, and databases limit the depth of a query.",
            "split it into columns; many alternatives are shorter with IN (…).",
        )

    def _unknown_function(self, token: Token) -> ExpressionError:
        special = refusal_of_word(token, self._cursor.second)
        if special is not None:
            return self._cursor.error(*special)
        if token.word in self._refused:
            why = "It looks at one row at a time, and a call looks at many."
            fix = f"join the two conditions with and, outside the brackets of {token.word}(…)."
            return self._cursor.error("Calls are not part of 'where'.", why, fix)
        if self._functions:
            why = f"These functions can be called: {', '.join(sorted(self._functions))}."
            fix = suggestion(token.word, self._functions)
        else:
            why = "The language has operators, but no functions here."
            fix = "use + - * / %, comparisons and LIKE, or compute the column before."
        return self._cursor.error(f"'{token.text}' is not a function that can be called.", why, fix)

    def _unknown_column(self, token: Token) -> ExpressionError:
        special = refusal_of_word(token, self._cursor.second)
        if special is not None:
            return self._cursor.error(*special)
        usable = [name for name, kind in self._schema.items() if kind != Type.UNKNOWN]
        fix = suggestion(token.text, usable)
        if token.form is Form.NAME or nearest(token.text, usable) is None:
            fix = f"{fix} Text goes in single quotes: {quoted(token.text)}."
        return self._cursor.error(
            f"There is no column '{token.text}'.",
            "An expression can use only the columns of its table, written as they are there.",
            fix,
        )
