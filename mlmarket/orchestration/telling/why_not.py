"""Why is this person not in this journey, or not written to by it?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError
from mlmarket.expressions import Expression, Schema, Type, schema_of
from mlmarket.market.columns import AS_OF
from mlmarket.market.frames import to_arrow
from mlmarket.orchestration.behaviour import Behaviour, contacts_known
from mlmarket.orchestration.conditions import (
    ConditionError,
    Conditions,
    EventMatch,
    evaluate_events,
    own_sends,
)
from mlmarket.orchestration.engine.dates import last_occurrences, last_run
from mlmarket.orchestration.engine.local_time import Zones
from mlmarket.orchestration.journeys.describe import duration_in_words
from mlmarket.orchestration.journeys.journey import Journey
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
    predictions: object,
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
    predictions : pyarrow.Table, pandas.DataFrame or polars.DataFrame
        With the person's row, if there is one; the types of its columns count in any case.
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
    scores = to_arrow(predictions, name="predictions")
    mine = scores.filter(pc.equal(scores["contact_id"].cast(pa.string()), contact_id))
    row: dict[str, object] = {}
    schema: dict[str, Type] = {}
    if contacts is not None:
        schema |= schema_of(contacts)
        row |= _first(contacts.filter(contacts["contact_id"] == contact_id).to_pyarrow())
    if not row and not len(mine):
        raise ConfigurationError(
            f"Nobody with the contact_id '{contact_id}' is known.",
            "There is nothing to explain.",
            "check the id: it is the one of your contacts table, not an e-mail address.",
        )
    row |= dict.fromkeys(scores.column_names) | _first(mine) | {"contact_id": contact_id}
    schema |= schema_of(ibis.memtable(scores))
    activity = events.activity()
    arrived = activity["available_at"]
    done = activity.filter(
        activity["contact_id"].cast("string") == contact_id,
        activity["occurred_at"] <= moment,
        arrived.isnull() | (arrived <= moment),
    )
    sent = state.sent.filter(pc.equal(state.sent["contact_id"], contact_id)).to_pylist()
    members = state.members.filter(pc.equal(state.members["contact_id"], contact_id))
    return Person(
        contact_id,
        row,
        schema,
        (*_rows(done.to_pyarrow()), *own_sends(sent)),
        frozenset(members["segment"].to_pylist()),
    )


def _rows(table: pa.Table) -> list[dict[str, object]]:
    """Return rows whose decimals are numbers that can be reckoned with."""
    return [
        {name: float(one) if isinstance(one, Decimal) else one for name, one in row.items()}
        for row in table.to_pylist()
    ]


def _first(table: pa.Table) -> dict[str, object]:
    return next(iter(_rows(table)), {})


def why_not_in(
    journey: Journey, person: Person, state: State, *, now: datetime
) -> tuple[Ground, ...]:
    """Ask everything that decides whether a person comes into a journey.

    Parameters
    ----------
    journey : Journey
        As it stands in its file; where another version was approved, that one is asked.
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
    door = _Door(journey, person, state, utc(now))
    return (*_release(journey, state), *door.grounds())


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


class _Door:
    """Asks one person what a journey asks of everybody who may come in."""

    def __init__(self, journey: Journey, person: Person, state: State, now: datetime) -> None:
        release = state.releases.get(journey.journey)
        acting = None if release is None else state.versions.get(release.version)
        self.journey = journey if acting is None else acting
        self.person, self.state, self.now = person, state, now
        self.since = now - self.journey.entry.max_age
        if release is not None:
            self.since = max(self.since, utc(release.at))

    def grounds(self) -> Iterator[Ground]:
        """Say what lets the person in and what does not, in the order in which it is asked."""
        ways = {
            "segment": self._segment,
            "event": self._event,
            "date": self._date,
            "schedule": self._schedule,
        }
        entry = self.journey.entry
        yield from ways[entry.kind]()
        if entry.segment is not None and entry.kind != "segment":
            yield from self._membership(entry.segment)
        yield from self._reentry()
        if entry.when is not None:
            yield from self._clauses(entry.when)
        yield from self._exit()

    def _membership(self, name: str) -> Iterator[Ground]:
        is_in = name in self.person.segments
        yield Ground(is_in, f"is {'' if is_in else 'not '}in the segment '{name}'")
        segment = next((one for one in self.state.playbook.segments if one.name == name), None)
        if not is_in and segment is not None:
            yield from self._rule(segment)

    def _rule(self, segment: Segment) -> Iterator[Ground]:
        if segment.when is not None:
            yield from self._clauses(segment.when)
        for name in (*segment.all_of, *segment.any_of):
            is_in = name in self.person.segments
            yield Ground(is_in, f"is {'' if is_in else 'not '}in the segment '{name}'")
        for name in segment.not_in:
            is_in = name in self.person.segments
            yield Ground(not is_in, f"is {'' if is_in else 'not '}in the segment '{name}'")
        if segment.list is not None:
            yield _no(f"on the list {segment.list.file}")
        if segment.top is not None:
            column = segment.top.column
            values = {column: self.person.row.get(column)}
            yield _no(f"among {segment.top.in_words}", values)

    def _segment(self) -> Iterator[Ground]:
        entry, name = self.journey.entry, str(self.journey.entry.segment)
        if entry.on == "leave":
            is_in = name in self.person.segments
            where = f"is still in the segment '{name}'" if is_in else f"is not in '{name}'"
            yield _no(f"{where}: people come in at the moment they leave it")
            return
        yield from self._membership(name)
        if entry.on == "enter" and name in self.person.segments:
            members = self.state.members
            mine = pc.and_(
                pc.equal(members["segment"], name),
                pc.equal(members["contact_id"], self.person.contact_id),
            )
            came = members.filter(mine)["entered_at"][0].as_py()
            yield self._lately("came into it", came)

    def _lately(self, what: str, moment: datetime) -> Ground:
        """Say whether something happened after the approval, and not too long ago."""
        age = duration_in_words(self.journey.entry.max_age)
        text = f"{what} after {self.since:%Y-%m-%d %H:%M} UTC: the approval, or {age} ago"
        return Ground(moment > self.since, text, {"at": moment})

    def _event(self) -> Iterator[Ground]:
        entry = self.journey.entry
        meant = EventMatch.parse(str(entry.event), entry.where)
        what = f"did '{entry.event}'" + (f" where {entry.where}" if entry.where else "")
        last = self._last_done(meant)
        if last is None:
            yield _no(f"never {what}")
            return
        yield self._lately(what, last)
        goal = self.journey.goal
        if goal is not None:
            reached = self._last_done(EventMatch.parse(goal.event, goal.where))
            is_same = goal.event == entry.event
            if reached is not None and (reached > last or (reached == last and not is_same)):
                yield _no(f"has done '{goal.event}' since", {"at": reached})

    def _last_done(self, meant: EventMatch) -> datetime | None:
        times = [
            _time(event["occurred_at"]) for event in self.person.events if meant.matches_row(event)
        ]
        return max(times, default=None)

    def _date(self) -> Iterator[Ground]:
        entry = self.journey.entry
        name = str(entry.date)
        value = self.person.row.get(name)
        what = f"the date '{name}'"
        if not isinstance(value, date):
            yield _no(f"{what} is missing", {name: value})
            return
        zone = pa.array([self.person.row.get("timezone")], pa.string())
        dates = np.array([value], dtype="datetime64[us]")
        zones = Zones(zone, 1, self.state.playbook.policy.timezone)
        here = np.zeros(1, dtype=np.int64)
        (came,) = last_occurrences(entry, dates, here, zones, after=self.since, until=self.now)
        age = duration_in_words(entry.max_age)
        yield Ground(not np.isnat(came), f"{what} came round within {age}", {name: value})

    def _schedule(self) -> Iterator[Ground]:
        entry = self.journey.entry
        moment = None
        if entry.schedule is not None:
            zone = self.state.playbook.policy.timezone
            moment = last_run(entry.schedule, zone, after=self.since, until=self.now)
        age = duration_in_words(entry.max_age)
        yield Ground(moment is not None, f"its time came round within {age}", {"at": moment})

    def _clauses(self, text: str) -> Iterator[Ground]:
        """Ask each condition that ``and`` joins by itself."""
        try:
            asked, row = self._asked(text, anchors=())
        except ConditionError as error:
            yield _no(f"{text}: {error.what}")
            return
        for clause in asked.conjuncts:
            yield Ground(clause.evaluate(row) is True, str(clause), _values(clause, row))

    def _exit(self) -> Iterator[Ground]:
        """Ask whether the person would leave at once; what is unknown leaves."""
        text = self.journey.exit.when
        if text is None:
            return
        try:
            asked, row = self._asked(text, anchors=("entry", "step"))
        except ConditionError as error:
            yield _no(f"would leave at once, when {text}: {error.what}")
            return
        stays = asked.evaluate(row) is False
        yield Ground(
            stays, f"would{' not' if stays else ''} leave at once, when {text}", _values(asked, row)
        )

    def _asked(self, text: str, *, anchors: Sequence[str]) -> tuple[Expression, dict[str, object]]:
        """Return a condition, and all the values that it reads."""
        person = self.person
        conditions = Conditions.parse({"when": text}, schema=person.schema, anchors=anchors)
        answers = evaluate_events(
            conditions.calls,
            person.events,
            now=self.now,
            entered_at=self.now,
            arrived_at=self.now,
            memberships=person.segments,
            person=person.row,
        )
        return conditions.expressions["when"], {**person.row, **answers}

    def _reentry(self) -> Iterator[Ground]:
        last = max(self._of(self.state.passes)["entered_at"].to_pylist(), default=None)
        if last is None:
            yield _yes("was never in the journey")
            return
        again = self.journey.reentry
        if again is None:
            yield _no("people come in only once", {"entered_at": last})
            return
        mine = self._of(self.state.enrolments)
        is_active = pc.any(pc.equal(mine["status"], "active")).as_py() or False
        yield Ground(not is_active, f"is {'' if is_active else 'not '}under way in it")
        if isinstance(again, timedelta):
            text = f"may come in again from {last + again:%Y-%m-%d %H:%M} UTC"
            yield Ground(last + again <= self.now, text, {"entered_at": last})

    def _of(self, table: pa.Table) -> pa.Table:
        """Return the rows about this person and journey."""
        is_mine = pc.and_(
            pc.equal(table["journey"], self.journey.journey),
            pc.equal(table["contact_id"], self.person.contact_id),
        )
        return table.filter(is_mine)


def _values(asked: Expression, row: Mapping[str, object]) -> dict[str, object]:
    calls = {call.key: call.text for call in asked.calls}
    return {calls.get(name, name): row.get(name) for name in sorted(asked.columns) if name != AS_OF}


def _time(moment: Any) -> datetime:  # noqa: ANN401 - a cell of a table
    plain: datetime = moment if moment.tzinfo is None else moment.astimezone(UTC)
    return plain.replace(tzinfo=None)
