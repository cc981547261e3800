"""One way to write each expression: what ``str`` prints and what makes two of them equal."""

import re
from datetime import datetime
from functools import singledispatch
from typing import Final, TypeAlias

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
from mlmarket.expressions.times import written_time

__all__ = ["KEYWORDS", "LEVELS", "quoted", "written"]

LEVELS: Final = {
    "or": 1,
    "and": 2,
    "not": 3,
    "is": 4,
    **dict.fromkeys(("=", "<>", "!=", "<", "<=", ">", ">="), 5),
    **dict.fromkeys(("in", "between", "like", "not in", "not between", "not like"), 6),
    "||": 7,
    **dict.fromkeys(("+", "-"), 8),
    **dict.fromkeys(("*", "/", "%"), 9),
    "negative": 10,
}
"""How tightly each operator binds, as in DuckDB and PostgreSQL; the higher, the tighter."""

_ATOM: Final = 11
_FIXED: Final[dict[type[Node], int]] = {
    AnyOf: LEVELS["or"],
    AllOf: LEVELS["and"],
    IsMissing: LEVELS["is"],
    IsTruth: LEVELS["is"],
    Membership: LEVELS["in"],
    Between: LEVELS["between"],
    Like: LEVELS["like"],
    Concatenation: LEVELS["||"],
    Negative: LEVELS["negative"],
}
_Deniable: TypeAlias = IsMissing | IsTruth | Membership | Between | Like
"""What has a form with NOT inside: ``is not null``, ``not in``…"""

KEYWORDS: Final = frozenset(
    {"and", "between", "false", "in", "is", "like", "not", "null", "or", "true"}
)
"""Words of the language itself: a column of such a name needs double quotes."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quoted(text: str, mark: str = "'") -> str:
    """Return a text between quotes, those inside it doubled.

    Parameters
    ----------
    text : str
        Any text.
    mark : str, default "'"
        The quote.

    Returns
    -------
    str
        A literal, or a quoted name.
    """
    return f"{mark}{text.replace(mark, mark * 2)}{mark}"


@singledispatch
def written(node: Node) -> str:
    """Return a part of an expression in its canonical form.

    Keywords are in lower case, brackets stand only where they are needed or help the reader,
    and names are quoted only where they must be.

    Parameters
    ----------
    node : Node
        Any part of an expression.

    Returns
    -------
    str
        A text that parses to the same tree.
    """
    raise TypeError(type(node).__name__)


def _inside(node: Node, lowest: int) -> str:
    return written(node) if _level(node) >= lowest else f"({written(node)})"


def _level(node: Node) -> int:
    if isinstance(node, Not):
        return _level(node.operand) if isinstance(node.operand, _Deniable) else LEVELS["not"]
    if isinstance(node, Arithmetic | Comparison):
        return LEVELS[node.sign]
    if isinstance(node, Literal) and written(node).startswith("-"):
        return LEVELS["negative"]
    return _FIXED.get(type(node), _ATOM)


@written.register(Literal)
def _(node: Literal) -> str:
    match node.value:
        case None:
            return "null"
        case bool(truth):
            return "true" if truth else "false"
        case str(text):
            return quoted(text)
        case datetime() as time:
            return written_time(time)
    return repr(node.value)


@written.register(Column)
def _(node: Column) -> str:
    return _name(node.name, '"', KEYWORDS)


def _name(name: str, mark: str, reserved: frozenset[str]) -> str:
    plain = _PLAIN.fullmatch(name) and name.lower() not in reserved
    return name if plain else quoted(name, mark)


@written.register(Known)
def _(node: Known) -> str:
    parts = [_name(node.subject, '"' if node.names_column else "'", KEYWORDS | {"where"})]
    parts += [f"{name}={quoted(value)}" for name, value in node.options]
    if node.where is not None:
        parts.append(f"where {written(node.where)}")
    return f"{node.name}({', '.join(parts)})"


@written.register(Call)
def _(node: Call) -> str:
    return f"{node.name}({', '.join(map(written, node.arguments))})"


@written.register(Negative)
def _(node: Negative) -> str:
    # Brackets around what starts with a minus: two in a row would open a comment.
    return f"-{_inside(node.operand, _ATOM)}"


@written.register(Arithmetic)
@written.register(Comparison)
def _(node: Arithmetic | Comparison) -> str:
    level = LEVELS[node.sign]
    left = _inside(node.left, level if isinstance(node, Arithmetic) else level + 1)
    return f"{left} {node.sign} {_inside(node.right, level + 1)}"


@written.register(Concatenation)
def _(node: Concatenation) -> str:
    level = LEVELS["||"]
    return f"{_inside(node.left, level)} || {_inside(node.right, level + 1)}"


@written.register(AllOf)
@written.register(AnyOf)
def _(node: AllOf | AnyOf) -> str:
    word = "and" if isinstance(node, AllOf) else "or"
    return f" {word} ".join(_inside(operand, LEVELS[word] + 1) for operand in node.operands)


@written.register(Not)
def _(node: Not) -> str:
    if isinstance(node.operand, _Deniable):
        return _condition(node.operand, "not ")
    return f"not {_inside(node.operand, _ATOM)}"


@written.register(IsMissing)
@written.register(IsTruth)
@written.register(Membership)
@written.register(Between)
@written.register(Like)
def _(node: _Deniable) -> str:
    return _condition(node, "")


def _condition(node: _Deniable, denied: str) -> str:
    # Above the comparisons: (a = b) is null would be right without brackets, but few know.
    operand = _inside(node.operand, LEVELS["||"])
    match node:
        case IsMissing():
            return f"{operand} is {denied}null"
        case IsTruth(truth=truth):
            return f"{operand} is {denied}{'true' if truth else 'false'}"
        case Membership(choices=choices):
            return f"{operand} {denied}in ({', '.join(map(written, choices))})"
        case Like(pattern=pattern):
            return f"{operand} {denied}like {quoted(pattern)}"
    low, high = (_inside(end, LEVELS["||"]) for end in (node.low, node.high))
    return f"{operand} {denied}between {low} and {high}"
