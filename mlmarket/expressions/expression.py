"""An expression that has been read and checked, ready to be computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import ibis.expr.types as ir

from mlmarket.expressions.canonical import written
from mlmarket.expressions.errors import ExpressionError
from mlmarket.expressions.functions import NONE, Functions
from mlmarket.expressions.grammar import MAX_DEPTH, Grammar
from mlmarket.expressions.ibis_compiler import Target, compile_node
from mlmarket.expressions.kinds import IN_WORDS, Schema, Type
from mlmarket.expressions.lookups import key_of
from mlmarket.expressions.nodes import Arithmetic, Column, Known, Node
from mlmarket.expressions.row_evaluator import Row, evaluate

__all__ = ["MAX_DIVISORS", "Asked", "Expression", "parse", "parse_condition"]

MAX_DIVISORS = 6
"""Divisions inside a divisor inside a divisor…: each level doubles the database's query."""


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A formula over the columns of a table, from :func:`parse`.

    Two expressions are equal where their canonical texts are: ``str(expression)``.

    Parameters
    ----------
    text : str
        As it was written.
    kind : Type
        What it gives.
    columns : frozenset of str
        The columns it reads, the keys of its calls among them.
    calls : tuple of Asked
        The lookups it asks, each once, in the order of their canonical texts.
    """

    text: str
    kind: Type
    columns: frozenset[str]
    calls: "tuple[Asked, ...]"
    _node: Node = field(repr=False)
    _canonical: str = field(repr=False)

    def to_ibis(self, table: ir.Table | Mapping[str, ir.Value]) -> ir.Value:
        """Return the expression as an Ibis value of a table.

        Parameters
        ----------
        table : ibis.expr.types.Table or mapping of str to ibis.expr.types.Value
            A table with the expression's columns, on any backend, or such columns by name;
            they are not read.

        Returns
        -------
        ibis.expr.types.Value
            Null where the result is missing. Formulas are float64; a column alone keeps its
            data type, except that times become ``timestamp(6)`` without a zone, in UTC.

        Raises
        ------
        ExpressionError
            If the table lacks a column, or has it with another kind.
        """
        return compile_node(self._node, Target(table, self.text))

    def evaluate(self, row: Mapping[str, object]) -> object:
        """Return the value of the expression on one row.

        Parameters
        ----------
        row : mapping of str to object
            Values by column: Python, NumPy or pandas scalars. A column that is not there is
            missing, as are None, NaN, infinities, ``pandas.NaT`` and ``pandas.NA``. A time
            without a zone is in UTC.

        Returns
        -------
        bool, int, float, Decimal, str, datetime or None
            None where the result is missing; times carry the zone UTC.

        Raises
        ------
        ExpressionError
            If a value of the row is not of its column's kind.
        """
        return evaluate(self._node, Row(row, self.text))

    def __str__(self) -> str:
        return self._canonical

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expression):
            return NotImplemented
        return self._canonical == other._canonical

    def __hash__(self) -> int:
        return hash(self._canonical)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One call of a lookup: what must be found before its expression can be computed.

    Two calls are equal where their canonical texts are.

    Parameters
    ----------
    name : str
        The function, in lower case.
    subject : str
        What its first argument names.
    options : tuple of (str, str)
        Its keyword arguments, each in its canonical form.
    where : Expression, optional
        A condition over the rows that the lookup looks at.
    kind : Type
        What it gives.
    text : str
        The call in its canonical form, however it was written.
    """

    name: str
    subject: str
    options: tuple[tuple[str, str], ...]
    where: Expression | None
    kind: Type
    text: str

    @property
    def key(self) -> str:
        """The column, or the key of a row, where expressions expect the answer."""
        return key_of(self.text)

    def option(self, name: str) -> str | None:
        """Return what a keyword was given, None where it is not there."""
        return dict(self.options).get(name)

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Asked) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)


def parse(text: str, *, schema: Schema, functions: Functions = NONE) -> Expression:
    """Read an expression and check it against the columns of a table.

    Parameters
    ----------
    text : str
        The expression, as a person wrote it.
    schema : mapping of str to Type
        The columns that may be used; see :func:`schema_of`.
    functions : mapping of str to Function or Lookup, optional
        The functions that may be called, by lower-case name; none by default.

    Returns
    -------
    Expression
        Checked: it cannot fail on a table of that schema.

    Raises
    ------
    ExpressionError
        If the text is not an expression of the language, or mixes kinds of values.

    Examples
    --------
    >>> from mlmarket.expressions import Type, parse
    >>> orders = {"Quantity": Type.NUMBER, "UnitPrice": Type.NUMBER}
    >>> amount = parse("Quantity * UnitPrice", schema=orders)
    >>> amount.evaluate({"Quantity": 6, "UnitPrice": 2.5}), sorted(amount.columns)
    (15.0, ['Quantity', 'UnitPrice'])
    """
    node = _tree(text, schema, functions)
    if node.kind is Type.UNKNOWN:
        raise ExpressionError(
            problem="A bare NULL is not an expression.",
            why="It is of no kind: neither a number nor text, a time or a condition.",
            fix="leave the setting out.",
            text=text,
            at=node.at,
        )
    return _checked(node, text)


def _checked(node: Node, text: str) -> Expression:
    calls = {call.text: call for call in _calls(node, text)}
    ordered = tuple(calls[name] for name in sorted(calls))
    columns = frozenset(_columns(node)) | {call.key for call in ordered}
    return Expression(text, node.kind, columns, ordered, node, written(node))


def parse_condition(text: str, *, schema: Schema, functions: Functions = NONE) -> Expression:
    """Read an expression that must be true or false, such as the rule of a segment.

    Parameters
    ----------
    text : str
        The condition, as a person wrote it.
    schema : mapping of str to Type
        The columns that may be used; see :func:`schema_of`.
    functions : mapping of str to Function, optional
        The functions that may be called, by lower-case name; none by default.

    Returns
    -------
    Expression
        Of the kind ``Type.BOOLEAN``.

    Raises
    ------
    ExpressionError
        If the text is not an expression of the language, or not a condition.

    Examples
    --------
    >>> from mlmarket.expressions import Type, parse_condition
    >>> country = {"country": Type.TEXT}
    >>> parse_condition("country in ('PT', 'ES')", schema=country).evaluate({"country": "PT"})
    True
    """
    expression = parse(text, schema=schema, functions=functions)
    if expression.kind is not Type.BOOLEAN:
        raise ExpressionError(
            problem=f"A condition is true or false, but this is {IN_WORDS[expression.kind]}.",
            why="It decides which rows or people are in.",
            fix="compare it with something, such as amount > 0 or country = 'PT'.",
            text=text,
            at=expression._node.at,
        )
    return expression


def _tree(text: str, schema: Schema, functions: Functions) -> Node:
    try:
        node = Grammar(text, schema, functions).read()
        _refuse_nested_divisors(node, text, 0)
    except RecursionError as error:  # a caller that is itself almost out of stack
        raise ExpressionError(
            problem="The expression is nested too deep to be read here.",
            why=f"At most {MAX_DEPTH} levels are read, and fewer from deep inside a program.",
            fix="split it into columns.",
            text=text,
            at=0,
        ) from error
    return node


def _refuse_nested_divisors(node: Node, text: str, level: int) -> None:
    if level > MAX_DIVISORS:
        raise ExpressionError(
            problem=f"Divisions are nested in divisors more than {MAX_DIVISORS} levels deep.",
            why="Each level doubles the query that the database has to read.",
            fix="compute the inner divisions in a column of their own.",
            text=text,
            at=node.at,
        )
    if isinstance(node, Known) and node.where is not None:
        _refuse_nested_divisors(node.where, text, 0)
    for child in node.children:
        divides = isinstance(node, Arithmetic) and node.sign in "/%" and child is node.right
        _refuse_nested_divisors(child, text, level + divides)


def _calls(node: Node, text: str) -> list[Asked]:
    if isinstance(node, Known):
        where = None if node.where is None else _checked(node.where, text)
        return [Asked(node.name, node.subject, node.options, where, node.kind, written(node))]
    return [call for child in node.children for call in _calls(child, text)]


def _columns(node: Node) -> set[str]:
    if isinstance(node, Column):
        return {node.name}
    return set().union(*map(_columns, node.children))
