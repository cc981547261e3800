"""Which SQL keeps the state file?"""

from types import MappingProxyType
from typing import Final

__all__ = [
    "CLOSE_ENROLMENTS",
    "CLOSE_MEMBERSHIPS",
    "CURRENT_ENROLMENTS",
    "CURRENT_MEMBERS",
    "INSERTS",
    "INSERT_TICK",
    "OF_CONTACT",
    "OPEN_MEMBERSHIPS",
    "READS",
    "TABLES",
]

TABLES: Final = """
CREATE TABLE meta (schema_version INTEGER NOT NULL);
CREATE TABLE ticks (number INTEGER PRIMARY KEY, tick_id VARCHAR UNIQUE NOT NULL, previous VARCHAR,
    decided_at TIMESTAMP NOT NULL, fingerprint VARCHAR NOT NULL, playbook_id VARCHAR NOT NULL,
    versions VARCHAR[] NOT NULL);
CREATE TABLE playbooks (playbook_id VARCHAR PRIMARY KEY, definition VARCHAR NOT NULL);
CREATE TABLE journeys (version VARCHAR PRIMARY KEY, definition VARCHAR NOT NULL);
CREATE TABLE memberships (segment VARCHAR NOT NULL, contact_id VARCHAR NOT NULL,
    entered_at TIMESTAMP NOT NULL, why VARCHAR, since INTEGER NOT NULL, until INTEGER);
CREATE TABLE changes (segment VARCHAR NOT NULL, contact_id VARCHAR NOT NULL,
    change VARCHAR NOT NULL, why VARCHAR, tick INTEGER NOT NULL);
CREATE TABLE skipped (segment VARCHAR NOT NULL, reason VARCHAR NOT NULL, tick INTEGER NOT NULL);
CREATE TABLE enrolments (enrolment_id VARCHAR NOT NULL, journey VARCHAR NOT NULL,
    version VARCHAR NOT NULL, contact_id VARCHAR NOT NULL, entered_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL, position INTEGER NOT NULL, due_at TIMESTAMP NOT NULL,
    status VARCHAR NOT NULL, holdout VARCHAR, held_for VARCHAR, ended_at TIMESTAMP,
    goal_at TIMESTAMP, since INTEGER NOT NULL, until INTEGER);
CREATE TABLE decisions (decision_id VARCHAR NOT NULL, tick_id VARCHAR NOT NULL,
    decided_at TIMESTAMP NOT NULL, enrolment_id VARCHAR NOT NULL, contact_id VARCHAR NOT NULL,
    journey VARCHAR NOT NULL, version VARCHAR NOT NULL, step VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL, reasons VARCHAR[] NOT NULL, due_at TIMESTAMP,
    tick INTEGER NOT NULL);
CREATE TABLE outbox (idempotency_key VARCHAR PRIMARY KEY, contact_id VARCHAR NOT NULL,
    external_id VARCHAR, email VARCHAR, phone VARCHAR, journey VARCHAR NOT NULL,
    version VARCHAR NOT NULL, enrolment_id VARCHAR NOT NULL, step VARCHAR NOT NULL,
    channel VARCHAR NOT NULL, topic VARCHAR, template VARCHAR NOT NULL,
    not_before TIMESTAMP NOT NULL, expires_at TIMESTAMP NOT NULL, tick INTEGER NOT NULL);
"""
CLOSE_MEMBERSHIPS: Final = """
UPDATE memberships SET until = $tick WHERE until IS NULL AND (segment, contact_id) NOT IN (
    SELECT (old.segment, old.contact_id) FROM memberships AS old JOIN incoming AS new
        ON old.segment = new.segment AND old.contact_id = new.contact_id
        AND old.entered_at = new.entered_at AND old.why IS NOT DISTINCT FROM new.why
    WHERE old.until IS NULL)
"""
OPEN_MEMBERSHIPS: Final = """
INSERT INTO memberships SELECT new.*, $tick, NULL FROM incoming AS new ANTI JOIN (
    SELECT segment, contact_id FROM memberships WHERE until IS NULL) AS old
    ON old.segment = new.segment AND old.contact_id = new.contact_id
"""
CLOSE_ENROLMENTS: Final = """
UPDATE enrolments SET until = $tick WHERE until IS NULL
    AND enrolment_id IN (SELECT enrolment_id FROM incoming)
"""
INSERTS: Final = MappingProxyType(
    {
        "changes": "INSERT INTO changes SELECT *, $tick FROM incoming",
        "skipped": "INSERT INTO skipped SELECT *, $tick FROM incoming",
        "enrolments": "INSERT INTO enrolments SELECT *, $tick, NULL FROM incoming",
        "decisions": "INSERT INTO decisions SELECT *, $tick FROM incoming",
        "outbox": "INSERT INTO outbox SELECT *, $tick FROM incoming",
    }
)
INSERT_TICK: Final = """
INSERT INTO ticks VALUES ($tick, $tick_id, $previous, $decided_at, $fingerprint, $playbook_id,
    $versions)
"""
READS: Final = MappingProxyType(
    {
        "memberships": "SELECT * EXCLUDE (since, until) FROM memberships"
        " WHERE since <= $tick AND (until IS NULL OR until > $tick)",
        "changes": "SELECT * EXCLUDE (tick) FROM changes WHERE tick = $tick",
        "skipped": "SELECT * EXCLUDE (tick) FROM skipped WHERE tick = $tick",
        "enrolments": "SELECT * EXCLUDE (since, until) FROM enrolments WHERE since = $tick",
        "decisions": "SELECT * EXCLUDE (tick) FROM decisions WHERE tick = $tick",
        "outbox": "SELECT * EXCLUDE (tick) FROM outbox WHERE tick = $tick",
    }
)
CURRENT_MEMBERS: Final = "SELECT * EXCLUDE (since, until) FROM memberships WHERE until IS NULL"
CURRENT_ENROLMENTS: Final = "SELECT * EXCLUDE (since, until) FROM enrolments WHERE until IS NULL"
OF_CONTACT: Final = "SELECT * EXCLUDE (tick) FROM decisions WHERE contact_id = $contact_id"
