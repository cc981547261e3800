"""What is known about the people of a tick, and what follows for their messages?

:func:`weigh` is all that the engine calls: it reads each source once and arbitrates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import available_timezones

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.expressions import schema_of
from mlmarket.market.time import time_zone
from mlmarket.orchestration.arbitration.arbitrate import arbitrate
from mlmarket.orchestration.arbitration.candidates import Candidates, Offer, Rows, Verdicts
from mlmarket.orchestration.arbitration.facts import Flags, Floats, Passes, PeopleFacts
from mlmarket.orchestration.arbitration.gates import Gate, Gatekeeper, numbers_of
from mlmarket.orchestration.arbitration.past import past_sends
from mlmarket.orchestration.arbitration.reasons import Bits
from mlmarket.orchestration.behaviour import ADDRESSES, Behaviour, contacts_known
from mlmarket.orchestration.conditions.answering import Known, facts
from mlmarket.orchestration.conditions.conditions import Conditions
from mlmarket.orchestration.documents import WEEKDAYS
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.policy import Policy
from mlmarket.orchestration.state.standing import State

__all__ = ["addresses_of", "closed_rungs", "facts_of", "gates_of", "weigh", "zones_of"]

_HOURS: Final = 24
_HANDOVER: Final = "policy, key 'handover'"
_HYGIENE: Final = "policy, key 'hygiene'"


def weigh(  # noqa: PLR0913 - each source of facts is one argument
    candidates: Candidates,
    *,
    contact_ids: pa.Array,
    playbook: Playbook,
    state: State,
    events: Behaviour,
    people: ir.Table,
    bench: Bench,
    now: datetime,
    handed_over: Flags | None = None,
    unhygienic: Flags | None = None,
    active: pa.Table | None = None,
    memberships: pa.Table | None = None,
) -> Verdicts:
    """Collect what is known about the people of all candidates, and decide about each.

    Parameters
    ----------
    candidates : Candidates
        What could be sent.
    contact_ids : pyarrow.Array of string, shape (people,)
        Everybody in the tick, sorted; a person's number is the place.
    playbook : Playbook
        Journeys and policy in force.
    state : State
        Past sends, suppressions, recorded consents, passes and releases.
    events : Behaviour
        Consents, setbacks and messages.
    people : ibis.expr.types.Table
        On the bench: ``person`` (the number), ``contact_id``, and, where they are known,
        addresses, ``timezone``, ``send_at_utc``, ``send_weekday`` (from 0 for Monday, or its
        name), ``send_hour_local`` and the columns that worths and policy name.
    bench : Bench
        Where to compute.
    now : datetime
        UTC without a zone.
    handed_over, unhygienic : ndarray of bool, shape (people,), optional
        Whether the policy's ``handover`` and ``hygiene`` hold or are not known; computed from
        their texts by default.
    active : pyarrow.Table, optional
        The passes under way now: version, contact_id, entered_at and holdout; those of the state
        by default.
    memberships : pyarrow.Table, optional
        Who is in which segment now, for conditions of the policy; those of the state by default.

    Returns
    -------
    Verdicts
        Of each candidate, in the same order.

    Raises
    ------
    ConfigurationError
        Where the policy names a zone or a column that does not exist.
    """
    read = facts_of(
        candidates,
        contact_ids=contact_ids,
        playbook=playbook,
        state=state,
        events=events,
        people=people,
        bench=bench,
        now=now,
        handed_over=handed_over,
        unhygienic=unhygienic,
        active=active,
        memberships=memberships,
    )
    return arbitrate(candidates, read, playbook.policy, now=now)


def facts_of(  # noqa: PLR0913 - each source of facts is one argument
    candidates: Candidates,
    *,
    contact_ids: pa.Array,
    playbook: Playbook,
    state: State,
    events: Behaviour,
    people: ir.Table,
    bench: Bench,
    now: datetime,
    handed_over: Flags | None = None,
    unhygienic: Flags | None = None,
    active: pa.Table | None = None,
    memberships: pa.Table | None = None,
) -> PeopleFacts:
    """Collect what arbitration reads; the arguments are those of :func:`weigh`."""
    policy = playbook.policy
    columns = _Columns(people, bench, len(contact_ids))
    zones, zone = zones_of(columns.texts("timezone"), policy)
    addresses = addresses_of(people, events, bench, now)
    gates = Gatekeeper(
        events,
        addresses,
        contact_ids,
        asked=[gate for offer in candidates.offers for gate in gates_of(offer)],
        now=now,
        state=state,
    )
    probability, gain = _worths(candidates, columns)
    scene = _Scene(
        person=np.unique(candidates.person),
        events=events,
        memberships=state.members if memberships is None else memberships,
        sent=state.sent,
        now=now,
        bench=bench,
    )
    told = {_HANDOVER: handed_over, _HYGIENE: unhygienic}
    held = _held_back(told, policy, people, len(contact_ids), scene)
    return PeopleFacts(
        zones=zones,
        zone=zone,
        handed_over=held[_HANDOVER],
        unhygienic=held[_HYGIENE],
        send_at=columns.times("send_at_utc"),
        send_weekday=columns.weekdays("send_weekday"),
        send_hour=columns.hours("send_hour_local"),
        closed=closed_rungs(candidates, gates),
        probability=probability,
        gain=gain,
        past=past_sends(state.sent, events, contact_ids, policy, now=now),
        passes=_passes(state, playbook, active, contact_ids, now),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """Where and about whom conditions of the policy are asked."""

    person: Rows
    events: Behaviour
    memberships: pa.Table
    sent: pa.Table
    now: datetime
    bench: Bench


class _Columns:
    """Columns of the people, by person number; what is not there is missing for everybody."""

    def __init__(self, people: ir.Table, bench: Bench, count: int) -> None:
        self._people, self._bench, self._count = people, bench, count

    def read(self, name: str, value: ir.Value) -> pa.Array:
        """Return a value for everybody, missing for those who are not among the people."""
        rows = self._bench.to_pyarrow(self._people.select("person", **{name: value}))
        place = np.full(self._count, -1, np.int64)
        place[rows["person"].to_numpy()] = np.arange(len(rows))
        return rows[name].combine_chunks().take(pa.array(place, mask=place < 0))

    def _column(self, name: str, kind: str) -> pa.Array | None:
        if name not in self._people.columns:
            return None
        return self.read(name, self._people[name].cast(kind))

    def texts(self, name: str) -> pa.Array:
        found = self._column(name, "string")
        return pa.nulls(self._count, pa.string()) if found is None else found

    def numbers(self, name: str) -> Floats:
        found = self._column(name, "float64")
        if found is None:
            return np.full(self._count, np.nan)
        numbers: Floats = found.fill_null(np.nan).to_numpy(zero_copy_only=False)
        return numbers

    def times(self, name: str) -> np.ndarray:
        found = self._column(name, "timestamp(6)")
        if found is None:
            return np.full(self._count, np.datetime64("NaT", "us"))
        times: np.ndarray = found.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
        return times

    def weekdays(self, name: str) -> Rows:
        """Return weekdays from 0 for Monday, -1 where not known."""
        if name in self._people.columns and not self._people[name].type().is_string():
            return _within(self.numbers(name), len(WEEKDAYS))
        word = pc.utf8_slice_codeunits(pc.utf8_lower(self.texts(name)), 0, 3)
        found = pc.index_in(word, value_set=pa.array(WEEKDAYS)).fill_null(-1)
        weekdays: Rows = found.to_numpy(zero_copy_only=False).astype(np.int64)
        return weekdays

    def hours(self, name: str) -> Rows:
        """Return hours of the day, -1 where not known."""
        return _within(self.numbers(name), _HOURS)


def _held_back(
    told: Mapping[str, Flags | None], policy: Policy, people: ir.Table, count: int, scene: _Scene
) -> dict[str, Flags]:
    """Return who is handed over and whose address is left alone, as told or else computed."""
    asked = {_HANDOVER: policy.handover, _HYGIENE: policy.hygiene}
    texts = {key: text for key, text in asked.items() if text is not None and told[key] is None}
    given = {key: flags for key, flags in told.items() if flags is not None}
    nobody = dict.fromkeys(asked, np.zeros(count, np.bool_))
    return {**nobody, **given, **_suppressing(texts, people, count, scene)}


def _suppressing(
    texts: Mapping[str, str], people: ir.Table, count: int, scene: _Scene
) -> dict[str, Flags]:
    """Return for whom each condition of the policy holds, or is not known."""
    if not texts:
        return {}
    conditions = Conditions.parse(texts, schema=schema_of(people))
    chosen = scene.bench.create_table(
        ibis.util.gen_name("weighed"), pa.table({"n": scene.person}), temp=True
    )
    table = people.join(chosen, people["person"] == chosen["n"])
    if conditions.questions:
        known = Known(memberships=scene.memberships, sent=scene.sent)
        now, bench = scene.now, scene.bench
        table = bench.create_table(ibis.util.gen_name("asked"), table, temp=True)
        answers = facts(conditions, table, scene.events, now=now, bench=bench, known=known)
        table = table.join(answers, "n")
    held = {f"held_{place}": conditions.suppresses(key, table) for place, key in enumerate(texts)}
    rows = scene.bench.to_pyarrow(table.select("n", **held))
    # Who is not among the people is not known.
    flags = {key: np.ones(count, np.bool_) for key in texts}
    for place, key in enumerate(texts):
        flags[key][rows["n"].to_numpy()] = rows[f"held_{place}"].to_numpy()
    return flags


def _within(numbers: Floats, count: int) -> Rows:
    known = (numbers >= 0) & (numbers < count)
    return np.where(known, numbers, -1).astype(np.int64)


def zones_of(written: pa.Array, policy: Policy) -> tuple[tuple[str, ...], Rows]:
    """Return the zones of people, the policy's for those without one that exists.

    Parameters
    ----------
    written : pyarrow.Array of string, shape (people,)
        IANA names, or whatever stands in their place.
    policy : Policy
        With the zone of all others.

    Returns
    -------
    zones : tuple of str
        Names that exist.
    zone : ndarray of int64, shape (people,)
        Places in it.

    Raises
    ------
    ConfigurationError
        Where the policy's zone does not exist.
    """
    time_zone(policy.timezone)
    coded = written.dictionary_encode()
    names, codes = coded.dictionary.to_pylist(), coded.indices.fill_null(len(coded.dictionary))
    known = available_timezones()
    zones = tuple(sorted({policy.timezone, *(name for name in names if name in known)}))
    place = [zones.index(name if name in known else policy.timezone) for name in names]
    of_code = np.array([*place, zones.index(policy.timezone)], np.int64)
    return zones, of_code[codes.to_numpy(zero_copy_only=False)]


def addresses_of(people: ir.Table, events: Behaviour, bench: Bench, now: datetime) -> pa.Table:
    """Return everybody's addresses.

    Parameters
    ----------
    people : ibis.expr.types.Table
        Read where it has any column of addresses.
    events : Behaviour
        Its contacts are read otherwise.
    bench : Bench
        Where to compute.
    now : datetime
        UTC without a zone.

    Returns
    -------
    pyarrow.Table
        contact_id, external_id, email and phone; missing where there is no such column.
    """
    there = any(name in people.columns for name in ADDRESSES)
    contacts = people if there else contacts_known(events, now)
    if contacts is None:
        return pa.schema(dict.fromkeys(("contact_id", *ADDRESSES), pa.string())).empty_table()
    nothing = ibis.null("string")
    columns = {
        name: contacts[name].cast("string") if name in contacts.columns else nothing
        for name in ("contact_id", *ADDRESSES)
    }
    chosen = contacts.select(**columns)
    return bench.to_pyarrow(chosen) if there else chosen.to_pyarrow()


def gates_of(offer: Offer) -> list[Gate]:
    """Return the gates of a message's ladder, in its order."""
    topic = "" if offer.topic is None else offer.topic.strip().lower()
    return [Gate(channel, topic, offer.legal_basis) for channel in offer.channels]


def closed_rungs(candidates: Candidates, gates: Gatekeeper) -> Bits:
    """Ask each distinct gate once, and spread the answers over candidates.

    Parameters
    ----------
    candidates : Candidates
        The messages.
    gates : Gatekeeper
        Who was told all their gates.

    Returns
    -------
    ndarray of int64, shape (n, rungs)
        The reasons against each channel of each ladder.
    """
    ladders = [gates_of(offer) for offer in candidates.offers]
    answers = {gate: gates.closed(gate) for ladder in ladders for gate in ladder}
    widest = max((len(ladder) for ladder in ladders), default=1)
    closed = np.zeros((len(candidates), widest), np.int64)
    order = np.argsort(candidates.offer, kind="stable")
    ends = np.searchsorted(candidates.offer[order], np.arange(len(ladders) + 1))
    for place, ladder in enumerate(ladders):
        rows = order[ends[place] : ends[place + 1]]
        for rung, gate in enumerate(ladder):
            closed[rows, rung] = answers[gate][candidates.person[rows]]
    return closed


def _worths(candidates: Candidates, columns: _Columns) -> tuple[Floats, Floats]:
    """Return the probability and the value of each candidate, NaN where not known."""
    worths = [offer.worth for offer in candidates.offers]
    named = {one.probability for one in worths if one is not None}
    named |= {one.value for one in worths if one is not None and isinstance(one.value, str)}
    known = {name: columns.numbers(name) for name in sorted(named)}
    probability = np.full(len(candidates), np.nan)
    gain = np.full(len(candidates), np.nan)
    for place, worth in enumerate(worths):
        if worth is None:
            continue
        rows = np.flatnonzero(candidates.offer == place)
        person = candidates.person[rows]
        probability[rows] = known[worth.probability][person]
        value = worth.value
        gain[rows] = known[value][person] if isinstance(value, str) else value
    return probability, gain


def _passes(
    state: State, playbook: Playbook, active: pa.Table | None, contact_ids: pa.Array, now: datetime
) -> Passes:
    """Return the passes that may write to people, of journeys in a group."""
    table = active
    if table is None:
        under_way = pc.equal(state.enrolments["status"], "active")
        lasting = pc.greater(state.enrolments["expires_at"], pa.scalar(now, pa.timestamp("us")))
        table = state.enrolments.filter(pc.and_(under_way, lasting))
    versions = _speaking(state, playbook)
    names = sorted(versions)
    table = table.filter(
        pc.and_(
            pc.is_in(table["version"], value_set=pa.array(names, pa.string())),
            pc.is_null(table["holdout"]),
        )
    )
    groups = sorted({str(journey.group) for journey in versions.values()})
    journeys = sorted({journey.journey for journey in versions.values()})
    person = numbers_of(table["contact_id"], contact_ids)
    here = person >= 0
    version = numbers_of(table["version"], pa.array(names, pa.string()))[here]
    of_journey = [journeys.index(versions[name].journey) for name in names]
    of_group = [groups.index(str(versions[name].group)) for name in names]
    return Passes(
        person[here],
        np.array(of_journey, np.int64)[version],
        np.array([versions[name].priority for name in names], np.int64)[version],
        table["entered_at"].to_numpy()[here],
        np.array(of_group, np.int64)[version],
        tuple(journeys),
        tuple(groups),
    )


def _speaking(state: State, playbook: Playbook) -> Mapping[str, Journey]:
    """Return the versions of groups whose journeys are there and not paused."""
    in_force = {journey.version: journey for journey in playbook.journeys}
    names = {journey.journey for journey in playbook.journeys}
    paused = {name for name, one in state.releases.items() if one.status == "paused"}
    return {
        version: journey
        for version, journey in {**state.versions, **in_force}.items()
        if journey.group is not None and journey.journey in names - paused
    }
