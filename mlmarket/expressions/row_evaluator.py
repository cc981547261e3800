"""The value of an expression on one row, equal to what the database would answer."""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import singledispatch
from typing import Any, Final

import numpy as np
import pandas as pd

from mlmarket.expressions.canonical import written
from mlmarket.expressions.errors import ExpressionError
from mlmarket.expressions.kinds import IN_WORDS, Type
from mlmarket.expressions.like import matches
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

__all__ = ["Row", "evaluate"]


@dataclass(frozen=True, slots=True)
class Row:
    """The row that an expression is evaluated on.

    Parameters
    ----------
    cells : mapping of str to object
        The values by column; a column that is not there is missing.
    text : str
        The expression, for the error messages.
    """

    cells: Mapping[str, object]
    text: str


@singledispatch
def evaluate(node: Node, row: Row) -> object:
    """Return the value of a part of an expression on a row.

    Parameters
    ----------
    node : Node
        Any part of an expression.
    row : Row
        The row.

    Returns
    -------
    bool, int, float, Decimal, str, datetime or None
        None where the result is missing; times are in UTC.

    Raises
    ------
    ExpressionError
        If a value of the row is not of its column's kind.
    """
    raise TypeError(f"{type(node).__name__} in {row.text!r}")


@evaluate.register(Literal)
def _(node: Literal, _row: Row) -> object:
    return node.value


@evaluate.register(Column)
def _(node: Column, row: Row) -> object:
    return _read(node, node.name, row)


@evaluate.register(Known)
def _(node: Known, row: Row) -> object:
    text = written(node)
    key = key_of(text)
    if key not in row.cells:
        raise ExpressionError(
            problem=f"The row has no answer to {text}.",
            why="What is asked in a call is found before the expression is computed.",
            fix=f"find the answers to the expression's calls first, under their keys: {key!r}.",
            text=row.text,
            at=node.at,
        )
    return _read(node, key, row)


def _read(node: Node, name: str, row: Row) -> object:
    value = row.cells.get(name)
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    try:
        return _READERS[node.kind](value)
    except TypeError as error:
        raise ExpressionError(
            problem=f"Column '{name}' is {IN_WORDS[node.kind]}, "
            f"but the row holds a value of type {type(value).__name__}.",
            why="Values are never turned from one kind into another unasked.",
            fix="give the row the types of the table that the expression was checked against.",
            text=row.text,
            at=node.at,
        ) from error


@evaluate.register(Call)
def _(node: Call, row: Row) -> object:
    arguments = [evaluate(argument, row) for argument in node.arguments]
    value = node.function.evaluate(arguments, row.cells)
    return None if value is None else _READERS[node.kind](value)


@evaluate.register(Negative)
def _(node: Negative, row: Row) -> object:
    number = _float(evaluate(node.operand, row))
    return None if number is None else -number


@evaluate.register(Arithmetic)
def _(node: Arithmetic, row: Row) -> object:
    left, right = _float(evaluate(node.left, row)), _float(evaluate(node.right, row))
    if left is None or right is None or (node.sign in "/%" and right == 0):
        return None
    return _finite(_ARITHMETIC[node.sign](left, right))


@evaluate.register(Concatenation)
def _(node: Concatenation, row: Row) -> object:
    left, right = evaluate(node.left, row), evaluate(node.right, row)
    return left + right if isinstance(left, str) and isinstance(right, str) else None


@evaluate.register(Comparison)
def _(node: Comparison, row: Row) -> object:
    return _compare(node.sign, evaluate(node.left, row), evaluate(node.right, row))


@evaluate.register(Between)
def _(node: Between, row: Row) -> object:
    value = evaluate(node.operand, row)
    above = _compare(">=", value, evaluate(node.low, row))
    below = _compare("<=", value, evaluate(node.high, row))
    return _all([above, below])


@evaluate.register(Membership)
def _(node: Membership, row: Row) -> object:
    value = evaluate(node.operand, row)
    return _any(_compare("=", value, choice.value) for choice in node.choices)


@evaluate.register(Like)
def _(node: Like, row: Row) -> object:
    text = evaluate(node.operand, row)
    return matches(text, node.pattern) if isinstance(text, str) else None


@evaluate.register(IsMissing)
def _(node: IsMissing, row: Row) -> object:
    return evaluate(node.operand, row) is None


@evaluate.register(IsTruth)
def _(node: IsTruth, row: Row) -> object:
    return evaluate(node.operand, row) is node.truth


@evaluate.register(Not)
def _(node: Not, row: Row) -> object:
    value = evaluate(node.operand, row)
    return None if value is None else not value


@evaluate.register(AllOf)
def _(node: AllOf, row: Row) -> object:
    return _all(evaluate(operand, row) for operand in node.operands)


@evaluate.register(AnyOf)
def _(node: AnyOf, row: Row) -> object:
    return _any(evaluate(operand, row) for operand in node.operands)


def _all(conditions: Iterable[object]) -> bool | None:
    missing = False
    for condition in conditions:
        if condition is False:
            return False
        missing = missing or condition is None
    return None if missing else True


def _any(conditions: Iterable[object]) -> bool | None:
    missing = False
    for condition in conditions:
        if condition is True:
            return True
        missing = missing or condition is None
    return None if missing else False


def _compare(sign: str, left: object, right: object) -> bool | None:
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        both_whole = isinstance(left, int) and isinstance(right, int)
        if not both_whole:  # integers keep all their digits, everything else is a float64
            left, right = _float(left), _float(right)
    if left is None or right is None:
        return None
    return bool(_COMPARISONS[sign](left, right))


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _float(number: object) -> float | None:
    if not isinstance(number, _NUMBERS):
        return None
    try:
        return _finite(float(number))
    except OverflowError:
        return None


def _read_boolean(value: object) -> bool | None:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    _refuse_unless_missing(value)
    return None


def _read_number(value: object) -> int | float | Decimal | None:
    if isinstance(value, bool | np.bool_):
        raise TypeError
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return _finite(float(value))
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    raise TypeError


def _read_text(value: object) -> str | None:
    if isinstance(value, str):
        return str(value)
    _refuse_unless_missing(value)
    return None


def _read_time(value: object) -> datetime | None:
    if isinstance(value, np.datetime64):
        # Whole microseconds, as the tables have; outside the years 1 to 9999 it is no datetime.
        value = value.astype("datetime64[us]").item()
        if not isinstance(value, datetime):
            return None
    if isinstance(value, pd.Timestamp):
        value = value.to_pydatetime(warn=False)
    if isinstance(value, datetime):
        return _in_utc(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    _refuse_unless_missing(value)
    return None


def _in_utc(time: datetime) -> datetime | None:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:  # outside the years 1 to 9999 in UTC
        return None


def _refuse_unless_missing(value: object) -> None:
    # Frames mark a missing text or time with a float NaN.
    if not (isinstance(value, float) and math.isnan(value)):
        raise TypeError


_NUMBERS: Final = (int, float, Decimal)
_READERS: Final[dict[Type, Callable[[object], object]]] = {
    Type.BOOLEAN: _read_boolean,
    Type.NUMBER: _read_number,
    Type.TEXT: _read_text,
    Type.TIME: _read_time,
}
_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
}
_COMPARISONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
