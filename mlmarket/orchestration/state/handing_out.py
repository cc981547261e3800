"""How is everything that waits handed out at once, to a night that writes it into a file?

A claim gives what is due to a worker that sends it. A file that a mailer reads in the morning also
holds what is due later, each row with its ``not_before``. What was given to a name stays with it,
so that the same night, run again, writes the same file.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa

from mlmarket.orchestration.state.claims import Check, Wanted, Worker, claim
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.standing import utc
from mlmarket.orchestration.state.statements import READS
from mlmarket.orchestration.tables import OUTBOX

__all__ = ["hand_out", "handed_out", "names_waiting"]

_FOR_GOOD: Final = timedelta(days=36_500)
"""No lease: only the word of the night itself says that a file was written."""
_EVERYTHING: Final = 2**31 - 1
_TAKE_OVER: Final = """
    UPDATE outbox SET status = 'pending', claimed_by = NULL
    WHERE status = 'claimed' AND list_contains($names, claimed_by)"""
_MINE: Final = f"""
    {READS["outbox"]} WHERE o.claimed_by = $name AND o.status IN ('claimed', 'sent')
    ORDER BY o.idempotency_key"""
_WAITING: Final = """
    SELECT DISTINCT claimed_by FROM outbox
    WHERE status = 'claimed' AND starts_with(claimed_by, $prefix) ORDER BY claimed_by"""
_DONE: Final = """
    UPDATE outbox SET status = 'sent', handed_over_at = $now, last_error = NULL
    WHERE status = 'claimed' AND claimed_by = $name"""


def hand_out(
    database: Database,
    name: str,
    *,
    now: datetime,
    take_over: Collection[str],
    check: Check | None,
) -> pa.Table:
    """Give all that waits to a name, within a transaction; see :meth:`StateStore.hand_out`."""
    database.run(_TAKE_OVER, names=sorted(take_over))
    wanted = Wanted(_EVERYTHING, ahead=True)
    claim(database, Worker(name, lease=_FOR_GOOD), wanted, now=now, check=check)
    rows = database.arrow(_MINE, name=name)
    return rows.select(OUTBOX.names).cast(OUTBOX).combine_chunks()


def handed_out(database: Database, name: str, *, now: datetime) -> None:
    """Write down that a name's file is there, within a transaction."""
    database.run(_DONE, now=utc(now), name=name)


def names_waiting(database: Database, prefix: str) -> tuple[str, ...]:
    """Return the names that were given rows and have not said that their file is there."""
    return tuple(str(row[0]) for row in database.rows(_WAITING, prefix=prefix))
