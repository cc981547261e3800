"""How does the outbox get to its receivers, once, whatever breaks?

Rows are claimed, handed over and settled batch by batch, and each batch is settled by itself:
nothing counts as handed over before its receiver said so, and a batch that breaks leaves those
before it alone. What was claimed when a process died is looked into first by the next one.
"""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover.adapter import Adapter, refuse_overlaps
from mlmarket.orchestration.handover.backoff import Retries
from mlmarket.orchestration.handover.rows import (
    Handover,
    Result,
    about_all,
    handovers,
    outbox_table,
)
from mlmarket.orchestration.handover.store import OutboxStore
from mlmarket.orchestration.handover.summary import DeliverySummary
from mlmarket.orchestration.state.claims import LATER, RESULTS, Check, Worker
from mlmarket.orchestration.state.standing import utc

__all__ = ["deliver"]

_MOST_PARTS: Final = 64
"""Into how many calls a batch is split at most while the row that breaks it is looked for."""


def deliver(
    store: OutboxStore,
    adapters: Adapter | Sequence[Adapter],
    *,
    now: datetime,
    limit: int | None = None,
    worker: str = "mlmarket",
    check: Check | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> DeliverySummary:
    """Hand over what is due.

    Parameters
    ----------
    store : OutboxStore
        Where the outbox is, open for writing: no other process delivers from it at the same time.
    adapters : Adapter or sequence of Adapter
        The ways to the receivers; a row that goes none of them stays pending.
    now : datetime
        When it begins, with a zone.
    limit : int, optional
        Rows claimed at most; by default all that are due.
    worker : str, default 'mlmarket'
        Who claims them, for the records.
    check : callable, optional
        What speaks against rows now, such as a consent taken back since they were decided.
    clock : callable, default time.monotonic
        Seconds; `now` moves on with it.

    Returns
    -------
    DeliverySummary
        What became of the rows. It ends early, between two batches, where the process gets
        SIGTERM and this is its main thread.

    Raises
    ------
    ConfigurationError
        Where two adapters would take the same row, or the limit is below 1.
    """
    ways = list(adapters) if isinstance(adapters, Sequence) else [adapters]
    refuse_overlaps(ways)
    if limit is not None and limit < 1:
        what = f"The limit of a delivery is {limit}."
        raise ConfigurationError(what, "Nothing would ever be handed over.", "give at least 1.")
    utc(now)
    delivery = _Delivery(store, worker, check, now, clock, clock())
    with _asked_to_stop() as is_asked:
        for adapter in ways:
            delivery.recover(adapter)
        stopped = _in_turn(delivery, ways, limit, is_asked)
    return delivery.summary(stopped=stopped)


def _in_turn(
    delivery: "_Delivery", ways: list[Adapter], limit: int | None, is_asked: Callable[[], bool]
) -> bool:
    """Hand over a batch of each adapter after the other, so that none waits for all of another."""
    left = limit
    active = list(ways)
    while active:
        for adapter in list(active):
            if is_asked():
                return True
            most = adapter.batch if left is None else min(adapter.batch, left)
            taken = delivery.one_batch(adapter, most)
            left = None if left is None else left - taken
            if left == 0:
                return False
            if not taken or adapter.name in delivery.resting:
                active.remove(adapter)
    return False


@dataclass(slots=True)
class _Delivery:
    """What one delivery has done so far."""

    store: OutboxStore
    worker: str
    check: Check | None
    begun_at: datetime
    clock: Callable[[], float]
    begun_on_clock: float
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    resting: dict[str, None] = field(default_factory=dict)
    recovered: int = 0
    batches: int = 0

    def now(self) -> datetime:
        return self.begun_at + timedelta(seconds=self.clock() - self.begun_on_clock)

    def summary(self, *, stopped: bool) -> DeliverySummary:
        return DeliverySummary(
            counts=MappingProxyType(dict(sorted(self.counts.items()))),
            recovered=self.recovered,
            batches=self.batches,
            resting=tuple(self.resting),
            stopped=stopped,
        )

    def recover(self, adapter: Adapter) -> None:
        """Look into what was claimed for an adapter when a process died."""
        read, broken = handovers(self.store.outbox("claimed"))
        mine = [row for row in read if adapter.route.takes(row)]
        # Rows that cannot be read have no route; the first adapter settles them.
        results = [one for one in broken if not self.batches]
        for begin in range(0, len(mine), adapter.batch):
            part = mine[begin : begin + adapter.batch]
            told = [row for row in part if adapter.accepts(row)]
            found = _whole(adapter, told, adapter.recover(told)) if told else []
            results += self._still_allowed(part, found)
        if results:
            self.recovered += len(results)
            self._settle(adapter, mine, results, at_once=True)

    def one_batch(self, adapter: Adapter, most: int) -> int:
        """Claim, hand over and settle one batch; return how many rows it had."""
        route = adapter.route
        claimed = self.store.claim(
            Worker(self.worker, honours_keys=adapter.idempotent),
            now=self.now(),
            limit=most,
            kinds=sorted(route.kinds),
            channels=None if route.channels is None else sorted(route.channels),
            check=self.check,
        )
        if not len(claimed):
            return 0
        rows, results = handovers(claimed)
        fit = [row for row in rows if adapter.accepts(row)]
        unfit = [row for row in rows if not adapter.accepts(row)]
        results += about_all(unfit, "failed", f"'{adapter.name}' cannot hand over such a row.")
        if fit:
            results += _sent_in_parts(adapter, fit, [_MOST_PARTS])
        self._settle(adapter, rows, results)
        return len(claimed)

    def _still_allowed(self, rows: list[Handover], results: list[Result]) -> list[Result]:
        """Doubt those that would be repeated although something speaks against them by now.

        They may have arrived before, so they are not simply cancelled.
        """
        again = {one.key for one in results if one.status == "retry" and one.tried}
        doubtful = [row for row in rows if row.key in again]
        moment = utc(self.now())
        against = {row.key for row in doubtful if row.expires_at <= moment}
        if self.check is not None and doubtful:
            table = outbox_table(doubtful)
            bits = pa.array(self.check(table)).to_pylist()
            keys = table["idempotency_key"].to_pylist()
            never = [bool(bit & ~int(LATER)) for bit in bits]
            against |= {key for key, speaks in zip(keys, never, strict=True) if speaks}
        words = "The process ended, and by now the row may not be handed over any more."
        return [
            replace(one, status="unknown", error=words) if one.key in against else one
            for one in results
        ]

    def _settle(
        self,
        adapter: Adapter,
        rows: Sequence[Handover],
        results: Sequence[Result],
        *,
        at_once: bool = False,
    ) -> None:
        attempts = {row.key: row.attempts for row in rows}
        now = self.now()
        settled = [
            _settlement(adapter.retries, one, attempts.get(one.key, 1), utc(now), at_once=at_once)
            for one in sorted(results, key=lambda one: one.key)
        ]
        self.store.settle(pa.Table.from_pylist(settled, schema=RESULTS), now=now)
        self.batches += 1
        for row in settled:
            status = "retry" if row["status"] == "pending" else str(row["status"])
            self.counts[adapter.name, status] += 1
        if not all(one.receiver_answers for one in results):
            self.resting[adapter.name] = None


def _settlement(
    retries: Retries, result: Result, attempts: int, now: datetime, *, at_once: bool
) -> dict[str, object]:
    status, error, next_attempt_at = str(result.status), result.error, None
    # A dead letter that was put back has all its attempts before it again.
    attempt = (max(attempts, 1) - 1) % retries.attempts + 1
    if status == "retry" and attempt == retries.attempts and result.tried:
        status, error = "failed", f"Given up after {attempts} attempts. {error or ''}".strip()
    elif status == "retry":
        status = "pending"
        wait = retries.wait(result.key, attempt, at_least=result.retry_after)
        next_attempt_at = now if at_once else now + wait
    return {
        "idempotency_key": result.key,
        "status": status,
        "error": error,
        "next_attempt_at": next_attempt_at,
    }


def _sent_in_parts(adapter: Adapter, batch: list[Handover], calls: list[int]) -> list[Result]:
    """Hand a batch over; where it breaks as a whole, look for the row that breaks it."""
    calls[0] -= 1
    try:
        results = adapter.send(batch)
    except Exception as error:  # whatever an adapter raises stands for its batch
        words = f"'{adapter.name}' raised {type(error).__name__}."
        if not adapter.idempotent:
            return about_all(batch, "unknown", words)
        if len(batch) == 1 or calls[0] < 2:
            return about_all(batch, "retry", words)
        middle = len(batch) // 2
        halves = (batch[:middle], batch[middle:])
        return [one for half in halves for one in _sent_in_parts(adapter, half, calls)]
    return _whole(adapter, batch, results)


def _whole(adapter: Adapter, batch: Sequence[Handover], results: list[Result]) -> list[Result]:
    """Return one result a row: silence about a row is not success."""
    told = {one.key: one for one in results}
    words = f"'{adapter.name}' did not say what became of it."
    silent = [row for row in batch if row.key not in told]
    about_silent = about_all(silent, "retry" if adapter.idempotent else "unknown", words)
    return [told[row.key] for row in batch if row.key in told] + about_silent


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether the process has been asked to end."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
