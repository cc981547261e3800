"""How is a tick written so that it can be read again byte for byte?"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa

from mlmarket.errors import RunError
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.database import Database, StateMovedError
from mlmarket.orchestration.state.standing import Decisions, EarlierTickError, utc
from mlmarket.orchestration.state.statements import FITS, INSERTS
from mlmarket.orchestration.tables import SCHEMAS

__all__ = ["keep_journey", "keep_playbook", "write_tick"]

_INCOMING = ("memberships", "changes", "skipped", "enrolments", "decisions", "outbox", "cancelled")


def write_tick(database: Database, decisions: Decisions, models: Mapping[str, list[str]]) -> None:
    """Write a tick, within a transaction of the caller.

    Parameters
    ----------
    database : Database
        The state.
    decisions : Decisions
        Not in the file yet.
    models : mapping of str to list of str
        The versions in each version column of the predictions.

    Raises
    ------
    EarlierTickError
        Where a later moment has been decided already.
    StateMovedError
        Where another tick was committed since the state was loaded.
    RunError
        Where its tables do not fit each other, or hand over a message a second time.
    """
    number = _next_number(database, decisions)
    keep_playbook(database, decisions.playbook)
    for journey in decisions.versions.values():
        keep_journey(database, journey)
    values = {
        "tick": number,
        "tick_id": decisions.tick_id,
        "decided_at": utc(decisions.now),
        "partial": decisions.touched is not None,
    }
    with database.lent(**_incoming(decisions)):
        for name, statement in INSERTS.items():
            if name == "memberships numbered":
                _refuse_misfits(database, values)
            database.run(statement, **values)
    database.run(
        "INSERT INTO ticks VALUES ($tick, $tick_id, $decided_at, $fingerprint, $playbook_id,"
        " $versions, $models, $partial)",
        **values,
        fingerprint=decisions.fingerprint,
        playbook_id=decisions.playbook.playbook_id,
        versions=sorted(decisions.versions),
        models=json.dumps(models, sort_keys=True) if models else None,
    )


def _incoming(decisions: Decisions) -> dict[str, pa.Table]:
    tables = {
        f"incoming_{name}": getattr(decisions, name).select(SCHEMAS[name].names)
        for name in _INCOMING
    }
    touched = pa.array([], pa.string()) if decisions.touched is None else decisions.touched
    return {**tables, "incoming_touched": pa.table({"contact_id": touched})}


def _refuse_misfits(database: Database, values: Mapping[str, object]) -> None:
    for name, query in FITS.items():
        several = database.number(query, **values)
        if several and name == "twice":
            what = f"The tick could not be written: it hands over {several} rows a second time."
            fix = "load the state again and repeat the tick."
            raise RunError(what, "Who got them would get them twice.", fix)
        if several:
            what = f"The tick could not be written: {several} rows of its table '{name}' do not"
            what += " fit its enrolments."
            why = "Who they are about could not be told again."
            fix = "give each row the contact and journey of its enrolment, known by 32 hex digits."
            raise RunError(what, why, fix)


def _next_number(database: Database, decisions: Decisions) -> int:
    last = database.rows(
        "SELECT number, tick_id, decided_at FROM ticks ORDER BY number DESC LIMIT 1"
    )
    if not last:
        if decisions.previous is not None:
            raise StateMovedError
        return 1
    number, tick_id, decided_at = last[0]
    if isinstance(decided_at, datetime) and decisions.now < decided_at.replace(tzinfo=UTC):
        raise EarlierTickError(decisions.now, decided_at.replace(tzinfo=UTC))
    if tick_id != decisions.previous:
        raise StateMovedError
    return int(str(number)) + 1


def keep_playbook(database: Database, playbook: Playbook) -> None:
    """Keep a playbook's definition where it is not kept yet."""
    database.run(
        "INSERT INTO playbooks SELECT $playbook_id, $definition"
        " WHERE $playbook_id NOT IN (SELECT playbook_id FROM playbooks)",
        playbook_id=playbook.playbook_id,
        definition=playbook.canonical(),
    )


def keep_journey(database: Database, journey: Journey) -> None:
    """Keep a version's definition where it is not kept yet."""
    database.run(
        "INSERT INTO journeys SELECT $version, $journey, $definition"
        " WHERE $version NOT IN (SELECT version FROM journeys)",
        version=journey.version,
        journey=journey.journey,
        definition=journey.canonical(),
    )
