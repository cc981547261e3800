"""What does a tick, or whoever asks, need to know of the state, and no more?"""

# ruff: noqa: S608 - statements are put together from constants of this project only.

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.policy import Policy
from mlmarket.orchestration.state.approvals import releases
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.standing import Decisions, State, utc
from mlmarket.orchestration.state.statements import OPEN_STANDING, READS

__all__ = [
    "aware",
    "due_contacts",
    "look_back",
    "read_decisions",
    "read_inputs",
    "read_state",
    "read_versions",
]

_LOOK_BACK: Final = timedelta(days=35)
"""A calendar month and what zones add to it."""

_DUE: Final = """
    SELECT DISTINCT e.person FROM standing AS s JOIN enrolments AS e USING (enrolment)
    WHERE s.until IS NULL AND s.status = 'active' AND (s.expires_at <= $now OR s.due_at <= $now
        AND (s.held_for IS NULL OR s.due_at > (SELECT max(decided_at) FROM ticks)))"""
_WANTED: Final = f"""
    CREATE OR REPLACE TEMP TABLE wanted AS
    SELECT person FROM people SEMI JOIN incoming_touched USING (contact_id) UNION {_DUE}"""
_ONLY: Final = "person IN (SELECT person FROM wanted)"


def look_back(policy: Policy | None) -> timedelta:
    """Return how far back what was sent matters to a policy.

    Parameters
    ----------
    policy : Policy, optional
        With caps and fatigue.

    Returns
    -------
    timedelta
        35 days, or the longest of its windows and a day where that is more.
    """
    windows = [] if policy is None else [cap.per for cap in policy.caps]
    lengths = [window for window in windows if isinstance(window, timedelta)]
    if policy is not None and policy.fatigue is not None:
        lengths.append(policy.fatigue.within)
    return max([_LOOK_BACK, *(length + timedelta(days=1) for length in lengths)])


def due_contacts(database: Database, now: datetime) -> pa.Array:
    """Return who has a step or an expiry that is due, sorted; see :meth:`StateStore.due`."""
    query = f"SELECT contact_id FROM people SEMI JOIN ({_DUE}) USING (person) ORDER BY contact_id"
    column = database.arrow(query, now=utc(now))["contact_id"]
    return pa.concat_arrays([pa.array([], pa.string()), *column.cast(pa.string()).chunks])


def read_state(
    database: Database,
    *,
    now: datetime | None,
    touched: pa.Array | None,
    policy: Policy | None,
) -> State:
    """Return where people stand; see :meth:`StateStore.load`."""
    last = database.rows(
        "SELECT tick_id, decided_at, playbook_id FROM ticks ORDER BY number DESC LIMIT 1"
    )
    tick_id, decided_at, playbook_id = last[0] if last else (None, None, None)
    same = database.rows("SELECT tick_id FROM ticks WHERE decided_at = $at", at=decided_at)
    return State(
        playbook=Playbook() if playbook_id is None else read_playbook(database, str(playbook_id)),
        versions=read_versions(database),
        releases=releases(database),
        last_now=None if decided_at is None else aware(decided_at),
        last_tick_id=None if tick_id is None else str(tick_id),
        tick_ids=frozenset(str(row[0]) for row in same),
        **_tables(database, now, touched, (decided_at, look_back(policy))),
    )


def _tables(
    database: Database,
    now: datetime | None,
    touched: pa.Array | None,
    reach: tuple[object, timedelta],
) -> dict[str, pa.Table]:
    decided_at, back = reach
    moment = None if now is None else utc(now)
    if touched is not None:
        with database.lent(incoming_touched=pa.table({"contact_id": touched.cast(pa.string())})):
            database.run(_WANTED, now=moment)
    only = "TRUE" if touched is None else _ONLY
    values = {"last": decided_at or datetime.min, "since": moment and moment - back}  # noqa: DTZ901
    standing = "TRUE" if moment is None else OPEN_STANDING
    sent = (
        "TRUE"
        if moment is None
        else "(o.status IN ('pending', 'claimed') OR (o.kind = 'message' AND o.not_before >= $since))"
    )
    wheres = {
        "members": ("memberships", f"m.until IS NULL AND {only}"),
        "enrolments": ("enrolments", f"s.until IS NULL AND {standing} AND {only}"),
        "passes": ("passes", f"{only} GROUP BY ALL"),
        "sent": ("sent", f"{sent} AND {only}"),
        "suppressions": ("suppressions", only),
        "consent_events": ("consent_events", only),
    }
    return {
        field: database.table(name, f"{READS[name]} WHERE {where}", **values)
        for field, (name, where) in wheres.items()
    }


_OF_TICK: Final = MappingProxyType(
    {
        "memberships": " WHERE m.since <= $tick AND (m.until IS NULL OR m.until > $tick)",
        "changes": " WHERE c.tick = $tick",
        "skipped": " WHERE s.tick = $tick",
        "enrolments": " WHERE s.since = $tick",
        "decisions": " WHERE d.tick = $tick",
        "outbox": " WHERE o.tick = $tick",
        "cancelled": " WHERE c.tick = $tick",
    }
)
_OF_TOUCHED: Final = " AND m.person IN (SELECT person FROM touched WHERE tick = $tick)"


def read_decisions(database: Database, tick_id: str) -> Decisions:
    """Return a committed tick exactly as it was decided; see :meth:`StateStore.decisions_of`."""
    found = database.rows(
        "SELECT t.number, before.tick_id, t.decided_at, t.fingerprint, t.playbook_id, t.versions,"
        " t.partial FROM ticks AS t LEFT JOIN ticks AS before ON before.number = t.number - 1"
        " WHERE t.tick_id = $tick_id",
        tick_id=tick_id,
    )
    if not found:
        raise _no_tick(tick_id)
    number, previous, decided_at, fingerprint, playbook_id, versions, partial = found[0]
    wheres = {**_OF_TICK}
    touched = None
    if partial:
        wheres["memberships"] += _OF_TOUCHED
        query = "SELECT contact_id FROM people JOIN touched USING (person) WHERE tick = $tick"
        column = database.arrow(f"{query} ORDER BY contact_id", tick=number)["contact_id"]
        touched = pa.concat_arrays([pa.array([], pa.string()), *column.cast(pa.string()).chunks])
    known = read_versions(database)
    tables = {
        name: database.table(name, READS[name] + where, tick=number)
        for name, where in wheres.items()
    }
    return Decisions(
        tick_id=tick_id,
        now=aware(decided_at),
        fingerprint=str(fingerprint),
        previous=None if previous is None else str(previous),
        playbook=read_playbook(database, str(playbook_id)),
        versions=MappingProxyType({name: known[name] for name in _strings(versions)}),
        touched=touched,
        **tables,
    )


def read_inputs(database: Database, tick_id: str) -> tuple[str, dict[str, list[str]]]:
    """Return what a tick was decided from; see :meth:`StateStore.inputs_of`."""
    query = "SELECT fingerprint, models FROM ticks WHERE tick_id = $tick_id"
    found = database.rows(query, tick_id=tick_id)
    if not found:
        raise _no_tick(tick_id)
    fingerprint, models = found[0]
    return str(fingerprint), {} if models is None else json.loads(str(models))


def _no_tick(tick_id: str) -> ConfigurationError:
    what = f"The state file has no tick {tick_id[:12]}…."
    return ConfigurationError(what, "There is nothing to export.", "run the tick first.")


def read_playbook(database: Database, playbook_id: str) -> Playbook:
    """Return a playbook that was in force."""
    query = "SELECT definition FROM playbooks WHERE playbook_id = $playbook_id"
    rows = database.rows(query, playbook_id=playbook_id)
    return Playbook.model_validate(json.loads(str(rows[0][0])))


def read_versions(database: Database) -> Mapping[str, Journey]:
    """Return the definitions of all versions that were ever in force or approved."""
    rows = database.rows("SELECT version, definition FROM journeys")
    journeys = {str(row[0]): Journey.model_validate(json.loads(str(row[1]))) for row in rows}
    return MappingProxyType(journeys)


def aware(moment: object) -> datetime:
    """Return a time of the file with its zone."""
    if not isinstance(moment, datetime):
        what = "A row in the state file has no time."
        raise RunError(what, "The file has been changed by hand.", "restore it from a copy.")
    return moment.replace(tzinfo=UTC)


def _strings(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list) else []
