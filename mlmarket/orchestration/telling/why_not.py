"""Why is this person not in this journey, or not written to by it?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError
from mlmarket.expressions import Expression, Schema, Type, schema_of
from mlmarket.market.columns import AS_OF
from mlmarket.orchestration.behaviour import Behaviour, contacts_known
from mlmarket.orchestration.conditions import (
    Conditions,
    EventMatch,
    evaluate_events,
    own_sends,
)
from mlmarket.orchestration.journeys.describe import duration_in_words
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.state.standing import State, utc

__all__ = ["Ground", "Person", "person_known", "why_not_in"]


@dataclass(frozen=True, slots=True)
class Ground:
    """One thing that keeps a person out, or lets them in.

    Parameters
    ----------
    permits : bool
        Whether it lets the person in.
    text : str
        What it is, in words.
    seen : mapping of str to object
        The values that were looked at.
    """

    permits: bool
    text: str
    seen: Mapping[str, object] = field(default_factory=dict)

    @property
    def in_words(self) -> str:
        """A line to read."""
        values = ", ".join(f"{name} = {_shown(value)}" for name, value in self.seen.items())
        return f"{'yes' if self.permits else 'NO ':3} {self.text}" + (
            f"   ({values})" if values else ""
        )


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of one person at a moment.

    Parameters
    ----------
    contact_id : str
        Who.
    row : mapping of str to object
        Attributes and predictions.
    schema : mapping of str to Type
        Their kinds.
    events : tuple of mapping
        What the person did, and what was sent.
    segments : frozenset of str
        The segments the person is in.
    """

    contact_id: str
    row: Mapping[str, object]
    schema: Schema
    events: tuple[Mapping[str, object], ...]
    segments: frozenset[str]


def person_known(
    contact_id: str,
    state: State,
    predictions: pa.Table,
    events: Behaviour,
    *,
    now: datetime,
) -> Person:
    """Collect what is known of one person.

    Parameters
    ----------
    contact_id : str
        Who.
    state : State
        With the person's memberships and messages.
    predictions : pyarrow.Table
        One row a contact; it need not hold the person.
    events : Behaviour
        Contacts and behaviour.
    now : datetime
        With a zone.

    Returns
    -------
    Person
        As of that moment.

    Raises
    ------
    ConfigurationError
        Where nobody of that id is known.
    """
    moment = utc(now)
    contacts = contacts_known(events, moment)
    row: dict[str, object] = {}
    schema: dict[str, Type] = {}
    if contacts is not None:
        schema |= schema_of(contacts)
        found = contacts.filter(contacts["contact_id"] == contact_id).to_pyarrow().to_pylist()
        row |= found[0] if found else {}
    scored = predictions.filter(pc.equal(predictions["contact_id"], contact_id)).to_pylist()
    if not row and not scored:
        raise ConfigurationError(
            f"Nobody with the contact_id '{contact_id}' is known.",
            "There is nothing to explain.",
            "check the id: it is the one of your contacts table, not an e-mail address.",
        )
    row |= scored[0] if scored else {}
    schema |= schema_of(ibis.memtable(predictions.slice(0, 0)))
    activity = events.activity()
    mine = activity.filter(
        activity["contact_id"].cast("string") == contact_id,
        activity["occurred_at"] <= moment,
        activity["available_at"].isnull() | (activity["available_at"] <= moment),
    )
    sent = state.sent.filter(pc.equal(state.sent["contact_id"], contact_id)).to_pylist()
    members = state.members.filter(pc.equal(state.members["contact_id"], contact_id))
    return Person(
        contact_id,
        row,
        schema,
        (*mine.to_pyarrow().to_pylist(), *own_sends(sent)),
        frozenset(members["segment"].to_pylist()),
    )


def why_not_in(
    journey: Journey, person: Person, state: State, *, now: datetime
) -> tuple[Ground, ...]:
    """Ask everything that decides whether a person comes into a journey.

    Parameters
    ----------
    journey : Journey
        As it stands in its file.
    person : Person
        Who.
    state : State
        With the journey's releases, and the person's passes.
    now : datetime
        With a zone.

    Returns
    -------
    tuple of Ground
        In the order in which they are asked.
    """
    moment = utc(now)
    grounds = [
        *_release(journey, state),
        *_segment(journey, person, state.playbook, moment),
        *_event(journey, person, state, moment),
        *_condition(journey, person, moment),
        *_reentry(journey, person, state, moment),
    ]
    return tuple(grounds)


def _yes(text: str, seen: Mapping[str, object] | None = None) -> Ground:
    return Ground(permits=True, text=text, seen=seen or {})


def _no(text: str, seen: Mapping[str, object] | None = None) -> Ground:
    return Ground(permits=False, text=text, seen=seen or {})


def _release(journey: Journey, state: State) -> Iterator[Ground]:
    release = state.releases.get(journey.journey)
    if release is None:
        yield _no("the journey is a draft: it was never approved")
    elif release.status == "paused":
        yield _no(f"the journey was paused by {release.by}")
    elif release.version != journey.version:
        text = f"approved is version {release.version}; its file now says {journey.version}"
        yield _yes(text)
    else:
        yield _yes(f"the journey was approved by {release.by}")


def _segment(
    journey: Journey, person: Person, playbook: Playbook, now: datetime
) -> Iterator[Ground]:
    name = journey.entry.segment
    if name is None:
        return
    is_in = name in person.segments
    wanted = is_in if journey.entry.on != "leave" else not is_in
    yield Ground(wanted, f"is {'' if is_in else 'not '}in the segment '{name}'")
    segment = next((one for one in playbook.segments if one.name == name), None)
    if not is_in and segment is not None:
        yield from _rule(segment, person, now)


def _rule(segment: Segment, person: Person, now: datetime) -> Iterator[Ground]:
    if segment.when is not None:
        yield from _clauses(segment.when, person, now, anchors=())
    if segment.top is not None:
        column = segment.top.column
        text = f"among {segment.top.in_words}"
        yield _no(text, {column: person.row.get(column)})


def _clauses(
    text: str, person: Person, now: datetime, *, anchors: Sequence[str]
) -> Iterator[Ground]:
    """Ask each condition that ``and`` joins by itself."""
    conditions = Conditions.parse({"when": text}, schema=person.schema, anchors=anchors)
    answers = evaluate_events(
        conditions.calls,
        person.events,
        now=now,
        memberships=person.segments,
        person=person.row,
    )
    row = {**person.row, **answers}
    for clause in conditions.expressions["when"].conjuncts:
        yield Ground(clause.evaluate(row) is True, str(clause), _values(clause, row))


def _values(clause: Expression, row: Mapping[str, object]) -> dict[str, object]:
    calls = {call.key: call.text for call in clause.calls}
    return {
        calls.get(name, name): row.get(name) for name in sorted(clause.columns) if name != AS_OF
    }


def _event(journey: Journey, person: Person, state: State, now: datetime) -> Iterator[Ground]:
    entry = journey.entry
    if entry.event is None:
        return
    meant = EventMatch.parse(entry.event, entry.where)
    seen = [event for event in person.events if meant.matches_row(event)]
    last = max((_time(event["occurred_at"]) for event in seen), default=None)
    what = f"did '{entry.event}'" + (f" where {entry.where}" if entry.where else "")
    if last is None:
        yield _no(f"never {what}")
        return
    yield Ground(
        now - last <= entry.max_age,
        f"{what} within {duration_in_words(entry.max_age)}",
        {"last": last},
    )
    release = state.releases.get(journey.journey)
    if release is not None:
        yield Ground(last > utc(release.at), f"{what} after the approval", {"last": last})


def _time(moment: Any) -> datetime:  # noqa: ANN401 - a cell of a table
    plain: datetime = moment if moment.tzinfo is None else moment.astimezone(UTC)
    return plain.replace(tzinfo=None)


def _condition(journey: Journey, person: Person, now: datetime) -> Iterator[Ground]:
    if journey.entry.when is not None:
        yield from _clauses(journey.entry.when, person, now, anchors=())


def _reentry(journey: Journey, person: Person, state: State, now: datetime) -> Iterator[Ground]:
    passes = state.passes.filter(
        pc.and_(
            pc.equal(state.passes["journey"], journey.journey),
            pc.equal(state.passes["contact_id"], person.contact_id),
        )
    )
    if not len(passes):
        yield _yes("was never in the journey")
        return
    last = max(passes["entered_at"].to_pylist())
    if journey.reentry is None:
        yield _no("people come in only once", {"entered_at": last})
    elif isinstance(journey.reentry, timedelta):
        again = last + journey.reentry
        text = f"may come in again from {again:%Y-%m-%d %H:%M} UTC"
        yield Ground(again <= now, text, {"entered_at": last})
    else:
        under_way = state.enrolments.filter(
            pc.and_(
                pc.equal(state.enrolments["contact_id"], person.contact_id),
                pc.and_(
                    pc.equal(state.enrolments["journey"], journey.journey),
                    pc.equal(state.enrolments["status"], "active"),
                ),
            )
        )
        yield Ground(not len(under_way), "the last pass is over", {"entered_at": last})
