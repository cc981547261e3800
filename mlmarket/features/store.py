"""Where do the rows of each contact lie, so that they are read in one go?

An event store holds the rows that meet one of a list of conditions, as integers, sorted by contact
and time, in two Parquet files: a *base*, and a *tail* of the latest days.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlmarket.features.behaviour import Behaviour
from mlmarket.features.program import NO_VALUE, Integers

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FORMAT",
    "MANIFEST",
    "Bucket",
    "Contents",
    "EventStore",
    "StoredRows",
    "checksums_of",
    "read_contents",
]

FORMAT: Final = 1
"""Of the files; stores of another format are written anew."""

MANIFEST: Final = "store.json"

_BLOCK: Final = 1 << 20
_ABSENT: Final = {"late": 0, "value": NO_VALUE}
"""What a file means by leaving a column out."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store was made of.

    Parameters
    ----------
    format, library : int, str
        Of the files, and of what computed the digests.
    conditions : tuple of str
        What the bits of the marks stand for.
    base_until : int
        Rows of the base occurred on or before this day, counted from 1970.
    base_digest, tail_digest, contacts_digest : str
        Of the rows that each file was made of.
    base_rows : int
        How many rows the base has.
    late, valued : bool
        Whether some row became known after it occurred, and whether some row has a value.
    base, tail, contacts : str
        Names of the files.
    checksums : tuple of int
        Of the three files, as they were written.
    """

    format: int
    library: str
    conditions: tuple[str, ...]
    base_until: int
    base_digest: str
    tail_digest: str
    contacts_digest: str
    base_rows: int
    late: bool
    valued: bool
    base: str
    tail: str
    contacts: str
    checksums: tuple[int, ...] = ()

    @property
    def files(self) -> tuple[str, str, str]:
        """Names of the three files."""
        return self.base, self.tail, self.contacts


def read_contents(folder: Path) -> Contents | None:
    """Return what a folder holds.

    Parameters
    ----------
    folder : Path
        Where a store may be.

    Returns
    -------
    Contents or None
        None where there is no store of today's format, or a file is not what was written.
    """
    try:
        plain = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        lists = {name: tuple(plain[name]) for name in ("conditions", "checksums")}
        contents = Contents(**{**plain, **lists})
        whole = checksums_of(folder, contents) == contents.checksums
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return contents if whole and contents.format == FORMAT else None


def checksums_of(folder: Path, contents: Contents) -> tuple[int, ...]:
    """Return the checksums of a store's files as they are now.

    Parameters
    ----------
    folder : Path
        Where they are.
    contents : Contents
        What names them.

    Returns
    -------
    tuple of int
        CRC-32 of each: Parquet may be read with a flipped bit, and give other numbers.
    """
    return tuple(_checksum(folder / name) for name in contents.files)


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            found = zlib.crc32(block, found)
    return found


@dataclass(frozen=True, slots=True)
class Bucket:
    """Neighbouring contacts, in the order of their ids.

    Parameters
    ----------
    first, last : int
        Places of the first contact and of the one after the last.
    """

    first: int
    last: int

    def __len__(self) -> int:
        """Return the number of contacts."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Rows of some contacts, those of a contact together and by time.

    Parameters
    ----------
    begin : ndarray of int64, shape (contacts + 1,)
        Where the rows of each contact begin.
    columns : mapping of str to ndarray of int64
        ``time`` in microseconds since 1970, ``marks_0`` and so on, and, where a store has them,
        ``late`` in microseconds and ``value`` in ten-thousandths.
    """

    begin: Integers
    columns: dict[str, Integers]


class EventStore:
    """Rows of a market, sorted by contact and time.

    Make one with :func:`mlmarket.features.preparation.prepare_store`.

    Parameters
    ----------
    folder : Path
        Where its files are.
    contents : Contents
        What they hold.
    """

    def __init__(self, folder: Path, contents: Contents) -> None:
        self.folder = folder
        self.contents = contents
        self.conditions = tuple(Behaviour.parse(text) for text in contents.conditions)

    @cached_property
    def _contacts(self) -> "pa.Table":
        import pyarrow.parquet as pq

        return pq.read_table(self.folder / self.contents.contacts)

    @cached_property
    def contact_ids(self) -> "pa.Array":
        """Every contact, ascending."""
        return self._contacts.column("contact_id").combine_chunks()

    @cached_property
    def _files(self) -> "tuple[_File, _File]":
        return tuple(  # type: ignore[return-value]
            _File(
                self.folder / name,
                self._contacts.column(f"{part}_begin").to_numpy(),
                self._contacts.column(f"{part}_rows").to_numpy(),
            )
            for part, name in (("base", self.contents.base), ("tail", self.contents.tail))
        )

    def buckets(self, *, most_rows: int, most_contacts: int) -> Iterator[Bucket]:
        """Cut the contacts into buckets.

        Parameters
        ----------
        most_rows, most_contacts : int
            Of a bucket; a contact with more rows is a bucket of its own.

        Yields
        ------
        Bucket
            Ascending, without gaps.
        """
        base, tail = self._files
        ends = np.cumsum(base.rows + tail.rows)
        first = 0
        while first < len(ends):
            before = int(ends[first - 1]) if first else 0
            fitting = int(np.searchsorted(ends, before + most_rows, side="right"))
            last = min(max(fitting, first + 1), first + most_contacts, len(ends))
            yield Bucket(first, last)
            first = last

    def read(self, bucket: Bucket, columns: Sequence[str]) -> StoredRows:
        """Return the rows of some contacts.

        Parameters
        ----------
        bucket : Bucket
            Whose.
        columns : sequence of str
            Which columns.

        Returns
        -------
        StoredRows
            In memory.
        """
        base, tail = self._files
        here = slice(bucket.first, bucket.last)
        begin = np.concatenate([[0], np.cumsum(base.rows[here] + tail.rows[here])])
        read = [file.read(here, columns) for file in self._files]
        if not len(read[1]["time"]):
            return StoredRows(begin, read[0])
        contacts = np.arange(len(bucket))
        owner = np.concatenate([np.repeat(contacts, file.rows[here]) for file in self._files])
        order = np.argsort(owner, kind="stable")  # two sorted runs: a merge
        merged = {name: np.concatenate([one[name] for one in read])[order] for name in columns}
        return StoredRows(begin, merged)


class _File:
    """One file of rows, and where each contact's lie in it."""

    def __init__(self, path: Path, begin: Integers, rows: Integers) -> None:
        self.path = path
        self.begin = begin
        self.rows = rows

    @cached_property
    def _metadata(self) -> Any:  # noqa: ANN401 - untyped upstream
        import pyarrow.parquet as pq

        return pq.read_metadata(self.path)

    @cached_property
    def _ends(self) -> Integers:
        """Where each row group ends."""
        groups = range(self._metadata.num_row_groups)
        return np.cumsum([self._metadata.row_group(one).num_rows for one in groups])

    def read(self, contacts: slice, columns: Sequence[str]) -> dict[str, Integers]:
        """Return the rows of neighbouring contacts."""
        filled = np.flatnonzero(self.rows[contacts])
        if not len(filled):
            return {name: np.empty(0, np.int64) for name in columns}
        begin, rows = self.begin[contacts], self.rows[contacts]
        first, last = int(begin[filled[0]]), int(begin[filled[-1]] + rows[filled[-1]])
        return self._read_rows(first, last, columns)

    def _read_rows(self, first: int, last: int, columns: Sequence[str]) -> dict[str, Integers]:
        import pyarrow.parquet as pq

        groups = range(
            int(np.searchsorted(self._ends, first, side="right")),
            int(np.searchsorted(self._ends, last, side="left")) + 1,
        )
        before = int(self._ends[groups[0] - 1]) if groups[0] else 0
        here = [name for name in columns if name in self._metadata.schema.names]
        with pq.ParquetFile(self.path, metadata=self._metadata, memory_map=True) as opened:
            table = opened.read_row_groups(list(groups), columns=here, use_threads=False)
        rows = table.slice(first - before, last - first)
        return {
            name: rows.column(name).to_numpy()
            if name in here
            else np.full(last - first, _ABSENT[name], np.int64)
            for name in columns
        }
