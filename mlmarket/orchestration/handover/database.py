"""How is a batch written into a table of a database, once?

All rows of a batch go in with one transaction, each only where its key is not there yet. The key
is the table's primary key, so the database itself refuses a second one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover.adapter import ALL_ROWS, Route
from mlmarket.orchestration.handover.backoff import PATIENTLY, Retries
from mlmarket.orchestration.handover.rows import Handover, Result, about_all, outbox_table
from mlmarket.orchestration.tables import OUTBOX

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TableAdapter"]

_KEY: Final = OUTBOX.names[0]
_TYPES: Final = {"string": "VARCHAR", "int32": "INTEGER", "bool": "BOOLEAN"}
_DUCKDB: Final = "duckdb"
_KINDS: Final = frozenset({_DUCKDB, "postgres", "postgresql"})


@dataclass(frozen=True, slots=True)
class TableAdapter:
    """Hands rows over into a table of DuckDB or PostgreSQL.

    Parameters
    ----------
    name : str
        What the configuration calls it.
    connection : str
        An Ibis address, ``duckdb://…`` or ``postgres://…``; it may hold a secret, so it is never
        shown.
    table : str
        ``table`` or ``schema.table``; made with the columns of the outbox if it is not there.
    route : Route
        Which rows it is there for.
    batch : int, default 10_000
        Rows of a transaction at most.
    folder : Path, optional
        What the path of a DuckDB file is relative to.
    retries : Retries, optional
        How often and how patiently it tries.
    """

    name: str
    connection: str = field(repr=False)
    table: str
    route: Route = ALL_ROWS
    batch: int = 10_000
    folder: Path = Path()
    retries: Retries = PATIENTLY

    def __post_init__(self) -> None:
        if self._kind not in _KINDS:
            raise ConfigurationError(
                f"[handover.{self.name}] has a `connection` to '{self._kind}'.",
                "Rows are written in one transaction, which is known here for two databases.",
                "use duckdb://… or postgres://….",
            )

    @property
    def idempotent(self) -> bool:
        """True: a key that is in the table is left alone."""
        return True

    def accepts(self, row: Handover) -> bool:
        """Return whether the row belongs to its route.

        Parameters
        ----------
        row : Handover
            Of the outbox.
        """
        return self.route.takes(row)

    def send(self, batch: Sequence[Handover]) -> list[Result]:
        """Insert the rows whose keys are not in the table, in one transaction.

        Parameters
        ----------
        batch : sequence of Handover
            Its rows.

        Returns
        -------
        list of Result
            ``sent`` for all, or ``retry`` where the database takes nothing now.

        Raises
        ------
        Exception
            The driver's, where it is a row that the database refuses; nothing was written.
        """
        rows = outbox_table(batch)
        try:
            with self._opened() as connection:
                self._insert(connection, rows)
        except Exception as error:  # each driver has errors of its own
            if _is_about_a_row(error):
                raise
            words = f"The database takes no rows: {type(error).__name__}."
            return about_all(batch, "retry", words, receiver_answers=False)
        return about_all(batch, "sent")

    def recover(self, batch: Sequence[Handover]) -> list[Result]:
        """Look which keys are in the table.

        Parameters
        ----------
        batch : sequence of Handover
            The rows that a process was handing over.

        Returns
        -------
        list of Result
            ``sent`` for those that are, ``retry`` for the others, and for all where the database
            cannot be asked: a key goes in only once.
        """
        try:
            with self._opened() as connection:
                found = self._present(connection, [one.key for one in batch])
        except Exception as error:  # each driver has errors of its own
            return about_all(batch, "retry", f"The process ended; {type(error).__name__}.")
        missing = "The process ended before the transaction did."
        return [
            Result(one.key, "sent")
            if one.key in found
            else Result(one.key, "retry", missing, tried=False)
            for one in batch
        ]

    @property
    def _kind(self) -> str:
        return self.connection.partition("://")[0]

    @contextmanager
    def _opened(self) -> "Iterator[Any]":
        """Give a connection with the table in it, for one transaction.

        It is closed at once, because an open DuckDB file keeps everybody else out.
        """
        import ibis

        address = self.connection
        if self._kind == _DUCKDB:
            path = self.folder / address.removeprefix(f"{_DUCKDB}://")
            backend = ibis.duckdb.connect(path)
        else:
            backend = ibis.connect(address)
        try:
            if self._is_missing(backend.con):
                backend.con.execute(self._create())
            yield backend.con
        finally:
            backend.disconnect()

    def _is_missing(self, connection: "Any") -> bool:  # noqa: ANN401 - a driver's
        if self._kind == _DUCKDB:
            return True  # it is made only where it is not there
        # A role that may only read and insert may not even say "if not exists".
        found = connection.execute("SELECT to_regclass(%s)", [self._place()]).fetchone()
        return found[0] is None

    def _create(self) -> str:
        columns = [f"{name} {_TYPES.get(str(kind), 'TIMESTAMP')}" for name, kind in _columns()]
        columns[0] += " PRIMARY KEY"
        return f"CREATE TABLE IF NOT EXISTS {self._place()} ({', '.join(columns)})"

    def _place(self) -> str:
        return ".".join('"{}"'.format(part.replace('"', '""')) for part in self.table.split("."))

    def _insert(self, connection: "Any", rows: "pa.Table") -> None:  # noqa: ANN401 - a driver's
        names = ", ".join(rows.column_names)
        head = f"INSERT INTO {self._place()} ({names})"
        tail = f"ON CONFLICT ({_KEY}) DO NOTHING"
        if self._kind == _DUCKDB:
            connection.register("handed_over", rows)
            connection.execute(f"{head} FROM handed_over {tail}")
            return
        places = ", ".join(["%s"] * rows.num_columns)
        values = list(zip(*[column.to_pylist() for column in rows.columns], strict=True))
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(f"{head} VALUES ({places}) {tail}", values)

    def _present(self, connection: "Any", keys: list[str]) -> frozenset[str]:  # noqa: ANN401
        query = f"SELECT {_KEY} FROM {self._place()} WHERE {_KEY}"  # noqa: S608 - quoted
        if self._kind == _DUCKDB:
            found = connection.execute(f"{query} IN (SELECT unnest($1))", [keys]).fetchall()
        else:
            found = connection.execute(f"{query} = ANY(%s)", [keys]).fetchall()
        return frozenset(str(row[0]) for row in found)


def _columns() -> list[tuple[str, object]]:
    return [(field.name, field.type) for field in OUTBOX]


def _is_about_a_row(error: Exception) -> bool:
    """Say whether other rows may be taken although this batch was not."""
    import duckdb

    kinds: tuple[type[Exception], ...] = (duckdb.DataError, duckdb.IntegrityError)
    if type(error).__module__.startswith("psycopg"):
        import psycopg

        kinds = (psycopg.DataError, psycopg.IntegrityError)
    return isinstance(error, kinds)
