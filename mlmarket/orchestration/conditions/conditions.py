"""Which conditions are asked, what do they need to know, and for whom do they hold?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import ibis.expr.types as ir

from mlmarket.errors import ConfigurationError
from mlmarket.expressions import Asked, Expression, ExpressionError, Schema, parse_condition
from mlmarket.market.columns import AS_OF
from mlmarket.orchestration.conditions.questions import Question, functions_for, questions_of

__all__ = ["ConditionError", "Conditions"]


class ConditionError(ExpressionError):
    """A condition that cannot be read, and which one it is.

    Parameters
    ----------
    key : str
        What the condition is called.
    error : ExpressionError
        What is wrong with it.

    Attributes
    ----------
    key : str
        What the condition is called.
    """

    def __init__(self, key: str, error: ExpressionError) -> None:
        ConfigurationError.__init__(self, f"{key}: {error.what}", error.why, error.fix)
        self.key = key
        self.text = error.text
        self.at = error.at


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions by key, read once, with all that they ask.

    Parameters
    ----------
    expressions : mapping of str to Expression
        By key.
    questions : tuple of Question
        What they ask about behaviour, each once, in the order of the canonical texts.
    """

    expressions: Mapping[str, Expression]
    questions: tuple[Question, ...] = field(repr=False)

    @classmethod
    def parse(
        cls,
        texts: Mapping[str, str],
        *,
        schema: Schema,
        anchors: Sequence[str] = (),
        events: Collection[str] | None = None,
        campaigns: Collection[str] | None = None,
        segments: Collection[str] | None = None,
    ) -> Self:
        """Read conditions.

        Parameters
        ----------
        texts : mapping of str to str
            The conditions by key.
        schema : mapping of str to Type
            The columns of people: attributes and predictions.
        anchors : sequence of str, optional
            What ``since`` may name: ``("entry", "step")`` for people on their way through a
            journey, nothing for segments and entries.
        events, campaigns, segments : collection of str, optional
            The names there are; None where any will do.

        Returns
        -------
        Conditions
            In the order of the texts.

        Raises
        ------
        ConditionError
            For the first one that cannot be read.
        """
        functions = functions_for(
            anchors, schema=schema, events=events, campaigns=campaigns, segments=segments
        )
        read: dict[str, Expression] = {}
        for key, text in texts.items():
            try:
                read[key] = parse_condition(text, schema=schema, functions=functions)
            except ExpressionError as error:
                raise ConditionError(key, error) from error
        return cls._of(read)

    @classmethod
    def _of(cls, expressions: Mapping[str, Expression]) -> Self:
        calls = {call.text: call for one in expressions.values() for call in one.calls}
        return cls(expressions, questions_of([calls[text] for text in sorted(calls)]))

    def __or__(self, other: "Conditions") -> "Conditions":
        """Return both together, to be answered by one query.

        Raises
        ------
        ConfigurationError
            Where two different conditions have the same key.
        """
        for key in self.expressions.keys() & other.expressions.keys():
            if self.expressions[key] != other.expressions[key]:
                what = f"Two conditions are called '{key}'."
                why = "It could not be said which of them is meant."
                raise ConfigurationError(what, why, "give each its own key.")
        return Conditions._of({**self.expressions, **other.expressions})

    @property
    def calls(self) -> tuple[Asked, ...]:
        """What they ask about behaviour, each once."""
        return tuple(question.call for question in self.questions)

    @property
    def columns(self) -> frozenset[str]:
        """The columns of people that they read, for themselves or for ``fresh``."""
        keys = {call.key for call in self.calls}
        read = {name for one in self.expressions.values() for name in one.columns} - keys
        dated = {call.subject for call in self.calls if call.name == "fresh"}
        return frozenset(read | dated | ({AS_OF} if dated else set()))

    @property
    def types(self) -> tuple[str, ...]:
        """The types of behaviour that they look at, sorted."""
        found = {name for question in self.questions for name in question.types}
        return tuple(sorted(name for name in found if not name.startswith(" ")))

    @property
    def segments(self) -> frozenset[str]:
        """The segments that they name."""
        return frozenset(call.subject for call in self.calls if call.name == "in_segment")

    @property
    def unbounded(self) -> tuple[tuple[str, str], ...]:
        """The keys, and the calls in them, that look at all of history."""
        endless = {question.call for question in self.questions if question.is_unbounded}
        return tuple(
            (key, call.text)
            for key, one in self.expressions.items()
            for call in one.calls
            if call in endless
        )

    def permits(self, key: str, table: ir.Table) -> ir.BooleanValue:
        """Return for whom a condition holds; where it is unknown, it does not.

        For entries, branches, gates and what a wait is for.

        Parameters
        ----------
        key : str
            The condition.
        table : ibis.expr.types.Table
            Its columns and the answers to its calls; see :func:`~mlmarket.orchestration.conditions.facts`.

        Returns
        -------
        ibis.expr.types.BooleanValue
            Never missing.
        """
        return self.expressions[key].to_ibis(table).fill_null(False)  # noqa: FBT003

    def suppresses(self, key: str, table: ir.Table) -> ir.BooleanValue:
        """Return for whom a condition holds; where it is unknown, it does.

        For exits, exclusions and suppressions: whom we do not know enough about is left alone.

        Parameters
        ----------
        key : str
            The condition.
        table : ibis.expr.types.Table
            Its columns and the answers to its calls; see :func:`~mlmarket.orchestration.conditions.facts`.

        Returns
        -------
        ibis.expr.types.BooleanValue
            Never missing.
        """
        return self.expressions[key].to_ibis(table).fill_null(True)  # noqa: FBT003

    def permits_row(self, key: str, row: Mapping[str, object]) -> bool:
        """Return whether a condition holds on one row; unknown is no."""
        return self.expressions[key].evaluate(row) is True

    def suppresses_row(self, key: str, row: Mapping[str, object]) -> bool:
        """Return whether a condition holds on one row; unknown is yes."""
        return self.expressions[key].evaluate(row) is not False
