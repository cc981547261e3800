"""Which questions about behaviour does the language of conditions know?

What was written becomes a :class:`Question` with real windows, which the query over everybody and
the evaluation of one person both answer.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.expressions import (
    ArgumentError,
    Asked,
    Expression,
    Functions,
    Lookup,
    Schema,
    Subject,
    Type,
)
from mlmarket.market.columns import AS_OF
from mlmarket.market.time import duration_text, parse_duration

__all__ = [
    "ANCHORS",
    "EVENT_SCHEMA",
    "FUNCTIONS",
    "MEMBER",
    "MICROSECONDS_A_DAY",
    "OWN_SEND",
    "Question",
    "functions_for",
    "questions_of",
]

ANCHORS: Final = ("entry", "step")
"""Moments of a pass: when it began, and when the person came to the present step."""

EVENT_SCHEMA: Final[Schema] = {
    "value": Type.NUMBER,
    "item_id": Type.TEXT,
    "campaign_id": Type.TEXT,
    "source": Type.TEXT,
    "occurred_at": Type.TIME,
}
"""The columns of behaviour that a condition over single events may use."""

FUNCTIONS: Final = ("count", "days_since", "fresh", "in_segment", "last", "received")
"""The functions of conditions."""

OWN_SEND: Final = " send"
"""The type of what mlmarket itself has sent. No event that can be asked for begins with a space."""

MEMBER: Final = " member"
"""The type that stands for being in a segment."""

MICROSECONDS_A_DAY: Final = 86_400_000_000

_OF_LINES: Final = frozenset({"order", "return"})


@dataclass(frozen=True, slots=True)
class Question:
    """One call of a condition, ready to be answered.

    Parameters
    ----------
    call : Asked
        As it was written.
    types : tuple of str
        The types of behaviour that it looks at; none for ``fresh``.
    within : timedelta, optional
        How far back it looks.
    since : str, optional
        The moment of the pass after which it looks.
    """

    call: Asked
    types: tuple[str, ...]
    within: timedelta | None
    since: str | None

    @property
    def name(self) -> str:
        """The function."""
        return self.call.name

    @property
    def subject(self) -> str:
        """The event, campaign, segment or column."""
        return self.call.subject

    @property
    def where(self) -> Expression | None:
        """The condition over single events."""
        return self.call.where

    @property
    def counts_orders(self) -> bool:
        """Whether rows with the same ``row_id`` count once: an order has a row for each line."""
        return self.name == "count" and self.subject in _OF_LINES

    @property
    def is_unbounded(self) -> bool:
        """Whether it looks at all of history."""
        looks_back = self.name not in {"in_segment", "fresh"}
        return looks_back and self.within is None and self.since is None

    def floor(self, now: datetime, anchors: "dict[str, datetime | None]") -> datetime | None:
        """Return the moment up to which no event can matter, None where each may.

        Parameters
        ----------
        now : datetime
            UTC without a zone.
        anchors : dict of str to datetime or None
            The earliest entry and arrival; None where there is none, so that nothing counts.
        """
        floors = [] if self.within is None else [now - self.within]
        if self.since is not None:
            floors.append(anchors[self.since] or now)
        return max(floors, default=None)


def questions_of(calls: Sequence[Asked]) -> tuple[Question, ...]:
    """Return the questions that calls ask.

    Parameters
    ----------
    calls : sequence of Asked
        Of expressions that were read with :func:`functions_for`.

    Returns
    -------
    tuple of Question
        In the same order.
    """
    return tuple(_question(call) for call in calls)


def _question(call: Asked) -> Question:
    within = call.option("within")
    types: dict[str, tuple[str, ...]] = {
        "received": ("send", OWN_SEND),
        "in_segment": (MEMBER,),
        "fresh": (),
    }
    return Question(
        call,
        types.get(call.name, (call.subject,)),
        None if within is None else parse_duration(within),
        call.option("since"),
    )


def functions_for(
    anchors: Sequence[str] = (),
    *,
    schema: Schema,
    events: Collection[str] | None = None,
    campaigns: Collection[str] | None = None,
    segments: Collection[str] | None = None,
) -> Functions:
    """Return the functions that a condition may call.

    Parameters
    ----------
    anchors : sequence of str, optional
        What ``since`` may name: ``entry`` and ``step`` inside a journey, nothing outside.
    schema : mapping of str to Type
        The columns of the condition. Without ``as_of`` there is no ``fresh``.
    events, campaigns, segments : collection of str, optional
        The names there are; None where any will do.

    Returns
    -------
    mapping of str to Lookup
        For :func:`mlmarket.expressions.parse_condition`.
    """

    def since(text: str) -> str:
        return _anchor(text, anchors)

    looking_back = {"within": _duration, "since": since}
    event = Subject("a type of event", events)

    def about_events(name: str, gives: Type) -> Lookup:
        return Lookup(event, f"{name}(open, within='14d')", gives, looking_back, where=EVENT_SCHEMA)

    functions = {
        "count": about_events("count", Type.NUMBER),
        "days_since": about_events("days_since", Type.NUMBER),
        "last": about_events("last", Type.TIME),
        "received": Lookup(
            Subject("a campaign, a journey or 'journey.step'", campaigns),
            "received(welcome, within='30d')",
            Type.BOOLEAN,
            looking_back,
        ),
        "in_segment": Lookup(Subject("a segment", segments), "in_segment(loyal)", Type.BOOLEAN),
    }
    if schema.get(AS_OF) == Type.TIME:
        functions["fresh"] = Lookup(
            Subject("a column of the predictions", is_column=True),
            "fresh(churn_probability_90d, within='7d')",
            keywords={"within": _duration},
            needed=frozenset({"within"}),
        )
    return functions


def _duration(text: str) -> str:
    try:
        return duration_text(parse_duration(text)).lower()
    except ConfigurationError as error:
        raise ArgumentError(error.what, error.fix) from error


def _anchor(text: str, anchors: Sequence[str]) -> str:
    word = text.lower()
    if word in anchors:
        return word
    if not anchors:
        problem = "'since' has no meaning here: nobody is on their way through a journey."
        raise ArgumentError(problem, "use within='14d', or another length of time.")
    raise ArgumentError(f"There is no moment '{text[:40]}'.", suggestion(word, anchors))
