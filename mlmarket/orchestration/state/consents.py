"""Who consented, or may not be written to, by what reached mlmarket itself?"""

from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa

from mlmarket.errors import DataContractError
from mlmarket.orchestration.state.approvals import log
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.standing import utc
from mlmarket.orchestration.tables import CONSENT_EVENTS

__all__ = ["record_consent", "recorded_since", "suppress"]

_NEW_PEOPLE: Final = """
    INSERT INTO people
    SELECT (SELECT coalesce(max(person), 0) FROM people) + row_number() OVER (ORDER BY contact_id),
        contact_id
    FROM (SELECT DISTINCT contact_id FROM incoming) ANTI JOIN people USING (contact_id)"""
_NEW_CONSENTS: Final = """
    INSERT INTO consent_events
    SELECT DISTINCT p.person, new.channel, new.topic, new.granted, new.changed_at, new.source,
        new.legal_basis
    FROM incoming AS new JOIN people AS p USING (contact_id)
    ANTI JOIN consent_events AS old ON old.person = p.person AND old.channel = new.channel
        AND old.topic IS NOT DISTINCT FROM new.topic AND old.changed_at = new.changed_at
        AND old.granted IS NOT DISTINCT FROM new.granted
    ORDER BY ALL"""
_NEW_SUPPRESSION: Final = """
    INSERT INTO suppressions SELECT $person, $channel, $reason, $at
    WHERE NOT EXISTS (FROM suppressions
        WHERE person = $person AND channel IS NOT DISTINCT FROM $channel)"""

_RECORDED: Final = """
    SELECT contact_id FROM people SEMI JOIN (
        SELECT person FROM suppressions WHERE since > $at
        UNION SELECT person FROM consent_events WHERE changed_at > $day_before) USING (person)
    ORDER BY contact_id"""
_UNDER_WAY: Final = timedelta(days=1)
"""How late a consent may be recorded that a tick between two nights still notices."""


def recorded_since(database: Database, moment: datetime) -> pa.Array:
    """Return whom something was recorded about; see :meth:`StateStore.recorded_since`."""
    at = utc(moment)
    column = database.arrow(_RECORDED, at=at, day_before=at - _UNDER_WAY)["contact_id"]
    return pa.concat_arrays([pa.array([], pa.string()), *column.cast(pa.string()).chunks])


def record_consent(database: Database, rows: pa.Table) -> int:
    """Keep consents, within a transaction; see :meth:`StateStore.record_consent`."""
    absent = [
        name for name in ("contact_id", "channel", "changed_at") if name not in rows.schema.names
    ]
    if absent:
        what = f"The consents have no column '{absent[0]}'."
        why = "Whose they are, for what or since when could not be told."
        raise DataContractError(what, why, f"give the columns {', '.join(CONSENT_EVENTS.names)}.")
    for field in CONSENT_EVENTS:
        if field.name not in rows.schema.names:
            rows = rows.append_column(field, pa.nulls(len(rows), field.type))
    incoming = rows.select(CONSENT_EVENTS.names).cast(CONSENT_EVENTS)
    for name in ("contact_id", "channel", "changed_at"):
        if incoming[name].null_count:
            what = f"{incoming[name].null_count} of {len(rows)} consents have no '{name}'."
            why = "Whose they are, for what or since when could not be told."
            raise DataContractError(what, why, "fill it in, or leave these rows out.")
    with database.lent(incoming=incoming):
        database.run(_NEW_PEOPLE)
        return database.number(_NEW_CONSENTS)


def suppress(
    database: Database, contact_id: str, channel: str | None, reason: str, *, at: datetime, by: str
) -> bool:
    """Let nobody write to a person, within a transaction; see :meth:`StateStore.suppress`."""
    with database.lent(incoming=pa.table({"contact_id": [contact_id]})):
        database.run(_NEW_PEOPLE)
    query = "SELECT person FROM people WHERE contact_id = $contact_id"
    person = database.number(query, contact_id=contact_id)
    values = {"person": person, "channel": channel, "reason": reason, "at": utc(at)}
    if not database.number(_NEW_SUPPRESSION, **values):
        return False
    detail = f"{channel or 'all channels'}: {reason}"
    log(database, "suppressed", by=by, at=at, person=person, detail=detail)
    return True
