"""How does everything decided survive a crash, and never happen twice?

One DuckDB file holds it. A tick is committed in one transaction together with its id: after a
crash it is either there as a whole or not at all. Members and enrolments keep their earlier
rows, marked with the tick that replaced them, so any committed tick can be read again exactly
as it was decided; a row is written only where something changed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.policy import Policy
from mlmarket.orchestration.state import (
    approvals,
    consents,
    counting,
    forgetting,
    handing_out,
    moving,
)
from mlmarket.orchestration.state.claims import Check, Wanted, Worker, claim, settle
from mlmarket.orchestration.state.committing import write_tick
from mlmarket.orchestration.state.database import Database, StateLockedError, StateMovedError
from mlmarket.orchestration.state.migrations import SCHEMA_VERSION, prepare
from mlmarket.orchestration.state.reading import (
    aware,
    due_contacts,
    read_decisions,
    read_inputs,
    read_state,
)
from mlmarket.orchestration.state.releases import Release
from mlmarket.orchestration.state.standing import Decisions, State
from mlmarket.orchestration.state.statements import READS

__all__ = ["SCHEMA_VERSION", "StateLockedError", "StateMovedError", "StateStore"]


class StateStore:
    """The state of segments and journeys in a DuckDB file; see :meth:`open`.

    Parameters
    ----------
    database : Database
        The file, prepared.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loaded: int | None = None

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a state file, or begin one; a file of an earlier version is upgraded.

        Parameters
        ----------
        path : Path or str
            The file; its folder must exist.

        Returns
        -------
        StateStore
            To be closed, or used in a ``with`` statement.

        Raises
        ------
        StateLockedError
            Where another process has it open.
        ConfigurationError
            Where it is not a state file, or one of a later version.
        """
        database = Database(Path(path))
        try:
            prepare(database)
            if database.rows("SELECT to_compact FROM meta")[0][0]:
                # Somebody was erased by a run that was stopped before their bytes were gone.
                database.compact()
        except BaseException:
            database.close()
            raise
        return cls(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, which lets others open it."""
        self._database.close()

    def load(
        self,
        *,
        now: datetime | None = None,
        touched: pa.Array | None = None,
        policy: Policy | None = None,
    ) -> State:
        """Return where people stand after the last tick.

        Parameters
        ----------
        now : datetime, optional
            With a zone. Only what a tick at this moment needs is read: enrolments that are under
            way or may still reach their goal, and what was sent within the longest window of the
            policy, at least 35 days. Without it, all that ever was.
        touched : pyarrow.Array of string, optional
            Only these people, and those who have a step or an expiry due at ``now``, if it is given.
        policy : Policy, optional
            The rules of the coming tick.

        Returns
        -------
        State
            Under the playbook of the last tick; use :meth:`State.under` for another.

        Raises
        ------
        ConfigurationError
            For a moment without a zone.
        """
        self._loaded = self._epoch()
        return read_state(self._database, now=now, touched=touched, policy=policy)

    def due(self, now: datetime) -> pa.Array:
        """Return who has a step or an expiry that is due.

        Parameters
        ----------
        now : datetime
            With a zone.

        Returns
        -------
        pyarrow.Array of string
            Contact ids, sorted. Who has been held back since the last tick is not among them: they
            are looked at when something is new about them, or by the next tick over everybody.
        """
        return due_contacts(self._database, now)

    def recorded_since(self, moment: datetime) -> pa.Array:
        """Return whose consent or suppression reached mlmarket itself after a moment.

        Parameters
        ----------
        moment : datetime
            With a zone. Consents are found by when they were given, up to a day before.

        Returns
        -------
        pyarrow.Array of string
            Contact ids, sorted.
        """
        return consents.recorded_since(self._database, moment)

    def knows(self, tick_id: str) -> bool:
        """Say whether a tick has been committed.

        Parameters
        ----------
        tick_id : str
            The tick.

        Returns
        -------
        bool
            True where :meth:`decisions_of` has an answer.
        """
        query = "SELECT 1 FROM ticks WHERE tick_id = $tick_id"
        return bool(self._database.rows(query, tick_id=tick_id))

    def commit(
        self, decisions: Decisions, *, models: Mapping[str, list[str]] | None = None
    ) -> bool:
        """Write a tick, all of it or nothing.

        Parameters
        ----------
        decisions : Decisions
            Of a tick on the state that :meth:`load` gave last.
        models : mapping of str to list of str, optional
            The versions of the models behind the predictions, by column.

        Returns
        -------
        bool
            False where this tick is in the file already: nothing is written then.

        Raises
        ------
        EarlierTickError
            Where a later moment has been decided already.
        StateMovedError
            Where another tick was committed, a journey approved, paused or migrated, or somebody
            erased since the state was loaded.
        RunError
            Where the file cannot be written, or the tick's tables do not fit; it is as it was.
        """
        with self._database.transaction("The tick"):
            if self.knows(decisions.tick_id):
                return False
            if self._loaded not in (None, self._epoch()):
                raise StateMovedError
            write_tick(self._database, decisions, models or {})
        return True

    def decisions_of(self, tick_id: str) -> Decisions:
        """Return a committed tick exactly as it was decided.

        Parameters
        ----------
        tick_id : str
            The tick.

        Returns
        -------
        Decisions
            The same bytes as those committed, but for people who were erased since.

        Raises
        ------
        ConfigurationError
            Where there is no such tick.
        """
        return read_decisions(self._database, tick_id)

    def decisions_about(self, contact_id: str) -> pa.Table:
        """Return all that was ever decided about one person.

        Parameters
        ----------
        contact_id : str
            The person.

        Returns
        -------
        pyarrow.Table
            Rows of the decisions table.
        """
        query = f"{READS['decisions']} WHERE p.contact_id = $contact_id"
        return self._database.table("decisions", query, contact_id=contact_id)

    def inputs_of(self, tick_id: str) -> tuple[str, dict[str, list[str]]]:
        """Return what a tick was decided from.

        Parameters
        ----------
        tick_id : str
            The tick.

        Returns
        -------
        str, dict of str to list of str
            The fingerprint of the predictions, and the versions of the models by column.

        Raises
        ------
        ConfigurationError
            Where there is no such tick.
        """
        return read_inputs(self._database, tick_id)

    def outbox(self, *statuses: str) -> pa.Table:
        """Return rows of the outbox and what became of them.

        Parameters
        ----------
        *statuses : str
            Only these of pending, claimed, sent, failed, unknown and cancelled; all by default.

        Returns
        -------
        pyarrow.Table
            The outbox columns, ``attempts``, ``status``, ``last_error``, ``claimed_by``,
            ``claimed_at``, ``next_attempt_at``, ``handed_over_at`` and ``cancelled_for``, sorted by
            key.
        """
        query = f"{READS['outbox']} WHERE len($statuses) = 0 OR list_contains($statuses, o.status)"
        order = " ORDER BY o.idempotency_key"
        return self._database.arrow(query + order, statuses=list(statuses))

    def releases(self) -> Mapping[str, Release]:
        """Return the last word on each journey, by name; drafts are not among them."""
        return approvals.releases(self._database)

    def release_log(self) -> pa.Table:
        """Return what people did, in order.

        Returns
        -------
        pyarrow.Table
            ``at``, ``by``, ``action`` (approved, paused, resumed, migrated, suppressed, forgotten),
            ``journey``, ``version``, ``contact_id`` and ``detail``.
        """
        return approvals.read_log(self._database)

    def approve(self, journey: Journey, *, by: str, at: datetime) -> Release:
        """Let a version of a journey act from now on; those on older versions stay on theirs.

        Parameters
        ----------
        journey : Journey
            The version.
        by : str
            Who approves.
        at : datetime
            When, with a zone. Events and changes of segments count from here on; where the journey
            was approved before and its entry is the same, they count from then.

        Returns
        -------
        Release
            As it stands now.
        """
        with self._changing("The approval"):
            return approvals.approve(self._database, journey, by=by, at=at)

    def pause(self, name: str, *, by: str, at: datetime) -> Release:
        """Let nobody into a journey, or on in it; goals, exits and expiry still count.

        Parameters
        ----------
        name : str
            The journey.
        by : str
            Who says so.
        at : datetime
            When, with a zone.

        Returns
        -------
        Release
            As it stands now.

        Raises
        ------
        ConfigurationError
            Where no version of it was ever approved.
        """
        with self._changing("The pause"):
            return approvals.pause(self._database, name, by=by, at=at)

    def resume(self, name: str, *, by: str, at: datetime) -> Release:
        """Let a paused journey act again; what happened in the pause lets nobody in.

        Parameters
        ----------
        name : str
            The journey.
        by : str
            Who says so.
        at : datetime
            When, with a zone.

        Returns
        -------
        Release
            As it stands now.

        Raises
        ------
        ConfigurationError
            Where it is not paused.
        """
        with self._changing("The release"):
            return approvals.resume(self._database, name, by=by, at=at)

    def migrate(
        self,
        to: Journey,
        *,
        mapping: Mapping[str, str] | None = None,
        by: str,
        at: datetime,
        dry_run: bool = False,
    ) -> moving.MigrationPlan:
        """Move people in flight from older versions of a journey to a newer one.

        Each comes to the step of the same name and waits as long as before; the time until expiry
        becomes that of the new version. Who stands at a step without a name of its own, or one that
        is gone, stays unless the mapping says where to.

        Parameters
        ----------
        to : Journey
            The version to come to; it must be the approved one.
        mapping : mapping of str to str, optional
            Steps of the new version by steps of older ones.
        by : str
            Who moves them.
        at : datetime
            When, with a zone.
        dry_run : bool, default False
            Whether only to count.

        Returns
        -------
        MigrationPlan
            How many move from where to where.

        Raises
        ------
        ConfigurationError
            Where the version is not approved, or the mapping names a step that is not there.
        """
        if dry_run:
            return moving.plan_migration(self._database, to, mapping)[0]
        with self._changing("The migration"):
            return moving.migrate(self._database, to, mapping, by=by, at=at)

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
        """Give due rows of the outbox to one worker, and to no other.

        Parameters
        ----------
        worker : Worker or str
            Who hands them over; a name alone is a worker whose receiver does not honour keys.
        now : datetime
            With a zone. Due is what may go out by now, has not expired, and is not put off.
        limit : int
            At most so many rows.
        kinds, channels : collection of str, optional
            Only these.
        check : callable, optional
            Given rows, returns the reasons against each now, as sums of ``Reason``. Rows that only
            time stands against are put off by 15 minutes; others are cancelled.

        Returns
        -------
        pyarrow.Table
            The outbox columns and ``attempts``, by priority from the highest, then ``not_before``
            and key. What has expired is cancelled on the way.
        """
        known = Worker(worker) if isinstance(worker, str) else worker
        with self._database.transaction("The claim"):
            wanted = Wanted(limit, kinds, channels)
            return claim(self._database, known, wanted, now=now, check=check)

    def settle(self, results: pa.Table, *, now: datetime, worker: str | None = None) -> int:
        """Write down what became of claimed rows.

        Parameters
        ----------
        results : pyarrow.Table
            ``idempotency_key``, ``status`` (sent, failed, unknown, or pending to try again),
            ``error`` and ``next_attempt_at``. That a row was sent is believed whenever it is said;
            all else only of rows that are claimed or unknown. What failed may be put back to
            pending by people, that is without a worker.
        now : datetime
            With a zone.
        worker : str, optional
            Who says so: rows that another has by now are left to that one.

        Returns
        -------
        int
            The rows changed.

        Raises
        ------
        ConfigurationError
            For another status, or a key that occurs twice.
        """
        with self._database.transaction("The result of a hand-over"):
            return settle(self._database, results, now=now, worker=worker)

    def hand_out(
        self,
        name: str,
        *,
        now: datetime,
        take_over: Collection[str] = (),
        check: Check | None = None,
    ) -> pa.Table:
        """Give all that waits, also what may go out only later, to a name that writes it to a file.

        Parameters
        ----------
        name : str
            Of the night; what it was given before is given to it again.
        now : datetime
            With a zone.
        take_over : collection of str, optional
            Names that never wrote their file: theirs is given to this one.
        check : callable, optional
            As for :meth:`claim`.

        Returns
        -------
        pyarrow.Table
            The outbox columns, sorted by key.
        """
        with self._database.transaction("The hand-over"):
            return handing_out.hand_out(
                self._database, name, now=now, take_over=take_over, check=check
            )

    def handed_out(self, name: str, *, now: datetime) -> None:
        """Write down that the file of a name is there: its rows count as sent.

        Parameters
        ----------
        name : str
            As it was given to :meth:`hand_out`.
        now : datetime
            With a zone.
        """
        with self._database.transaction("The end of a hand-over"):
            handing_out.handed_out(self._database, name, now=now)

    def names_waiting(self, prefix: str) -> tuple[str, ...]:
        """Return the names that were given rows and have not said that their file is there.

        Parameters
        ----------
        prefix : str
            Only names that begin so.

        Returns
        -------
        tuple of str
            Sorted.
        """
        return handing_out.names_waiting(self._database, prefix)

    def standing_counts(self) -> pa.Table:
        """Count where all passes stand now.

        Returns
        -------
        pyarrow.Table
            version, position, status, holdout, held_for, people.
        """
        return counting.standing_counts(self._database)

    def decided_counts(self) -> pa.Table:
        """Count the passes about which something was decided, however often.

        Returns
        -------
        pyarrow.Table
            version, step, outcome, way, people.
        """
        return counting.decided_counts(self._database)

    def passes_followed(self) -> pa.Table:
        """Return every pass with what it is judged by.

        Returns
        -------
        pyarrow.Table
            journey, contact_id, entered_at, expires_at, holdout, goal_at.
        """
        return counting.passes_followed(self._database)

    def last_now(self) -> datetime | None:
        """Return the moment of the last tick in UTC, None before the first."""
        rows = self._database.rows("SELECT max(decided_at) FROM ticks")
        return None if rows[0][0] is None else aware(rows[0][0])

    def record_consent(self, rows: pa.Table) -> int:
        """Keep consents that reached mlmarket itself; they are never changed, only added to.

        Parameters
        ----------
        rows : pyarrow.Table
            Columns of ``CONSENT_EVENTS``; contact_id, channel and changed_at are needed.

        Returns
        -------
        int
            How many were not there before.

        Raises
        ------
        DataContractError
            Where one of these is missing.
        """
        with self._database.transaction("The consents"):
            return consents.record_consent(self._database, rows)

    def suppress(
        self,
        contact_id: str,
        channel: str | None,
        reason: str,
        at: datetime,
        *,
        by: str = "mlmarket",
    ) -> bool:
        """Let nobody write to a person.

        Parameters
        ----------
        contact_id : str
            The person.
        channel : str or None
            Only here; None for everywhere.
        reason : str
            Why.
        at : datetime
            When, with a zone.
        by : str
            Who says so.

        Returns
        -------
        bool
            False where it was so before.
        """
        with self._database.transaction("The suppression"):
            return consents.suppress(self._database, contact_id, channel, reason, at=at, by=by)

    def forget(
        self,
        contact_id: str,
        *,
        key: bytes,
        at: datetime,
        by: str = "mlmarket",
        addresses: Iterable[str] = (),
    ) -> forgetting.Forgotten:
        """Remove a person from the file, bytes and all, and keep tombstones of them.

        Parameters
        ----------
        contact_id : str
            The person, whether or not the file knows them.
        key : bytes
            Of the tombstones; see :func:`~mlmarket.orchestration.state.tombstones.erasure_key`.
        at : datetime
            When, with a zone.
        by : str
            Who says so; it is written down.
        addresses : iterable of str
            E-mails and phones beside those in the outbox.

        Returns
        -------
        Forgotten
            What was removed, and what may have been on its way.
        """
        with self._changing("The erasure"):
            done = forgetting.forget(
                self._database, contact_id, key=key, at=at, by=by, addresses=addresses
            )
        self._database.compact()
        return done

    def tombstones(self) -> frozenset[str]:
        """Return the marks of those who were erased, for ``Erased``."""
        return frozenset(str(row[0]) for row in self._database.rows("SELECT mark FROM tombstones"))

    def export_person(self, contact_id: str) -> dict[str, Any]:
        """Return all that the file holds about a person.

        Parameters
        ----------
        contact_id : str
            The person.

        Returns
        -------
        dict
            Lists of rows by table, ready for JSON; empty lists where it knows nothing.
        """
        return forgetting.export_person(self._database, contact_id)

    def _epoch(self) -> int:
        return self._database.number("SELECT epoch FROM meta")

    @contextmanager
    def _changing(self, what: str) -> Iterator[None]:
        """Write what no tick that is being decided now can know of."""
        with self._database.transaction(what):
            yield
            self._database.run("UPDATE meta SET epoch = epoch + 1")
