"""Where do people who write SQL find the night?"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.errors import RunError
from mlmarket.nightly.safe_files import replace_file
from mlmarket.nightly.settings import PublishSettings

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends.sql import SQLBackend

    from mlmarket.nightly.night import Night

__all__ = ["build_database", "is_newest", "publish_to"]

_TABLES: Final = {
    "predictions": "predictions/contacts.parquet",
    "missing": "predictions/missing.parquet",
    "segments": "segments.parquet",
    "outbox": "outbox.parquet",
}


def is_newest(night: "Night") -> bool:
    """Return whether no later night was run to its end.

    Parameters
    ----------
    night : Night
        Tonight.

    Returns
    -------
    bool
        False for a night of the past, which must not replace what people look at.
    """
    later = [day for day in night.workspace.nights() if day > night.day]
    return all(night.workspace.run(day).result("publish") is None for day in later)


def build_database(night: "Night") -> int:
    """Write the night's tables into one DuckDB file, aside, and rename it into place.

    Readers keep the file they have open.

    Parameters
    ----------
    night : Night
        Tonight.

    Returns
    -------
    int
        Tables written.

    Raises
    ------
    RunError
        Where the disk is full or cannot be written; the file is then as it was before.
    """
    run = night.folder.path
    present = {name: run / file for name, file in _TABLES.items() if (run / file).is_file()}
    for file in sorted((run / "predictions" / "items").glob("*.parquet")):
        present[f"{file.stem}_items"] = file

    def write(path: Path) -> None:
        import duckdb

        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            for name, file in present.items():
                connection.read_parquet(str(file)).create(name)

    replace_file(night.workspace.database, write)
    return len(present)


def publish_to(target: PublishSettings, night: "Night") -> int:
    """Write the predictions to a database, so that readers see the old night or the new one.

    Rows are loaded into a table aside; it takes the place of the last in one transaction.

    Parameters
    ----------
    target : PublishSettings
        Which database and table.
    night : Night
        Tonight.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    RunError
        Where the database cannot be written; it then holds what it held before.
    """
    import ibis
    import pyarrow.parquet as pq

    rows = pq.read_table(night.folder.path / _TABLES["predictions"])
    try:
        connection = ibis.connect(target.connection)
        try:
            _replace_table(connection, target.table, rows)
        finally:
            connection.disconnect()
    except Exception as error:  # each driver has errors of its own
        raise RunError(
            f"The predictions could not be written to '{target.table}': {type(error).__name__}.",
            "The run folder has them; the database still holds the night before.",
            "check `connection` in [publish] and the network, then run the same night again.",
        ) from error
    return int(rows.num_rows)


def _replace_table(connection: "SQLBackend", table: str, rows: "pa.Table") -> None:
    from sqlglot import exp

    def quoted(name: str) -> str:
        return str(exp.to_identifier(name, quoted=True).sql(connection.dialect))

    aside = f"{table}_next"
    connection.create_table(aside, rows, overwrite=True)
    try:
        # One text: a driver that commits after each statement would show readers no table at all.
        connection.raw_sql(
            f"BEGIN; DROP TABLE IF EXISTS {quoted(table)}; "
            f"ALTER TABLE {quoted(aside)} RENAME TO {quoted(table)}; COMMIT;"
        )
    except Exception:
        connection.raw_sql("ROLLBACK;")
        connection.drop_table(aside, force=True)
        raise
