"""May what was decided earlier still go out, now that a worker has come for it?

Between decision and handover people withdraw consent, messages come back, and workers fall behind.
So consent, suppression, expiry, hours, caps and throughput are asked again, at the moment of the
claim. What waits in the outbox counts for caps only once it is claimed.
"""

from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.arbitration.arbitrate import arbitrate
from mlmarket.orchestration.arbitration.candidates import Candidates, Offer
from mlmarket.orchestration.arbitration.facts import NOBODY, PeopleFacts
from mlmarket.orchestration.arbitration.gates import Gatekeeper, numbers_of
from mlmarket.orchestration.arbitration.past import past_sends
from mlmarket.orchestration.arbitration.reasons import Bits, Reason
from mlmarket.orchestration.arbitration.weighing import closed_rungs, gates_of, zones_of
from mlmarket.orchestration.behaviour import ADDRESSES, Behaviour, contacts_known
from mlmarket.orchestration.policy import Policy
from mlmarket.orchestration.state.standing import State

__all__ = ["recheck"]

_GONE: Final = ("sent", "claimed", "unknown")
_TO_PEOPLE: Final = ("message", "audience")
_SETTLED_BEFORE: Final = {"at_once": 1_000_000_000, "fatigue": None}
"""Rules of the choice between messages, which is over."""


def recheck(
    rows: pa.Table,
    *,
    state: State,
    events: Behaviour,
    policy: Policy,
    now: datetime,
) -> Bits:
    """Return the reasons against handing rows of the outbox over now.

    Parameters
    ----------
    rows : pyarrow.Table
        Rows of the outbox that are due.
    state : State
        Suppressions, recorded consents and past sends.
    events : Behaviour
        Contacts, consents, setbacks and messages.
    policy : Policy
        Hours, caps and throughput.
    now : datetime
        UTC without a zone.

    Returns
    -------
    ndarray of int64, shape (n,)
        Sums of :class:`Reason`, 0 where a row may go out. Only messages and audiences to join
        have other reasons than ``too_late``. Rows that only ``quiet_hours``, ``capped`` or
        ``throughput`` speak against may go out later.
    """
    moment = pa.scalar(now, pa.timestamp("us"))
    late = pc.less_equal(rows["expires_at"], moment).fill_null(False)  # noqa: FBT003
    bits: Bits = np.where(late.to_numpy(), int(Reason.TOO_LATE), 0).astype(np.int64)
    to_people = pc.and_(
        pc.is_in(rows["kind"], value_set=pa.array(_TO_PEOPLE)), pc.is_valid(rows["channel"])
    )
    asked = np.flatnonzero(to_people.to_numpy())
    if len(asked):
        messages = rows.take(pa.array(asked))
        bits[asked] |= _against(messages, state, events, policy, now)
    return bits


def _against(
    rows: pa.Table, state: State, events: Behaviour, policy: Policy, now: datetime
) -> Bits:
    ids = pc.unique(rows["contact_id"]).sort()
    candidates = _candidates(rows, ids, now)
    gates = Gatekeeper(
        events,
        _addresses(rows),
        ids,
        asked=[gate for offer in candidates.offers for gate in gates_of(offer)],
        now=now,
        state=state,
    )
    zones, zone = zones_of(_time_zones(events, ids, now), policy)
    people, count = len(ids), len(candidates)
    facts = PeopleFacts(
        zones=zones,
        zone=zone,
        handed_over=np.zeros(people, np.bool_),
        unhygienic=np.zeros(people, np.bool_),
        send_at=np.full(people, np.datetime64("NaT", "us")),
        send_weekday=np.full(people, -1, np.int64),
        send_hour=np.full(people, -1, np.int64),
        closed=closed_rungs(candidates, gates),
        probability=np.full(count, np.nan),
        gain=np.full(count, np.nan),
        past=past_sends(_gone(state.sent, rows), events, ids, policy, now=now),
        passes=NOBODY,
    )
    rules = policy.model_copy(update=_SETTLED_BEFORE)
    return arbitrate(candidates, facts, rules, now=now).reasons


def _candidates(rows: pa.Table, ids: pa.Array, now: datetime) -> Candidates:
    """Return rows as messages of a ladder of one channel."""
    parts = ("journey", "version", "step", "channel", "topic", "priority", "legal_basis")
    columns = [rows[name].to_pylist() for name in (*parts, "transactional")]
    kinds: dict[tuple[object, ...], int] = {}
    offer = [kinds.setdefault(key, len(kinds)) for key in zip(*columns, strict=True)]
    count = len(rows)
    moment = np.datetime64(now, "us")
    lots = [int(key[:16], 16) for key in rows["idempotency_key"].to_pylist()]
    return Candidates(
        offers=tuple(_offer(*kind) for kind in kinds),
        offer=np.array(offer, np.int64),
        person=numbers_of(rows["contact_id"], ids),
        entered=np.full(count, moment),
        expires=rows["expires_at"].to_numpy().astype("datetime64[us]"),
        against=np.zeros(count, np.int64),
        held_since=np.full(count, moment),
        lot=np.array(lots, np.uint64),
    )


def _offer(*parts: object) -> Offer:
    journey, version, step, channel, topic, priority, basis, transactional = parts
    return Offer(
        journey=str(journey),
        version=str(version),
        step=str(step),
        channels=(str(channel),),
        topic=None if topic is None else str(topic).strip().lower(),
        priority=int(str(priority or 0)),
        group=None,
        legal_basis=str(basis),
        transactional=bool(transactional),
        best_time=False,
        within=np.timedelta64(1, "D"),
        worth=None,
        if_blocked="hold",
    )


def _addresses(rows: pa.Table) -> pa.Table:
    """Return the addresses that rows would go to."""
    return rows.select(["contact_id", *ADDRESSES])


def _time_zones(events: Behaviour, ids: pa.Array, now: datetime) -> pa.Array:
    contacts = contacts_known(events, now)
    if contacts is None or "timezone" not in contacts.columns:
        return pa.nulls(len(ids), pa.string())
    here = contacts.filter(contacts["contact_id"].isin(ids.to_pylist()))
    known = here.select("contact_id", timezone=here["timezone"].cast("string")).to_pyarrow()
    return (
        known["timezone"]
        .combine_chunks()
        .take(pc.index_in(ids, value_set=known["contact_id"].combine_chunks()))
    )


def _gone(sent: pa.Table, rows: pa.Table) -> pa.Table:
    """Return what has left the outbox, without the rows themselves."""
    gone = pc.is_in(sent["status"], value_set=pa.array(_GONE))
    own = pc.is_in(sent["idempotency_key"], value_set=rows["idempotency_key"].combine_chunks())
    return sent.filter(pc.and_(gone, pc.invert(own)))
