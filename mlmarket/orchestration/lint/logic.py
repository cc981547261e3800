"""Does one condition hold whenever another does, and can it hold at all?

What is answered with yes is sure; what is not seen is answered with no. Conditions are compared by
their canonical texts, by their parts, and by the values that they leave to one column or call.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from mlmarket.expressions import Expression
from mlmarket.expressions.canonical import written
from mlmarket.expressions.kinds import Type
from mlmarket.expressions.nodes import (
    AllOf,
    AnyOf,
    Between,
    Column,
    Comparison,
    Known,
    Literal,
    Membership,
    Node,
    Not,
)

__all__ = ["always", "implies", "never"]


@dataclass(frozen=True, slots=True)
class _Range:
    """Values between two bounds; None where there is no bound."""

    low: Any = None
    low_in: bool = False
    high: Any = None
    high_in: bool = False

    def holds(self, value: Any) -> bool:  # noqa: ANN401 - any kind of value
        above = self.low is None or value > self.low or (self.low_in and value == self.low)
        below = self.high is None or value < self.high or (self.high_in and value == self.high)
        return above and below

    @property
    def is_empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return bool(self.low > self.high) or (
            self.low == self.high and not (self.low_in and self.high_in)
        )

    def within(self, other: "_Range") -> bool:
        low = other.low is None or (
            self.low is not None
            and (
                self.low > other.low
                or (self.low == other.low and (other.low_in or not self.low_in))
            )
        )
        high = other.high is None or (
            self.high is not None
            and (
                self.high < other.high
                or (self.high == other.high and (other.high_in or not self.high_in))
            )
        )
        return low and high

    def met_with(self, other: "_Range") -> "_Range":
        """Return the values that both hold."""
        low = max(
            ((one.low, not one.low_in) for one in (self, other) if one.low is not None),
            default=(None, True),
        )
        high = min(
            ((one.high, one.high_in) for one in (self, other) if one.high is not None),
            default=(None, False),
        )
        return _Range(low[0], not low[1], high[0], high[1])


@dataclass(frozen=True, slots=True)
class _AllBut:
    """Any values but these."""

    values: frozenset[Any]


_Values: TypeAlias = _Range | _AllBut | frozenset[Any]
_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_DENIED: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "<>", "<>": "="}
_COUNTED: Final = _Range(low=0, low_in=True)


def implies(first: Expression, second: Expression) -> bool:
    """Whether the second condition surely holds wherever the first one does.

    Parameters
    ----------
    first, second : Expression
        Conditions over the same columns.

    Returns
    -------
    bool
        False where that is not sure.
    """
    return _implies(first._node, second._node)


def never(condition: Expression) -> bool:
    """Whether a condition surely holds for nobody.

    Parameters
    ----------
    condition : Expression
        Any condition.

    Returns
    -------
    bool
        False where that is not sure.
    """
    return _never(condition._node)


def always(condition: Expression) -> bool:
    """Whether a condition surely holds for everybody.

    Parameters
    ----------
    condition : Expression
        Any condition.

    Returns
    -------
    bool
        False where that is not sure.
    """
    return _always(condition._node)


def _implies(first: Node, second: Node) -> bool:
    if written(first) == written(second) or _never(first) or _always(second):
        return True
    if isinstance(first, AnyOf):
        return all(_implies(part, second) for part in first.children)
    if isinstance(second, AllOf):
        return all(_implies(first, part) for part in second.children)
    if isinstance(second, AnyOf) and any(_implies(first, part) for part in second.children):
        return True
    if isinstance(first, AllOf) and any(_implies(part, second) for part in first.children):
        return True
    wanted = _values(second)
    return wanted is not None and _within(_left(first, wanted[0]), wanted[1])


def _never(node: Node) -> bool:
    if isinstance(node, Literal):
        return node.value is None or node.value is False
    if isinstance(node, AnyOf):
        return all(map(_never, node.children))
    if isinstance(node, AllOf) and any(map(_never, node.children)):
        return True
    subjects = {found[0] for part in _parts(node) if (found := _values(part)) is not None}
    return any(_is_nothing(_left(node, subject)) for subject in subjects)


def _always(node: Node) -> bool:
    if isinstance(node, Literal):
        return node.value is True
    if isinstance(node, AnyOf):
        return any(map(_always, node.children))
    if isinstance(node, AllOf):
        return all(map(_always, node.children))
    found = _values(node)
    return found is not None and found[0].startswith("count(") and _within(_COUNTED, found[1])


def _parts(node: Node) -> tuple[Node, ...]:
    return node.children if isinstance(node, AllOf) else (node,)


def _left(node: Node, subject: str) -> _Values | None:
    """Return the values that a condition leaves to a column or call, None for any."""
    left: _Values | None = _COUNTED if subject.startswith("count(") else None
    for part in _parts(node):
        found = _values(part)
        if found is not None and found[0] == subject:
            left = found[1] if left is None else _both(left, found[1])
    return left


def _both(first: _Values, second: _Values) -> _Values:
    if isinstance(first, frozenset):
        return frozenset(value for value in first if _holds(second, value))
    if isinstance(second, frozenset):
        return _both(second, first)
    if isinstance(first, _Range) and isinstance(second, _Range):
        return first.met_with(second)
    if isinstance(first, _AllBut) and isinstance(second, _AllBut):
        return _AllBut(first.values | second.values)
    # A range without a few values has no form of its own: the range says more.
    return first if isinstance(first, _Range) else second


def _holds(values: _Values, value: Any) -> bool:  # noqa: ANN401 - any kind of value
    if isinstance(values, _Range):
        return values.holds(value)
    return value not in values.values if isinstance(values, _AllBut) else value in values


def _is_nothing(values: _Values | None) -> bool:
    if isinstance(values, frozenset):
        return not values
    return isinstance(values, _Range) and values.is_empty


def _within(values: _Values | None, wanted: _Values) -> bool:
    if values is None:
        return False
    if isinstance(values, frozenset):
        return all(_holds(wanted, value) for value in values)
    if isinstance(wanted, _AllBut):
        if isinstance(values, _AllBut):
            return wanted.values <= values.values
        return not any(values.holds(value) for value in wanted.values)
    return isinstance(values, _Range) and isinstance(wanted, _Range) and values.within(wanted)


def _values(node: Node) -> tuple[str, _Values] | None:
    """Return the column or call that a condition is about, and the values it leaves to it."""
    return next(_read(node), None)


def _read(node: Node) -> Iterator[tuple[str, _Values]]:
    if isinstance(node, Comparison):
        yield from _compared(node.left, node.right, node.sign)
    elif isinstance(node, Membership):
        yield written(node.children[0]), frozenset(one.value for one in node.choices)
    elif isinstance(node, Between):
        if isinstance(node.low, Literal) and isinstance(node.high, Literal):
            subject = written(node.children[0])
            yield (
                subject,
                _Range(low=node.low.value, low_in=True, high=node.high.value, high_in=True),
            )
    elif isinstance(node, Column | Known) and node.kind is Type.BOOLEAN:
        yield written(node), frozenset({True})
    elif isinstance(node, Not):
        yield from _denied(node.children[0])


def _compared(left: Node, right: Node, sign: str) -> Iterator[tuple[str, _Values]]:
    if isinstance(left, Literal):
        left, right, sign = right, left, _FLIPPED[sign]
    if isinstance(right, Literal) and right.value is not None and not isinstance(left, Literal):
        yield written(left), _signed(sign, right.value)


def _signed(sign: str, value: Any) -> _Values:  # noqa: ANN401 - any kind of value
    if sign == "=":
        return frozenset({value})
    if sign == "<>":
        return _AllBut(frozenset({value}))
    if sign in {">", ">="}:
        return _Range(low=value, low_in=sign == ">=")
    return _Range(high=value, high_in=sign == "<=")


def _denied(node: Node) -> Iterator[tuple[str, _Values]]:
    if isinstance(node, Comparison):
        yield from _compared(node.left, node.right, _DENIED[node.sign])
    elif isinstance(node, Membership):
        values = frozenset(one.value for one in node.choices)
        yield written(node.children[0]), _AllBut(values)
    elif isinstance(node, Column | Known) and node.kind is Type.BOOLEAN:
        yield written(node), frozenset({False})
