"""What is to be done for each person now, and why?

:func:`tick` is the only place where orchestration decides. It is pure: the same state,
predictions, behaviour and moment give the same bytes, and nothing outside its result changes.
"""

import hashlib
import json
from datetime import UTC, datetime

import pyarrow as pa

from mlmarket.errors import RunError
from mlmarket.market.frames import to_arrow
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.engine.bench import open_bench, release_unused
from mlmarket.orchestration.engine.night import Night
from mlmarket.orchestration.engine.people import people_known
from mlmarket.orchestration.engine.standing import followed, looked_at, versions_of
from mlmarket.orchestration.fingerprints import fingerprint
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.standing import Decisions, EarlierTickError, State, utc

__all__ = ["EarlierTickError", "KnownTickError", "tick", "tick_id_of"]


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


def tick_id_of(
    playbook: Playbook,
    predictions_fingerprint: str,
    *,
    now: datetime,
    is_partial: bool = False,
) -> str:
    """Return the name of a tick: equal for equal moments, playbooks and predictions.

    Parameters
    ----------
    playbook : Playbook
        The segments, journeys and the holdout in force.
    predictions_fingerprint : str
        See :func:`~mlmarket.orchestration.fingerprints.fingerprint`.
    now : datetime
        When, with a zone.
    is_partial : bool, default False
        Whether it looks only at those for whom something has changed: a night at the same moment is
        another tick.

    Returns
    -------
    str
        A SHA-256 in hex.
    """
    named = [utc(now).isoformat(), playbook.playbook_id, predictions_fingerprint]
    if is_partial:
        named.append("partial")
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def tick(
    state: State,
    predictions: object,
    events: Behaviour,
    *,
    now: datetime,
    touched: pa.Array | None = None,
) -> Decisions:
    """Decide segments, journeys and messages at one moment.

    In this order: segments; goals, exits and expiry of those under way; entries; then each
    person moves on as far as waits let them; all messages that they reach are weighed against
    each other; and those who were answered move on once more.

    Parameters
    ----------
    state : State
        Where everybody stands.
    predictions : pyarrow.Table, pandas.DataFrame or polars.DataFrame
        One row a contact. A column named like a contact's attribute takes its place.
    events : Behaviour
        People, consents and behaviour; what is dated after ``now`` is not looked at.
    now : datetime
        When, with a zone; not before the last tick.
    touched : pyarrow.Array of string, optional
        The people about whom something is new. Only they are looked at, and those whose next
        step is due; all by default. Times that let people in, and segments that rank, need a tick
        over everybody.

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
        Where a condition does not fit the columns that are there.
    """
    moment = utc(now)
    shown = moment.replace(tzinfo=UTC)
    if state.last_now is not None and shown < state.last_now:
        raise EarlierTickError(shown, state.last_now)
    scores = to_arrow(predictions, name="predictions")
    prints = fingerprint(scores)
    tick_id = tick_id_of(state.playbook, prints, now=now, is_partial=touched is not None)
    if tick_id in state.tick_ids:
        raise KnownTickError(tick_id)
    only = looked_at(state, touched, moment)
    enrolments = followed(state, only)
    versions = versions_of(state, enrolments)
    with open_bench() as bench:
        people = people_known(
            state.playbook, versions, scores, events, now=moment, bench=bench, only=only
        )
        night = Night(state, enrolments, versions, people, events, now=moment, bench=bench)
        night.decide_segments(only)
        night.end_passes()
        night.let_in()
        night.move_on()
        # What is the largest comes last, when the others need nothing of the bench any more.
        release_unused()
        cancelled, outbox, enrolments = night.cancelled(), night.outbox(), night.enrolments()
        return Decisions(
            tick_id=tick_id,
            now=shown,
            fingerprint=prints,
            previous=state.last_tick_id,
            playbook=state.playbook,
            versions=versions,
            memberships=night.segments.memberships,
            changes=night.segments.changes,
            skipped=night.segments.skipped,
            enrolments=enrolments,
            decisions=night.decisions(tick_id),
            outbox=outbox,
            cancelled=cancelled,
            touched=only,
        )
