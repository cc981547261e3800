"""How is a person removed from files of runs, exports and history?"""

import csv
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlmarket.errors import RunError

__all__ = ["FilesErased", "erase_from_files"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FilesErased:
    """What erasing from files came to.

    Parameters
    ----------
    rows : dict of Path to int
        The rows removed from each file that was written anew.
    left : tuple of Path
        Files of other kinds in which the person is still named; they have to be deleted or made
        again.
    """

    rows: dict[Path, int] = field(default_factory=dict)
    left: tuple[Path, ...] = ()


def erase_from_files(
    paths: Iterable[Path | str], contact_id: str, addresses: Collection[str] = ()
) -> FilesErased:
    """Remove the rows of a person from Parquet and CSV files, each written anew as a whole.

    A row goes where any of its text values is the contact's id or one of the addresses, however
    large their letters. Files without such a row are not touched.

    Parameters
    ----------
    paths : iterable of Path or str
        Files, or folders that are searched with all that is in them.
    contact_id : str
        The person.
    addresses : collection of str
        E-mails, phones and other ids of theirs.

    Returns
    -------
    FilesErased
        What was removed, and which files of other kinds still name the person.

    Raises
    ------
    RunError
        Where a file cannot be read or written; it is as it was before.
    """
    known = frozenset(_folded(one) for one in (contact_id, *addresses) if one.strip())
    needles = [one.encode() for one in {contact_id, *addresses} if one.strip()]
    rows: dict[Path, int] = {}
    left: list[Path] = []
    for file in _files(paths):
        try:
            several = _erase(file, known)
        except (pa.ArrowException, OSError, csv.Error, UnicodeDecodeError) as error:
            what = f"The file {file} could not be written without the person: {error}"
            why = "It still names them."
            raise RunError(what, why, "mend or delete the file, and erase again.") from error
        if several:
            rows[file] = several
        elif several is None and _names(file, needles):
            left.append(file)
    return FilesErased(rows, tuple(left))


def _folded(text: str) -> str:
    return text.strip().lower()


def _files(paths: Iterable[Path | str]) -> Iterator[Path]:
    for path in map(Path, paths):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one for one in inside if one.is_file() and not one.is_symlink())


def _erase(file: Path, known: frozenset[str]) -> int | None:
    """Return how many rows were removed, None for a kind of file that has no rows."""
    if file.suffix == ".parquet":
        return _erase_parquet(file, known)
    if file.suffix == ".csv":
        return _erase_csv(file, known)
    return None


def _erase_parquet(file: Path, known: frozenset[str]) -> int:
    with pq.ParquetFile(file) as source:
        groups = range(source.num_row_groups)
        several = sum(int(_about(source.read_row_group(n), known).sum()) for n in groups)
        if not several:
            return 0
        compression = source.metadata.row_group(0).column(0).compression
        with (
            _anew(file) as fresh,
            pq.ParquetWriter(fresh, source.schema_arrow, compression=compression) as writer,
        ):
            for number in groups:
                group = source.read_row_group(number)
                writer.write_table(group.filter(pa.array(~_about(group, known))))
    return several


def _about(table: pa.Table, known: frozenset[str]) -> np.ndarray:
    found = np.zeros(len(table), dtype=np.bool_)
    values = pa.array(sorted(known), pa.large_string())
    for column in table.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)  # noqa: PLW2901 - the same values
            kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            text = pc.utf8_lower(pc.utf8_trim_whitespace(column.cast(pa.large_string())))
            found |= pc.is_in(text, value_set=values).to_numpy()
    return found


def _erase_csv(file: Path, known: frozenset[str]) -> int:
    def about(row: list[str]) -> bool:
        return any(_folded(value) in known for value in row)

    with file.open(newline="", encoding="utf-8") as opened:
        several = sum(about(row) for row in csv.reader(opened))
    if not several:
        return 0
    with _anew(file) as fresh, file.open(newline="", encoding="utf-8") as opened:
        _copy_lines(opened, fresh, about)
    return several


def _copy_lines(source: Iterable[str], fresh: Path, about: Callable[[list[str]], bool]) -> None:
    """Copy the rows that are not about the person as they are written, quotes and ends of line."""
    read: list[str] = []

    def lines() -> Iterator[str]:
        for line in source:
            read.append(line)
            yield line

    with fresh.open("w", newline="", encoding="utf-8") as target:
        for row in csv.reader(lines()):
            if not about(row):
                target.writelines(read)
            read.clear()


@contextmanager
def _anew(file: Path) -> Iterator[Path]:
    """Give a place to write to that takes the file's place once all is written."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    os.close(handle)
    fresh = Path(name)
    try:
        yield fresh
        shutil.copymode(file, fresh)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def _names(file: Path, needles: Collection[bytes]) -> bool:
    longest = max((len(needle) for needle in needles), default=1)
    kept = b""
    with file.open("rb") as opened:
        while piece := opened.read(_CHUNK):
            kept += piece
            if any(needle in kept for needle in needles):
                return True
            kept = kept[-longest:]
    return False
