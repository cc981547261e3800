"""What must a place that keeps the state be able to do, whatever database it is?"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.claims import Check, Worker
from mlmarket.orchestration.state.forgetting import Forgotten
from mlmarket.orchestration.state.moving import MigrationPlan
from mlmarket.orchestration.state.releases import Release
from mlmarket.orchestration.state.standing import Decisions, State

__all__ = ["Store"]


class Store(Protocol):
    """Keeps the state; :class:`~mlmarket.orchestration.state.store.StateStore` says what each does.

    Each method that writes does so as a whole or not at all, and refuses a second writer of the same
    rows. All tables are those of :mod:`mlmarket.orchestration.tables`.
    """

    def load(
        self,
        *,
        now: datetime | None = None,
        touched: pa.Array | None = None,
        playbook: Playbook | None = None,
    ) -> State:
        """Return where people stand."""
        ...

    def due(self, now: datetime) -> pa.Array:
        """Return who has a step or an expiry that is due."""
        ...

    def knows(self, tick_id: str) -> bool:
        """Say whether a tick has been committed."""
        ...

    def commit(
        self, decisions: Decisions, *, models: Mapping[str, list[str]] | None = None
    ) -> bool:
        """Write a tick; False where it is there already."""
        ...

    def decisions_of(self, tick_id: str) -> Decisions:
        """Return a committed tick exactly as it was decided."""
        ...

    def decisions_about(self, contact_id: str) -> pa.Table:
        """Return all that was ever decided about one person."""
        ...

    def releases(self) -> Mapping[str, Release]:
        """Return the last word on each journey."""
        ...

    def approve(self, journey: Journey, *, by: str, at: datetime) -> Release:
        """Let a version act."""
        ...

    def pause(self, name: str, *, by: str, at: datetime) -> Release:
        """Let nobody into a journey or on in it."""
        ...

    def resume(self, name: str, *, by: str, at: datetime) -> Release:
        """Let a paused journey act again."""
        ...

    def migrate(
        self,
        to: Journey,
        *,
        mapping: Mapping[str, str] | None = None,
        by: str,
        at: datetime,
        dry_run: bool = False,
    ) -> MigrationPlan:
        """Move people in flight to a newer version of their journey."""
        ...

    def claim(
        self,
        worker: Worker | str,
        *,
        now: datetime,
        limit: int,
        kinds: Collection[str] | None = None,
        channels: Collection[str] | None = None,
        check: Check | None = None,
    ) -> pa.Table:
        """Give due rows of the outbox to one worker."""
        ...

    def settle(self, results: pa.Table, *, now: datetime, worker: str | None = None) -> int:
        """Write down what became of claimed rows."""
        ...

    def record_consent(self, rows: pa.Table) -> int:
        """Keep consents that reached mlmarket itself."""
        ...

    def suppress(
        self, contact_id: str, channel: str | None, reason: str, at: datetime, *, by: str = ...
    ) -> bool:
        """Let nobody write to a person."""
        ...

    def forget(self, contact_id: str, *, key: bytes, at: datetime, by: str = ...) -> Forgotten:
        """Remove a person."""
        ...

    def tombstones(self) -> frozenset[str]:
        """Return the marks of those who were erased."""
        ...

    def export_person(self, contact_id: str) -> dict[str, Any]:
        """Return all that is kept about a person."""
        ...
