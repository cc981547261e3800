"""How does everything decided survive a crash, and never happen twice?

One DuckDB file holds it. A tick is committed in one transaction together with its id: after a
crash it is either there as a whole or not at all. Members and enrolments keep their earlier
rows, marked with the tick that replaced them, so any committed tick can be read again exactly
as it was decided; a row is written only where something changed.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

import duckdb
import pyarrow as pa

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.orchestration.engine.ticking import EarlierTickError
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.standing import Decisions, State, utc
from mlmarket.orchestration.state.statements import (
    CLOSE_ENROLMENTS,
    CLOSE_MEMBERSHIPS,
    CURRENT_ENROLMENTS,
    CURRENT_MEMBERS,
    INSERT_TICK,
    INSERTS,
    OF_CONTACT,
    OPEN_MEMBERSHIPS,
    READS,
    TABLES,
)
from mlmarket.orchestration.tables import SCHEMAS, canonical

__all__ = ["SCHEMA_VERSION", "StateLockedError", "StateMovedError", "StateStore"]

SCHEMA_VERSION: Final = 1
"""Of the tables in the file; a file of another version is refused."""


class StateLockedError(RunError):
    """A state file that another process is writing to.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The state file {path} is in use by another process.",
            "Two writers could decide the same message twice.",
            "wait until the other run has ended, or stop it.",
        )


class StateMovedError(RunError):
    """Decisions that were made on a state which is not the last one any more."""

    def __init__(self) -> None:
        super().__init__(
            "Another tick was committed since these decisions were made.",
            "They do not know what that tick has sent.",
            "load the state again and repeat the tick.",
        )


class StateStore:
    """The state of segments and journeys in a DuckDB file; see :meth:`open`.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the file, prepared.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a state file, or begin one.

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
            Where it is not a state file, or one of another version.
        """
        file = Path(path)
        store = cls(_connected(file))
        try:
            store._prepare(file)
        except BaseException:
            store.close()
            raise
        return store

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
        self._connection.close()

    def load(self) -> State:
        """Return where everybody stands after the last tick.

        Returns
        -------
        State
            Under the playbook of the last tick; use :meth:`State.under` for another.
        """
        last = self._rows(
            "SELECT tick_id, decided_at, playbook_id FROM ticks ORDER BY number DESC LIMIT 1"
        )
        if not last:
            return State()
        tick_id, decided_at, playbook_id = last[0]
        same = self._rows("SELECT tick_id FROM ticks WHERE decided_at = $at", at=decided_at)
        return State(
            playbook=self._playbook(str(playbook_id)),
            versions=self._versions(),
            members=self._table("memberships", CURRENT_MEMBERS),
            enrolments=self._table("enrolments", CURRENT_ENROLMENTS),
            last_now=_aware(decided_at),
            last_tick_id=str(tick_id),
            tick_ids=frozenset(str(row[0]) for row in same),
        )

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
        return bool(self._rows("SELECT 1 FROM ticks WHERE tick_id = $tick_id", tick_id=tick_id))

    def commit(self, decisions: Decisions) -> bool:
        """Write a tick, all of it or nothing.

        Parameters
        ----------
        decisions : Decisions
            Of a tick on the state that :meth:`load` gave last.

        Returns
        -------
        bool
            False where this tick is in the file already: nothing is written then.

        Raises
        ------
        EarlierTickError
            Where a later moment has been decided already.
        StateMovedError
            Where another tick was committed since the state was loaded.
        RunError
            Where the file cannot be written; it is as it was before.
        """
        with self._transaction():
            if self.knows(decisions.tick_id):
                return False
            number = self._next_number(decisions)
            self._write_definitions(decisions)
            self._write("memberships", decisions.memberships, CLOSE_MEMBERSHIPS, number)
            self._write("memberships", decisions.memberships, OPEN_MEMBERSHIPS, number)
            self._write("enrolments", decisions.enrolments, CLOSE_ENROLMENTS, number)
            for name, statement in INSERTS.items():
                self._write(name, getattr(decisions, name), statement, number)
            self._run(
                INSERT_TICK,
                tick=number,
                tick_id=decisions.tick_id,
                previous=decisions.previous,
                decided_at=utc(decisions.now),
                fingerprint=decisions.fingerprint,
                playbook_id=decisions.playbook.playbook_id,
                versions=sorted(decisions.versions),
            )
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
            The same bytes as those committed.

        Raises
        ------
        ConfigurationError
            Where there is no such tick.
        """
        found = self._rows(
            "SELECT number, previous, decided_at, fingerprint, playbook_id, versions FROM ticks"
            " WHERE tick_id = $tick_id",
            tick_id=tick_id,
        )
        if not found:
            what = f"The state file has no tick {tick_id[:12]}…."
            raise ConfigurationError(what, "There is nothing to export.", "run the tick first.")
        number, previous, decided_at, fingerprint, playbook_id, versions = found[0]
        known = self._versions()
        tables = {name: self._table(name, query, tick=number) for name, query in READS.items()}
        return Decisions(
            tick_id=tick_id,
            now=_aware(decided_at),
            fingerprint=str(fingerprint),
            previous=None if previous is None else str(previous),
            playbook=self._playbook(str(playbook_id)),
            versions=MappingProxyType({name: known[name] for name in _strings(versions)}),
            **tables,
        )

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
        return self._table("decisions", OF_CONTACT, contact_id=contact_id)

    def _prepare(self, file: Path) -> None:
        present = {str(row[0]) for row in self._rows("SELECT table_name FROM duckdb_tables()")}
        if not present:
            with self._transaction():
                self._connection.execute(TABLES)
                self._run("INSERT INTO meta VALUES ($version)", version=SCHEMA_VERSION)
            return
        rows = self._rows("SELECT schema_version FROM meta") if "meta" in present else []
        found = rows[0][0] if rows else None
        if found != SCHEMA_VERSION:
            is_state = found is not None
            what = (
                f"has version {found}, not {SCHEMA_VERSION}" if is_state else "holds other tables"
            )
            problem = f"The file {file} {what}."
            why = "State that is not understood could send messages twice."
            fix = "name another file, or use the version of mlmarket that wrote it."
            raise ConfigurationError(problem, why, fix)

    def _next_number(self, decisions: Decisions) -> int:
        last = self._rows(
            "SELECT number, tick_id, decided_at FROM ticks ORDER BY number DESC LIMIT 1"
        )
        if not last:
            if decisions.previous is not None:
                raise StateMovedError
            return 1
        number, tick_id, decided_at = last[0]
        if decisions.now < _aware(decided_at):
            raise EarlierTickError(decisions.now, _aware(decided_at))
        if tick_id != decisions.previous:
            raise StateMovedError
        return int(str(number)) + 1

    def _write_definitions(self, decisions: Decisions) -> None:
        self._run(
            "INSERT OR IGNORE INTO playbooks VALUES ($playbook_id, $definition)",
            playbook_id=decisions.playbook.playbook_id,
            definition=decisions.playbook.canonical(),
        )
        for version, journey in decisions.versions.items():
            self._run(
                "INSERT OR IGNORE INTO journeys VALUES ($version, $definition)",
                version=version,
                definition=journey.canonical(),
            )

    def _write(self, name: str, table: pa.Table, statement: str, number: int) -> None:
        self._connection.register("incoming", table.select(SCHEMAS[name].names))
        try:
            self._run(statement, tick=number)
        finally:
            self._connection.unregister("incoming")

    def _playbook(self, playbook_id: str) -> Playbook:
        rows = self._rows(
            "SELECT definition FROM playbooks WHERE playbook_id = $playbook_id",
            playbook_id=playbook_id,
        )
        return Playbook.model_validate(json.loads(str(rows[0][0])))

    def _versions(self) -> Mapping[str, Journey]:
        rows = self._rows("SELECT version, definition FROM journeys")
        journeys = {str(row[0]): Journey.model_validate(json.loads(str(row[1]))) for row in rows}
        return MappingProxyType(journeys)

    def _rows(self, query: str, **values: object) -> list[tuple[object, ...]]:
        return self._run(query, **values).fetchall()

    def _table(self, name: str, query: str, **values: object) -> pa.Table:
        return canonical(name, self._run(query, **values).to_arrow_table())

    def _run(self, statement: str, **values: object) -> duckdb.DuckDBPyConnection:
        return self._connection.execute(statement, values or None)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
        except duckdb.Error as error:
            self._connection.rollback()
            what = f"The tick could not be written: {str(error).splitlines()[0]}"
            fix = "free space or mend the cause, and repeat the tick."
            raise RunError(what, "The state file is as it was before.", fix) from error
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()


def _connected(file: Path) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(file))
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise StateLockedError(file) from error
        what = f"The state file {file} cannot be opened: {str(error).splitlines()[0]}"
        why = "Without it nobody knows what was sent before."
        fix = "check that the folder exists and that the file is a state file of mlmarket."
        raise ConfigurationError(what, why, fix) from error


def _aware(moment: object) -> datetime:
    if not isinstance(moment, datetime):
        what = "A tick in the state file has no time."
        raise RunError(what, "The file has been changed by hand.", "restore it from a copy.")
    return moment.replace(tzinfo=UTC)


def _strings(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list) else []
