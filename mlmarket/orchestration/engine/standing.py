"""Which passes does a tick follow, on which versions, and of whom?"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.state.standing import State, utc

__all__ = ["followed", "looked_at", "versions_of"]


def looked_at(state: State, touched: pa.Array | None, now: datetime) -> pa.Array | None:
    """Return the people that a tick looks at, sorted; None for all.

    Parameters
    ----------
    state : State
        Where everybody stands.
    touched : pyarrow.Array of string or None
        About whom something is new.
    now : datetime
        UTC without a zone.

    Returns
    -------
    pyarrow.Array of string or None
        Those, and those whose step or expiry has come due. Who has been held since the last tick
        is looked at again when something is new about them, or by the next tick over everybody.
    """
    if touched is None:
        return None
    table = state.enrolments
    moment = pa.scalar(now, pa.timestamp("us"))
    due = pc.less_equal(table["due_at"], moment)
    if state.last_now is not None:
        last = pa.scalar(utc(state.last_now), pa.timestamp("us"))
        fresh = pc.or_(pc.is_null(table["held_for"]), pc.greater(table["due_at"], last))
        due = pc.and_(due, fresh)
    due = pc.or_(due, pc.less_equal(table["expires_at"], moment))
    rows = table.filter(pc.and_(pc.equal(table["status"], "active"), due))
    everybody = pa.chunked_array([touched.cast(pa.string()), *rows["contact_id"].chunks])
    found = everybody.unique().drop_null()
    return found.take(pc.sort_indices(found))


def followed(state: State, only: pa.Array | None) -> pa.Table:
    """Return who is under way, and who completed but may still reach the goal.

    Parameters
    ----------
    state : State
        Where everybody stands.
    only : pyarrow.Array of string or None
        The people looked at.

    Returns
    -------
    pyarrow.Table
        Rows of the enrolments table.
    """
    table = state.enrolments
    follow = pc.equal(table["status"], "active")
    if state.last_now is not None:
        # Goals up to the last tick were seen then; only what came since is still open.
        last = pa.scalar(utc(state.last_now), pa.timestamp("us"))
        completed = pc.equal(table["status"], "completed")
        follow = pc.or_(follow, pc.and_(completed, pc.greater(table["expires_at"], last)))
    if only is not None:
        follow = pc.and_(follow, pc.is_in(table["contact_id"], value_set=only))
    return table if pc.all(follow).as_py() else table.filter(follow)


def versions_of(state: State, enrolments: pa.Table) -> Mapping[str, Journey]:
    """Return the definitions that a tick needs, by version, in a fixed order.

    Parameters
    ----------
    state : State
        Where definitions are kept.
    enrolments : pyarrow.Table
        The passes that are followed.

    Returns
    -------
    mapping of str to Journey
        Of all passes and of all releases.
    """
    in_force = {journey.version: journey for journey in state.playbook.journeys}
    known = {**state.versions, **in_force}
    used = set(pc.unique(enrolments["version"]).to_pylist())
    released = {release.version for release in state.releases.values()} & set(known)
    return MappingProxyType({name: known[name] for name in sorted(used | released | set(in_force))})
