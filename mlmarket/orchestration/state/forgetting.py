"""What does the state hold about one person, and how is all of it removed?"""

# ruff: noqa: S608 - statements are put together from constants of this project only.

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from mlmarket.orchestration.state.approvals import log
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.standing import utc
from mlmarket.orchestration.state.statements import READS
from mlmarket.orchestration.state.tombstones import marks_of

__all__ = ["Forgotten", "export_person", "forget"]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What erasing a person came to.

    Parameters
    ----------
    rows : dict of str to int
        The rows removed, by table; none where the state did not know the person.
    pending : int
        The rows of the outbox among them that will not be handed over any more.
    in_flight : int
        Those that a worker had at that moment: they may have gone out.
    addresses : frozenset of str
        The addresses that were found, for removing the person from files.
    """

    rows: dict[str, int]
    pending: int
    in_flight: int
    addresses: frozenset[str]


_OF_PERSON: Final = "person = $person"
_OF_ENROLMENTS: Final = "enrolment IN (SELECT enrolment FROM enrolments WHERE person = $person)"
_WHERE: Final = MappingProxyType(
    {
        # The outbox first, the person last: others are found by these.
        "cancellations": "idempotency_key IN (SELECT idempotency_key FROM outbox"
        f" WHERE {_OF_ENROLMENTS})",
        "outbox": _OF_ENROLMENTS,
        "decisions": _OF_ENROLMENTS,
        "standing": _OF_ENROLMENTS,
        "enrolments": _OF_PERSON,
        "memberships": _OF_PERSON,
        "changes": _OF_PERSON,
        "touched": _OF_PERSON,
        "consent_events": _OF_PERSON,
        "suppressions": _OF_PERSON,
        "log": _OF_PERSON,
        "people": _OF_PERSON,
    }
)


def forget(
    database: Database,
    contact_id: str,
    *,
    key: bytes,
    at: datetime,
    by: str,
    addresses: Iterable[str] = (),
) -> Forgotten:
    """Remove a person, within a transaction; see :meth:`StateStore.forget`."""
    persons = database.rows(
        "SELECT person FROM people WHERE contact_id = $contact_id", contact_id=contact_id
    )
    person = persons[0][0] if persons else None
    found = {**_counts(database, person)}
    emails, phones, others = _addresses(database, person)
    for address in addresses:
        (emails if "@" in address else phones).add(address)
    for mark in sorted(marks_of(key, ids=[contact_id], emails=emails, phones=phones)):
        database.run(
            "INSERT INTO tombstones SELECT $mark, $at WHERE $mark NOT IN"
            " (SELECT mark FROM tombstones)",
            mark=mark,
            at=utc(at),
        )
    rows = {}
    for table, where in _WHERE.items():
        removed = database.number(f"DELETE FROM {table} WHERE {where}", person=person)
        if removed:
            rows[table] = removed
    log(database, "forgotten", by=by, at=at)
    database.run("UPDATE meta SET to_compact = TRUE")
    known = frozenset(emails | phones | others)
    return Forgotten(rows, found.get("pending", 0), found.get("claimed", 0), known)


def _counts(database: Database, person: object) -> dict[str, int]:
    query = f"SELECT status, count(*) FROM outbox WHERE {_OF_ENROLMENTS} GROUP BY status"
    return {str(status): int(str(count)) for status, count in database.rows(query, person=person)}


def _addresses(database: Database, person: object) -> tuple[set[str], set[str], set[str]]:
    columns = []
    for name in ("email", "phone", "external_id"):
        query = f"SELECT DISTINCT {name} FROM outbox WHERE {name} IS NOT NULL AND {_OF_ENROLMENTS}"
        columns.append({str(row[0]) for row in database.rows(query, person=person)})
    emails, phones, others = columns
    return emails, phones, others


_TOLD: Final = MappingProxyType(
    {
        "memberships": """
            SELECT m.segment, m.entered_at, m.why, a.decided_at AS "from", z.decided_at AS until
            FROM memberships AS m JOIN ticks AS a ON a.number = m.since
            LEFT JOIN ticks AS z ON z.number = m.until
            WHERE m.person = $person ORDER BY ALL""",
        "changes": """
            SELECT t.decided_at AS "at", c.segment, c.change, c.why
            FROM changes AS c JOIN ticks AS t ON t.number = c.tick
            WHERE c.person = $person ORDER BY ALL""",
        "enrolments": f"""
            SELECT told.* EXCLUDE (contact_id) FROM (
                {READS["enrolments"]} WHERE p.person = $person AND s.until IS NULL) AS told
            ORDER BY ALL""",
        "decisions": f"""
            SELECT told.* EXCLUDE (contact_id) FROM (
                {READS["decisions"]} WHERE p.person = $person) AS told
            ORDER BY decided_at, decision_id""",
        "outbox": f"""
            SELECT told.* EXCLUDE (contact_id) FROM (
                {READS["outbox"]} WHERE p.person = $person) AS told
            ORDER BY not_before, idempotency_key""",
        "consent_events": """
            SELECT * EXCLUDE (person) FROM consent_events WHERE person = $person
            ORDER BY changed_at, channel, topic""",
        "suppressions": """
            SELECT * EXCLUDE (person) FROM suppressions WHERE person = $person ORDER BY since""",
        "log": """
            SELECT happened_at AS "at", actor AS "by", action, detail FROM log WHERE person = $person ORDER BY number""",
    }
)


def export_person(database: Database, contact_id: str) -> dict[str, Any]:
    """Return all about a person; see :meth:`StateStore.export_person`."""
    persons = database.rows(
        "SELECT person FROM people WHERE contact_id = $contact_id", contact_id=contact_id
    )
    person = persons[0][0] if persons else None
    told: dict[str, Any] = {"contact_id": contact_id}
    for name, query in _TOLD.items():
        rows = database.arrow(query, person=person).to_pylist()
        told[name] = [{key: _plain(key, value) for key, value in row.items()} for row in rows]
    return told


def _plain(key: str, value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    if key in {"payload", "seen"} and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
