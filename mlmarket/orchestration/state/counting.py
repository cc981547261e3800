"""How many people are where, and what has been decided how often?"""

from typing import Final

import pyarrow as pa

from mlmarket.orchestration.state.database import Database

__all__ = ["decided_counts", "passes_followed", "standing_counts"]

_STANDING: Final = """
    SELECT s.version, s.position, s.status, s.holdout, s.held_for, count(*) AS people
    FROM standing AS s WHERE s.until IS NULL GROUP BY ALL ORDER BY ALL"""
_DECIDED: Final = """
    SELECT d.version, d.step, d.outcome, d.way, count(DISTINCT d.enrolment) AS people
    FROM decisions AS d GROUP BY ALL ORDER BY ALL"""
_FOLLOWED: Final = """
    SELECT e.journey, p.contact_id, e.entered_at, s.expires_at, s.holdout, s.goal_at
    FROM standing AS s JOIN enrolments AS e USING (enrolment) JOIN people AS p USING (person)
    WHERE s.until IS NULL ORDER BY ALL"""


def standing_counts(database: Database) -> pa.Table:
    """Count where all passes stand; see :meth:`StateStore.standing_counts`."""
    return database.arrow(_STANDING)


def decided_counts(database: Database) -> pa.Table:
    """Count what was decided; see :meth:`StateStore.decided_counts`."""
    return database.arrow(_DECIDED)


def passes_followed(database: Database) -> pa.Table:
    """Return every pass with what it is judged by; see :meth:`StateStore.passes_followed`."""
    return database.arrow(_FOLLOWED)
