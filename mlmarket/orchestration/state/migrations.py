"""How does a state file that an earlier release wrote become one of this release?"""

# ruff: noqa: S608 - statements are put together from constants of this project only.

import json
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import pyarrow as pa
from pydantic import ValidationError

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.approvals import log
from mlmarket.orchestration.state.committing import keep_journey, keep_playbook
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.reading import aware
from mlmarket.orchestration.state.statements import TABLES

Model = TypeVar("Model", Journey, Playbook)

__all__ = ["MIGRATIONS", "SCHEMA_VERSION", "prepare"]

SCHEMA_VERSION: Final = 2
"""Of the tables in the file. Files of earlier versions are upgraded, of later ones refused."""


def prepare(database: Database) -> None:
    """Begin a new file, or bring an earlier one to this version, in one transaction.

    Parameters
    ----------
    database : Database
        Just opened.

    Raises
    ------
    ConfigurationError
        Where it is not a state file, or one of a later version.
    """
    present = {str(row[0]) for row in database.rows("SELECT table_name FROM duckdb_tables()")}
    if not present:
        with database.transaction("The new state file"):
            _create(database)
        return
    rows = database.rows("SELECT schema_version FROM meta") if "meta" in present else []
    found = rows[0][0] if rows else None
    if not isinstance(found, int) or (found != SCHEMA_VERSION and found not in MIGRATIONS):
        is_state = found is not None
        what = f"has version {found}, not {SCHEMA_VERSION}" if is_state else "holds other tables"
        problem = f"The file {database.path} {what}."
        why = "State that is not understood could send messages twice."
        fix = "name another file, or use the version of mlmarket that wrote it."
        raise ConfigurationError(problem, why, fix)
    if found != SCHEMA_VERSION:
        with database.transaction("The upgrade of the state file"):
            for version in range(found, SCHEMA_VERSION):
                MIGRATIONS[version](database)


def _create(database: Database) -> None:
    database.run(TABLES)
    database.run("INSERT INTO meta VALUES ($version, 0, FALSE)", version=SCHEMA_VERSION)


_OLD: Final = (
    "meta",
    "ticks",
    "playbooks",
    "journeys",
    "memberships",
    "changes",
    "skipped",
    "enrolments",
    "decisions",
    "outbox",
)
_KEEP: Final = tuple(f"CREATE TEMP TABLE old_{name} AS FROM {name}" for name in _OLD)
_DROP: Final = tuple(f"DROP TABLE {name}" for name in _OLD)
# The id of an enrolment was 64 digits and is 32 now; which 32 does not matter.
_ID: Final = "CAST(substr(o.enrolment_id, 1, 32) AS UUID)"
_FROM_1: Final = (
    "INSERT INTO ticks SELECT number, tick_id, decided_at, fingerprint, p.new, coalesce(v.names,"
    " CAST([] AS VARCHAR[])), NULL, FALSE FROM old_ticks JOIN renamed AS p ON p.old = playbook_id"
    " LEFT JOIN (SELECT number, list_sort(list(DISTINCT new)) AS names"
    " FROM (SELECT number, unnest(versions) AS old FROM old_ticks) JOIN renamed USING (old)"
    " GROUP BY number) AS v USING (number)",
    "INSERT INTO people SELECT row_number() OVER (ORDER BY contact_id), contact_id FROM ("
    " SELECT contact_id FROM old_memberships UNION SELECT contact_id FROM old_changes"
    " UNION SELECT contact_id FROM old_enrolments)",
    "INSERT INTO memberships SELECT segment, person, entered_at, why, since, until"
    " FROM old_memberships JOIN people USING (contact_id)",
    "INSERT INTO changes SELECT segment, person, change, why, tick"
    " FROM old_changes JOIN people USING (contact_id)",
    "INSERT INTO skipped SELECT segment, reason, tick FROM old_skipped",
    "INSERT INTO enrolments SELECT row_number() OVER (ORDER BY journey, person, entered_at),"
    f" enrolment_id, journey, person, entered_at, NULL, NULL FROM (SELECT DISTINCT {_ID} AS"
    " enrolment_id, o.journey, p.person, o.entered_at"
    " FROM old_enrolments AS o JOIN people AS p USING (contact_id))",
    # When somebody came to a step was not written; the tick that wrote the row is when.
    "INSERT INTO standing SELECT e.enrolment, r.new, o.expires_at, o.position, t.decided_at,"
    " o.due_at, o.status, o.holdout, o.held_for, o.ended_at, o.goal_at, o.since, o.until"
    f" FROM old_enrolments AS o JOIN enrolments AS e ON e.enrolment_id = {_ID}"
    " JOIN renamed AS r ON r.old = o.version JOIN old_ticks AS t ON t.number = o.since"
    " ORDER BY e.enrolment, o.since",
    "INSERT INTO decisions SELECT e.enrolment, r.new, o.step, o.outcome,"
    " CASE WHEN len(o.reasons) > 0 THEN array_to_string(o.reasons, ', ') END, NULL, NULL, NULL,"
    " o.due_at, NULL, NULL, NULL, o.tick"
    f" FROM old_decisions AS o JOIN enrolments AS e ON e.enrolment_id = {_ID}"
    " JOIN renamed AS r ON r.old = o.version ORDER BY o.tick, e.enrolment",
    # Each night wrote its outbox to a file: what is in it was handed over then.
    "INSERT INTO outbox SELECT o.idempotency_key, 'message', o.external_id, o.email, o.phone,"
    " r.new, e.enrolment, o.step, o.channel, o.topic, 'consent', FALSE, o.template, '{}',"
    " r.priority, o.not_before, o.expires_at, o.tick, 'sent', 1, NULL, NULL, NULL, NULL, NULL,"
    " NULL, t.decided_at, NULL"
    f" FROM old_outbox AS o JOIN enrolments AS e ON e.enrolment_id = {_ID}"
    " JOIN renamed AS r ON r.old = o.version JOIN old_ticks AS t ON t.number = o.tick"
    " ORDER BY o.tick, e.enrolment",
)


def _from_1(database: Database) -> None:
    """Give numbers to people and enrolments, rename versions, approve what was in force.

    Up to version 1 a journey acted as soon as its file was there: those in force at the last tick
    are released, so that nothing stops.
    """
    for statement in (*_KEEP, *_DROP):
        database.run(statement)
    _create(database)
    renamed = _definitions(database)
    with database.lent(renamed=renamed):
        for statement in _FROM_1:
            database.run(statement)
    _approve_in_force(database)
    for name in _OLD:
        database.run(f"DROP TABLE old_{name}")


def _definitions(database: Database) -> pa.Table:
    """Write definitions in their present canonical form; return how they were called before."""
    rows = []
    for version, text in database.rows("SELECT version, definition FROM old_journeys"):
        journey = _read(Journey, str(text), database.path)
        rows.append({"old": str(version), "new": journey.version, "priority": journey.priority})
        keep_journey(database, journey)
    for playbook_id, text in database.rows("SELECT playbook_id, definition FROM old_playbooks"):
        playbook = _read(Playbook, str(text), database.path)
        rows.append({"old": str(playbook_id), "new": playbook.playbook_id, "priority": None})
        keep_playbook(database, playbook)
    schema = pa.schema({"old": pa.string(), "new": pa.string(), "priority": pa.int32()})
    return pa.Table.from_pylist(rows, schema=schema)


def _read(model: type[Model], text: str, path: Path) -> Model:
    try:
        return model.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]["msg"]
        what = f"The file {path} holds a {model.__name__.lower()} that cannot be read: {first}."
        why = "People who are on it would be lost."
        fix = "open it with the version of mlmarket that wrote it, and mend or remove the journey."
        raise ConfigurationError(what, why, fix) from error


def _approve_in_force(database: Database) -> None:
    last = database.rows(
        "SELECT t.decided_at, p.definition FROM ticks AS t JOIN playbooks AS p USING (playbook_id)"
        " ORDER BY t.number DESC LIMIT 1"
    )
    for decided_at, text in last:
        at = aware(decided_at)
        for journey in _read(Playbook, str(text), database.path).journeys:
            log(
                database,
                "approved",
                by="upgrade",
                at=at,
                journey=journey.journey,
                version=journey.version,
                detail=at.replace(tzinfo=None).isoformat(),
            )


MIGRATIONS: Final = MappingProxyType[int, Callable[[Database], None]]({1: _from_1})
"""What brings a file from each version to the next."""
