"""On which days did each contact buy what, sorted by contact, however many there are?

Days are the business's own and counted from *today*, the last one that has begun: it is day 0, days above 0
lie ahead. What is read is written to a file first: the tables are then asked once, and whoever reads the
file may ask the market other things meanwhile.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlmarket.churn.local_days import day_number, local_day
from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID
from mlmarket.market.tables import IS_RETURN
from mlmarket.market.time import within
from mlmarket.prediction.buckets import BUCKET, ascending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    import ibis.expr.types as ir
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = [
    "Log",
    "PairLog",
    "PurchaseFile",
    "Reader",
    "Window",
    "begun_day",
    "contact_log",
    "ended_day",
    "pair_log",
]

Integers = npt.NDArray[np.int64]

ITEM_ID: Final = "item_id"
_MICROSECOND: Final = timedelta(microseconds=1)
_PARTS: Final = 10_000
"""Quantities and amounts are added up as ten-thousandths: whole numbers have one sum in any order."""
_LARGEST: Final = 1e12


class Log(NamedTuple):
    """Purchase days of some series, those of a series together and by day.

    Parameters
    ----------
    begin : ndarray of int64, shape (series + 1,)
        Where the rows of each series begin.
    day : ndarray of int64, shape (rows,)
        When, in days from today.
    known : ndarray of int64, shape (rows,)
        The day on which it was known; rows of one day may have become known one after the other.
    lines : ndarray of int64, shape (rows,)
        Order lines.
    size : ndarray of float64, shape (rows,)
        Quantity or amount.
    """

    begin: Integers
    day: Integers
    known: Integers
    lines: Integers
    size: npt.NDArray[np.float64]


class PairLog(NamedTuple):
    """Purchase days of some pairs of contact and item, those of a contact together.

    Parameters
    ----------
    log : Log
        A series is a pair.
    contact, item : ndarray of int64, shape (pairs,)
        Places of its contact among the people asked about, and of its item among all items.
    pairs : ndarray of int64, shape (contacts + 1,)
        Where the pairs of each contact begin.
    """

    log: Log
    contact: Integers
    item: Integers
    pairs: Integers


class Window(NamedTuple):
    """What is looked at.

    Parameters
    ----------
    today : int
        The local day from which days are counted, as days since 1970.
    until : datetime
        Rows after it are not looked at.
    known_at : datetime or None
        Rows that became available later are not seen; None sees all that there are.
    """

    today: int
    until: datetime
    known_at: datetime | None


def begun_day(moment: datetime, zone: "ZoneInfo") -> int:
    """Return the last local day that had begun before an instant, as days since 1970.

    Parameters
    ----------
    moment : datetime
        Aware.
    zone : ZoneInfo
        Where the day begins.

    Returns
    -------
    int
        At midnight, the day that ends then.
    """
    return day_number(moment - _MICROSECOND, zone)


def ended_day(moment: datetime, zone: "ZoneInfo") -> int:
    """Return the last local day that was over at an instant, as days since 1970.

    Parameters
    ----------
    moment : datetime
        Aware.
    zone : ZoneInfo
        Where the day begins.

    Returns
    -------
    int
        A day is over in its last microsecond, in which a night stands.
    """
    return day_number(moment + _MICROSECOND, zone) - 1


class PurchaseFile:
    """Purchases known at an instant, a row a contact, item and day, ascending by contact.

    Parameters
    ----------
    path : Path
        What :meth:`record` wrote.
    by_item : bool
        Whether items are told apart.
    """

    def __init__(self, path: Path, *, by_item: bool) -> None:
        self.path = path
        self.by_item = by_item

    @classmethod
    def record(
        cls,
        market: "Market",
        path: Path,
        *,
        window: "Window",
        by_item: bool = False,
    ) -> "PurchaseFile":
        """Write down who bought when; returns are not purchases.

        Parameters
        ----------
        market : Market
            With orders.
        path : Path
            The file.
        window : Window
            What is looked at.
        by_item : bool, default False
            Whether items are told apart.

        Returns
        -------
        PurchaseFile
            To be read as often as wanted.
        """
        import pyarrow as pa

        rows = _purchases(market, window, by_item=by_item)
        batches = ascending(market, rows.to_pyarrow_batches(chunk_size=BUCKET))
        texts = [CONTACT_ID, ITEM_ID] if by_item else [CONTACT_ID]
        schema = pa.schema(
            [(name, pa.string()) for name in texts]
            + [(name, pa.int64()) for name in ("day", "known", "lines", "size")]
        )
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
            for batch in batches:
                file.write_batch(batch.select(schema.names).cast(schema))
        return cls(path, by_item=by_item)

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """Yield its rows, ascending by contact."""
        import pyarrow as pa

        with pa.memory_map(str(self.path)) as source:
            file = pa.ipc.open_file(source)
            for place in range(file.num_record_batches):
                yield file.get_batch(place)

    def people(self, size: int = BUCKET) -> "Iterator[pa.StringArray]":
        """Yield the contacts who bought, ascending, in buckets.

        Parameters
        ----------
        size : int, default 65,536
            Contacts a bucket, about.

        Yields
        ------
        pyarrow.StringArray
            Each contact once.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        waiting, count = [], 0
        last = None
        for batch in self.batches():
            ids = pc.unique(batch.column(CONTACT_ID))
            if last is not None and len(ids) and ids[0].as_py() == last:
                ids = ids[1:]
            if len(ids):
                last = ids[-1].as_py()
                waiting.append(ids)
                count += len(ids)
            if count >= size:
                yield pa.concat_arrays(waiting)
                waiting, count = [], 0
        if waiting:
            yield pa.concat_arrays(waiting)

    def first_day(self) -> int:
        """Return the day of the first purchase; 1 where there is none."""
        import pyarrow.compute as pc

        days = [pc.min(batch.column("day")).as_py() for batch in self.batches() if batch.num_rows]
        return min(days, default=1)

    def items(self) -> "pa.StringArray":
        """Return every item that was bought, ascending; none where items are not told apart."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found = pa.array([], pa.string())
        if self.by_item:
            for batch in self.batches():
                here = pc.unique(batch.column(ITEM_ID)).drop_null()
                found = pc.unique(pa.concat_arrays([found, here]))
        return found.take(pc.array_sort_indices(found))

    def schema(self) -> "pa.Schema":
        """Return the columns of its rows."""
        import pyarrow as pa

        with pa.memory_map(str(self.path)) as source:
            return pa.ipc.open_file(source).schema


class Reader:
    """Reads a file once, bucket after bucket.

    Parameters
    ----------
    file : PurchaseFile
        Whose rows ascend by contact.
    """

    def __init__(self, file: PurchaseFile) -> None:
        self._schema = file.schema()
        self._batches = file.batches()
        self._waiting = next(self._batches, None)

    def of(self, people: "pa.StringArray") -> "pa.Table":
        """Return the rows of some contacts.

        Parameters
        ----------
        people : pyarrow.StringArray
            Ascending, and all of them behind those asked about before.

        Returns
        -------
        pyarrow.Table
            Those of them who bought have rows.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        mine = []
        while self._waiting is not None and len(people):
            ids = self._waiting.column(CONTACT_ID)
            here = int(pc.sum(pc.less_equal(ids, people[-1]), min_count=0).as_py())
            mine.append(self._waiting.slice(0, here))
            self._waiting = self._waiting.slice(here)
            if self._waiting.num_rows:
                break
            self._waiting = next(self._batches, None)
        table = pa.Table.from_batches(mine, schema=self._schema)
        return table.filter(pc.is_in(table.column(CONTACT_ID), value_set=people))


def _purchases(market: "Market", window: Window, *, by_item: bool) -> "ir.Table":
    import ibis

    orders = market.table("orders")
    orders = orders.filter(~orders[IS_RETURN])
    occurred = orders["ordered_at"]
    late = AVAILABLE_AT in orders.columns
    available = orders[AVAILABLE_AT].coalesce(occurred) if late else occurred
    seen = within(occurred, until=window.until)
    if window.known_at is not None:
        seen &= within(available, until=window.known_at)
    first = orders.filter(seen)["ordered_at"].min().to_pyarrow().as_py()
    begin = window.until if first is None else first.replace(tzinfo=UTC)
    end = max(begin, window.until)

    def day_of(moment: "ir.TimestampValue") -> "ir.IntegerValue":
        return local_day(moment, market.zone, first=begin, last=end) - window.today

    day = day_of(occurred)
    known = ibis.greatest(day_of(available), day) if late else day
    named: dict[str, Any] = {CONTACT_ID: orders[CONTACT_ID], "day": day, "known": known}
    if by_item:
        named[ITEM_ID] = orders[ITEM_ID]
    rows = orders.filter(seen).select(**named, size=_size(orders, by_item=by_item))
    grouped = rows.group_by(list(named)).aggregate(lines=rows.count(), size=rows["size"].sum())
    return grouped.order_by(CONTACT_ID)


def _size(orders: "ir.Table", *, by_item: bool) -> "ir.IntegerValue":
    """Return how much a line is: its quantity where items are told apart, else its amount."""
    import ibis

    for name in ("quantity", "amount") if by_item else ("amount", "quantity"):
        if name in orders.columns:
            number = orders[name].cast("float64").fill_null(0.0).clip(0.0, _LARGEST)
            return (number * _PARTS).round().cast("int64")
    return ibis.literal(_PARTS, "int64")


def contact_log(people: "pa.StringArray", table: "pa.Table") -> Log:
    """Return the purchase days of contacts.

    Parameters
    ----------
    people : pyarrow.StringArray
        The contacts, ascending.
    table : pyarrow.Table
        Their rows.

    Returns
    -------
    Log
        A series a contact, in the order of `people`.
    """
    return _grouped(table, _places(table, CONTACT_ID, people), len(people))


def pair_log(people: "pa.StringArray", table: "pa.Table", items: "pa.StringArray") -> PairLog:
    """Return the purchase days of pairs of contact and item.

    Parameters
    ----------
    people : pyarrow.StringArray
        The contacts, ascending.
    table : pyarrow.Table
        Their rows.
    items : pyarrow.StringArray
        All items, ascending. Rows of none of them are left out.

    Returns
    -------
    PairLog
        By contact, then by item.
    """
    import pyarrow.compute as pc

    table = table.filter(pc.is_in(table.column(ITEM_ID), value_set=items))
    contact, item = _places(table, CONTACT_ID, people), _places(table, ITEM_ID, items)
    # A pair is numbered by its two places; the numbers are then made to follow one another.
    number, pair = np.unique(contact * max(len(items), 1) + item, return_inverse=True)
    of_contact, of_item = np.divmod(number, max(len(items), 1))
    pairs = np.searchsorted(of_contact, np.arange(len(people) + 1))
    return PairLog(_grouped(table, pair, len(number)), of_contact, of_item, pairs)


def _places(table: "pa.Table", name: str, among: "pa.StringArray") -> Integers:
    import pyarrow.compute as pc

    found = pc.index_in(table.column(name), value_set=among)
    return np.asarray(found.to_numpy(), dtype=np.int64)


def _grouped(table: "pa.Table", place: Integers, series: int) -> Log:
    """Return rows added up by series, day and day known."""
    day, known, lines, size = (
        np.asarray(table.column(name).to_numpy(), dtype=np.int64)
        for name in ("day", "known", "lines", "size")
    )
    order = np.lexsort((known, day, place))
    place, day, known = place[order], day[order], known[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(place) != 0) | (np.diff(day) != 0) | (np.diff(known) != 0)
    first = np.flatnonzero(new)
    if len(first):
        lines, size = np.add.reduceat(lines[order], first), np.add.reduceat(size[order], first)
    begin = np.searchsorted(place[first], np.arange(series + 1)).astype(np.int64)
    return Log(begin, day[first], known[first], lines, size / _PARTS)
