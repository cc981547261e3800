"""Where do the tables come from?

Opens files, frames and database tables as plain Ibis tables, on one connection: DuckDB, unless all
tables already live on another. What the columns mean is decided elsewhere.
"""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market.settings import TableSettings

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

__all__ = ["Source", "Workbench", "find_files", "fingerprint", "to_arrow"]

_BLOCK: Final = 1 << 20


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


def to_arrow(frame: object, *, name: str) -> "pa.Table":
    """Return a pandas, polars or Arrow frame as an Arrow table.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        Anything that speaks the Arrow stream protocol, or a pandas frame.
    name : str
        The table's name, for messages.

    Returns
    -------
    pyarrow.Table
        The same rows; the index of a pandas frame is left out.

    Raises
    ------
    ConfigurationError
        Where it is no frame.
    DataContractError
        Where a column holds values of several types.
    """
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return frame
    try:
        if type(frame).__module__.partition(".")[0] == "pandas":
            return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.table(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataContractError(
            f"Table '{name}' mixes types in one column: {error.args[0]}.",
            "A column has one type, so that every row is read alike.",
            "convert the column before passing it, such as frame['id'].astype(str).",
        ) from error
    raise ConfigurationError(
        f"Table '{name}' is a {type(frame).__name__}, which is no table.",
        "A Market is made of frames or Ibis tables.",
        "pass a pandas, polars or Arrow table, or a table of an Ibis connection.",
    )


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
    pattern = folder / source
    if any(sign in source for sign in "*?["):
        anchor = Path(pattern.anchor)
        found = sorted(anchor.glob(str(pattern.relative_to(anchor))))
    else:
        found = [pattern] if pattern.is_file() else []
    if not found:
        raise ConfigurationError(
            f"Table '{name}' has no file at '{source}' (looked in {folder}).",
            "Its rows are read from there.",
            f"correct `source` in [tables.{name}]; paths are relative to the configuration.",
        )
    return found


def fingerprint(files: Iterable[Path]) -> str:
    """Return the sha256 of the content of files, in their order.

    Parameters
    ----------
    files : iterable of Path
        The files of one table.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(_BLOCK), b""):
                digest.update(block)
        digest.update(path.stat().st_size.to_bytes(8, "big"))
    return digest.hexdigest()


class Workbench:
    """The DuckDB connection on which files and frames are opened.

    Parameters
    ----------
    folder : Path, optional
        Where it may put temporary files; by default the system's folder for them.
    """

    def __init__(self, folder: Path | None = None) -> None:
        import ibis

        self.folder = Path(tempfile.mkdtemp(prefix="mlmarket-", dir=folder))
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.connection = ibis.duckdb.connect(":memory:", temp_directory=str(self.folder))
        self.connection.raw_sql("SET TimeZone = 'UTC'")

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
        """
        table = self.connection.create_table(
            f"source_{name}", to_arrow(frame, name=name), overwrite=True
        )
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
        """
        if not settings.source:
            raise ConfigurationError(
                f"[tables.{name}] has no `source`.",
                "Without it there are no rows to read.",
                'write source = "orders.parquet", or a table name with `connection`.',
            )
        if settings.connection is not None:
            return _open_database(name, settings)
        files = find_files(settings.source, folder, name=name)
        if all(path.suffix == ".parquet" for path in files):
            return self._open_parquet(name, files)
        return self._open_csv(name, files, settings)

    def _open_parquet(self, name: str, files: list[Path]) -> Source:
        import duckdb

        try:
            table = self.connection.read_parquet([str(path) for path in files])
        except (duckdb.Error, OSError) as error:
            raise DataContractError(
                f"Table '{name}': {files[0].name} is no readable Parquet file.",
                f"The reader said: {str(error).splitlines()[0]}.",
                "write the file again, or correct `source`.",
            ) from error
        return Source(name, table, files[0].name)

    def _open_csv(self, name: str, files: list[Path], settings: TableSettings) -> Source:
        from mlmarket.market.text_files import read_csv

        table = read_csv(self.connection, name, files, settings, scratch=self.folder)
        return Source(name, table, files[0].name, all_text=True)


def _open_database(name: str, settings: TableSettings) -> Source:
    import ibis

    place, _, table_name = settings.source.rpartition(".")
    try:
        connection = ibis.connect(settings.connection)
        table = connection.table(table_name, database=place or None)
    except Exception as error:  # each driver has errors of its own
        raise ConfigurationError(
            f"Table '{name}' cannot be opened at '{settings.source}': {type(error).__name__}.",
            "Its rows are read from that database.",
            f"check `connection` and `source` of [tables.{name}] and the network.",
        ) from error
    return Source(name, table, settings.source)
