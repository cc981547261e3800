"""How are any number of contacts asked about without holding them all?

They are called up in *buckets*: ranges of contact ids in ascending order, whose ends are decided once
and written down. An engine gives its rows in the same order, so that one read of the tables fills one
bucket after the other.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from mlmarket.errors import RunError
from mlmarket.market.columns import CONTACT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["BUCKET", "Roll", "ascending", "by_bucket"]

BUCKET: Final = 65_536
"""Contacts a bucket. Also the rows of a row group of what is written: another number, other bytes."""

_BY_CODE_POINT: Final = frozenset({"duckdb", "pyspark"})
"""Engines that order text as Arrow does; a database may order it as a dictionary does."""


class Roll:
    """The contacts known at an instant, ascending, in buckets; kept in a file, read in parts.

    Parameters
    ----------
    path : Path
        What :meth:`record` wrote.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.path = path
        self._file = pa.ipc.open_file(pa.OSFile(str(path)))

    @classmethod
    def record(
        cls, market: "Market", path: Path, *, as_of: datetime, contacts_a_bucket: int = BUCKET
    ) -> "Roll":
        """Write down who is known at an instant.

        Parameters
        ----------
        market : Market
            The tables.
        path : Path
            The file.
        as_of : datetime
            The instant.
        contacts_a_bucket : int, default 65,536
            How many contacts are asked about together.

        Returns
        -------
        Roll
            With at least one bucket, if without contacts.
        """
        import pyarrow as pa

        known = market.contacts(as_of=as_of).select(CONTACT_ID).distinct().order_by(CONTACT_ID)
        rows = known.to_pyarrow_batches(chunk_size=contacts_a_bucket)
        schema = pa.schema([(CONTACT_ID, pa.string())])
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
            for people in _in_buckets(ascending(market, rows), contacts_a_bucket):
                file.write_batch(pa.RecordBatch.from_arrays([people], schema=schema))
        return cls(path)

    def __len__(self) -> int:
        """Return the number of buckets."""
        return int(self._file.num_record_batches)

    def __getitem__(self, bucket: int) -> "pa.StringArray":
        """Return the contacts of a bucket, ascending."""
        return self._file.get_batch(bucket).column(CONTACT_ID)

    def since(self, bucket: int) -> "pa.Table":
        """Return the contacts of a bucket and of all that follow, as a table for an engine.

        Parameters
        ----------
        bucket : int
            The first bucket wanted.

        Returns
        -------
        pyarrow.Table
            ``contact_id``; mapped from the file, so that it takes no memory of its own.
        """
        import pyarrow as pa

        file = pa.ipc.open_file(pa.memory_map(str(self.path)))
        batches = [file.get_batch(place) for place in range(bucket, len(self))]
        return pa.Table.from_batches(batches, schema=file.schema)


def _in_buckets(batches: "Iterable[pa.RecordBatch]", size: int) -> "Iterator[pa.StringArray]":
    """Yield ids in pieces of one size, the last one smaller; one piece where there is none."""
    import pyarrow as pa

    waiting: list[pa.Array] = []
    count = 0
    for batch in batches:
        waiting.append(batch.column(CONTACT_ID).cast(pa.string()))
        count += batch.num_rows
        while count > size:  # a full one waits, since the last one may be full
            ids = pa.concat_arrays(waiting)
            yield ids.slice(0, size)
            waiting, count = [ids.slice(size)], count - size
    yield pa.concat_arrays(waiting) if waiting else pa.array([], pa.string())


def ascending(market: "Market", batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """Yield rows in the order of the code points of ``contact_id``.

    Parameters
    ----------
    market : Market
        Where they come from.
    batches : iterable of pyarrow.RecordBatch
        With a ``contact_id``, in the order in which that engine sorts text.

    Yields
    ------
    pyarrow.RecordBatch
        The same rows; sorted again, on the disk where there are many, only where the engine may
        have another order.
    """
    import itertools

    import pyarrow as pa

    if market.table("contacts").get_backend().name in _BY_CODE_POINT or market.workbench is None:
        yield from batches
        return
    rows = iter(batches)
    first = next(rows, None)
    if first is None:
        return
    reader = pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], rows))
    with market.workbench.connection.con.cursor() as cursor:
        found = cursor.from_arrow(reader).order(CONTACT_ID).to_arrow_reader(BUCKET)
        empty = True
        for batch in found:
            empty = False
            yield batch
        if empty:
            yield first.slice(0, 0)


def by_bucket(
    rows: "Iterable[pa.Table]", buckets: "Iterable[pa.StringArray]"
) -> "Iterator[tuple[pa.StringArray, pa.Table]]":
    """Yield each bucket with its rows.

    Parameters
    ----------
    rows : iterable of pyarrow.Table
        At least one, if without rows; ascending by ``contact_id`` over all of them.
    buckets : iterable of pyarrow.StringArray
        Contacts, ascending over all of them.

    Yields
    ------
    tuple of (pyarrow.StringArray, pyarrow.Table)
        A bucket, and the rows up to its last contact that no bucket before it had.

    Raises
    ------
    RunError
        Where rows do not ascend.
    """
    import pyarrow as pa

    tables = _refuse_disorder(rows)
    waiting = next(tables)
    for people in buckets:
        mine = []
        while len(people):
            here = _up_to(waiting, people[-1])
            mine.append(waiting.slice(0, here))
            waiting = waiting.slice(here)
            following = None if waiting.num_rows else next(tables, None)
            if following is None:
                break
            waiting = following
        yield people, pa.concat_tables(mine or [waiting.slice(0, 0)])
    for _ in tables:
        pass  # whoever gives the rows may have a word to say at their end


def _up_to(table: "pa.Table", last: "pa.StringScalar") -> int:
    """Return how many rows have a contact up to one."""
    import pyarrow.compute as pc

    return int(pc.sum(pc.less_equal(table.column(CONTACT_ID), last), min_count=0).as_py())


def _refuse_disorder(tables: "Iterable[pa.Table]") -> "Iterator[pa.Table]":
    import pyarrow.compute as pc

    before = None
    for table in tables:
        if table.num_rows:
            ids = cast("pa.StringArray", table.column(CONTACT_ID).combine_chunks())
            fits = before is None or pc.less(before, ids[0]).as_py()
            if not fits or not pc.all(pc.less(ids[:-1], ids[1:]), min_count=0).as_py():
                raise RunError(
                    "The rows of contacts do not come in ascending order of their ids.",
                    "They are joined bucket by bucket; some would be left out unseen.",
                    "keep contact_id as plain text that the database orders by code point.",
                )
            before = ids[-1]
        yield table
