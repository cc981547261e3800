"""Which journeys may act, and who allowed it when?"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal

import pyarrow as pa

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.state.committing import keep_journey
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.releases import Release
from mlmarket.orchestration.state.standing import utc

__all__ = ["approve", "log", "pause", "read_log", "releases", "resume"]

_LAST: Final = """
    SELECT journey, arg_max(version, number), arg_max(action, number), arg_max(actor, number),
        arg_max(detail, number)
    FROM log WHERE action IN ('approved', 'paused', 'resumed') GROUP BY journey ORDER BY journey"""
"""The last word on each journey; ``detail`` is the moment that events count from."""


def releases(database: Database) -> Mapping[str, Release]:
    """Return the last word on each journey; see :meth:`StateStore.releases`."""
    found = {}
    for name, version, action, by, since in database.rows(_LAST):
        status: Literal["approved", "paused"] = "paused" if action == "paused" else "approved"
        at = datetime.fromisoformat(str(since)).replace(tzinfo=UTC)
        found[str(name)] = Release(str(name), str(version), status, str(by), at)
    return MappingProxyType(found)


def approve(database: Database, journey: Journey, *, by: str, at: datetime) -> Release:
    """Let a version act, within a transaction; see :meth:`StateStore.approve`."""
    before = releases(database).get(journey.journey)
    since = utc(at)
    if before is not None and before.status == "approved":
        earlier = _definition(database, before.version)
        if earlier is not None and earlier.entry == journey.entry:
            # Who came to the same door since the last tick must not be turned away by an edit.
            since = min(since, utc(before.at))
    keep_journey(database, journey)
    log(
        database,
        "approved",
        by=by,
        at=at,
        journey=journey.journey,
        version=journey.version,
        detail=since.isoformat(),
    )
    return releases(database)[journey.journey]


def pause(database: Database, name: str, *, by: str, at: datetime) -> Release:
    """Let nobody in or on, within a transaction; see :meth:`StateStore.pause`."""
    before = _released(database, name)
    since = utc(before.at).isoformat()
    log(database, "paused", by=by, at=at, journey=name, version=before.version, detail=since)
    return releases(database)[name]


def resume(database: Database, name: str, *, by: str, at: datetime) -> Release:
    """Let a paused journey act again, within a transaction; see :meth:`StateStore.resume`."""
    before = _released(database, name)
    if before.status != "paused":
        what = f"The journey '{name}' is not paused."
        raise ConfigurationError(what, "There is nothing to resume.", "leave it as it is.")
    # What happened in the pause is not answered all at once.
    since = utc(at).isoformat()
    log(database, "resumed", by=by, at=at, journey=name, version=before.version, detail=since)
    return releases(database)[name]


def _released(database: Database, name: str) -> Release:
    known = releases(database)
    if name not in known:
        what = f"No version of the journey '{name}' has been approved."
        raise ConfigurationError(what, "It does nothing as it is.", suggestion(name, known))
    return known[name]


def _definition(database: Database, version: str) -> Journey | None:
    rows = database.rows(
        "SELECT definition FROM journeys WHERE version = $version", version=version
    )
    return Journey.model_validate_json(str(rows[0][0])) if rows else None


def log(database: Database, action: str, *, by: str, at: datetime, **about: object) -> None:
    """Append to the log of what people did, within a transaction.

    Parameters
    ----------
    database : Database
        The state.
    action : str
        approved, paused, resumed, migrated, consent, suppressed, forgotten or upgraded.
    by : str
        Who did it.
    at : datetime
        When, with a zone.
    **about : object
        journey, version, person (a number) and detail.
    """
    if not by.strip():
        what = f"Nobody is named for what is to be {action}."
        why = "The log could not say who did it."
        raise ConfigurationError(what, why, "give a name or an address.")
    fields = {name: about.get(name) for name in ("journey", "version", "person", "detail")}
    database.run(
        "INSERT INTO log SELECT coalesce(max(number), 0) + 1, $at, $by, $action, $journey,"
        " $version, $person, $detail FROM log",
        at=utc(at),
        by=by.strip(),
        action=action,
        **fields,
    )


def read_log(database: Database) -> pa.Table:
    """Return the log; see :meth:`StateStore.release_log`."""
    query = """
        SELECT l.happened_at AS "at", l.actor AS "by", l.action, l.journey, l.version, p.contact_id, l.detail
        FROM log AS l LEFT JOIN people AS p USING (person) ORDER BY l.number"""
    return database.arrow(query)
