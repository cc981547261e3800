"""How is a table written so that a spreadsheet opens it and a mailer takes it?

CSV as RFC 4180 has it, in UTF-8 with a byte order mark, without which Excel takes accents for
Windows-1252. Text that a spreadsheet would run as a formula gets an apostrophe in front, which
spreadsheets take as "this is text". A plus sign followed by digits only is left alone: that is
how phone numbers with a country code are written, a mailer needs them as they are, and no
formula can be made of it. (Excel shows such a cell as a number; import the column as text to
keep the plus sign.) Numbers, also negative ones, are not text and are not touched.
"""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import pyarrow as pa

__all__ = ["write_csv"]

_RUNS: Final = re.compile(r"[ \u00a0]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_PHONE: Final = re.compile(r"\+[0-9]+")
_BATCH: Final = 50_000


def write_csv(table: pa.Table, path: Path | str, *, byte_order_mark: bool = True) -> None:
    """Write a table as CSV.

    Parameters
    ----------
    table : pyarrow.Table
        Any columns. Missing values and NaN become empty cells, times ISO 8601 in UTC, lists
        their values with ``"; "`` between them.
    path : Path or str
        The file, overwritten; renaming it into place is the caller's work.
    byte_order_mark : bool, default True
        Whether Excel is told that the file is UTF-8. Platforms that look for columns by name take
        the mark for a part of the first name: write their files without it.
    """
    encoding = "utf-8-sig" if byte_order_mark else "utf-8"
    with Path(path).open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([_safe(name) for name in table.column_names])
        for batch in table.to_batches(max_chunksize=_BATCH):
            writer.writerows(_rows(batch))


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[str, ...]]:
    columns = [[_cell(value) for value in column.to_pylist()] for column in batch.columns]
    return zip(*columns, strict=True)


def _cell(value: object) -> str:  # noqa: PLR0911 - one line a type
    match value:
        case None:
            return ""
        case str():
            return _safe(value)
        case bool():
            return "true" if value else "false"
        case float():
            return "" if value != value else repr(value)  # NaN
        case Decimal():
            return format(value, "f")
        case datetime():
            aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            return aware.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case list():
            return _safe("; ".join(str(part) for part in value))
        case _:
            return _safe(str(value)) if not isinstance(value, int) else str(value)


def _safe(text: str) -> str:
    if _RUNS.match(text) and not _PHONE.fullmatch(text):
        return f"'{text}"
    return text
