"""Who comes into a journey now?

Only a version that somebody has approved lets people in. Members of a segment come in also where
a night was missed; events, changes and dates count from the approval on and only while they are
fresh, so neither an approval nor an outage releases a backlog. The re-entry rule alone keeps
people from coming in twice.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.assignment import drawn_below, stable_fractions
from mlmarket.orchestration.arbitration.reasons import Reason
from mlmarket.orchestration.behaviour import Behaviour, activity_known
from mlmarket.orchestration.conditions.matching import EventMatch
from mlmarket.orchestration.engine.bench import Bench, brought
from mlmarket.orchestration.engine.dates import last_occurrences, last_run
from mlmarket.orchestration.engine.passes import Newcomers, Passes
from mlmarket.orchestration.engine.people import People
from mlmarket.orchestration.engine.questions import Questions, Subjects
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.segments.membership import Membership
from mlmarket.orchestration.state.releases import Release
from mlmarket.orchestration.state.standing import State, utc

__all__ = ["Doors", "enrolment_ids", "held_out"]

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

_NEVER: Final = np.datetime64("NaT", "us")
_ID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class _Callers:
    """Who stands before a journey, by number, and the event that brought them."""

    person: Rows
    trigger_id: pa.Array
    trigger_item: pa.Array

    @classmethod
    def of(cls, person: Rows) -> "_Callers":
        nothing = pa.nulls(len(person), pa.string())
        return cls(person, nothing, nothing)

    def where(self, flags: Flags) -> "_Callers":
        kept = pa.array(flags)
        return _Callers(
            self.person[flags], self.trigger_id.filter(kept), self.trigger_item.filter(kept)
        )


class Doors:
    """The entries of all journeys at one moment.

    Parameters
    ----------
    passes : Passes
        Those under way, after goals and exits.
    state : State
        Releases and earlier passes.
    segments : Membership
        As of this tick.
    events : Behaviour
        Where behaviour is read.
    questions : Questions
        Who answers conditions.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.
    """

    def __init__(
        self,
        passes: Passes,
        state: State,
        segments: Membership,
        events: Behaviour,
        questions: Questions,
        *,
        now: datetime,
        bench: Bench,
    ) -> None:
        self._passes, self._state, self._segments = passes, state, segments
        self._events, self._questions = events, questions
        self._now, self._bench = now, bench
        self._people = passes.people
        self._who_passed = self._people.numbers(state.passes["contact_id"])
        self._which_passed = state.passes["journey"]
        self._when_passed = state.passes["entered_at"].to_numpy()
        self._everywhere = _drawn(
            self._people, state.playbook.holdout.salt, state.playbook.holdout.share, bench
        )

    @property
    def held_out_everywhere(self) -> Flags:
        """Who is in the global holdout, by person."""
        return self._everywhere

    def newcomers(self) -> list[Newcomers]:
        """Return who comes into each released journey."""
        found = []
        for journey in sorted(self._state.playbook.journeys, key=lambda one: one.journey):
            place, release = self._released(journey.journey)
            if place is None or release is None:
                continue
            version = self._passes.versions[place]
            callers = self._callers(version, release)
            callers = callers.where(self._may_enter(version, callers.person))
            callers = self._permitted(version, callers)
            callers = self._drawn_by_lot(version, callers)
            found.append(self._enrolled(place, callers))
        return found

    def started(self, name: str, person: Rows) -> Newcomers | None:
        """Return who may begin a journey that another one starts, None where it is not released.

        Parameters
        ----------
        name : str
            The journey.
        person : ndarray of int64, shape (n,)
            Who would begin it, each once.

        Returns
        -------
        Newcomers or None
            Those whom its re-entry rule lets in.
        """
        place, _ = self._released(name)
        if place is None:
            return None
        version = self._passes.versions[place]
        allowed = person[self._may_enter(version, person)]
        return self._enrolled(place, _Callers.of(allowed))

    def _released(self, name: str) -> tuple[int | None, Release | None]:
        release = self._state.releases.get(name)
        if release is None or release.status != "approved":
            return None, None
        if self._state.playbook.journey(name) is None:
            return None, None
        for place, journey in enumerate(self._passes.versions):
            if journey.version == release.version:
                return place, release
        return None, None

    def _callers(self, journey: Journey, release: Release) -> _Callers:
        entry, opened = journey.entry, utc(release.at)
        if entry.kind == "event":
            callers = self._by_event(journey, opened)
        elif entry.kind == "date":
            callers = self._by_date(journey, opened)
        elif entry.kind == "schedule":
            callers = self._by_schedule(journey, opened)
        else:
            return self._by_segment(journey, opened)
        if entry.segment is None or entry.kind == "schedule":
            return callers
        return callers.where(np.isin(callers.person, self._members(entry.segment)))

    def _members(self, segment: str) -> Rows:
        table = self._segments.memberships
        rows = table.filter(pc.equal(table["segment"], segment))
        numbers = np.unique(self._people.numbers(rows["contact_id"]))
        return numbers[numbers >= 0]

    def _by_segment(self, journey: Journey, opened: datetime) -> _Callers:
        entry = journey.entry
        segment = str(entry.segment)
        if entry.on == "member":
            return _Callers.of(self._members(segment))
        if entry.on == "leave":
            changes = self._segments.changes
            left = pc.and_(
                pc.equal(changes["segment"], segment), pc.equal(changes["change"], "left")
            )
            gone = changes.filter(left) if opened < self._now else changes.slice(0, 0)
            numbers = np.unique(self._people.numbers(gone["contact_id"]))
            return _Callers.of(numbers[numbers >= 0])
        since = max(opened, self._now - entry.max_age)
        table = self._segments.memberships
        fresh = pc.and_(
            pc.equal(table["segment"], segment), pc.greater(table["entered_at"], pa.scalar(since))
        )
        rows = table.filter(fresh)
        numbers = self._people.numbers(rows["contact_id"])
        came = _times(rows["entered_at"])
        there = numbers >= 0
        return self._once(journey, numbers[there], came[there])

    def _by_event(self, journey: Journey, opened: datetime) -> _Callers:
        entry = journey.entry
        oldest = max(opened, self._now - entry.max_age)
        types = {str(entry.event), *([journey.goal.event] if journey.goal else [])}
        activity = activity_known(self._events, sorted(types), since=oldest, now=self._now)
        meant = EventMatch.parse(str(entry.event), entry.where).matches(activity)
        calls = activity.filter(meant, activity["known_at"] > _at(oldest))
        if journey.goal is not None:
            # Who has done since what the journey is for needs no journey.
            goal = EventMatch.parse(journey.goal.event, journey.goal.where)
            bought = activity.filter(goal.matches(activity))
            done = bought.group_by(buyer="contact_id").agg(bought=bought["occurred_at"].max())
            calls = calls.left_join(done, calls["contact_id"] == done["buyer"])
            later = calls["bought"] >= calls["occurred_at"]
            if goal.type == entry.event:
                # Where an order waits for the next one, it is not its own goal.
                later = calls["bought"] > calls["occurred_at"]
            calls = calls.filter(calls["bought"].isnull() | ~later)
        columns = ["contact_id", "occurred_at", "known_at", "row_id", "item_id"]
        rows = brought(calls.select(columns), self._bench)
        who = pa.array(self._people.numbers(rows["contact_id"]))
        rows = rows.append_column("person", who).filter(pc.greater_equal(who, 0))
        order = ["person", "occurred_at", "known_at", "row_id", "item_id"]
        table = rows.sort_by([(name, "ascending") for name in order]).combine_chunks()
        # Not only what came since the last tick: rows may be loaded after a tick has passed their
        # time, and who was not drawn may still be. Whoever came in since was let in by it before.
        known = table["known_at"].to_numpy().astype("datetime64[us]")
        table = table.filter(pa.array(self._not_since(journey, table["person"], known)))
        person, first = np.unique(table["person"].to_numpy(), return_index=True)
        chosen = table.take(pa.array(first))
        return _Callers(person, _whole(chosen["row_id"]), _whole(chosen["item_id"]))

    def _by_date(self, journey: Journey, opened: datetime) -> _Callers:
        entry = journey.entry
        column = self._people.column(str(entry.date), self._bench)
        if column is None:
            return _Callers.of(np.zeros(0, dtype=np.int64))
        dates = times_of(column, str(entry.date), journey)
        there = np.flatnonzero(~np.isnat(dates))
        since = max(opened, self._now - entry.max_age)
        moments = last_occurrences(
            entry, dates[there], there, self._people.zones, after=since, until=self._now
        )
        due = ~np.isnat(moments)
        return self._once(journey, there[due], moments[due])

    def _by_schedule(self, journey: Journey, opened: datetime) -> _Callers:
        entry = journey.entry
        zone = self._state.playbook.policy.timezone
        since = max(opened, self._now - entry.max_age)
        moment = None
        if entry.schedule is not None:
            moment = last_run(entry.schedule, zone, after=since, until=self._now)
        if moment is None:
            return _Callers.of(np.zeros(0, dtype=np.int64))
        members = self._members(str(entry.segment))
        return self._once(journey, members, np.full(len(members), np.datetime64(moment, "us")))

    def _once(self, journey: Journey, person: Rows, moments: Times) -> _Callers:
        """Leave out whom the same occasion has let in before."""
        order = np.argsort(person, kind="stable")
        person, moments = person[order], moments[order]
        return _Callers.of(person[self._not_since(journey, person, moments)])

    def _not_since(self, journey: Journey, person: Rows, moments: Times) -> Flags:
        last = self._last(journey.journey)[np.asarray(person)]
        fresh: Flags = np.isnat(last) | (last < moments)
        return fresh

    def _last(self, name: str) -> Times:
        """Return when each person last came into a journey, NaT for never."""
        last = np.full(len(self._people), _NEVER)
        rows = pc.equal(self._which_passed, name).to_numpy() & (self._who_passed >= 0)
        who, when = self._who_passed[rows], self._when_passed[rows].astype("datetime64[us]")
        np.fmax.at(last, who, when)
        passes = self._passes
        here = self._of_journey(name)
        np.fmax.at(last, passes.person[here], passes.entered[here])
        return last

    def _of_journey(self, name: str) -> Rows:
        passes = self._passes
        places = [place for place, one in enumerate(passes.versions) if one.journey == name]
        return np.flatnonzero(np.isin(passes.version, places) & passes.known)

    def _may_enter(self, journey: Journey, person: Rows) -> Flags:
        """Apply the re-entry rule."""
        passes = self._passes
        last = self._last(journey.journey)[person]
        if journey.reentry is None:
            return np.isnat(last)
        here = self._of_journey(journey.journey)
        # An older version may last longer than the rule of this one; and who leaves in this very
        # tick, having bought, is not let in again by what came before.
        busy = here[passes.active[here] | (passes.ended[here] == passes.now)]
        free = ~np.isin(person, passes.person[busy])
        if journey.reentry == "after_exit":
            return free
        since = passes.now - np.timedelta64(journey.reentry)
        allowed: Flags = free & (np.isnat(last) | (last <= since))
        return allowed

    def _permitted(self, journey: Journey, callers: _Callers) -> _Callers:
        if journey.entry.when is not None and len(callers.person):
            key = f"{journey.journey}, entry.when"
            asked = self._questions.permits(
                {key: journey.entry.when}, self._subjects(callers), anchors=()
            )
            callers = callers.where(asked.holds[key])
        if journey.exit.when is not None and len(callers.person):
            # Who would leave at once would get the first message all the same.
            key = f"{journey.journey}, exit.when"
            asked = self._questions.suppresses({key: journey.exit.when}, self._subjects(callers))
            callers = callers.where(~asked.holds[key])
        return callers

    def _subjects(self, callers: _Callers) -> Subjects:
        moments = np.full(len(callers.person), self._passes.now)
        return Subjects(callers.person, moments, moments)

    def _drawn_by_lot(self, journey: Journey, callers: _Callers) -> _Callers:
        most = journey.entry.most
        if most is None or len(callers.person) <= most:
            return callers
        contacts = self._people.ids.take(pa.array(callers.person)).to_pylist()
        lots = stable_fractions(f"entry|{journey.journey}", contacts)
        # People are numbered in the order of their ids, which settles equal lots.
        chosen = np.sort(np.lexsort((callers.person, lots))[:most])
        flags = np.zeros(len(callers.person), dtype=np.bool_)
        flags[chosen] = True
        return callers.where(flags)

    def _enrolled(self, place: int, callers: _Callers) -> Newcomers:
        journey = self._passes.versions[place]
        person = callers.person
        contacts = self._people.ids.take(pa.array(person))
        here = held_out(contacts, salt=f"holdout|{journey.journey}", share=journey.holdout)
        bits = self._everywhere[person] * int(Reason.GLOBAL_HOLDOUT)
        bits = bits + here * int(Reason.JOURNEY_HOLDOUT)
        ids = enrolment_ids(journey.journey, contacts, now=self._now, bench=self._bench)
        return Newcomers(
            place, person, bits.astype(np.int64), ids, callers.trigger_id, callers.trigger_item
        )


def enrolment_ids(journey: str, contacts: pa.Array, *, now: datetime, bench: Bench) -> pa.Array:
    """Return the names of passes: 32 hex digits of the SHA-256 of ``journey|entered_at|contact_id``.

    Parameters
    ----------
    journey : str
        The journey.
    contacts : pyarrow.Array of string, shape (n,)
        Who comes in.
    now : datetime
        When; UTC without a zone.
    bench : Bench
        Where to compute.

    Returns
    -------
    pyarrow.Array of string, shape (n,)
        In the order of the contacts.
    """
    if not len(contacts):
        return pa.array([], pa.string())
    rows = ibis.memtable(pa.table({"n": np.arange(len(contacts)), "contact_id": contacts}))
    digest = (f"{journey}|{now.isoformat()}|" + rows["contact_id"]).hexdigest("sha256")
    named = rows.select("n", name=digest.substr(0, _ID_DIGITS)).order_by("n")
    return _whole(bench.to_pyarrow(named)["name"])


def held_out(contacts: pa.Array, *, salt: str, share: float) -> Flags:
    """Return who is held out by a lot that falls the same every night.

    Parameters
    ----------
    contacts : pyarrow.Array of string, shape (n,)
        The people.
    salt : str
        What the lot is for.
    share : float
        The share held out.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for those held out.
    """
    if share <= 0:
        return np.zeros(len(contacts), dtype=np.bool_)
    drawn: Flags = stable_fractions(salt, contacts.to_pylist()) < share
    return drawn


def _drawn(people: People, salt: str, share: float, bench: Bench) -> Flags:
    """Return who is held out of all people, drawn where they lie."""
    if share <= 0 or not len(people):
        return np.zeros(len(people), dtype=np.bool_)
    lot = drawn_below(people.table["contact_id"], salt=salt, share=share)
    rows = bench.to_pyarrow(people.table.filter(lot).select("person"))
    flags = np.zeros(len(people), dtype=np.bool_)
    flags[rows["person"].to_numpy()] = True
    return flags


def times_of(column: pa.Array, name: str, journey: Journey) -> Times:
    """Return a column of times as numbers, refused where it holds anything else."""
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        if column.null_count == len(column):
            return np.full(len(column), _NEVER)
        what = f"Journey '{journey.journey}' uses '{name}' as a date, but it is {column.type}."
        why = "It could not be said when the date comes."
        raise ConfigurationError(what, why, "name a column of times, or turn it into one.")
    times: Times = column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    return times.astype("datetime64[us]")


def _at(moment: datetime) -> ir.TimestampScalar:
    return ibis.literal(moment, type="timestamp(6)")


def _times(column: pa.ChunkedArray) -> Times:
    times: Times = column.to_numpy().astype("datetime64[us]")
    return times


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
