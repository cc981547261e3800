"""Which tables does the state file have, so that an enrolment takes few bytes?

People and enrolments have numbers, and all other tables name them by number. What can be worked
out again is not kept: a decision's id, time and contact follow from its tick and its enrolment, the
tick before a tick is the one with the number before, and when somebody last came into a journey is
the latest of their enrolments. What changes of an enrolment lies in ``standing``, a row for each
tick that changed it: ``since`` is that tick and missing for a migration by hand, ``until`` the
one that replaced the row.
"""

# ruff: noqa: S608 - statements are put together from constants of this project only.

from types import MappingProxyType
from typing import Final

__all__ = ["FITS", "INSERTS", "OPEN_STANDING", "READS", "TABLES"]

TABLES: Final = """
CREATE TABLE meta (schema_version INTEGER NOT NULL, epoch BIGINT NOT NULL,
    to_compact BOOLEAN NOT NULL);
CREATE TABLE ticks (number INTEGER NOT NULL, tick_id VARCHAR NOT NULL,
    decided_at TIMESTAMP NOT NULL, fingerprint VARCHAR NOT NULL, playbook_id VARCHAR NOT NULL,
    versions VARCHAR[] NOT NULL, models VARCHAR, partial BOOLEAN NOT NULL);
CREATE TABLE playbooks (playbook_id VARCHAR NOT NULL, definition VARCHAR NOT NULL);
CREATE TABLE journeys (version VARCHAR NOT NULL, journey VARCHAR NOT NULL,
    definition VARCHAR NOT NULL);
CREATE TABLE people (person INTEGER NOT NULL, contact_id VARCHAR NOT NULL);
CREATE TABLE touched (person INTEGER NOT NULL, tick INTEGER NOT NULL);
CREATE TABLE memberships (segment VARCHAR NOT NULL, person INTEGER NOT NULL,
    entered_at TIMESTAMP NOT NULL, why VARCHAR, since INTEGER NOT NULL, until INTEGER);
CREATE TABLE changes (segment VARCHAR NOT NULL, person INTEGER NOT NULL, change VARCHAR NOT NULL,
    why VARCHAR, tick INTEGER NOT NULL);
CREATE TABLE skipped (segment VARCHAR NOT NULL, reason VARCHAR NOT NULL, tick INTEGER NOT NULL);
CREATE TABLE enrolments (enrolment INTEGER NOT NULL, enrolment_id UUID NOT NULL,
    journey VARCHAR NOT NULL, person INTEGER NOT NULL, entered_at TIMESTAMP NOT NULL,
    trigger_id VARCHAR, trigger_item VARCHAR);
CREATE TABLE standing (enrolment INTEGER NOT NULL, version VARCHAR NOT NULL,
    expires_at TIMESTAMP NOT NULL, position INTEGER NOT NULL, arrived_at TIMESTAMP,
    due_at TIMESTAMP, status VARCHAR NOT NULL, holdout VARCHAR, held_for VARCHAR,
    ended_at TIMESTAMP, goal_at TIMESTAMP, since INTEGER, until INTEGER);
CREATE TABLE decisions (enrolment INTEGER NOT NULL, version VARCHAR NOT NULL,
    step VARCHAR NOT NULL, outcome VARCHAR NOT NULL, reasons VARCHAR, fate VARCHAR, way VARCHAR,
    channel VARCHAR, due_at TIMESTAMP, winner VARCHAR, seen VARCHAR, decision_id VARCHAR,
    tick INTEGER NOT NULL);
CREATE TABLE outbox (idempotency_key VARCHAR NOT NULL, kind VARCHAR NOT NULL, external_id VARCHAR,
    email VARCHAR, phone VARCHAR, version VARCHAR NOT NULL, enrolment INTEGER NOT NULL,
    step VARCHAR NOT NULL, channel VARCHAR, topic VARCHAR, legal_basis VARCHAR,
    transactional BOOLEAN, template VARCHAR, payload VARCHAR, priority INTEGER,
    not_before TIMESTAMP NOT NULL, expires_at TIMESTAMP NOT NULL, tick INTEGER NOT NULL,
    status VARCHAR NOT NULL, attempts INTEGER NOT NULL, claimed_by VARCHAR, claimed_at TIMESTAMP,
    claimed_until TIMESTAMP, honours_keys BOOLEAN, next_attempt_at TIMESTAMP, last_error VARCHAR,
    handed_over_at TIMESTAMP, cancelled_for VARCHAR);
CREATE TABLE cancellations (idempotency_key VARCHAR NOT NULL, reason VARCHAR,
    tick INTEGER NOT NULL);
CREATE TABLE consent_events (person INTEGER NOT NULL, channel VARCHAR NOT NULL, topic VARCHAR,
    granted BOOLEAN, changed_at TIMESTAMP NOT NULL, source VARCHAR, legal_basis VARCHAR);
CREATE TABLE suppressions (person INTEGER NOT NULL, channel VARCHAR, reason VARCHAR NOT NULL,
    since TIMESTAMP NOT NULL);
CREATE TABLE log (number INTEGER NOT NULL, happened_at TIMESTAMP NOT NULL, actor VARCHAR NOT NULL,
    action VARCHAR NOT NULL, journey VARCHAR, version VARCHAR, person INTEGER, detail VARCHAR);
CREATE TABLE tombstones (mark VARCHAR NOT NULL, erased_at TIMESTAMP NOT NULL);
"""

_HEX: Final = "replace(CAST(e.enrolment_id AS VARCHAR), '-', '')"

FITS: Final = MappingProxyType(
    {
        # What is worked out again when a tick is read must be what was written.
        "decisions": """
            SELECT count(*) FROM incoming_decisions AS new
            LEFT JOIN enrolments AS e ON e.enrolment_id = TRY_CAST(new.enrolment_id AS UUID)
            LEFT JOIN people AS p ON p.person = e.person
            WHERE e.enrolment IS NULL OR p.contact_id <> new.contact_id
                OR e.journey <> new.journey OR new.tick_id <> $tick_id
                OR new.decided_at <> $decided_at""",
        "outbox": """
            SELECT count(*) FROM incoming_outbox AS new
            LEFT JOIN enrolments AS e ON e.enrolment_id = TRY_CAST(new.enrolment_id AS UUID)
            LEFT JOIN people AS p ON p.person = e.person
            WHERE e.enrolment IS NULL OR p.contact_id <> new.contact_id
                OR e.journey <> new.journey""",
        "enrolments": f"""
            SELECT count(*) FROM incoming_enrolments AS new
            LEFT JOIN enrolments AS e ON e.enrolment_id = TRY_CAST(new.enrolment_id AS UUID)
            LEFT JOIN people AS p ON p.person = e.person
            WHERE e.enrolment IS NULL OR p.contact_id <> new.contact_id
                OR e.journey <> new.journey OR e.entered_at <> new.entered_at
                OR {_HEX} <> new.enrolment_id
                OR e.trigger_id IS DISTINCT FROM new.trigger_id
                OR e.trigger_item IS DISTINCT FROM new.trigger_item""",
        "twice": """
            SELECT count(*) FROM incoming_outbox SEMI JOIN outbox USING (idempotency_key)""",
    }
)
"""Each counts the rows of a tick that do not fit what the file holds."""

INSERTS: Final = MappingProxyType(
    {
        "people": """
            INSERT INTO people
            SELECT (SELECT coalesce(max(person), 0) FROM people)
                + row_number() OVER (ORDER BY contact_id), contact_id
            FROM (
                SELECT contact_id FROM incoming_memberships
                UNION SELECT contact_id FROM incoming_changes
                UNION SELECT contact_id FROM incoming_enrolments
                UNION SELECT contact_id FROM incoming_touched)
            ANTI JOIN people USING (contact_id)""",
        "enrolments": """
            INSERT INTO enrolments
            SELECT (SELECT coalesce(max(enrolment), 0) FROM enrolments) + row_number() OVER (), *
            FROM (
                SELECT CAST(new.enrolment_id AS UUID), new.journey, p.person, new.entered_at,
                    new.trigger_id, new.trigger_item
                FROM incoming_enrolments AS new
                JOIN people AS p ON p.contact_id = new.contact_id
                ANTI JOIN enrolments AS e ON e.enrolment_id = CAST(new.enrolment_id AS UUID)
                ORDER BY new.journey, p.person, new.entered_at)""",
        # By number first: a join by segment alone, which a planner that knows no sizes may begin
        # with, has as many rows as the square of a segment.
        "memberships numbered": """
            CREATE OR REPLACE TEMP TABLE numbered AS
            SELECT new.segment, p.person, new.entered_at, new.why
            FROM incoming_memberships AS new JOIN people AS p ON p.contact_id = new.contact_id""",
        "memberships closed": """
            UPDATE memberships SET until = $tick WHERE until IS NULL
                AND (NOT $partial OR person IN (
                    SELECT person FROM people SEMI JOIN incoming_touched USING (contact_id)))
                AND rowid IN (
                    SELECT old.rowid FROM memberships AS old
                    ANTI JOIN numbered AS new ON new.person = old.person
                        AND new.segment = old.segment AND new.entered_at = old.entered_at
                        AND new.why IS NOT DISTINCT FROM old.why
                    WHERE old.until IS NULL)""",
        "memberships opened": """
            INSERT INTO memberships
            SELECT new.segment, new.person, new.entered_at, new.why, $tick, NULL
            FROM numbered AS new
            ANTI JOIN (SELECT segment, person FROM memberships WHERE until IS NULL) AS old
                ON old.person = new.person AND old.segment = new.segment
            ORDER BY new.segment, new.person""",
        "memberships done": "DROP TABLE numbered",
        "changes": """
            INSERT INTO changes
            SELECT segment, person, change, why, $tick
            FROM incoming_changes JOIN people USING (contact_id) ORDER BY segment, person""",
        "skipped": "INSERT INTO skipped SELECT segment, reason, $tick FROM incoming_skipped",
        "touched": """
            INSERT INTO touched SELECT DISTINCT person, $tick
            FROM incoming_touched JOIN people USING (contact_id)""",
        "standing closed": """
            UPDATE standing SET until = $tick WHERE until IS NULL AND enrolment IN (
                SELECT e.enrolment FROM enrolments AS e JOIN incoming_enrolments AS new
                    ON e.enrolment_id = CAST(new.enrolment_id AS UUID))""",
        "standing opened": """
            INSERT INTO standing
            SELECT e.enrolment, new.version, new.expires_at, new.position, new.arrived_at,
                new.due_at, new.status, new.holdout, new.held_for, new.ended_at, new.goal_at,
                $tick, NULL
            FROM incoming_enrolments AS new
            JOIN enrolments AS e ON e.enrolment_id = CAST(new.enrolment_id AS UUID)
            ORDER BY e.enrolment""",
        # The id that the engine gives to a decision follows from the rest; another one is kept.
        "decisions": """
            INSERT INTO decisions
            SELECT e.enrolment, new.version, new.step, new.outcome,
                CASE WHEN len(new.reasons) > 0 THEN array_to_string(new.reasons, ', ') END,
                new.fate, new.way, new.channel, new.due_at, new.winner, new.seen,
                nullif(new.decision_id, sha256(new.tick_id || '|' || new.enrolment_id || '|'
                    || new.step || '|' || new.outcome)), $tick
            FROM incoming_decisions AS new
            JOIN enrolments AS e ON e.enrolment_id = CAST(new.enrolment_id AS UUID)
            ORDER BY e.enrolment""",
        "outbox": """
            INSERT INTO outbox
            SELECT new.idempotency_key, new.kind, new.external_id, new.email, new.phone,
                new.version, e.enrolment, new.step, new.channel, new.topic, new.legal_basis,
                new.transactional, new.template, new.payload, new.priority, new.not_before,
                new.expires_at, $tick, 'pending', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
            FROM incoming_outbox AS new
            JOIN enrolments AS e ON e.enrolment_id = CAST(new.enrolment_id AS UUID)
            ORDER BY e.enrolment""",
        "cancellations": """
            INSERT INTO cancellations SELECT idempotency_key, reason, $tick
            FROM incoming_cancelled""",
        # What a worker holds may be out already: it is only not tried again.
        "outbox cancelled": """
            UPDATE outbox SET cancelled_for = coalesce(new.reason, 'cancelled'),
                status = CASE outbox.status WHEN 'pending' THEN 'cancelled' ELSE outbox.status END
            FROM incoming_cancelled AS new
            WHERE new.idempotency_key = outbox.idempotency_key
                AND outbox.status IN ('pending', 'claimed', 'unknown')""",
    }
)
"""What a tick writes, in this order; $tick is its number."""

_OUTBOX_COLUMNS: Final = f"""
    o.idempotency_key, o.kind, p.contact_id, o.external_id, o.email, o.phone, e.journey, o.version,
    {_HEX} AS enrolment_id, o.step, o.channel, o.topic, o.legal_basis, o.transactional, o.template,
    o.payload, o.priority, o.not_before, o.expires_at"""

READS: Final = MappingProxyType(
    {
        "memberships": """
            SELECT m.segment, p.contact_id, m.entered_at, m.why
            FROM memberships AS m JOIN people AS p USING (person)""",
        "changes": """
            SELECT c.segment, p.contact_id, c.change, c.why
            FROM changes AS c JOIN people AS p USING (person)""",
        "skipped": "SELECT segment, reason FROM skipped AS s",
        "enrolments": f"""
            SELECT {_HEX} AS enrolment_id, e.journey, s.version, p.contact_id, e.entered_at,
                s.expires_at, s.position, s.arrived_at, s.due_at, s.status, s.holdout, s.held_for,
                s.ended_at, s.goal_at, e.trigger_id, e.trigger_item
            FROM standing AS s JOIN enrolments AS e USING (enrolment)
            JOIN people AS p USING (person)""",
        "decisions": f"""
            SELECT coalesce(d.decision_id, sha256(t.tick_id || '|' || {_HEX} || '|' || d.step
                || '|' || d.outcome)) AS decision_id, t.tick_id, t.decided_at,
                {_HEX} AS enrolment_id, p.contact_id, e.journey, d.version, d.step, d.outcome,
                coalesce(string_split(d.reasons, ', '), CAST([] AS VARCHAR[])) AS reasons,
                d.fate, d.way, d.channel, d.due_at, d.winner, d.seen
            FROM decisions AS d JOIN ticks AS t ON t.number = d.tick
            JOIN enrolments AS e USING (enrolment) JOIN people AS p USING (person)""",
        "outbox": f"""
            SELECT {_OUTBOX_COLUMNS}, o.attempts, o.status, o.last_error, o.claimed_by,
                o.claimed_at, o.next_attempt_at, o.handed_over_at, o.cancelled_for
            FROM outbox AS o JOIN enrolments AS e USING (enrolment)
            JOIN people AS p USING (person)""",
        "sent": f"""
            SELECT o.idempotency_key, {_HEX} AS enrolment_id, p.contact_id, e.journey, o.step,
                o.kind, o.channel, o.topic, o.transactional, o.not_before, o.status
            FROM outbox AS o JOIN enrolments AS e USING (enrolment)
            JOIN people AS p USING (person)""",
        "passes": """
            SELECT e.journey, p.contact_id, max(e.entered_at) AS entered_at
            FROM enrolments AS e JOIN people AS p USING (person)""",
        "cancelled": "SELECT idempotency_key, reason FROM cancellations AS c",
        "suppressions": """
            SELECT p.contact_id, s.channel, s.reason, s.since
            FROM suppressions AS s JOIN people AS p USING (person)""",
        "consent_events": """
            SELECT p.contact_id, c.channel, c.topic, c.granted, c.changed_at, c.source,
                c.legal_basis
            FROM consent_events AS c JOIN people AS p USING (person)""",
    }
)
"""How each table is put together again; conditions are added by those who read."""

OPEN_STANDING: Final = """(s.status = 'active'
    OR (s.status = 'completed' AND s.goal_at IS NULL AND s.expires_at > $last))"""
"""Who is under way, or may still reach the goal."""
