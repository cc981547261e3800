"""Who comes into a journey tonight?

Everybody who is a member of its segment tonight and is allowed in: not only those who became a
member since the last tick. So a night that was missed, or a journey that was added later, loses
nobody; the re-entry rule alone keeps people from coming in twice.
"""

from datetime import datetime

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.evaluation.assignment import stable_fractions
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Holdout, Playbook
from mlmarket.orchestration.tables import ENROLMENTS, canonical

__all__ = ["held_out", "new_enrolments"]


def held_out(contacts: pa.Array, *, salt: str, share: float) -> npt.NDArray[np.bool_]:
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
    drawn: npt.NDArray[np.bool_] = stable_fractions(salt, contacts.to_pylist()) < share
    return drawn


def new_enrolments(
    memberships: pa.Table, playbook: Playbook, enrolments: pa.Table, *, now: datetime, bench: Bench
) -> pa.Table:
    """Enrol the members who may come in.

    Parameters
    ----------
    memberships : pyarrow.Table
        Who is in which segment now.
    playbook : Playbook
        The journeys in force.
    enrolments : pyarrow.Table
        All enrolments so far.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.

    Returns
    -------
    pyarrow.Table
        Rows of the enrolments table, at the first step and due now. The ids are the SHA-256 of
        ``journey|entered_at|contact_id``.
    """
    pieces = [
        _enrolled(journey, _entrants(journey, memberships, enrolments, now), playbook.holdout, now)
        for journey in playbook.journeys
    ]
    if not any(len(piece) for piece in pieces):
        return ENROLMENTS.empty_table()
    rows = ibis.memtable(pa.concat_tables(pieces))
    key = rows["journey"] + f"|{now.isoformat()}|" + rows["contact_id"]
    with_ids = rows.mutate(enrolment_id=key.hexdigest("sha256"))
    return canonical("enrolments", bench.to_pyarrow(with_ids))


def _entrants(
    journey: Journey, memberships: pa.Table, enrolments: pa.Table, now: datetime
) -> pa.Array:
    members = memberships.filter(pc.equal(memberships["segment"], journey.entry.segment))
    earlier = enrolments.filter(pc.equal(enrolments["journey"], journey.journey))
    if journey.reentry is not None:
        too_recent = pc.greater(earlier["entered_at"], pa.scalar(now - journey.reentry))
        # An older version may last longer than the re-entry rule of this one.
        under_way = pc.and_(
            pc.equal(earlier["status"], "active"), pc.greater(earlier["expires_at"], pa.scalar(now))
        )
        earlier = earlier.filter(pc.or_(too_recent, under_way))
    blocked = earlier["contact_id"].combine_chunks()
    contacts = members["contact_id"]
    return contacts.filter(pc.invert(pc.is_in(contacts, value_set=blocked))).combine_chunks()


def _enrolled(journey: Journey, contacts: pa.Array, holdout: Holdout, now: datetime) -> pa.Table:
    count = len(contacts)
    everywhere = held_out(contacts, salt=holdout.salt, share=holdout.share)
    here = held_out(contacts, salt=f"holdout|{journey.journey}", share=journey.holdout)
    arms = pa.array([None, "global", "journey", "global, journey"])
    arm = arms.take(pa.array(everywhere.astype(np.int64) + 2 * here))
    content = {
        "enrolment_id": pa.nulls(count, pa.string()),
        "journey": pa.repeat(journey.journey, count),
        "version": pa.repeat(journey.version, count),
        "contact_id": contacts,
        "entered_at": pa.repeat(pa.scalar(now, pa.timestamp("us")), count),
        "expires_at": pa.repeat(pa.scalar(now + journey.expires_after, pa.timestamp("us")), count),
        "position": pa.repeat(pa.scalar(0, pa.int32()), count),
        "due_at": pa.repeat(pa.scalar(now, pa.timestamp("us")), count),
        "status": pa.repeat("active", count),
        "holdout": arm,
    }
    absent = {name: pa.nulls(count) for name in ("held_for", "ended_at", "goal_at")}
    return pa.table({**content, **absent}).select(ENROLMENTS.names).cast(ENROLMENTS)
