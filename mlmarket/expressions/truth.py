"""Of which rows is a condition true, and of which is it false?

A filter, a permit or a suppression does not care for the third answer, *missing*. That allows a
shorter query for the same rows: beside a number that is written in the text, what is no number needs
no copy of the column to be turned into null, only a second end of the range.
"""

import operator
from collections.abc import Callable
from functools import reduce
from typing import Final, cast

import ibis.expr.types as ir

from mlmarket.expressions.ibis_compiler import (
    LARGEST,
    Target,
    compile_node,
    constant,
    in_pairs,
    untouched,
)
from mlmarket.expressions.kinds import Type
from mlmarket.expressions.nodes import (
    AllOf,
    AnyOf,
    Between,
    Column,
    Comparison,
    ComparisonSign,
    Known,
    Literal,
    Node,
    Not,
)

__all__ = ["compile_truth"]

_MIRRORED: Final[dict[ComparisonSign, ComparisonSign]] = {
    "=": "=",
    "<>": "<>",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}
_DENIED: Final[dict[ComparisonSign, ComparisonSign]] = {
    "=": "<>",
    "<>": "=",
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
}
_COMPARISONS: Final[dict[str, Callable[[ir.Value, ir.Value], ir.BooleanValue]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_truth(node: Node, target: Target, *, truth: bool) -> ir.BooleanValue:
    """Return whether a condition is true, or whether it is false.

    Parameters
    ----------
    node : Node
        A condition.
    target : Target
        The table.
    truth : bool
        Which of the two is asked.

    Returns
    -------
    ibis.expr.types.BooleanValue
        True for exactly those rows; false or missing for all others.
    """
    if isinstance(node, Not):
        return compile_truth(node.operand, target, truth=not truth)
    if isinstance(node, AllOf | AnyOf):
        parts = [compile_truth(part, target, truth=truth) for part in node.operands]
        both = isinstance(node, AllOf) is truth
        return cast("ir.BooleanValue", in_pairs(operator.and_ if both else operator.or_, parts))
    short = _short(node, target, truth=truth)
    if short is not None:
        return short
    value = cast("ir.BooleanValue", compile_node(node, target))
    return value if truth else ~value


def _short(node: Node, target: Target, *, truth: bool) -> ir.BooleanValue | None:
    """Return the condition as ranges of one column of floats, where that is what it is."""
    if isinstance(node, Comparison):
        sign, column, number = node.sign, node.left, node.right
        if isinstance(column, Literal):
            sign, column, number = _MIRRORED[sign], number, column
        value = _floats(column, target)
        limit = _number(number)
        if value is None or limit is None:
            return None
        return _range(sign if truth else _DENIED[sign], value, limit)
    if isinstance(node, Between):
        value = _floats(node.operand, target)
        low, high = _number(node.low), _number(node.high)
        if value is None or low is None or high is None:
            return None
        if truth:
            return cast("ir.BooleanValue", value.between(low, high))
        return _range("<", value, low) | _range(">", value, high)
    return None


def _range(sign: ComparisonSign, value: ir.Value, limit: ir.Value) -> ir.BooleanValue:
    # NaN is above all numbers in SQL and beside them in IEEE 754: outside of a range either way.
    if sign == "=":
        return value == limit
    if sign == "<>":
        return _range("<", value, limit) | _range(">", value, limit)
    end = value <= constant(LARGEST) if sign in {">", ">="} else value >= constant(-LARGEST)
    return reduce(operator.and_, [_COMPARISONS[sign](value, limit), end])


def _floats(node: Node, target: Target) -> ir.Value | None:
    if not isinstance(node, Column | Known) or node.kind is not Type.NUMBER:
        return None
    value = untouched(node, target)
    return value.cast("float64") if value.type().is_floating() else None


def _number(node: Node) -> ir.Value | None:
    if not isinstance(node, Literal) or not isinstance(node.value, int | float):
        return None
    return None if isinstance(node.value, bool) else constant(float(node.value))
