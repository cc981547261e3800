"""How is a CSV file read so that nothing is guessed, shifted or lost?

Every column is read as text; what it means is decided by the contract. A line with too many or too
few values, a wrong encoding or a cut-off archive stops the run with the line's number.
"""

import codecs
import csv
import gzip
import itertools
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import duckdb

from mlmarket.errors import ConfigurationError
from mlmarket.market.settings import TableSettings
from mlmarket.market.violations import ContractViolationError, unreadable

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

__all__ = ["read_csv", "read_header"]

_SEPARATORS: Final = (",", ";", "\t", "|")
_UTF8: Final = frozenset({"utf-8", "utf-8-sig", "ascii"})
_BLOCK: Final = 1 << 20
_SHOWN: Final = 80
_REMEDIES: Final = (
    (b"PK\x03\x04", "is a workbook or an archive, not text", "save it as CSV in UTF-8."),
    (b"\xff\xfe", "is UTF-16 text", 'add encoding = "utf-16" to [tables.{name}].'),
    (b"\xfe\xff", "is UTF-16 text", 'add encoding = "utf-16" to [tables.{name}].'),
)
"""What other files begin with, and what to do with them."""


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
    ConfigurationError
        Where the encoding does not exist.
    ContractViolationError
        Where a file is empty, broken, in another encoding, or has another header.
    """
    encoding = _codec(settings.encoding, name)
    plain = [
        _as_utf8(path, name, encoding, scratch / f"{name}-{place}.csv")
        for place, path in enumerate(files)
    ]
    header, separator = read_header(plain[0], name, settings.separator, shown=files[0].name)
    for path, original in zip(plain[1:], files[1:], strict=True):
        other, _ = read_header(path, name, separator, shown=original.name)
        if other != header:
            raise _refused(
                name,
                f"{original.name} has other columns than {files[0].name}",
                "Files of one table are read as one, column by column.",
                f"export both with the header {_listed(header)}.",
            )
    options: dict[str, Any] = {
        "columns": dict.fromkeys(header, "VARCHAR"),
        "delim": separator,
        "header": True,
        "quote": '"',
        "escape": '"',
        "nullstr": "",
        "null_padding": False,
    }
    try:
        view = connection.read_csv([str(path) for path in plain], **options)
        return connection.create_table(f"source_{name}", view, overwrite=True)
    except duckdb.Error as error:
        originals = dict(zip(map(str, plain), files, strict=True))
        raise _broken_lines(connection, name, originals, options, error) from error


def _listed(header: list[str], most: int = 6) -> str:
    return ", ".join(header[:most]) + (", …" if len(header) > most else "")


def read_header(
    path: Path,
    name: str,
    separator: str | None = None,
    *,
    encoding: str = "utf-8-sig",
    shown: str | None = None,
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
    shown : str, optional
        The file's name in messages, by default its own.

    Returns
    -------
    tuple of list of str and str
        The names in order, and the separator.

    Raises
    ------
    ContractViolationError
        Where the file is empty or a name stands twice.
    """
    shown = shown or path.name
    with _open_text(path, encoding) as stream:
        line = stream.readline()
        if not line.strip():
            raise _refused(
                name,
                f"{shown} is empty",
                "An empty export is nearly always an export that failed.",
                f"write the file again, or take [tables.{name}] out.",
            )
        outside_quotes = "".join(line.split('"')[::2])
        found = separator or max(_SEPARATORS, key=outside_quotes.count)
        # A name in quotes may hold the end of a line.
        row = next(csv.reader(itertools.chain([line], stream), delimiter=found))
    columns = [column.strip() for column in row]
    columns = [column or f"column_{place}" for place, column in enumerate(columns, start=1)]
    folded = [column.casefold() for column in columns]
    twice = next((column for column in columns if folded.count(column.casefold()) > 1), None)
    if twice is not None:
        raise _refused(
            name,
            f"the header of {shown} names '{twice}' twice (upper and lower case count as one)",
            "It would be chance which of the two is read.",
            "rename one of them in the file.",
        )
    return columns, found


def _refused(name: str, what: str, why: str, fix: str) -> ContractViolationError:
    return ContractViolationError([unreadable(name, what, why, fix)])


def _broken_lines(
    connection: "Backend",
    name: str,
    files: dict[str, Path],
    options: dict[str, Any],
    error: Exception,
) -> ContractViolationError:
    """Count the lines that cannot be read, and quote the first."""
    first = next(iter(files.values()))
    found = f"{first.name} has lines that cannot be read ({str(error).splitlines()[0]})"
    rejects = {"rejects_table": f"broken_{name}", "rejects_scan": f"scans_{name}"}
    rows: list[Any] = []
    try:
        view = connection.read_csv(list(files), store_rejects=True, **rejects, **options)
        view.count().to_pyarrow().as_py()
        lines = connection.raw_sql(
            f"SELECT DISTINCT file_path, line, csv_line FROM broken_{name} "  # noqa: S608
            f"JOIN scans_{name} USING (scan_id, file_id)"
        )
        rows = sorted(lines.fetchall(), key=lambda row: (list(files).index(row[0]), row[1]))
    except duckdb.Error:
        pass  # the reader's own words have to do
    if rows:
        place, line, text = rows[0]
        broken = "1 broken line" if len(rows) == 1 else f"{len(rows):,} broken lines"
        found = (
            f"{files[place].name} has {broken}; the first is line {line}: "
            f"{str(text).strip()[:_SHOWN]!r}"
        )
    return _refused(
        name,
        found,
        "A line with another number of values shifts them into the wrong columns.",
        "mend those lines (often a quote or a separator inside a text), or name the right "
        f"`separator` in [tables.{name}].",
    )


def _codec(encoding: str, name: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise ConfigurationError(
            f"[tables.{name}] names the encoding '{encoding}', which does not exist.",
            "Letters outside ASCII would be read wrongly.",
            "use 'utf-8' or 'windows-1252'.",
        ) from None


def _as_utf8(path: Path, name: str, encoding: str, target: Path) -> Path:
    """Return the file if it is proper UTF-8, else a copy of it that is.

    It is read to its end in any case: DuckDB takes a cut-off archive for a shorter one.
    """
    is_utf8 = encoding in _UTF8
    try:
        with _open_text(path, "utf-8-sig" if is_utf8 else encoding) as source:
            if is_utf8:
                for _ in iter(lambda: source.read(_BLOCK), ""):
                    pass
                return path
            with target.open("w", encoding="utf-8", newline="") as output:
                shutil.copyfileobj(source, output, _BLOCK)
    except UnicodeError as error:
        raise _wrong_encoding(path, name, encoding, error) from error
    except (EOFError, OSError) as error:
        raise _refused(
            name,
            f"{path.name} does not go to its end ({error})",
            "A file that was cut off in transfer would lose rows in silence.",
            "fetch the file again.",
        ) from error
    return target


def _wrong_encoding(
    path: Path, name: str, encoding: str, error: UnicodeError
) -> ContractViolationError:
    with path.open("rb") as stream:
        start = stream.read(4)
    byte = ""
    if isinstance(error, UnicodeDecodeError):
        byte = f" (byte 0x{error.object[error.start]:02x})"
    what = f"is not {encoding} text{byte}"
    fix = 'add encoding = "windows-1252" to [tables.{name}], or save the file as UTF-8.'
    for magic, other, remedy in _REMEDIES:
        if start.startswith(magic):
            what, fix = other, remedy
    return _refused(
        name,
        f"{path.name} {what}",
        "Names and categories would be garbled, and their groups split.",
        fix.format(name=name),
    )


def _open_text(path: Path, encoding: str) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")
