"""How does each row of the outbox reach one worker, and what becomes of it?

A row is taken from the outbox only by the word of the worker that has it: reading it moves
nothing. A worker that dies gives its rows back when its lease is over: to be tried again where the
receiver knows keys that it has seen, and else as ``unknown``, for they may have arrived.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.orchestration.arbitration.reasons import Bits, Reason, named
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.standing import utc
from mlmarket.orchestration.state.statements import READS
from mlmarket.orchestration.tables import OUTBOX

__all__ = ["CLAIMED", "LATER", "RESULTS", "Check", "Worker", "claim", "settle"]

Check: TypeAlias = Callable[[pa.Table], Bits]
"""Given rows of the outbox, the reasons against each now; 0 for none."""

LATER: Final = (
    Reason.QUIET_HOURS
    | Reason.CAPPED
    | Reason.THROUGHPUT
    | Reason.OUTRANKED
    | Reason.EXCLUSION_GROUP
    | Reason.HANDOVER
)
"""Reasons that time takes away: a row against which nothing else speaks is only put off."""

CLAIMED: Final = OUTBOX.append(pa.field("attempts", pa.int32()))
"""What a claim gives; ``attempts`` counts this one."""

RESULTS: Final = pa.schema(
    {
        "idempotency_key": pa.string(),
        "status": pa.string(),
        "error": pa.string(),
        "next_attempt_at": pa.timestamp("us"),
    }
)
"""What a worker says of its rows: ``status`` is sent, failed, unknown, or pending to try again."""

_STATUSES: Final = ("sent", "failed", "unknown", "pending")
_PUT_OFF: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Worker:
    """Who hands rows over.

    Parameters
    ----------
    name : str
        Its name, once among those that run at the same time.
    honours_keys : bool, default False
        Whether its receiver does nothing twice that has the same idempotency key.
    lease : timedelta, default 15 minutes
        After which the worker counts as dead where it has not said what became of its rows.
    retry_unknown : bool, default False
        Whether to hand over again what may have arrived.
    """

    name: str
    honours_keys: bool = False
    lease: timedelta = timedelta(minutes=15)
    retry_unknown: bool = False


_ABANDONED: Final = """
    UPDATE outbox SET last_error = 'the worker ' || claimed_by || ' did not say what became of it',
        status = CASE WHEN honours_keys AND cancelled_for IS NULL THEN 'pending' ELSE 'unknown' END
    WHERE status = 'claimed' AND claimed_until <= $now"""
_EXPIRED: Final = """
    UPDATE outbox SET status = 'cancelled', last_error = 'expired'
    WHERE status = 'pending' AND expires_at <= $now"""
_DUE: Final = f"""
    {READS["outbox"]}
    WHERE (o.status = 'pending' OR ($retry_unknown AND o.status = 'unknown'))
        AND o.cancelled_for IS NULL AND ($ahead OR o.not_before <= $now) AND o.expires_at > $now
        AND (o.next_attempt_at IS NULL OR o.next_attempt_at <= $now)
        AND ($kinds IS NULL OR list_contains(CAST($kinds AS VARCHAR[]), o.kind))
        AND ($channels IS NULL OR list_contains(CAST($channels AS VARCHAR[]), o.channel))
    ORDER BY o.priority DESC NULLS LAST, o.not_before, o.idempotency_key LIMIT $most"""
_TAKE: Final = """
    UPDATE outbox SET status = 'claimed', attempts = attempts + 1, claimed_by = $worker,
        claimed_at = $now, claimed_until = $until, honours_keys = $honours_keys,
        next_attempt_at = NULL
    FROM asked WHERE asked.idempotency_key = outbox.idempotency_key AND asked.verdict = 'take'"""
_REFUSE: Final = """
    UPDATE outbox SET last_error = asked.reasons,
        status = CASE WHEN asked.verdict = 'never' AND status = 'pending' THEN 'cancelled'
            ELSE status END,
        next_attempt_at = $again
    FROM asked WHERE asked.idempotency_key = outbox.idempotency_key AND asked.verdict <> 'take'"""
_SETTLE: Final = """
    UPDATE outbox SET last_error = said.error,
        status = CASE WHEN said.status = 'pending' AND cancelled_for IS NOT NULL THEN 'cancelled'
            ELSE said.status END,
        next_attempt_at = CASE said.status WHEN 'pending' THEN said.next_attempt_at END,
        handed_over_at = CASE said.status WHEN 'sent' THEN $now END
    FROM said WHERE said.idempotency_key = outbox.idempotency_key AND outbox.status <> 'sent'
        AND (said.status = 'sent' OR outbox.status = 'unknown'
            OR (outbox.status = 'failed' AND said.status = 'pending' AND $worker IS NULL)
            OR (outbox.status = 'claimed' AND ($worker IS NULL OR claimed_by = $worker)))"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows a worker takes.

    Parameters
    ----------
    limit : int
        At most so many.
    kinds, channels : collection of str, optional
        Only these; all by default.
    ahead : bool, default False
        Whether to take what may go out only later as well.
    """

    limit: int
    kinds: Collection[str] | None = None
    channels: Collection[str] | None = None
    ahead: bool = False


def claim(
    database: Database, worker: Worker, wanted: Wanted, *, now: datetime, check: Check | None
) -> pa.Table:
    """Give due rows to a worker, within a transaction; see :meth:`StateStore.claim`."""
    moment = utc(now)
    values = {
        "now": moment,
        "worker": worker.name,
        "until": moment + worker.lease,
        "again": moment + _PUT_OFF,
        "honours_keys": worker.honours_keys,
        "retry_unknown": worker.retry_unknown,
        "ahead": wanted.ahead,
        "kinds": None if wanted.kinds is None else sorted(wanted.kinds),
        "channels": None if wanted.channels is None else sorted(wanted.channels),
    }
    database.run(_ABANDONED, **values)
    database.run(_EXPIRED, **values)
    taken: list[pa.Table] = []
    left = wanted.limit
    while left > 0:
        rows = database.arrow(_DUE, **values, most=left)
        if not len(rows):
            break
        # Each row that was asked about is not due any more, so that this comes to an end.
        passed = _asked(database, rows.select(CLAIMED.names), check, values)
        taken.append(passed)
        left -= len(passed)
    return pa.concat_tables([CLAIMED.empty_table(), *taken]).combine_chunks()


def _asked(
    database: Database, rows: pa.Table, check: Check | None, values: dict[str, object]
) -> pa.Table:
    """Take the rows that nothing speaks against, cancel the others or put them off."""
    bits = _reasons(rows.cast(CLAIMED).select(OUTBOX.names), check)
    verdicts = np.where(bits == 0, "take", np.where(bits & ~int(LATER) != 0, "never", "later"))
    words = {one: ", ".join(named(one)) for one in set(bits.tolist())}
    asked = pa.table(
        {
            "idempotency_key": rows["idempotency_key"],
            "verdict": pa.array(verdicts.tolist(), pa.string()),
            "reasons": pa.array([words[one] for one in bits.tolist()], pa.string()),
        }
    )
    with database.lent(asked=asked):
        database.run(_TAKE, **values)
        database.run(_REFUSE, **values)
    passed = rows.cast(CLAIMED).filter(pa.array(bits == 0))
    place = CLAIMED.get_field_index("attempts")
    counted = pc.add(passed["attempts"], pa.scalar(1, pa.int32()))
    return passed.set_column(place, CLAIMED.field(place), counted)


def _reasons(rows: pa.Table, check: Check | None) -> Bits:
    if check is None:
        return np.zeros(len(rows), dtype=np.int64)
    bits: npt.NDArray[np.int64] = np.asarray(check(rows), dtype=np.int64)
    if bits.shape != (len(rows),):
        what = f"The check of {len(rows)} rows gave an answer of shape {bits.shape}."
        why = "Rows could be handed over that something speaks against."
        raise ConfigurationError(what, why, "return one number a row, 0 for no reason.")
    return bits


def settle(
    database: Database, results: pa.Table, *, now: datetime, worker: str | None = None
) -> int:
    """Write down what became of rows, within a transaction; see :meth:`StateStore.settle`."""
    said = results.select(RESULTS.names).cast(RESULTS)
    _refuse_wrong(said)
    with database.lent(said=said):
        changed = database.rows(_SETTLE, now=utc(now), worker=worker)
    return int(str(changed[0][0]))


def _refuse_wrong(said: pa.Table) -> None:
    for status in said["status"].unique().to_pylist():
        if status not in _STATUSES:
            what = f"'{status}' is not what can become of a row of the outbox."
            why = "It could not be told whether it is to be sent again."
            raise ConfigurationError(what, why, suggestion(str(status), _STATUSES))
    several = len(said) - len(said["idempotency_key"].unique())
    if several:
        what = f"The results name {several} keys a second time."
        why = "One of the two answers would be lost."
        raise ConfigurationError(what, why, "report each row once.")
