"""How is the state file opened by one process alone, and written as a whole or not at all?"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.orchestration.tables import canonical

__all__ = ["Database", "StateLockedError", "StateMovedError"]

_PARAMETER: Final = re.compile(r"\$([a-z_]+)")
_STORAGE: Final[dict[str, str | bool | int | float | list[str]]] = {
    "storage_compatibility_version": "v1.2.0"
}
"""The oldest form that packs long texts and dictionaries well."""


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
            "The state was changed by another tick or by hand since these decisions were made.",
            "They do not know what was sent or who was erased meanwhile.",
            "load the state again and repeat the tick.",
        )


class Database:
    """A DuckDB file that this process alone has open.

    Parameters
    ----------
    path : Path
        The file; it is begun where it does not exist.

    Raises
    ------
    StateLockedError
        Where another process has it open.
    ConfigurationError
        Where it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = _connected(path)

    def close(self) -> None:
        """Close the file, which lets others open it."""
        self._connection.close()

    def run(self, statement: str, **values: object) -> duckdb.DuckDBPyConnection:
        """Run one statement.

        Parameters
        ----------
        statement : str
            SQL.
        **values : object
            For its parameters; those that it does not name are left out.

        Returns
        -------
        duckdb.DuckDBPyConnection
            With the result.
        """
        named = set(_PARAMETER.findall(statement))
        used = {name: value for name, value in values.items() if name in named}
        return self._connection.execute(statement, used or None)

    def rows(self, query: str, **values: object) -> list[tuple[object, ...]]:
        """Return the rows of a query as tuples."""
        return self.run(query, **values).fetchall()

    def number(self, query: str, **values: object) -> int:
        """Return the one number that a query gives."""
        return int(str(self.rows(query, **values)[0][0]))

    def arrow(self, query: str, **values: object) -> pa.Table:
        """Return the rows of a query in their order."""
        return self.run(query, **values).to_arrow_table()

    def table(self, name: str, query: str, **values: object) -> pa.Table:
        """Return the rows of a query as one of the documented tables, sorted by its key."""
        return canonical(name, self.arrow(query, **values))

    @contextmanager
    def lent(self, **tables: pa.Table) -> Iterator[None]:
        """Let statements read Arrow tables by name for a while."""
        try:
            for name, table in tables.items():
                self._connection.register(name, table)
            yield
        finally:
            for name in tables:
                self._connection.unregister(name)

    @contextmanager
    def transaction(self, what: str = "The change") -> Iterator[None]:
        """Write all of what follows, or nothing.

        Parameters
        ----------
        what : str
            What is written, for the message.

        Raises
        ------
        RunError
            Where the file cannot be written; it is as it was before.
        """
        self._connection.begin()
        try:
            yield
        except duckdb.Error as error:
            self._connection.rollback()
            problem = f"{what} could not be written: {str(error).splitlines()[0]}"
            fix = "free space or mend the cause, and repeat it."
            raise RunError(problem, "The state file is as it was before.", fix) from error
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()

    def compact(self) -> None:
        """Write the file anew without the remains of deleted rows, and put it in place.

        A database marks rows as deleted and leaves their bytes where they are; only a copy of the
        rows that are left is sure to be without them.
        """
        fresh = self.path.with_name(f".{self.path.name}.new")
        _remove(fresh)
        quoted = str(fresh).replace("'", "''")
        (name,) = self.rows("SELECT current_database()")[0]
        self.run(f"ATTACH '{quoted}' AS fresh (STORAGE_VERSION 'v1.2.0')")
        self.run(f'COPY FROM DATABASE "{name}" TO fresh')
        self.run("UPDATE fresh.meta SET to_compact = FALSE")
        self.run("DETACH fresh")
        self.run("CHECKPOINT")
        self._connection.close()
        os.replace(fresh, self.path)  # noqa: PTH105 - atomic on the same disk, as Path.replace is
        _remove(self.path.with_name(f"{self.path.name}.wal"))
        self._connection = _connected(self.path)


def _remove(path: Path) -> None:
    for one in (path, path.with_name(f"{path.name}.wal")):
        with suppress(FileNotFoundError):
            one.unlink()


def _connected(file: Path) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(file), config=_STORAGE)
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise StateLockedError(file) from error
        what = f"The state file {file} cannot be opened: {str(error).splitlines()[0]}"
        why = "Without it nobody knows what was sent before."
        fix = "check that the folder exists and that the file is a state file of mlmarket."
        raise ConfigurationError(what, why, fix) from error
