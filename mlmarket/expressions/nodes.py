"""The tree of an expression: all that the language can say.

A text becomes these nodes or an error; nothing else reaches a database. ``NOT IN``, ``IS NOT``
and their like are a :class:`Not` around the plain node, as SQL defines them.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal as OneOf
from typing import TypeAlias

from mlmarket.expressions.functions import Function
from mlmarket.expressions.kinds import Type

__all__ = [
    "AllOf",
    "AnyOf",
    "Arithmetic",
    "ArithmeticSign",
    "Between",
    "Call",
    "Column",
    "Comparison",
    "ComparisonSign",
    "Concatenation",
    "IsMissing",
    "IsTruth",
    "Known",
    "Like",
    "Literal",
    "Membership",
    "Negative",
    "Node",
    "Not",
    "Value",
]

ArithmeticSign: TypeAlias = OneOf["+", "-", "*", "/", "%"]
ComparisonSign: TypeAlias = OneOf["=", "<>", "<", "<=", ">", ">="]
Value: TypeAlias = bool | int | float | str | datetime


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression.

    Parameters
    ----------
    kind : Type
        What it holds; ``Type.UNKNOWN`` only for a ``null`` that nothing gives a kind.
    at : int
        Where it starts in the text; not part of its identity.

    Attributes
    ----------
    height : int
        Nodes on the longest way down from here, this one included.
    """

    kind: Type = field(kw_only=True)
    at: int = field(kw_only=True, compare=False, repr=False)
    height: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        tallest = max((child.height for child in self.children), default=0)
        object.__setattr__(self, "height", 1 + tallest)

    @property
    def children(self) -> "tuple[Node, ...]":
        """The parts it is made of, as written from left to right."""
        return ()


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value written in the text, None for ``null``.

    A time is in UTC; an integer fits in 64 bits, a larger one is a float.
    """

    value: Value | None


@dataclass(frozen=True, slots=True)
class Column(Node):
    """A column of the table, by its name as the table writes it."""

    name: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call of a function that the caller of ``parse`` has allowed."""

    name: str
    function: Function = field(compare=False, repr=False)
    arguments: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.arguments


@dataclass(frozen=True, slots=True)
class Known(Node):
    """A call whose value was found before and stands in a column named after it.

    ``where`` is over other columns than the expression, so it is not among the children.
    """

    name: str
    subject: str
    options: tuple[tuple[str, str], ...]
    where: Node | None
    names_column: bool


@dataclass(frozen=True, slots=True)
class _OneOperand(Node):
    operand: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class _TwoOperands(Node):
    left: Node
    right: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """Left and right operand."""
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class _ManyOperands(Node):
    operands: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The operands; none is of the same class, so ``a and (b and c)`` is one node."""
        return self.operands


class Negative(_OneOperand):
    """A number with its sign changed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Arithmetic(_TwoOperands):
    """Two numbers with ``+ - * / %`` between them."""

    sign: ArithmeticSign


class Concatenation(_TwoOperands):
    """Two texts, one after the other: ``||``."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Comparison(_TwoOperands):
    """Two values of one kind with ``= <> < <= > >=`` between them."""

    sign: ComparisonSign


class Not(_OneOperand):
    """A condition denied."""

    __slots__ = ()


class AllOf(_ManyOperands):
    """Conditions joined by ``and``."""

    __slots__ = ()


class AnyOf(_ManyOperands):
    """Conditions joined by ``or``."""

    __slots__ = ()


class IsMissing(_OneOperand):
    """``IS NULL``."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class IsTruth(_OneOperand):
    """``IS TRUE`` or ``IS FALSE``."""

    truth: bool


@dataclass(frozen=True, slots=True)
class Membership(_OneOperand):
    """``IN`` a list of literals of the operand's kind."""

    choices: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Between(_OneOperand):
    """``BETWEEN`` two values of the operand's kind, both included."""

    low: Node
    high: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand and the two ends."""
        return (self.operand, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Like(_OneOperand):
    """A text that ``LIKE``'s pattern describes from its first to its last character."""

    pattern: str
