"""What does delivery need of the place where the outbox is kept?"""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from mlmarket.orchestration.state.claims import Check, Worker

__all__ = ["OutboxStore"]


class OutboxStore(Protocol):
    """The outbox, of which each row has one status at a time.

    :class:`~mlmarket.orchestration.state.store.StateStore` is one.
    """

    def claim(
        self,
        worker: Worker,
        *,
        now: datetime,
        limit: int,
        kinds: Collection[str] | None = None,
        channels: Collection[str] | None = None,
        check: Check | None = None,
    ) -> pa.Table:
        """Take rows that are due for a worker, in one transaction.

        Parameters
        ----------
        worker : Worker
            Who takes them, and whether the receiver honours keys.
        now : datetime
            With a zone. Rows that have expired by then are cancelled.
        limit : int
            Rows at most.
        kinds : collection of str, optional
            Only these kinds.
        channels : collection of str, optional
            Only these channels.
        check : callable, optional
            Rows against which something speaks are cancelled, or put off where time takes it away.

        Returns
        -------
        pyarrow.Table
            The columns of the outbox and ``attempts``, which counts this one; empty only where
            nothing more is due.
        """

    def settle(self, results: pa.Table, *, now: datetime) -> int:
        """Write what became of rows, in one transaction.

        Parameters
        ----------
        results : pyarrow.Table
            As :data:`~mlmarket.orchestration.state.claims.RESULTS`: ``status`` is sent, failed,
            unknown, or pending for another attempt from ``next_attempt_at`` on.
        now : datetime
            With a zone.

        Returns
        -------
        int
            The rows changed.
        """

    def outbox(self, *statuses: str) -> pa.Table:
        """Return rows by their status.

        Parameters
        ----------
        *statuses : str
            Such as ``claimed``, ``failed`` or ``unknown``.

        Returns
        -------
        pyarrow.Table
            The columns of the outbox, ``status``, ``attempts`` and ``last_error``.
        """
