"""What does delivery need of the place where the outbox is kept?"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final, Protocol

import pyarrow as pa

__all__ = ["SETTLEMENTS", "Check", "OutboxStore"]

SETTLEMENTS: Final = pa.schema(
    {
        "idempotency_key": pa.string(),
        "status": pa.string(),
        "error": pa.string(),
        "next_attempt_at": pa.timestamp("us"),
    }
)
"""What became of rows: ``status`` is sent, failed, unknown, or pending for another attempt from
``next_attempt_at`` on."""

Check = Callable[[pa.Table], Any]
"""Returns, for rows of the outbox, what speaks against each now, as bits; 0 for nothing."""


class OutboxStore(Protocol):
    """The outbox, of which each row has one status at a time."""

    def claim(
        self,
        worker: str,
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
        worker : str
            Who takes them.
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

    def settle(self, results: pa.Table, *, now: datetime) -> None:
        """Write what became of rows, in one transaction.

        Parameters
        ----------
        results : pyarrow.Table
            As :data:`SETTLEMENTS`.
        now : datetime
            With a zone.
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
