"""Which items did the people of a market show interest in?

Rows are streamed from the market's connection and become whole numbers at once, so that memory grows with the
number of rows by some bytes each, and never with the length of ids.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np

from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import to_utc, within
from mlmarket.recommend.content import UrlPattern, item_of_url
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.weights import MICRO, TYPES, codes_of, weights_of

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["UrlCounts", "count_urls", "market_interactions"]

_PARTS: Final = 10_000
"""Amounts are compared as ten-thousandths, as the contract keeps them."""
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC without a zone, as in the tables
_DAY: Final = timedelta(days=1)
_DAY_US: Final = 86_400_000_000
_LOGGED: Final = ("at", "key", "amount")
_AT_ONCE: Final = 1 << 20
"""Rows encoded at a time: the ids of all contacts are hashed once for each such piece."""


class UrlCounts(NamedTuple):
    """How pages visited became items.

    Parameters
    ----------
    visits : int
        Rows that have an address and no item of their own.
    matched : int
        Those whose address names a known item.
    unknown_item : int
        Those whose address fits a pattern, but names none of the table of items.
    unmatched : int
        Those whose address fits no pattern.
    """

    visits: int
    matched: int
    unknown_item: int
    unmatched: int


def market_interactions(
    market: "Market",
    *,
    as_of: datetime,
    weights: Mapping[str, float] | None = None,
    urls: Sequence[str] = (),
    items: "pa.StringArray | None" = None,
    contacts: Sequence[str] | None = None,
) -> Interactions:
    """Return who showed interest in what, as it was known at an instant.

    Parameters
    ----------
    market : Market
        With orders or events.
    as_of : datetime
        Rows that happened or became known after it are not looked at.
    weights : mapping of str to float, optional
        What counts, and how much: ``order`` and types of events. By default orders alone, where they name
        items; else carts and views, see :data:`~mlmarket.recommend.weights.CONTENT_WEIGHTS`.
    urls : sequence of str, optional
        Patterns by which the pages of events without an item name one, see
        :class:`~mlmarket.recommend.content.UrlPattern`.
    items : pyarrow.StringArray, optional
        The catalogue, ascending; rows about other items are left out and counted. By default the items that
        occur.
    contacts : sequence of str, optional
        Only theirs; by default everybody's.

    Returns
    -------
    Interactions
        Looked at from `as_of`. An order line that was wholly returned is no sign of interest: what comes back
        is taken from the contact's latest lines of that item.

    Raises
    ------
    ConfigurationError
        Where a weight, a pattern or `as_of` cannot be used.
    """
    chosen = weights_of(market, weights)
    now = (to_utc(as_of) - _EPOCH) / _DAY
    rows = _rows(market, as_of, chosen, urls)
    if contacts is not None:
        rows = rows.filter(rows[CONTACT_ID].isin(list(contacts)))
    people = _distinct(rows, CONTACT_ID)
    known = _distinct(rows, ITEM_ID) if items is None else items
    bench = market.workbench
    with tempfile.TemporaryDirectory(dir=None if bench is None else bench.folder) as folder:
        path = Path(folder) / "interactions.arrow"
        left_out = _record(rows, path, people, known)
        return Interactions(**_read(path, people, known, left_out, chosen), now=now)


def count_urls(
    market: "Market",
    urls: Sequence[str],
    *,
    as_of: datetime,
    weights: Mapping[str, float] | None = None,
) -> UrlCounts:
    """Count how the pages visited became items.

    Parameters
    ----------
    market : Market
        The tables.
    urls : sequence of str
        Patterns.
    as_of : datetime
        Rows that happened or became known after it are not looked at.
    weights : mapping of str to float, optional
        Types that count, as in :func:`market_interactions`.

    Returns
    -------
    UrlCounts
        All 0 where there are no events with an address.
    """
    rows = _visits(market, as_of, weights_of(market, weights), urls)
    if rows is None:
        return UrlCounts(0, 0, 0, 0)
    fits = rows[ITEM_ID].notnull()
    known = _of_known_items(market, rows.filter(fits))
    counted = rows.aggregate(visits=rows.count(), fits=fits.sum()).to_pyarrow().to_pylist()[0]
    matched = int(known.count().to_pyarrow().as_py())
    visits, fit = int(counted["visits"]), int(counted["fits"] or 0)
    return UrlCounts(visits, matched, fit - matched, visits - fit)


def _rows(
    market: "Market", as_of: datetime, weights: Mapping[str, float], urls: Sequence[str]
) -> "ir.Table":
    """Return a row for each sign of interest and each return."""
    import ibis

    types = {*weights, "return"} if "order" in weights else set(weights)
    done = market.activity(*sorted(types))
    known = within(done[OCCURRED_AT], until=as_of) & within(done[AVAILABLE_AT], until=as_of)
    done = done.filter(known & done[ITEM_ID].notnull())
    amount = (done["value"].cast("float64").abs() * _PARTS).round().cast("int64").fill_null(0)
    parts = [_in_numbers(done, weights, amount=amount)]
    visits = _visits(market, as_of, weights, urls)
    if visits is not None:
        named = _of_known_items(market, visits.filter(visits[ITEM_ID].notnull()))
        parts.append(_in_numbers(named, weights, amount=ibis.literal(0, "int64")))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _in_numbers(
    rows: "ir.Table", weights: Mapping[str, float], *, amount: "ir.Value"
) -> "ir.Table":
    codes = sorted(codes_of(weights).items())
    return rows.select(
        CONTACT_ID,
        ITEM_ID,
        at=rows[OCCURRED_AT],
        type=rows["type"].cases(*codes, else_=0).cast("int64"),
        amount=amount.cast("int64"),
    )


def _visits(
    market: "Market", as_of: datetime, weights: Mapping[str, float], urls: Sequence[str]
) -> "ir.Table | None":
    """Return events that have an address and no item, with the item that the address names.

    Activity knows no addresses, so the table itself is read, with the same idea of what was known.
    """
    patterns = [UrlPattern.parse(text) for text in urls]
    if not patterns or not market.has("events"):
        return None
    events = market.table("events")
    if "url" not in events.columns:
        return None
    types = sorted(set(weights) - {"order"})
    occurred = events[OCCURRED_AT]
    available = occurred
    if AVAILABLE_AT in events.columns:
        available = events[AVAILABLE_AT].coalesce(occurred)
    keep = events["event_type"].isin(types) & events["url"].notnull()
    keep &= within(occurred, until=as_of) & within(available, until=as_of)
    if ITEM_ID in events.columns:
        keep &= events[ITEM_ID].isnull()
    rows = events.filter(keep)
    named: dict[str, Any] = {
        "type": rows["event_type"],
        ITEM_ID: item_of_url(rows["url"], patterns),
    }
    return rows.select(CONTACT_ID, OCCURRED_AT, **named)


def _of_known_items(market: "Market", rows: "ir.Table") -> "ir.Table":
    """Leave out addresses that look like an item's and are none, such as a list of them."""
    if not market.has("items"):
        return rows
    return rows.semi_join(market.table("items").select(ITEM_ID), ITEM_ID)


def _distinct(rows: "ir.Table", column: str) -> "pa.StringArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    found = rows.select(column).distinct().to_pyarrow().column(column).cast(pa.string())
    values = pa.concat_arrays(found.chunks or [pa.array([], pa.string())])
    return cast("pa.StringArray", values.take(pc.sort_indices(values)))


def _record(
    rows: "ir.Table", path: Path, people: "pa.StringArray", items: "pa.StringArray"
) -> dict[str, int]:
    """Write the rows as whole numbers, and return how many were left out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    left_out: dict[str, int] = {}
    schema = pa.schema([("contact", pa.int32()), *((name, pa.int64()) for name in _LOGGED)])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        for batch in rows.to_pyarrow_batches(chunk_size=_AT_ONCE):
            item = pc.index_in(batch.column(ITEM_ID).cast(pa.string()), value_set=items)
            if item.null_count:
                _count(left_out, "of items that are not known", item.null_count)
            known = batch.filter(item.is_valid())
            item = pc.multiply(item.drop_null().cast(pa.int64()), TYPES)
            columns = [
                pc.index_in(known.column(CONTACT_ID).cast(pa.string()), value_set=people),
                known.column("at").cast(pa.timestamp("us")).cast(pa.int64()),
                pc.add(item, known.column("type").cast(pa.int64())),
                known.column("amount").cast(pa.int64()),
            ]
            file.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return left_out


def _batches(path: Path) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    with pa.OSFile(str(path)) as source:  # read, not mapped: what was read is let go again
        file = pa.ipc.open_file(source)
        for place in range(file.num_record_batches):
            yield file.get_batch(place)


def _read(
    path: Path,
    people: "pa.StringArray",
    items: "pa.StringArray",
    left_out: dict[str, int],
    weights: Mapping[str, float],
) -> dict[str, Any]:
    """Return the fields of interactions but the instant."""
    from mlmarket.recommend.netting import put, tidy

    lengths = np.zeros(len(people), dtype=np.int64)
    for batch in _batches(path):
        lengths += np.bincount(batch.column("contact").to_numpy(), minlength=len(people))
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    log = np.empty((int(start[-1]), len(_LOGGED)), dtype=np.int64)
    free = start[:-1].copy()
    for batch in _batches(path):
        rows = np.column_stack([batch.column(name).to_numpy() for name in _LOGGED])
        put(batch.column("contact").to_numpy(), rows, free, log)
    micro = np.zeros(TYPES, dtype=np.int64)
    for kind, code in codes_of(weights).items():
        micro[code] = round(weights.get(kind, 0.0) * MICRO)
    returned, repeated = tidy(start, log, micro)
    _count(left_out, "wholly returned", returned)
    _count(left_out, "repeated", repeated)
    log = log[: start[-1]]
    return {
        "contacts": people,
        "items": items,
        "start": start,
        "item": (log[:, 1] // 2).astype(np.int32),
        "at": log[:, 0] / _DAY_US,
        "weight": (log[:, 2] / MICRO).astype(np.float32),
        "left_out": left_out,
        "bought": None if set(weights) == {"order"} else log[:, 1] % 2 == 1,
    }


def _count(left_out: dict[str, int], reason: str, rows: int) -> None:
    if rows:
        left_out[reason] = left_out.get(reason, 0) + int(rows)
