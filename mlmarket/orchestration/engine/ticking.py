"""What is to be done for each person now, and why?

:func:`tick` is the only place where orchestration decides. It is pure: the same state,
predictions, behaviour and moment give the same bytes, and nothing outside its result changes.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.orchestration.arbitration.gates import Gatekeeper, Reason
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.engine.bench import Bench, open_bench
from mlmarket.orchestration.engine.entries import held_out, new_enrolments
from mlmarket.orchestration.engine.goals import first_goals
from mlmarket.orchestration.engine.outbox import outbox_rows
from mlmarket.orchestration.engine.people import people_known
from mlmarket.orchestration.engine.walk import Walk
from mlmarket.orchestration.fingerprint import fingerprint
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.membership import find_members
from mlmarket.orchestration.state.standing import Decisions, State, utc

__all__ = ["EarlierTickError", "KnownTickError", "tick", "tick_id_of"]


class EarlierTickError(ConfigurationError):
    """A tick whose ``now`` lies before the last one.

    Parameters
    ----------
    now : datetime
        What was asked for.
    last : datetime
        The last tick.
    """

    def __init__(self, now: datetime, last: datetime) -> None:
        super().__init__(
            f"The tick at {now.isoformat()} lies before the last one at {last.isoformat()}.",
            "Messages decided since then would be decided again from an older view.",
            f"use a time from {last.isoformat()} on, or a new state file to look back.",
        )


class KnownTickError(RunError):
    """A tick that the state already contains.

    Parameters
    ----------
    tick_id : str
        The tick.
    """

    def __init__(self, tick_id: str) -> None:
        super().__init__(
            f"The tick {tick_id[:12]}… has been decided and committed before.",
            "Deciding it again from the state that it led to would give another answer.",
            "export what was decided: StateStore.decisions_of(tick_id), or use decide(…).",
        )


def tick_id_of(playbook: Playbook, predictions_fingerprint: str, *, now: datetime) -> str:
    """Return the name of a tick: equal for equal moments, playbooks and predictions.

    Parameters
    ----------
    playbook : Playbook
        The segments, journeys and the holdout in force.
    predictions_fingerprint : str
        See :func:`~mlmarket.orchestration.fingerprint.fingerprint`.
    now : datetime
        When, with a zone.

    Returns
    -------
    str
        A SHA-256 in hex.
    """
    named = [utc(now).isoformat(), playbook.playbook_id, predictions_fingerprint]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def tick(state: State, predictions: pa.Table, events: Behaviour, *, now: datetime) -> Decisions:
    """Decide segments, journeys and messages at one moment.

    In this order: segments; goals, exits and expiry of those under way; entries; then each
    person moves on as far as waits and gates let them.

    Parameters
    ----------
    state : State
        Where everybody stands.
    predictions : pyarrow.Table
        One row a contact. A column named like a contact's attribute takes its place.
    events : Behaviour
        People, consents and behaviour; what is dated after ``now`` is not looked at.
    now : datetime
        When, with a zone; not before the last tick.

    Returns
    -------
    Decisions
        What to do, what changed, and why.

    Raises
    ------
    EarlierTickError
        Where ``now`` lies before the last tick.
    KnownTickError
        Where the state already contains this tick.
    DataContractError
        Where a contact stands twice in a table that holds one row each.
    ConfigurationError
        Where a segment's condition does not fit the columns that are there.
    """
    moment = utc(now)
    shown = moment.replace(tzinfo=UTC)
    if state.last_now is not None and shown < state.last_now:
        raise EarlierTickError(shown, state.last_now)
    prints = fingerprint(predictions)
    tick_id = tick_id_of(state.playbook, prints, now=now)
    if tick_id in state.tick_ids:
        raise KnownTickError(tick_id)
    with open_bench() as bench:
        people, addresses = people_known(
            state.playbook, predictions, events, now=moment, bench=bench
        )
        segments = find_members(people, state.playbook, state.members, now=moment, bench=bench)
        walk, versions = _walked(state, segments.memberships, events, addresses, moment, bench)
        return Decisions(
            tick_id=tick_id,
            now=shown,
            fingerprint=prints,
            previous=state.last_tick_id,
            playbook=state.playbook,
            versions=versions,
            memberships=segments.memberships,
            changes=segments.changes,
            skipped=segments.skipped,
            enrolments=walk.changed(),
            decisions=walk.decisions(tick_id, bench),
            outbox=outbox_rows(walk.table(), walk.sent, addresses, now=moment, bench=bench),
        )


def _walked(
    state: State,
    memberships: pa.Table,
    events: Behaviour,
    addresses: pa.Table,
    now: datetime,
    bench: Bench,
) -> tuple[Walk, Mapping[str, Journey]]:
    """Let everybody end, enter and move on; return the walk and the versions it was on."""
    followed = _followed(state)
    entries = new_enrolments(memberships, state.playbook, state.enrolments, now=now, bench=bench)
    walk = Walk(pa.concat_tables([followed, entries]), now)
    walk.enter(np.arange(len(followed), len(followed) + len(entries)))
    versions = _versions(state, walk)
    walk.reach_goals(first_goals(walk, versions, events, now=now, bench=bench))
    for version, journey in versions.items():
        _leave(walk, version, journey, state.playbook, memberships)
    walk.expire()
    _hold_out(walk, state.playbook)
    moving = pc.unique(walk.fixed["version"].take(pa.array(walk.ready()))).to_pylist()
    if moving:
        journeys = [versions[version] for version in sorted(moving)]
        gates = Gatekeeper(events, addresses, journeys, now=now, bench=bench)
        for journey in journeys:
            walk.advance(journey, gates)
    return walk, versions


def _followed(state: State) -> pa.Table:
    """Return who is under way, and who completed but may still reach the goal."""
    table = state.enrolments
    follow = pc.equal(table["status"], "active")
    if state.last_now is not None:
        # Goals up to the last tick were seen then; only what came since is still open.
        last = pa.scalar(utc(state.last_now), pa.timestamp("us"))
        completed = pc.equal(table["status"], "completed")
        follow = pc.or_(follow, pc.and_(completed, pc.greater(table["expires_at"], last)))
    return table.filter(follow)


def _versions(state: State, walk: Walk) -> Mapping[str, Journey]:
    in_force = {journey.version: journey for journey in state.playbook.journeys}
    known = {**state.versions, **in_force}
    used = set(pc.unique(walk.fixed["version"]).to_pylist())
    return MappingProxyType({name: known[name] for name in sorted(used | set(in_force))})


def _leave(
    walk: Walk, version: str, journey: Journey, playbook: Playbook, memberships: pa.Table
) -> None:
    here = walk.of_version(version)
    if playbook.journey(journey.journey) is None:
        # Whoever removes a journey's file wants it to stop, for people on older versions too.
        walk.leave(np.flatnonzero(here), Reason.JOURNEY_WITHDRAWN)
    elif journey.exit.left_segment:
        members = memberships.filter(pc.equal(memberships["segment"], journey.entry.segment))
        ids = members["contact_id"].combine_chunks()
        inside = pc.is_in(walk.fixed["contact_id"], value_set=ids).to_numpy()
        walk.leave(np.flatnonzero(here & ~inside), Reason.LEFT_SEGMENT)


def _hold_out(walk: Walk, playbook: Playbook) -> None:
    """End the journeys of people who were let in before the global holdout grew to hold them."""
    ready = walk.ready()
    rows = ready[walk.held_out[ready] == 0]
    contacts = walk.fixed["contact_id"].take(pa.array(rows)).combine_chunks()
    holdout = playbook.holdout
    drawn = held_out(contacts, salt=holdout.salt, share=holdout.share)
    walk.leave(rows[drawn], Reason.GLOBAL_HOLDOUT)
