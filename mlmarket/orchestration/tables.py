"""Which columns do the tables of segments, journeys and decisions have, and in which order?

Times are UTC without a zone, in microseconds, as everywhere in mlmarket. Each table has a key
that it is sorted by, so that equal decisions are equal bytes.
"""

from types import MappingProxyType
from typing import Final

import pyarrow as pa

__all__ = [
    "CANCELLED",
    "CHANGES",
    "CONSENT_EVENTS",
    "DECISIONS",
    "ENROLMENTS",
    "KEYS",
    "MEMBERSHIPS",
    "OUTBOX",
    "PASSES",
    "SCHEMAS",
    "SENT",
    "SKIPPED",
    "SUPPRESSIONS",
    "canonical",
    "empty",
]

_TEXT: Final = pa.string()
_TIME: Final = pa.timestamp("us")

MEMBERSHIPS: Final = pa.schema(
    {"segment": _TEXT, "contact_id": _TEXT, "entered_at": _TIME, "why": _TEXT}
)
"""Who is in which segment, since when and why."""

CHANGES: Final = pa.schema({"segment": _TEXT, "contact_id": _TEXT, "change": _TEXT, "why": _TEXT})
"""Who entered or left a segment since the last tick; ``change`` is ``entered`` or ``left``."""

SKIPPED: Final = pa.schema({"segment": _TEXT, "reason": _TEXT})
"""Segments that could not be decided tonight; their members stay as they were."""

ENROLMENTS: Final = pa.schema(
    {
        "enrolment_id": _TEXT,
        "journey": _TEXT,
        "version": _TEXT,
        "contact_id": _TEXT,
        "entered_at": _TIME,
        "expires_at": _TIME,
        "position": pa.int32(),
        "arrived_at": _TIME,
        "due_at": _TIME,
        "status": _TEXT,
        "holdout": _TEXT,
        "held_for": _TEXT,
        "ended_at": _TIME,
        "goal_at": _TIME,
        "trigger_id": _TEXT,
        "trigger_item": _TEXT,
    }
)
"""One pass of one person through one version of a journey.

``enrolment_id`` is the first 32 hex digits of a SHA-256. ``position`` is the node to be done next,
counted from 0; the person came to it at ``arrived_at``, and ``due_at`` is when it may be done: for
a wait, when it is over. ``status`` is active, completed, goal, exited or expired. ``holdout`` is
``global``, ``journey``, ``global, journey`` or missing. ``held_for`` names the reasons for which the
next message is held back. ``trigger_id`` and ``trigger_item`` are the row and the item of the event
that let the person in.
"""

PASSES: Final = pa.schema({"journey": _TEXT, "contact_id": _TEXT, "entered_at": _TIME})
"""When each person last came into each journey, however that pass ended."""

DECISIONS: Final = pa.schema(
    {
        "decision_id": _TEXT,
        "tick_id": _TEXT,
        "decided_at": _TIME,
        "enrolment_id": _TEXT,
        "contact_id": _TEXT,
        "journey": _TEXT,
        "version": _TEXT,
        "step": _TEXT,
        "outcome": _TEXT,
        "reasons": pa.list_(_TEXT),
        "fate": _TEXT,
        "way": _TEXT,
        "channel": _TEXT,
        "due_at": _TIME,
        "winner": _TEXT,
        "seen": _TEXT,
    }
)
"""What was decided, never changed afterwards.

``outcome`` is entered, wait, branch, split, act, send, suppressed, withheld, completed, goal, exit
or expired. At an entry, ``reasons`` says which holdout the person is in; at an expiry, what held
the next message. ``fate`` says what becomes of a message that is not sent (a name of
:class:`~mlmarket.orchestration.arbitration.reasons.Fate` in small letters), ``way`` which path, arm
or side of a wait was taken, ``channel`` the one chosen, ``due_at`` until when to wait or when a
message may go out, ``winner`` the ``journey.step`` that went first, and ``seen`` the values that a
condition saw, as JSON.
"""

OUTBOX: Final = pa.schema(
    {
        "idempotency_key": _TEXT,
        "kind": _TEXT,
        "contact_id": _TEXT,
        "external_id": _TEXT,
        "email": _TEXT,
        "phone": _TEXT,
        "journey": _TEXT,
        "version": _TEXT,
        "enrolment_id": _TEXT,
        "step": _TEXT,
        "channel": _TEXT,
        "topic": _TEXT,
        "legal_basis": _TEXT,
        "transactional": pa.bool_(),
        "template": _TEXT,
        "payload": _TEXT,
        "priority": pa.int32(),
        "not_before": _TIME,
        "expires_at": _TIME,
    }
)
"""What to hand over; a receiver that keeps the keys it has seen never does one twice.

``kind`` is message, alert, task, set_field, tag, audience or webhook; all but messages have no
channel, except that ``audience`` has ``ads`` where the person joins. ``payload`` is JSON: the
filled-in slots of a message, or what the action says. The key is the SHA-256 of
``enrolment_id|step|visit``, where ``visit`` is 1, or the moment the pass came to a step in a loop.
"""

CANCELLED: Final = pa.schema({"idempotency_key": _TEXT, "reason": _TEXT})
"""What was in the outbox, not yet handed over, and is not to go out any more; why."""

SENT: Final = pa.schema(
    {
        "idempotency_key": _TEXT,
        "enrolment_id": _TEXT,
        "contact_id": _TEXT,
        "journey": _TEXT,
        "step": _TEXT,
        "kind": _TEXT,
        "channel": _TEXT,
        "topic": _TEXT,
        "transactional": pa.bool_(),
        "not_before": _TIME,
        "status": _TEXT,
    }
)
"""What was decided to be sent: ``status`` is pending, claimed, sent, failed, unknown or cancelled."""

SUPPRESSIONS: Final = pa.schema(
    {"contact_id": _TEXT, "channel": _TEXT, "reason": _TEXT, "since": _TIME}
)
"""Who may not be written to by decision of the business; no channel means none at all."""

CONSENT_EVENTS: Final = pa.schema(
    {
        "contact_id": _TEXT,
        "channel": _TEXT,
        "topic": _TEXT,
        "granted": pa.bool_(),
        "changed_at": _TIME,
        "source": _TEXT,
        "legal_basis": _TEXT,
    }
)
"""Consents that reached mlmarket itself, beside those of the table ``consents``."""

SCHEMAS: Final = MappingProxyType(
    {
        "memberships": MEMBERSHIPS,
        "changes": CHANGES,
        "skipped": SKIPPED,
        "enrolments": ENROLMENTS,
        "decisions": DECISIONS,
        "outbox": OUTBOX,
        "cancelled": CANCELLED,
        "passes": PASSES,
        "sent": SENT,
        "suppressions": SUPPRESSIONS,
        "consent_events": CONSENT_EVENTS,
    }
)
"""The tables of decisions and of the state, by name."""

KEYS: Final = MappingProxyType(
    {
        "memberships": ("segment", "contact_id"),
        "changes": ("segment", "contact_id"),
        "skipped": ("segment",),
        "enrolments": ("enrolment_id",),
        "decisions": ("decision_id",),
        "outbox": ("idempotency_key",),
        "cancelled": ("idempotency_key",),
        "passes": ("journey", "contact_id"),
        "sent": ("idempotency_key",),
        "suppressions": ("contact_id", "channel"),
        "consent_events": ("contact_id", "channel", "topic", "changed_at", "granted"),
    }
)
"""What each of them is sorted by; no key occurs twice in one table."""


def empty(name: str) -> pa.Table:
    """Return one of the tables without a row.

    Parameters
    ----------
    name : str
        A key of :data:`SCHEMAS`.

    Returns
    -------
    pyarrow.Table
        With the documented columns.
    """
    return SCHEMAS[name].empty_table()


def canonical(name: str, table: pa.Table) -> pa.Table:
    """Return a table with the documented columns and types, sorted by its key, in one chunk.

    Parameters
    ----------
    name : str
        A key of :data:`SCHEMAS`.
    table : pyarrow.Table
        Its rows; further columns are left out.

    Returns
    -------
    pyarrow.Table
        Equal rows give equal bytes.
    """
    schema = SCHEMAS[name]
    cast = table.select(schema.names).cast(schema)
    ordered = cast.sort_by([(key, "ascending") for key in KEYS[name]]) if len(cast) else cast
    return ordered.combine_chunks().replace_schema_metadata(None)
