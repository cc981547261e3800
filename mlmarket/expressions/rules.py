"""What may be combined with what: the type rules, applied while the tree is built."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mlmarket.expressions.canonical import written
from mlmarket.expressions.errors import ExpressionError
from mlmarket.expressions.functions import Argument, ArgumentError, Function
from mlmarket.expressions.kinds import IN_WORDS, Type
from mlmarket.expressions.nodes import (
    AllOf,
    AnyOf,
    Arithmetic,
    ArithmeticSign,
    Between,
    Call,
    Comparison,
    ComparisonSign,
    Concatenation,
    IsTruth,
    Like,
    Literal,
    Membership,
    Negative,
    Node,
    Not,
)
from mlmarket.expressions.times import parse_time

__all__ = ["Rules"]

_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Rules:
    """Builds the nodes of one expression and refuses those that mix kinds.

    Parameters
    ----------
    text : str
        The expression, for the error messages.
    """

    text: str

    def error(self, at: int, problem: str, why: str, fix: str) -> ExpressionError:
        """Return an error that points at one character of the expression."""
        return ExpressionError(problem, why, fix, text=self.text, at=at)

    def need(self, node: Node, kind: Type, what: str) -> Node:
        """Return the node, a bare ``null`` with the kind; refuse a node of another kind."""
        settled = _settle(node, kind)
        if settled.kind is kind:
            return settled
        raise self.error(
            node.at,
            f"{what} needs {IN_WORDS[kind]}, but {_named(node)} is {_kind_in_words(node)}.",
            "Values are never turned from one kind into another unasked.",
            f"use {IN_WORDS[kind]} here, or change how the column is read.",
        )

    def negative(self, operand: Node, at: int) -> Node:
        """Build ``- operand``; a number is simply written with its sign."""
        number = self.need(operand, Type.NUMBER, "'-'")
        if isinstance(number, Literal) and isinstance(number.value, int | float):
            return Literal(-number.value, kind=Type.NUMBER, at=at)
        return Negative(number, kind=Type.NUMBER, at=at)

    def arithmetic(self, sign: ArithmeticSign, left: Node, right: Node) -> Node:
        """Build ``left + right`` and its like."""
        first = self.need(left, Type.NUMBER, f"'{sign}'")
        second = self.need(right, Type.NUMBER, f"'{sign}'")
        return Arithmetic(first, second, sign, kind=Type.NUMBER, at=left.at)

    def concatenation(self, left: Node, right: Node) -> Node:
        """Build ``left || right``."""
        first = self.need(left, Type.TEXT, "'||'")
        second = self.need(right, Type.TEXT, "'||'")
        return Concatenation(first, second, kind=Type.TEXT, at=left.at)

    def comparison(self, sign: ComparisonSign, left: Node, right: Node) -> Node:
        """Build ``left = right`` and its like."""
        first, second = self._alike([left, right], f"'{sign}'")
        return Comparison(first, second, sign, kind=Type.BOOLEAN, at=left.at)

    def between(self, operand: Node, low: Node, high: Node) -> Node:
        """Build ``operand between low and high``."""
        alike = self._alike([operand, low, high], "BETWEEN")
        return Between(*alike, kind=Type.BOOLEAN, at=operand.at)

    def membership(self, operand: Node, choices: Sequence[Node]) -> Node:
        """Build ``operand in (choices)``."""
        first, *rest = self._alike([operand, *choices], "IN")
        literals = tuple(choice for choice in rest if isinstance(choice, Literal))
        if len(literals) < len(rest):
            at = next(choice.at for choice in rest if not isinstance(choice, Literal))
            raise self.error(
                at,
                "A list after IN holds values, not columns or formulas.",
                "The list must be the same for each row.",
                "write the values, such as ('PT', 'ES'), or compare with = and or.",
            )
        return Membership(first, literals, kind=Type.BOOLEAN, at=operand.at)

    def like(self, operand: Node, pattern: Node) -> Node:
        """Build ``operand like pattern``."""
        text = self.need(operand, Type.TEXT, "LIKE")
        if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
            raise self.error(
                pattern.at,
                "LIKE needs a pattern written as text.",
                "The pattern must be the same for each row.",
                "write it in single quotes: LIKE 'C%' finds what starts with C.",
            )
        if "\\" in pattern.value:
            raise self.error(
                pattern.at,
                "A pattern of LIKE cannot hold a backslash.",
                "Some databases read it as an escape, others as itself.",
                "use _ in its place: it stands for any one character.",
            )
        return Like(text, pattern.value, kind=Type.BOOLEAN, at=operand.at)

    def truth(self, operand: Node, *, truth: bool) -> Node:
        """Build ``operand is true`` or ``is false``."""
        condition = self.need(operand, Type.BOOLEAN, "IS TRUE" if truth else "IS FALSE")
        return IsTruth(condition, truth, kind=Type.BOOLEAN, at=operand.at)

    def denial(self, operand: Node, at: int) -> Node:
        """Build ``not operand``."""
        return Not(self.need(operand, Type.BOOLEAN, "NOT"), kind=Type.BOOLEAN, at=at)

    def joined(self, word: str, left: Node, right: Node) -> Node:
        """Build ``left and right`` or ``left or right``, one node for a whole chain."""
        form = AllOf if word == "and" else AnyOf
        parts: list[Node] = []
        for side in (left, right):
            condition = self.need(side, Type.BOOLEAN, word.upper())
            parts.extend(condition.children if isinstance(condition, form) else [condition])
        return form(tuple(parts), kind=Type.BOOLEAN, at=left.at)

    def call(self, name: str, function: Function, arguments: Sequence[Node], at: int) -> Node:
        """Build a call, after the function has seen its arguments."""
        try:
            kind = function.check([_argument(node) for node in arguments])
        except ArgumentError as error:
            place = at if error.position is None else arguments[error.position].at
            why = f"The function {name} cannot work with it."
            raise self.error(place, error.problem, why, error.fix) from error
        return Call(name, function, tuple(arguments), kind=kind, at=at)

    def _alike(self, nodes: Sequence[Node], what: str) -> list[Node]:
        # The first column or formula decides; among literals alone, a time, then the first.
        formulas = [node for node in nodes if not isinstance(node, Literal)]
        literals = sorted(
            (node for node in nodes if node.kind is not Type.UNKNOWN),
            key=lambda node: node.kind is not Type.TIME,
        )
        leader = next(iter([*formulas, *literals]), nodes[0])
        kind = Type.TEXT if leader.kind is Type.UNKNOWN else leader.kind
        alike = []
        for node in nodes:
            settled = self._as_time(node) if kind is Type.TIME else _settle(node, kind)
            if settled.kind is not kind:
                raise self._unlike(what, leader, settled)
            alike.append(settled)
        return alike

    def _as_time(self, node: Node) -> Node:
        if not isinstance(node, Literal) or not isinstance(node.value, str):
            return _settle(node, Type.TIME)
        return self.time(node.value, node.at)

    def time(self, text: str, at: int) -> Literal:
        """Build the literal of a time, from its text."""
        time = parse_time(text)
        if time is None:
            raise self.error(
                at,
                f"'{text[:_SHOWN]}' is not a time.",
                "It stands where a time is needed.",
                "write '2024-01-31' or '2024-01-31 10:00:00', with Z or +01:00 if it is not UTC.",
            )
        return Literal(time, kind=Type.TIME, at=at)

    def _unlike(self, what: str, leader: Node, node: Node) -> ExpressionError:
        fix = "compare values of one kind."
        if leader.kind is Type.TEXT and isinstance(node, Literal) and node.kind is Type.NUMBER:
            fix = f"write '{written(node)}' in quotes, or read the column as a number."
        elif leader.kind is Type.NUMBER and isinstance(node, Literal) and node.kind is Type.TEXT:
            fix = "write the number without quotes, or read the column as text."
        elif leader.kind is Type.BOOLEAN and node.kind in {Type.NUMBER, Type.TEXT}:
            fix = "write true or false."
        return self.error(
            node.at,
            f"{what} needs values of one kind, but {_named(leader)} is {_kind_in_words(leader)} "
            f"and {_named(node)} is {_kind_in_words(node)}.",
            "Values are never turned from one kind into another unasked.",
            fix,
        )


def _settle(node: Node, kind: Type) -> Node:
    if isinstance(node, Literal) and node.value is None:
        return replace(node, kind=kind)
    return node


def _argument(node: Node) -> Argument:
    value = node.value if isinstance(node, Literal) else None
    return Argument(node.kind, isinstance(node, Literal), value)


def _named(node: Node) -> str:
    text = written(node)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _kind_in_words(node: Node) -> str:
    return "of no kind" if node.kind is Type.UNKNOWN else IN_WORDS[node.kind]
