"""Why did this person get this message, or not?"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.state.standing import State

__all__ = [
    "DecisionMade",
    "Enrolled",
    "Explanation",
    "MemberOf",
    "explain",
    "in_order",
    "made_from",
]


@dataclass(frozen=True, slots=True)
class MemberOf:
    """One membership of a person.

    Parameters
    ----------
    segment : str
        The segment.
    entered_at : datetime
        Since when, in UTC.
    why : str
        Why, in words.
    """

    segment: str
    entered_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One pass of a person through a journey.

    Parameters
    ----------
    journey, version : str
        Which journey, and in which wording.
    entered_at, expires_at : datetime
        From when to when, in UTC.
    status : str
        ``active``, ``completed``, ``goal``, ``exited`` or ``expired``.
    step : str
        What comes next, for who is under way.
    due_at : datetime
        When it may be done.
    holdout : str or None
        ``global``, ``journey`` or both, for who is followed but not messaged.
    held_for : tuple of str
        Reasons for which the next message is held back.
    ended_at, goal_at : datetime or None
        When it ended, and when the goal was reached.
    """

    journey: str
    version: str
    entered_at: datetime
    expires_at: datetime
    status: str
    step: str
    due_at: datetime
    holdout: str | None
    held_for: tuple[str, ...]
    ended_at: datetime | None
    goal_at: datetime | None

    @property
    def in_words(self) -> str:
        """The pass as a line to read."""
        return ", ".join(self._words())

    def _words(self) -> Iterator[str]:
        yield f"entered {self.entered_at:%Y-%m-%d %H:%M} UTC on version {self.version}"
        if self.status == "active":
            yield f"at '{self.step}', due {self.due_at:%Y-%m-%d %H:%M} UTC"
        else:
            yield self.status + (f" {self.ended_at:%Y-%m-%d %H:%M} UTC" if self.ended_at else "")
        if self.goal_at is not None:
            yield f"goal reached {self.goal_at:%Y-%m-%d %H:%M} UTC"
        if self.holdout:
            yield f"held out ({self.holdout})"
        if self.held_for:
            yield f"held back for {', '.join(one.replace('_', ' ') for one in self.held_for)}"


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """One decision about a person, with all its reasons.

    Parameters
    ----------
    decided_at : datetime
        When, in UTC.
    journey, version, step : str
        Where.
    outcome : str
        What was decided, such as ``send`` or ``suppressed``.
    reasons : tuple of str
        All reasons, not only the first.
    due_at : datetime or None
        Until when to wait, or when a message may go out.
    fate : str or None
        What becomes of a message that is not sent, such as ``defer``.
    way : str or None
        The path, arm or side of a wait that was taken.
    channel : str or None
        The one chosen.
    winner : str or None
        The message that went first, as ``journey.step``.
    seen : mapping of str to object
        The values that a condition saw.
    tick_id : str
        The tick that decided it.
    """

    decided_at: datetime
    journey: str
    version: str
    step: str
    outcome: str
    reasons: tuple[str, ...]
    due_at: datetime | None
    fate: str | None = None
    way: str | None = None
    channel: str | None = None
    winner: str | None = None
    seen: Mapping[str, object] = field(default_factory=dict)
    tick_id: str = ""

    @property
    def is_action(self) -> bool:
        """Whether something is handed over."""
        return self.outcome in {"send", "act"}

    @property
    def in_words(self) -> str:
        """The decision as a line to read."""
        return " ".join(self._words())

    def _words(self) -> Iterator[str]:
        yield f"{self.decided_at:%Y-%m-%d %H:%M} UTC  {self.step}: {self.outcome}"
        if self.channel:
            yield f"by {self.channel}"
        if self.way:
            yield f"-> {self.way}"
        if self.reasons:
            yield f"({', '.join(one.replace('_', ' ') for one in self.reasons)})"
        if self.winner:
            yield f"after {self.winner}"
        if self.fate and self.fate != "sent":
            yield f"[{self.fate.replace('_', ' ')}]"
        if self.due_at is not None:
            yield f"due {self.due_at:%Y-%m-%d %H:%M} UTC"
        if self.seen:
            yield "seen " + ", ".join(f"{name} = {value}" for name, value in self.seen.items())


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known about one person's segments and journeys, the oldest first.

    Parameters
    ----------
    contact_id : str
        The person.
    memberships : tuple of MemberOf
        Segments the person is in.
    enrolments : tuple of Enrolled
        Passes through journeys.
    decisions : tuple of DecisionMade
        Everything that was decided.
    """

    contact_id: str
    memberships: tuple[MemberOf, ...]
    enrolments: tuple[Enrolled, ...]
    decisions: tuple[DecisionMade, ...]


def explain(
    state: State, contact_id: str, *, decisions: pa.Table, journey: str | None = None
) -> Explanation:
    """Explain where one person stands and how they came there.

    Parameters
    ----------
    state : State
        Where everybody stands.
    contact_id : str
        The person.
    decisions : pyarrow.Table
        Rows of the decisions table: ``StateStore.decisions_about``, or those of a tick.
    journey : str, optional
        Only this journey; by default all.

    Returns
    -------
    Explanation
        Empty for a person who was never in a segment or journey.
    """
    memberships = [
        MemberOf(row["segment"], _at(row["entered_at"]), row["why"])
        for row in _about(state.members, contact_id)
    ]
    made = [made_from(row) for row in _about(decisions, contact_id)]
    enrolments = [_enrolled(row, state) for row in _about(state.enrolments, contact_id)]
    if journey is not None:
        made = [one for one in made if one.journey == journey]
        enrolments = [one for one in enrolments if one.journey == journey]
    return Explanation(
        contact_id,
        tuple(sorted(memberships, key=lambda one: one.segment)),
        tuple(sorted(enrolments, key=lambda one: (one.entered_at, one.journey))),
        in_order(made, state.versions),
    )


def in_order(
    made: Iterable[DecisionMade], versions: Mapping[str, Journey]
) -> tuple[DecisionMade, ...]:
    """Return decisions as they came: those of one moment in the order of the steps.

    Parameters
    ----------
    made : iterable of DecisionMade
        About one person, in any order.
    versions : mapping of str to Journey
        The definitions that they speak of.

    Returns
    -------
    tuple of DecisionMade
        The oldest first.
    """
    return tuple(sorted(made, key=lambda one: _place(one, versions)))


def _place(made: DecisionMade, versions: Mapping[str, Journey]) -> tuple[datetime, str, int, int]:
    journey = versions.get(made.version)
    names = [] if journey is None else [node.name for node in journey.nodes]
    positions = {name: place for place, name in enumerate(names)}
    last = len(names) if made.step != "entry" else -1
    return made.decided_at, made.journey, positions.get(made.step, last), _ORDER[made.outcome]


def made_from(row: Mapping[str, Any]) -> DecisionMade:
    """Return a row of the decisions table as an object.

    Parameters
    ----------
    row : mapping
        The columns of ``DECISIONS``.

    Returns
    -------
    DecisionMade
        The same, to be read.
    """
    return DecisionMade(
        decided_at=_at(row["decided_at"]),
        journey=row["journey"],
        version=row["version"],
        step=row["step"],
        outcome=row["outcome"],
        reasons=tuple(row["reasons"]),
        due_at=_maybe_at(row["due_at"]),
        fate=row["fate"],
        way=row["way"],
        channel=row["channel"],
        winner=row["winner"],
        seen=json.loads(row["seen"]) if row["seen"] else {},
        tick_id=row["tick_id"],
    )


_ORDER: Final = {
    outcome: place
    for place, outcome in enumerate(
        (
            "entered",
            "branch",
            "split",
            "act",
            "send",
            "withheld",
            "suppressed",
            "wait",
            "goal",
            "exit",
            "expired",
            "completed",
        )
    )
}


def _about(table: pa.Table, contact_id: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.filter(pc.equal(table["contact_id"], contact_id)).to_pylist()
    return rows


def _enrolled(row: dict[str, Any], state: State) -> Enrolled:
    journey = state.versions[row["version"]]
    return Enrolled(
        row["journey"],
        row["version"],
        _at(row["entered_at"]),
        _at(row["expires_at"]),
        row["status"],
        journey.step_name(row["position"]),
        _at(row["due_at"]),
        row["holdout"],
        tuple(row["held_for"].split(", ")) if row["held_for"] else (),
        _maybe_at(row["ended_at"]),
        _maybe_at(row["goal_at"]),
    )


def _at(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _maybe_at(moment: datetime | None) -> datetime | None:
    return None if moment is None else _at(moment)
