"""How is a CSV file read so that nothing is guessed, shifted or lost?

Every column is read as text; what it means is decided by the contract. A line with too many or too
few values, a wrong encoding or a cut-off archive stops the run with the line's number.
"""

import codecs
import csv
import gzip
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market.settings import TableSettings

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

__all__ = ["read_csv", "read_header"]

_SEPARATORS: Final = (",", ";", "\t", "|")
_BLOCK: Final = 1 << 20


def read_csv(
    connection: "Backend", name: str, files: list[Path], settings: TableSettings, *, scratch: Path
) -> "ir.Table":
    """Read CSV files with one header into a table of text columns.

    Parameters
    ----------
    connection : ibis.backends.duckdb.Backend
        Where the table is made, as ``source_NAME``.
    name : str
        The table's name.
    files : list of Path
        Plain or in gzip; all with the same header.
    settings : TableSettings
        Its `separator` and `encoding`.
    scratch : Path
        Folder for copies in UTF-8, where a file is in another encoding.

    Returns
    -------
    ibis.expr.types.Table
        Empty values are missing.

    Raises
    ------
    DataContractError
        Where a file is empty, broken, in another encoding, or has another header.
    """
    import duckdb

    plain = [_as_utf8(path, name, settings.encoding, scratch) for path in files]
    header, separator = read_header(plain[0], name, settings.separator)
    for path in plain[1:]:
        other, _ = read_header(path, name, separator)
        if other != header:
            raise DataContractError(
                f"Table '{name}': {path.name} has other columns than {plain[0].name}.",
                "Files of one table are read as one, column by column.",
                f"export both with the header {', '.join(header[:6])} …",
            )
    query = _query(plain, header, separator)
    target = f"source_{name}"
    try:
        connection.raw_sql(f"CREATE OR REPLACE TABLE {target} AS {query})")
    except duckdb.Error as error:
        raise _broken_lines(connection, name, files[0], query, error) from error
    return connection.table(target)


def read_header(
    path: Path, name: str, separator: str | None = None, *, encoding: str = "utf-8-sig"
) -> tuple[list[str], str]:
    """Return the column names of a CSV file and the separator between them.

    Parameters
    ----------
    path : Path
        The file, plain or in gzip.
    name : str
        The table's name, for messages.
    separator : str, optional
        Where given, it is not searched for.
    encoding : str, default "utf-8-sig"
        Of the file.

    Returns
    -------
    tuple of list of str and str
        The names in order, and the separator.

    Raises
    ------
    DataContractError
        Where the file is empty or a name stands twice.
    """
    with _open_text(path, encoding) as stream:
        line = stream.readline()
    if not line.strip():
        raise DataContractError(
            f"Table '{name}': {path.name} is empty.",
            "An empty export is nearly always an export that failed.",
            f"write the file again, or take [tables.{name}] out.",
        )
    outside_quotes = "".join(line.split('"')[::2])
    found = separator or max(_SEPARATORS, key=outside_quotes.count)
    columns = [column.strip() for column in next(csv.reader([line], delimiter=found))]
    columns = [column or f"column_{place}" for place, column in enumerate(columns, start=1)]
    folded = [column.casefold() for column in columns]
    twice = next((column for column in columns if folded.count(column.casefold()) > 1), None)
    if twice is not None:
        raise DataContractError(
            f"Table '{name}': the header of {path.name} names '{twice}' twice.",
            "It would be chance which of the two is read.",
            "rename one of them in the file.",
        )
    return columns, found


def _query(files: list[Path], header: list[str], separator: str) -> str:
    """Return the reading query, open at the end for one more option."""
    types = ", ".join(f"{_quoted(column)}: 'VARCHAR'" for column in header)
    names = ", ".join(_quoted(str(path)) for path in files)
    return (
        f"SELECT * FROM read_csv([{names}], delim = {_quoted(separator)}, header = true, "
        f"columns = {{{types}}}, quote = '\"', escape = '\"', nullstr = '', "
        "null_padding = false, auto_detect = false"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _broken_lines(
    connection: "Backend", name: str, path: Path, query: str, error: Exception
) -> DataContractError:
    """Count the lines that cannot be read, and quote the first."""
    import duckdb

    found = f"lines that cannot be read ({str(error).splitlines()[0]})"
    try:
        connection.raw_sql(f"SELECT count(*) FROM ({query}, store_rejects = true))").fetchall()
        rows: list[Any] = connection.raw_sql(
            "SELECT line, csv_line, count(*) OVER () FROM "
            "(SELECT DISTINCT line, csv_line FROM reject_errors) ORDER BY line LIMIT 1"
        ).fetchall()
    except duckdb.Error:
        rows = []
    if rows:
        line, text, count = rows[0]
        lines = "broken line" if count == 1 else "broken lines"
        found = f"{count:,} {lines}; the first is line {line}: {str(text).strip()[:80]!r}"
    return DataContractError(
        f"Table '{name}': {path.name} has {found}.",
        "A line with another number of values shifts them into the wrong columns.",
        "mend those lines (often a quote or a separator inside a text), or name the right "
        f"`separator` in [tables.{name}].",
    )


def _as_utf8(path: Path, name: str, encoding: str, scratch: Path) -> Path:
    """Return the file if it is proper UTF-8, else a copy of it that is."""
    try:
        is_utf8 = codecs.lookup(encoding).name in {"utf-8", "utf-8-sig", "ascii"}
    except LookupError:
        raise ConfigurationError(
            f"[tables.{name}] names the encoding '{encoding}', which does not exist.",
            "Letters outside ASCII would be read wrongly.",
            "use 'utf-8' or 'windows-1252'.",
        ) from None
    target = scratch / f"{name}-{path.name.removesuffix('.gz')}"
    try:
        with _open_text(path, "utf-8-sig" if is_utf8 else encoding) as source:
            if is_utf8:
                for _ in iter(lambda: source.read(_BLOCK), ""):
                    pass
                return path
            with target.open("w", encoding="utf-8", newline="") as output:
                shutil.copyfileobj(source, output, _BLOCK)
    except UnicodeDecodeError as error:
        raise DataContractError(
            f"Table '{name}': {path.name} is not {encoding} text "
            f"(byte 0x{error.object[error.start]:02x}).",
            "Names and categories would be garbled, and their groups split.",
            f'add encoding = "windows-1252" to [tables.{name}], or save the file as UTF-8.',
        ) from error
    except (EOFError, OSError) as error:
        raise DataContractError(
            f"Table '{name}': {path.name} cannot be read to its end: {error}.",
            "A file that was cut off in transfer would lose rows in silence.",
            "fetch the file again.",
        ) from error
    return target


def _open_text(path: Path, encoding: str) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")
