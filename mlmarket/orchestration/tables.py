"""Which columns do the tables of segments, journeys and decisions have, and in which order?

Times are UTC without a zone, in microseconds, as everywhere in mlmarket. Each table has a key
that it is sorted by, so that equal decisions are equal bytes.
"""

from types import MappingProxyType
from typing import Final

import pyarrow as pa

__all__ = [
    "CHANGES",
    "DECISIONS",
    "ENROLMENTS",
    "KEYS",
    "MEMBERSHIPS",
    "OUTBOX",
    "SCHEMAS",
    "SKIPPED",
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
        "due_at": _TIME,
        "status": _TEXT,
        "holdout": _TEXT,
        "held_for": _TEXT,
        "ended_at": _TIME,
        "goal_at": _TIME,
    }
)
"""One pass of one person through one version of a journey.

``position`` is the step to be done next, counted from 0, and ``due_at`` when it may be done.
``status`` is active, completed, goal, exited or expired. ``holdout`` is ``global``, ``journey``,
``global, journey`` or missing. ``held_for`` names the reasons for which the next message is held back.
"""

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
        "due_at": _TIME,
    }
)
"""What was decided, never changed afterwards.

``outcome`` is entered, wait, send, suppressed, withheld, completed, goal, exit or expired. At an
entry, ``reasons`` says which holdout the person is in; at an expiry, what held the next message.
"""

OUTBOX: Final = pa.schema(
    {
        "idempotency_key": _TEXT,
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
        "template": _TEXT,
        "not_before": _TIME,
        "expires_at": _TIME,
    }
)
"""Messages to hand over; a receiver that keeps the keys it has seen never sends one twice."""

SCHEMAS: Final = MappingProxyType(
    {
        "memberships": MEMBERSHIPS,
        "changes": CHANGES,
        "skipped": SKIPPED,
        "enrolments": ENROLMENTS,
        "decisions": DECISIONS,
        "outbox": OUTBOX,
    }
)
"""The tables of :class:`~mlmarket.orchestration.state.Decisions`, by name."""

KEYS: Final = MappingProxyType(
    {
        "memberships": ("segment", "contact_id"),
        "changes": ("segment", "contact_id"),
        "skipped": ("segment",),
        "enrolments": ("enrolment_id",),
        "decisions": ("decision_id",),
        "outbox": ("idempotency_key",),
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
