"""Where do the tables come from?

Opens files, frames and database tables as plain Ibis tables, on one connection: DuckDB, unless all
tables already live on another. What the columns mean is decided elsewhere.
"""

import hashlib
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import ibis

from mlmarket.errors import ConfigurationError
from mlmarket.market.databases import connect, open_table
from mlmarket.market.frames import to_arrow, without_nulls
from mlmarket.market.postgres import plain
from mlmarket.market.scratch import Scratch
from mlmarket.market.settings import EngineSettings, TableSettings
from mlmarket.market.text_files import read_csv
from mlmarket.market.violations import ContractViolationError, unreadable

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = [
    "PARQUET",
    "Bench",
    "Source",
    "Workbench",
    "described",
    "find_files",
    "fingerprint",
    "matching_files",
    "on_one_connection",
    "to_arrow",
]

_BLOCK: Final = 1 << 20
PARQUET: Final = frozenset({".parquet", ".pq"})
"""How the names of Parquet files end."""
_AT_HOME: Final = frozenset({"duckdb", "postgres"})
"""Backends whose tables are worked on where they are, as those of the workbench itself are."""


@dataclass(frozen=True, slots=True)
class Source:
    """One table as it came, before mapping and casts.

    Parameters
    ----------
    name : str
        The table of the contract it stands for.
    table : ibis.expr.types.Table
        Its rows.
    described : str
        Where it came from, for messages.
    all_text : bool
        Whether every column is text because the format has no types (CSV).
    """

    name: str
    table: "ir.Table"
    described: str
    all_text: bool = False


def find_files(source: str, folder: Path, *, name: str) -> list[Path]:
    """Return the files a source names, in order.

    Parameters
    ----------
    source : str
        A path, relative to `folder` or absolute; ``*`` stands for any characters of a name.
    folder : Path
        The folder of the configuration file.
    name : str
        The table's name, for messages.

    Returns
    -------
    list of Path
        At least one file.

    Raises
    ------
    ConfigurationError
        Where there is none.
    """
    found = matching_files(source, folder)
    if not found:
        raise ConfigurationError(
            f"Table '{name}' has no file at '{source}' (looked in {folder}).",
            "Its rows are read from there.",
            f"correct `source` in [tables.{name}]; paths are relative to the configuration.",
        )
    return found


def matching_files(source: str, folder: Path) -> list[Path]:
    """Return the files that a path or pattern names, in order; none where there is none.

    Parameters
    ----------
    source : str
        A path, relative to `folder` or absolute; ``*`` stands for any characters of a name.
    folder : Path
        The folder of the configuration file.

    Returns
    -------
    list of Path
        Sorted.
    """
    pattern = folder / source
    if pattern.is_file():
        return [pattern]
    if not any(sign in source for sign in "*?["):
        return []
    anchor = Path(pattern.anchor)
    matching = anchor.glob(str(pattern.relative_to(anchor)))
    return sorted(path for path in matching if path.is_file())


def fingerprint(files: Iterable[Path]) -> str:
    """Return the sha256 of the content of files, in their order.

    Parameters
    ----------
    files : iterable of Path
        The files of one table.

    Returns
    -------
    str
        64 hexadecimal digits, the same wherever the files lie and whenever they were written.
    """
    digest = hashlib.sha256()
    for path in files:
        size = 0
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(_BLOCK), b""):
                digest.update(block)
                size += len(block)
        digest.update(size.to_bytes(8, "big"))
    return digest.hexdigest()


class Bench(Protocol):
    """Where files and frames are opened: :class:`Workbench`, or a Spark session."""

    @property
    def connection(self) -> Any:  # noqa: ANN401 - each backend its own
        """The Ibis connection."""
        ...

    @property
    def folder(self) -> Path | None:
        """Where this process may put temporary files; None for the system's own place."""
        ...

    def close(self) -> None:
        """Remove what is temporary; tables on it are lost."""
        ...

    def open_frame(self, name: str, frame: object) -> Source:
        """Return a frame as a source."""
        ...

    def open_settings(self, name: str, settings: TableSettings, folder: Path) -> Source:
        """Return what ``[tables.NAME]`` describes as a source."""
        ...

    def keep(self, name: str, table: "ir.Table", *, instead_of: str | None = None) -> "ir.Table":
        """Compute a table once, and return the result."""
        ...


class Workbench:
    """The DuckDB connection on which files and frames are opened.

    Its folder for temporary files goes when nothing uses the connection any more.

    Parameters
    ----------
    folder : Path, optional
        Where it may put temporary files; by default the system's folder for them.
    engine : EngineSettings, optional
        What it may use of the machine.

    Raises
    ------
    ConfigurationError
        Where the folder is not there, or cannot be written to.
    """

    def __init__(self, folder: Path | None = None, *, engine: EngineSettings | None = None) -> None:
        engine = engine or EngineSettings()
        scratch = Scratch(folder)
        self.folder = scratch.folder
        limits: dict[str, Any] = {"memory_limit": f"{engine.memory_bytes}B"}
        if engine.threads is not None:
            limits["threads"] = engine.threads
        self.connection = ibis.duckdb.connect(":memory:", temp_directory=str(self.folder), **limits)
        self.connection.raw_sql("SET TimeZone = 'UTC'")
        # Bound to the connection: tables of a market may outlive the market itself.
        self._finalizer = weakref.finalize(self.connection, scratch.remove)
        self._addresses: dict[str, Any] = {}

    def close(self) -> None:
        """Close the connection and remove the temporary files; tables on it are lost."""
        self.connection.disconnect()
        self._finalizer()

    def open_frame(self, name: str, frame: object) -> Source:
        """Return a frame as a source.

        Parameters
        ----------
        name : str
            The table's name.
        frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            Its rows.

        Returns
        -------
        Source
            On this connection.

        Raises
        ------
        ConfigurationError
            Where it is no frame.
        ContractViolationError
            Where a column holds values of several types, or a name stands twice.
        """
        rows = without_nulls(to_arrow(frame, name=name))
        table = self.connection.create_table(f"source_{name}", rows, overwrite=True)
        return Source(name, table, f"the {type(frame).__name__} given")

    def open_settings(self, name: str, settings: TableSettings, folder: Path) -> Source:
        """Return what ``[tables.NAME]`` describes as a source.

        Parameters
        ----------
        name : str
            The table's name.
        settings : TableSettings
            Its source.
        folder : Path
            The folder of the configuration file.

        Returns
        -------
        Source
            On this connection for files, on the named one otherwise.

        Raises
        ------
        ConfigurationError
            Where there is nothing to open.
        ContractViolationError
            Where a file cannot be read.
        """
        if not settings.source:
            raise ConfigurationError(
                f"[tables.{name}] has no `source`.",
                "Without it there are no rows to read.",
                'write source = "orders.parquet", or a table name with `connection`.',
            )
        if settings.connection is not None:
            if settings.connection.partition(":")[0] == "pyspark":
                raise _on_spark(name)
            if settings.connection not in self._addresses:
                connection = connect(name, settings.connection, folder)
                self._addresses[settings.connection] = connection
            database = self._addresses[settings.connection]
            return Source(name, open_table(database, name, settings.source), settings.source)
        files = find_files(settings.source, folder, name=name)
        if all(path.suffix.lower() in PARQUET for path in files):
            return self._open_parquet(name, files)
        table = read_csv(self.connection, name, files, settings, scratch=self.folder)
        return Source(name, table, described(files), all_text=True)

    def keep(self, name: str, table: "ir.Table", *, instead_of: str | None = None) -> "ir.Table":
        """Compute a table once, and return the result.

        Parameters
        ----------
        name : str
            Its name here.
        table : ibis.expr.types.Table
            On this connection.
        instead_of : str, optional
            A table here that nobody needs afterwards.

        Returns
        -------
        ibis.expr.types.Table
            The same rows.
        """
        kept = self.connection.create_table(name, table, overwrite=True)
        if instead_of is not None:
            self.connection.drop_table(instead_of, force=True)
        return kept

    def _open_parquet(self, name: str, files: list[Path]) -> Source:
        import duckdb

        try:
            table = self.connection.read_parquet(
                [str(path) for path in files], table_name=f"source_{name}", union_by_name=True
            )
        except (duckdb.Error, OSError) as error:
            raise ContractViolationError(
                [
                    unreadable(
                        name,
                        f"{described(files)} is no readable Parquet file",
                        f"The reader said: {str(error).splitlines()[0]}.",
                        "write the file again, or correct `source`.",
                    )
                ]
            ) from error
        return Source(name, table, described(files))


def _on_spark(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"Table '{name}' is in the catalog of Spark, but Spark is not asked to compute.",
        "All its rows would come to this machine.",
        'run `mlmarket nightly --engine spark`, or set name = "spark" in [engine].',
    )


def described(files: list[Path]) -> str:
    """Return how messages name the files of a table.

    Parameters
    ----------
    files : list of Path
        At least one.

    Returns
    -------
    str
        The first, and how many more.
    """
    return files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1:,} more"


def on_one_connection(sources: Mapping[str, Source], workbench: Bench) -> dict[str, Source]:
    """Return sources that can be joined.

    Parameters
    ----------
    sources : mapping of str to Source
        Each on some connection.
    workbench : Bench
        Where those are copied that are not all on one connection.

    Returns
    -------
    dict of str to Source
        The same, where all live together on DuckDB, PostgreSQL or Spark.
    """
    homes = {name: source.table.get_backend() for name, source in sources.items()}
    sources = {
        name: replace(source, table=plain(source.table))
        if homes[name].name == "postgres"
        else source
        for name, source in sources.items()
    }
    together = len({id(home) for home in homes.values()}) == 1
    if together and all(home.name in _AT_HOME for home in homes.values()):
        return dict(sources)
    gathered = {}
    for name, source in sources.items():
        if homes[name] is workbench.connection:
            gathered[name] = source
        else:
            copied = workbench.open_frame(name, source.table.to_pyarrow())
            gathered[name] = replace(copied, described=source.described)
    return gathered
