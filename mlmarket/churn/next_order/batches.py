"""What is answered about a bucket of contacts, in memory that does not grow with their number?"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from mlmarket.churn.next_order.answers import (
    Asked,
    Pairs,
    about_contacts,
    about_items,
)
from mlmarket.churn.next_order.fitted import FittedHazard
from mlmarket.churn.next_order.purchases import PurchaseFile, Reader, Window
from mlmarket.churn.next_order.rows import Chunk, Known, Past, describe
from mlmarket.churn.next_order.states import count_days
from mlmarket.prediction.answers import in_one
from mlmarket.prediction.predictor import Predictions

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["answers"]

_TODAY: Final = np.zeros(1, dtype=np.int64)
_AT_ONCE: Final = 4_096
"""Contacts whose purchases are held at a time: one may have bought hundreds of items."""


def answers(
    market: "Market",
    fitted: FittedHazard,
    asked: Asked,
    buckets: "Iterable[pa.StringArray]",
    *,
    by_item: bool,
) -> Iterator[Predictions]:
    """Answer bucket by bucket, with one read of the tables before the first one.

    Parameters
    ----------
    market : Market
        With orders.
    fitted : FittedHazard
        What was learned.
    asked : Asked
        When it is asked, and what else is said.
    buckets : iterable of pyarrow.StringArray
        Contacts, ascending over all of them.
    by_item : bool
        Whether it is asked of each item.

    Yields
    ------
    Predictions
        Of a bucket; they depend on the market and the instant alone.
    """
    bench = market.workbench
    with tempfile.TemporaryDirectory(dir=None if bench is None else bench.folder) as folder:
        path = Path(folder) / "purchases.arrow"
        window = Window(asked.today, asked.as_of, asked.as_of)
        file = PurchaseFile.record(market, path, window=window, by_item=by_item)
        past = Past(file, Known.of("item" if by_item else "contact"))
        facts = past.facts(_TODAY)
        reader = Reader(file)
        for people in buckets:
            starts = range(0, max(len(people), 1), _AT_ONCE)
            parts = (past.chunk(reader, people.slice(start, _AT_ONCE)) for start in starts)
            yield in_one([_answer(part, fitted, asked, facts, past.items) for part in parts])


def _answer(
    chunk: Chunk,
    fitted: FittedHazard,
    asked: Asked,
    facts: "np.ndarray | None",
    items: "pa.StringArray",
) -> Predictions:
    import pyarrow as pa

    series = np.flatnonzero(count_days(chunk.series, _TODAY)[:, 0])
    numbers = describe(chunk, series, np.zeros_like(series), _TODAY, facts)
    chance = fitted.chance_by_day(numbers)
    if chunk.pairs is None:
        return about_contacts(chunk.people, series, chance, asked)
    columns = dict(zip(fitted.known.names, numbers.T, strict=True))
    pairs = Pairs(
        contact=chunk.pairs.contact[series],
        item_id=items.take(pa.array(chunk.pairs.item[series])),
        chance=chance,
        times=columns["days"],
        since=columns["since_last"],
        gap=columns["gap_typical"],
    )
    return about_items(chunk.people, pairs, asked)
