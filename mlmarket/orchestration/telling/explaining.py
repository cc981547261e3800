"""Why did this person get this message, or not, and how is each journey going?"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.journeys.journey import Journey, MessageStep
from mlmarket.orchestration.state.standing import State

__all__ = [
    "DecisionMade",
    "Enrolled",
    "Explanation",
    "MemberOf",
    "explain",
    "journey_counts",
]

_COUNTS: Final = pa.schema(
    {
        "journey": pa.string(),
        "version": pa.string(),
        "step": pa.string(),
        "outcome": pa.string(),
        "reason": pa.string(),
        "people": pa.int64(),
    }
)


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


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """One decision about a person, with all its reasons.

    Parameters
    ----------
    decided_at : datetime
        When, in UTC.
    journey, step : str
        Where.
    outcome : str
        What was decided, such as ``send`` or ``suppressed``.
    reasons : tuple of str
        All reasons, not only the first.
    due_at : datetime or None
        Until when to wait.
    """

    decided_at: datetime
    journey: str
    step: str
    outcome: str
    reasons: tuple[str, ...]
    due_at: datetime | None


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


def explain(state: State, contact_id: str, *, decisions: pa.Table) -> Explanation:
    """Explain where one person stands and how they came there.

    Parameters
    ----------
    state : State
        Where everybody stands.
    contact_id : str
        The person.
    decisions : pyarrow.Table
        Rows of the decisions table: ``StateStore.decisions_about``, or those of a tick.

    Returns
    -------
    Explanation
        Empty for a person who was never in a segment or journey.
    """
    memberships = [
        MemberOf(row["segment"], _at(row["entered_at"]), row["why"])
        for row in _about(state.members, contact_id)
    ]
    made = [
        DecisionMade(
            _at(row["decided_at"]),
            row["journey"],
            row["step"],
            row["outcome"],
            tuple(row["reasons"]),
            _maybe_at(row["due_at"]),
        )
        for row in _about(decisions, contact_id)
    ]
    enrolments = [_enrolled(row, state) for row in _about(state.enrolments, contact_id)]
    return Explanation(
        contact_id,
        tuple(sorted(memberships, key=lambda one: one.segment)),
        tuple(sorted(enrolments, key=lambda one: (one.entered_at, one.journey))),
        tuple(sorted(made, key=lambda one: (one.decided_at, one.journey, _ORDER[one.outcome]))),
    )


_ORDER: Final = {
    outcome: place
    for place, outcome in enumerate(
        (
            "entered",
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


def journey_counts(state: State) -> pa.Table:
    """Count people by journey, step and what became of them there.

    Parameters
    ----------
    state : State
        Where everybody stands.

    Returns
    -------
    pyarrow.Table
        journey, version, step, outcome, reason, people, in the order of the steps. At step
        ``entry``: ``entered``, and ``holdout`` by kind. At each message: ``sent``, ``withheld``
        (would have been sent but for a holdout), ``waiting`` for it, and ``suppressed`` by reason
        (a person held for two reasons is counted under both). At ``end``: ``waiting``,
        ``completed``, ``goal``, ``exited`` and ``expired``.
    """
    rows: list[dict[str, object]] = []
    for version in sorted(set(state.enrolments["version"].to_pylist())):
        table = state.enrolments.filter(pc.equal(state.enrolments["version"], version))
        rows.extend(_version_counts(state.versions[version], table))
    counted = pa.Table.from_pylist(rows, schema=_COUNTS)
    return counted.filter(pc.greater(counted["people"], 0)) if rows else counted


def _version_counts(journey: Journey, table: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []

    def count(step: str, outcome: str, chosen: pa.Table, reason: str | None = None) -> None:
        numbers = {"journey": journey.journey, "version": journey.version, "people": len(chosen)}
        rows.append({**numbers, "step": step, "outcome": outcome, "reason": reason})

    count("entry", "entered", table)
    for kind in ("global", "journey"):
        count("entry", "holdout", table.filter(pc.match_substring(table["holdout"], kind)), kind)
    under_way = table.filter(pc.equal(table["status"], "active"))
    for position, step in enumerate(journey.steps):
        if not isinstance(step, MessageStep):
            continue
        name = step.message.name
        beyond = table.filter(pc.greater(table["position"], position))
        count(name, "sent", beyond.filter(pc.is_null(beyond["holdout"])))
        count(name, "withheld", beyond.filter(pc.is_valid(beyond["holdout"])))
        here = under_way.filter(pc.equal(under_way["position"], position))
        count(name, "waiting", here.filter(pc.is_null(here["held_for"])))
        for reason, held in _by_reason(here).items():
            count(name, "suppressed", held, reason)
    ahead = under_way.filter(pc.equal(under_way["position"], len(journey.steps)))
    count("end", "waiting", ahead)
    for status in ("completed", "goal", "exited", "expired"):
        count("end", status, table.filter(pc.equal(table["status"], status)))
    return rows


def _by_reason(table: pa.Table) -> dict[str, pa.Table]:
    held = table.filter(pc.is_valid(table["held_for"]))
    lists = {str(names): str(names).split(", ") for names in held["held_for"].unique().to_pylist()}
    reasons = sorted({reason for names in lists.values() for reason in names})
    return {
        reason: held.filter(
            pc.is_in(
                held["held_for"],
                value_set=pa.array([text for text, names in lists.items() if reason in names]),
            )
        )
        for reason in reasons
    }
