"""An expression as plain Ibis operations, so that any of its databases can compute it.

Arithmetic is done in float64, whose overflow is an infinity that spreads: sums, products and
numerators keep it, so it is enough to look at the end of a formula and at each divisor. A
look costs one copy of the formula in the query, hence the limit on divisors inside divisors.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce, singledispatch
from typing import Final

import ibis
import ibis.expr.types as ir

from mlmarket.errors import suggestion
from mlmarket.expressions.canonical import written
from mlmarket.expressions.dialects import engine_of, in_code_order, rest
from mlmarket.expressions.errors import ExpressionError
from mlmarket.expressions.kinds import IN_WORDS, Type, kind_of
from mlmarket.expressions.lookups import key_of
from mlmarket.expressions.nodes import (
    AllOf,
    AnyOf,
    Arithmetic,
    Between,
    Call,
    Column,
    Comparison,
    Concatenation,
    IsMissing,
    IsTruth,
    Known,
    Like,
    Literal,
    Membership,
    Negative,
    Node,
    Not,
)

__all__ = ["Target", "compile_node"]

_TIMESTAMP: Final = "timestamp(6)"
_LARGEST: Final = 1.7976931348623157e308
_SMALLEST: Final = 5e-324
_DTYPES: Final = {
    Type.BOOLEAN: "boolean",
    Type.NUMBER: "float64",
    Type.TEXT: "string",
    Type.TIME: _TIMESTAMP,
}


@dataclass(frozen=True, slots=True)
class Target:
    """The table that an expression is compiled for.

    Parameters
    ----------
    table : ibis.expr.types.Table or mapping of str to ibis.expr.types.Value
        A table with the expression's columns, or those columns by name.
    text : str
        The expression, for the error messages.
    """

    table: ir.Table | Mapping[str, ir.Value]
    text: str


def compile_node(node: Node, target: Target) -> ir.Value:
    """Return a part of an expression as an Ibis value.

    Parameters
    ----------
    node : Node
        Any part of an expression.
    target : Target
        The table.

    Returns
    -------
    ibis.expr.types.Value
        Null where the result is missing. A bare column keeps its data type, except that times
        become ``timestamp(6)`` in UTC.

    Raises
    ------
    ExpressionError
        If the table lacks a column, or has it with another kind.
    """
    value = _value(node, target)
    return _finite(value) if isinstance(node, Arithmetic | Negative) else value


@singledispatch
def _value(node: Node, _target: Target) -> ir.Value:
    raise TypeError(type(node).__name__)


@_value.register(Literal)
def _(node: Literal, _target: Target) -> ir.Value:
    return _literal(node)


def _literal(node: Literal) -> ir.Value:
    value = node.value
    if value is None:
        return ibis.null(_DTYPES.get(node.kind))
    if isinstance(value, datetime):
        return ibis.literal(value.replace(tzinfo=None).isoformat(sep=" ")).cast(_TIMESTAMP)
    if isinstance(value, float):
        return _constant(value)
    return ibis.literal(value)


def _constant(number: float) -> ir.Value:
    # As text: a database may read a bare 0.1 as a decimal and round it again on the way.
    return ibis.literal(repr(float(number))).cast("float64")


@_value.register(Column)
def _(node: Column, target: Target) -> ir.Value:
    return _clean(_column(node, target))


def _column(node: Column, target: Target) -> ir.Value:
    table = target.table
    known = table if isinstance(table, Mapping) else table.columns
    if node.name not in known:
        raise ExpressionError(
            problem=f"The table has no column '{node.name}'.",
            why="The expression was checked against another table.",
            fix=suggestion(node.name, known),
            text=target.text,
            at=node.at,
        )
    column = table[node.name]
    found = kind_of(column.type())
    if found is not node.kind:
        raise ExpressionError(
            problem=f"Column '{node.name}' of the table is {IN_WORDS[found]}, "
            f"but the expression was checked with {IN_WORDS[node.kind]}.",
            why="Values are never turned from one kind into another unasked.",
            fix="check the expression against the schema of this table.",
            text=target.text,
            at=node.at,
        )
    return column


def _clean(value: ir.Value) -> ir.Value:
    """Return what a table or a function holds, with NaN and infinities as null, times in UTC."""
    if kind_of(value.type()) is Type.TIME:
        return value.cast(_TIMESTAMP)
    return _finite(value) if value.type().is_floating() else value


def _finite(value: ir.Value) -> ir.Value:
    # NaN is above all numbers in SQL and beside them in IEEE 754: false either way.
    return (value.abs() <= _constant(_LARGEST)).ifelse(value, ibis.null(value.type()))


@_value.register(Known)
def _(node: Known, target: Target) -> ir.Value:
    return _clean(_found(node, target))


def _found(node: Known, target: Target) -> ir.Value:
    text, table = written(node), target.table
    key = key_of(text)
    if key not in (table if isinstance(table, Mapping) else table.columns):
        raise ExpressionError(
            problem=f"The table has no column with the answer to {text}.",
            why="What is asked in a call is found before the expression is computed.",
            fix=f"find the answers to the expression's calls first, under their keys: {key!r}.",
            text=target.text,
            at=node.at,
        )
    return table[key]


@_value.register(Call)
def _(node: Call, target: Target) -> ir.Value:
    arguments = [compile_node(argument, target) for argument in node.arguments]
    return _clean(node.function.to_ibis(arguments, target.table))


def _number(node: Node, target: Target) -> ir.Value:
    """Compile a part of a formula, where NaN and infinities may still spread to its end."""
    value = _column(node, target) if isinstance(node, Column) else _value(node, target)
    return value.cast("float64")


@_value.register(Negative)
def _(node: Negative, target: Target) -> ir.Value:
    return -_number(node.operand, target)


@_value.register(Arithmetic)
def _(node: Arithmetic, target: Target) -> ir.Value:
    left, right = _number(node.left, target), _number(node.right, target)
    if node.sign in "/%" and not (isinstance(node.right, Literal) and node.right.value):
        right = _divisor(right)
    return _ARITHMETIC[node.sign](left, right)


def _divisor(value: ir.Value) -> ir.Value:
    size = value.abs()
    usable = size.between(_constant(_SMALLEST), _constant(_LARGEST))
    return usable.ifelse(value, ibis.null("float64"))


@_value.register(Concatenation)
def _(node: Concatenation, target: Target) -> ir.Value:
    return compile_node(node.left, target) + compile_node(node.right, target)


@_value.register(Comparison)
def _(node: Comparison, target: Target) -> ir.Value:
    if any(isinstance(side, Literal) and side.value is None for side in node.children):
        return ibis.null("boolean")  # Ibis would ask whether the other side is null
    compared = _alike(*(_operand(side, target) for side in node.children))
    if node.sign not in {"=", "<>"}:
        compared = _ordered(*compared)
    return _COMPARISONS[node.sign](*compared)


def _ordered(*values: ir.Value) -> tuple[ir.Value, ...]:
    """Return values that can be compared by size: texts by code point."""
    if kind_of(values[0].type()) is not Type.TEXT:
        return values
    engine = next(filter(None, map(engine_of, values)), "")
    return tuple(in_code_order(value, engine=engine) for value in values)


def _operand(node: Node, target: Target) -> ir.Value:
    """Compile what stands beside an operator that is no ``and``, ``or`` or ``not``.

    Ibis 12 writes no brackets around NOT, IN, BETWEEN and LIKE, nor around any condition before
    IN: ``(a = b) in (true)`` would reach the database as ``a = b in (true)``. As the argument
    of a function that changes nothing, a condition stays whole in every dialect.
    """
    value = compile_node(node, target)
    if node.kind is Type.BOOLEAN and not isinstance(node, Column | Literal):
        return value.fill_null(ibis.null("boolean"))
    return value


def _alike(*values: ir.Value) -> tuple[ir.Value, ...]:
    """Return values that can be compared: integers with all digits, other numbers in float64."""
    if kind_of(values[0].type()) is not Type.NUMBER:
        return values
    if all(value.type().is_integer() for value in values):
        return tuple(map(_signed, values))
    return tuple(value.cast("float64") for value in values)


def _signed(value: ir.Value) -> ir.Value:
    # Ibis compares no unsigned integer with a negative literal.
    if not value.type().is_unsigned_integer():
        return value
    return value.cast("decimal(20, 0)" if value.type().is_uint64() else "int64")


@_value.register(Between)
def _(node: Between, target: Target) -> ir.Value:
    value, low, high = (_operand(child, target) for child in node.children)
    if not value.type().is_integer():
        value, low, high = _ordered(*_alike(value, low, high))
        return value.between(low, high)
    # Each end by itself, so that an integer end is exact even beside a float end. Only a
    # column, a literal or a call can be an integer, so the second copy is small.
    above, below = _alike(value, low), _alike(value, high)
    return (above[0] >= above[1]) & (below[0] <= below[1])


@_value.register(Membership)
def _(node: Membership, target: Target) -> ir.Value:
    value = _operand(node.operand, target)
    choices = [_literal(choice) for choice in node.choices if choice.value is not None]
    missing = len(choices) < len(node.choices)
    parts: list[ir.Value] = [ibis.null("boolean")] if missing else []
    if value.type().is_integer():
        exact = [choice for choice in choices if choice.type().is_integer()]
        parts += _isin(value, exact)
        choices = [choice for choice in choices if not choice.type().is_integer()]
    parts += _isin(value, choices)
    return reduce(operator.or_, parts)


def _isin(value: ir.Value, choices: Sequence[ir.Value]) -> list[ir.Value]:
    if not choices:
        return []
    value, *choices = _alike(value, *choices)
    return [value.isin(choices)]


@_value.register(Like)
def _(node: Like, target: Target) -> ir.Value:
    return compile_node(node.operand, target).like(node.pattern)


@_value.register(IsMissing)
def _(node: IsMissing, target: Target) -> ir.Value:
    return _operand(node.operand, target).isnull()


@_value.register(IsTruth)
def _(node: IsTruth, target: Target) -> ir.Value:
    known = compile_node(node.operand, target).fill_null(not node.truth)
    return known if node.truth else ~known


@_value.register(Not)
def _(node: Not, target: Target) -> ir.Value:
    return ~compile_node(node.operand, target)


@_value.register(AllOf)
@_value.register(AnyOf)
def _(node: AllOf | AnyOf, target: Target) -> ir.Value:
    join = operator.and_ if isinstance(node, AllOf) else operator.or_
    parts = [compile_node(operand, target) for operand in node.operands]
    while len(parts) > 1:  # in pairs, for a query of log depth instead of one level an operand
        pairs = zip(parts[::2], parts[1::2], strict=False)
        joined = [join(left, right) for left, right in pairs]
        parts = [*joined, *parts[2 * len(joined) :]]
    return parts[0]


_COMPARISONS: Final[dict[str, Callable[[ir.Value, ir.Value], ir.Value]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: Final[dict[str, Callable[[ir.Value, ir.Value], ir.Value]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": rest,
}
