"""What is known of each contact, or each pair of contact and item, and what is asked week by week?

A row is a series and a day. A row has up to thirteen *weeks*: one for each week after that day in which the next
purchase had not come yet and that was over when one looked back. A week that was not over is left out: it is
neither a yes nor a no.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlmarket.churn.next_order.items import ITEM_FACTS, item_facts
from mlmarket.churn.next_order.purchases import (
    Log,
    PairLog,
    PurchaseFile,
    Reader,
    contact_log,
    pair_log,
)
from mlmarket.churn.next_order.states import (
    RHYTHM,
    count_days,
    count_days_since,
    days_until_next,
    rhythms,
)
from mlmarket.evaluation import stable_fractions

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "WEEKS",
    "Chunk",
    "Known",
    "Past",
    "Rows",
    "Weeks",
    "batch_of",
    "describe",
    "frame_of",
    "weekly",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WEEKS: Final = 13
"""Weeks that are looked ahead: 91 days."""

_PAIR: Final = (
    "days",
    "tenure",
    "since_last",
    "gap_last",
    "gap_mean",
    "gap_geometric_mean",
    "gap_spread",
    "size_usual",
    "size_relative",
)
_BETWEEN: Final = ("orders_since_last", "share_of_orders", "gap_typical")
_GAPS_OF_ITEM: Final = 2.0
"""Weight of the item's gap in the typical gap of a pair, in gaps."""
_SALT: Final = "next-order-rows"
_CHUNK: Final = 16_384
"""Contacts whose purchases are held at a time while learning."""


class Clock(NamedTuple):
    """What of a row moves on with each week.

    Parameters
    ----------
    name : str
        What it is called.
    since : str
        Days that have passed on the row's day.
    gap : str
        Days that are typical, by which they are divided; empty for the days themselves.
    """

    name: str
    since: str
    gap: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a series, by name.

    Parameters
    ----------
    names : tuple of str
        Of each row.
    clocks : tuple of Clock
        What moves on with each week.
    due : str
        The clock that is 1 when a purchase is due by the typical gap.
    """

    names: tuple[str, ...]
    clocks: tuple[Clock, ...]
    due: str

    @classmethod
    def of(cls, level: str) -> "Known":
        """Return what is known of a level.

        Parameters
        ----------
        level : {"contact", "item"}
            Of what a series is.

        Returns
        -------
        Known
        """
        return _OF_ITEM if level == "item" else _OF_CONTACT

    @property
    def all_names(self) -> tuple[str, ...]:
        """The columns of a week."""
        return (*self.names, "weeks_ahead", *(clock.name for clock in self.clocks))


_OF_CONTACT: Final = Known(
    RHYTHM,
    (
        Clock("since_last_then", "since_last", ""),
        Clock("due_then", "since_last", "gap_mean"),
        Clock("due_geometric_then", "since_last", "gap_geometric_mean"),
    ),
    due="due_then",
)
_OF_ITEM: Final = Known(
    (*_PAIR, *ITEM_FACTS, *_BETWEEN, *(f"contact_{name}" for name in RHYTHM)),
    (
        Clock("since_last_then", "since_last", ""),
        Clock("due_then", "since_last", "gap_mean"),
        Clock("due_typical_then", "since_last", "gap_typical"),
        Clock("contact_since_last_then", "contact_since_last", ""),
        Clock("contact_due_then", "contact_since_last", "contact_gap_mean"),
    ),
    due="due_typical_then",
)


class Chunk(NamedTuple):
    """Purchases of some contacts.

    Parameters
    ----------
    people : pyarrow.StringArray
        The contacts, ascending.
    contacts : Log
        Their purchase days.
    pairs : PairLog or None
        Those of their items; None where items are not told apart.
    """

    people: "pa.StringArray"
    contacts: Log
    pairs: PairLog | None

    @property
    def series(self) -> Log:
        """The purchase days of each series."""
        return self.contacts if self.pairs is None else self.pairs.log

    def contact_of(self, series: Integers) -> Integers:
        """Return the place of the contact of each series."""
        return series if self.pairs is None else self.pairs.contact[series]

    def item_of(self, series: Integers) -> Integers:
        """Return the place of the item of each series; -1 where items are not told apart."""
        return np.full(len(series), -1) if self.pairs is None else self.pairs.item[series]


@dataclass(frozen=True, slots=True)
class Rows:
    """Series on given days, and how long the next purchase took.

    Parameters
    ----------
    numbers : ndarray of float64, shape (rows, known)
        What was known.
    contact_id : ndarray of str, shape (rows,)
        Whose they are.
    days : ndarray of int64, shape (rows,)
        On how many days they had bought.
    at : ndarray of int64, shape (rows,)
        The day of each row.
    waits : ndarray of int64, shape (rows, stands)
        Days until the next purchase, as each stand knows it; 0 where it had not come.
    """

    numbers: Floats
    contact_id: npt.NDArray[np.object_]
    days: Integers
    at: Integers
    waits: Integers

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Rows":
        """Return some of the rows.

        Parameters
        ----------
        chosen : ndarray of bool, shape (rows,)
            Which.

        Returns
        -------
        Rows
            In the same order.
        """
        return Rows(
            self.numbers[chosen],
            self.contact_id[chosen],
            self.days[chosen],
            self.at[chosen],
            self.waits[chosen],
        )


class Weeks(NamedTuple):
    """Weeks of some rows.

    Parameters
    ----------
    row, week : ndarray of int64, shape (weeks,)
        Whose, and which: 0 is the first one.
    label : ndarray of int8, shape (weeks,)
        Whether the next purchase came in it.
    """

    row: Integers
    week: Integers
    label: npt.NDArray[np.int8]

    @classmethod
    def seen(cls, wait: Integers, observed: Integers) -> "Weeks":
        """Return the weeks that were over, up to the one in which the next purchase came.

        Parameters
        ----------
        wait : ndarray of int64, shape (rows,)
            Days until the next purchase, 0 where it had not come.
        observed : ndarray of int64, shape (rows,)
            Days that were known to be complete.

        Returns
        -------
        Weeks
            By row, then by week.
        """
        came = np.where(wait > 0, (wait - 1) // 7, WEEKS)
        over = np.clip(observed // 7, 0, WEEKS)
        many = np.minimum(came + 1, over)
        row = np.repeat(np.arange(len(wait)), many)
        week = np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many)
        return cls(row, week, (week == came[row]).astype(np.int8))


def weekly(known: Known, numbers: Floats, week: Integers) -> dict[str, Floats]:
    """Return the columns of weeks.

    Parameters
    ----------
    known : Known
        Their names.
    numbers : ndarray of float64, shape (weeks, known)
        What is known of the row of each week.
    week : ndarray of int64, shape (weeks,)
        Which week.

    Returns
    -------
    dict of str to ndarray of float64, shape (weeks,)
        By name.
    """
    columns = {name: numbers[:, place] for place, name in enumerate(known.names)}
    moving = {"weeks_ahead": week.astype(np.float64)}
    for clock in known.clocks:
        then = columns[clock.since] + 7.0 * week
        moving[clock.name] = then / columns[clock.gap] if clock.gap else then
    return columns | moving


class Past:
    """Reads the purchases of a file as rows.

    Parameters
    ----------
    file : PurchaseFile
        What was bought.
    known : Known
        What is made of it.
    """

    def __init__(self, file: PurchaseFile, known: Known) -> None:
        self.file = file
        self.known = known
        self.items = file.items()

    def chunk(self, reader: Reader, people: "pa.StringArray") -> Chunk:
        """Return the purchases of some contacts.

        Parameters
        ----------
        reader : Reader
            Of the file.
        people : pyarrow.StringArray
            Ascending, and behind those whom the reader was asked about before.

        Returns
        -------
        Chunk
        """
        table = reader.of(people)
        pairs = pair_log(people, table, self.items) if self.file.by_item else None
        return Chunk(people, contact_log(people, table), pairs)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the purchases of everybody who bought, some contacts at a time."""
        reader = Reader(self.file)
        for people in self.file.people(_CHUNK):
            yield self.chunk(reader, people)

    def facts(self, at: Integers) -> Floats | None:
        """Return what was known of items on given days; None where they are not told apart."""
        return item_facts(self.file, self.items, at) if self.file.by_item else None

    def count(self, at: Integers) -> Integers:
        """Return how many series had bought on one day, and how many on several.

        Parameters
        ----------
        at : ndarray of int64, shape (instants,)
            Days on which it is counted.

        Returns
        -------
        ndarray of int64, shape (2, instants)
        """
        found = np.zeros((2, len(at)), dtype=np.int64)
        for chunk in self.chunks():
            days = count_days(chunk.series, at)
            found += np.stack([(days == 1).sum(axis=0), (days > 1).sum(axis=0)])
        return found

    def rows(self, at: Integers, stands: Integers, share: Floats) -> Rows:
        """Return rows, of which a stable share is drawn.

        Parameters
        ----------
        at : ndarray of int64, shape (instants,)
            Their days.
        stands : ndarray of int64, shape (stands,)
            Days on which one looks back at how long the next purchase took.
        share : ndarray of float64, shape (2, instants)
            Of the series that had bought on one day, and of those that had on several.

        Returns
        -------
        Rows
            By series, then by day.
        """
        facts = self.facts(at)
        parts = []
        for chunk in self.chunks():
            days = count_days(chunk.series, at)
            drawn = _draws(chunk, at) < share[(days > 1).astype(np.int64), np.arange(len(at))]
            series, moment = np.nonzero((days > 0) & drawn)
            parts.append(
                Rows(
                    describe(chunk, series, moment, at, facts),
                    _texts(chunk.people)[chunk.contact_of(series)],
                    days[series, moment],
                    at[moment],
                    days_until_next(chunk.series, series, at[moment], stands),
                )
            )
        fields = zip(
            *((part.numbers, part.contact_id, part.days, part.at, part.waits) for part in parts),
            strict=True,
        )
        return Rows(*(np.concatenate(field) for field in fields))


def describe(
    chunk: Chunk, series: Integers, moment: Integers, at: Integers, facts: Floats | None
) -> Floats:
    """Return what was known of series.

    Parameters
    ----------
    chunk : Chunk
        Their purchases.
    series, moment : ndarray of int64, shape (rows,)
        Which, and the place of the day among `at`.
    at : ndarray of int64, shape (instants,)
        Days.
    facts : ndarray of float64 or None
        What was known of items, from :meth:`Past.facts`.

    Returns
    -------
    ndarray of float64, shape (rows, known)
        In the order of :attr:`Known.names`.
    """
    own = rhythms(chunk.series, series, at[moment])
    if chunk.pairs is None or facts is None:
        return own
    place = {name: RHYTHM.index(name) for name in _PAIR}
    contact = chunk.pairs.contact[series]
    # A contact has many items: its own rhythm is worked out once a day.
    number, where = np.unique(contact * len(at) + moment, return_inverse=True)
    whole = rhythms(chunk.contacts, *_apart(number, at))[where]
    of_item = facts[moment, chunk.pairs.item[series]]
    now = at[moment]
    days, last, tenure = (own[:, place[name]] for name in ("days", "since_last", "tenure"))
    after_last = count_days_since(chunk.contacts, contact, now, now - last.astype(np.int64))
    after_first = count_days_since(chunk.contacts, contact, now, now - tenure.astype(np.int64))
    gaps = days - 1.0
    own_logs = np.where(gaps > 0, gaps * np.log(own[:, place["gap_geometric_mean"]]), 0.0)
    logs = own_logs + _GAPS_OF_ITEM * np.log(of_item[:, ITEM_FACTS.index("item_gap")])
    between = np.column_stack(
        [after_last, days / (after_first + 1.0), np.exp(logs / (gaps + _GAPS_OF_ITEM))]
    )
    return np.column_stack([own[:, list(place.values())], of_item, between, whole])


def _apart(number: Integers, at: Integers) -> tuple[Integers, Integers]:
    contact, moment = np.divmod(number, len(at))
    return contact, at[moment]


def _texts(people: "pa.StringArray") -> npt.NDArray[np.object_]:
    return np.asarray(people.to_pylist(), dtype=object)


def _draws(chunk: Chunk, at: Integers) -> Floats:
    """Return a number from 0 to 1 for each series and day, the same whatever else there is."""
    series = np.arange(len(chunk.series.begin) - 1)
    fraction = stable_fractions(_SALT, chunk.people.to_pylist())
    seed = (fraction * 2.0**32).astype(np.uint64)[chunk.contact_of(series)]
    seed = _mixed(seed + (chunk.item_of(series) + 2).astype(np.uint64) * _STEP)
    mixed = _mixed(seed[:, None] + (at + (1 << 40)).astype(np.uint64)[None, :] * _STEP)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


_STEP: Final = np.uint64(0x9E3779B97F4A7C15)


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the output of SplitMix64 (Steele, Lea and Flood 2014) for each state."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def frame_of(known: Known, rows: Rows, weeks: Weeks) -> "pd.DataFrame":
    """Return weeks to learn from.

    Parameters
    ----------
    known : Known
        Their names.
    rows : Rows
        Whose weeks they are.
    weeks : Weeks
        Which.

    Returns
    -------
    pandas.DataFrame
        A column for each of :attr:`Known.all_names`.
    """
    import pandas as pd

    return pd.DataFrame(weekly(known, rows.numbers[weeks.row], weeks.week))


def batch_of(columns: Mapping[str, Floats]) -> "pa.RecordBatch":
    """Return weeks to answer for.

    Parameters
    ----------
    columns : mapping of str to ndarray
        From :func:`weekly`.

    Returns
    -------
    pyarrow.RecordBatch
        The same columns.
    """
    import pyarrow as pa

    arrays = [pa.array(np.ascontiguousarray(column)) for column in columns.values()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
