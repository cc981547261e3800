"""Who gets what there is not enough of?

Stock and campaign-wide caps are about everybody at once: two people may both want the last piece. Each contact bids for
the few best items; who would lose most without an item gets it, by prices.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError, nearest
from mlmarket.market.frames import to_arrow
from mlmarket.prediction.allocation import allocate
from mlmarket.recommend.interactions import ITEM_ID
from mlmarket.recommend.reading import ids, numbers_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Allotment", "allot", "read_stock"]

_TABLE: Final = "stock"
_PIECES: Final = "capacity"
_COMPARED: Final = 5_000
"""Items among which a near name is looked for: comparing names takes its time."""

Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def read_stock(frame: object, items: "pa.StringArray") -> Floats:
    """Return how often each item may be recommended tonight.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        ``item_id, capacity``: whole numbers from 0.
    items : pyarrow.StringArray
        The catalogue.

    Returns
    -------
    ndarray of float64, shape (items,)
        ``inf`` where nothing is said.

    Raises
    ------
    DataContractError
        Where a capacity is below 0, no whole number, or an item stands twice.
    ConfigurationError
        Where a column is missing, or an item is not in the catalogue.
    """
    import pyarrow.compute as pc

    table = to_arrow(frame, name=_TABLE)
    what = ids(table, ITEM_ID, name=_TABLE)
    pieces = numbers_of(table, _PIECES, name=_TABLE)
    wrong = np.flatnonzero((pieces < 0) | (pieces != np.floor(pieces)))
    if len(wrong):
        raise DataContractError(
            f"Table '{_TABLE}' has {len(wrong):,} rows whose '{_PIECES}' is no whole number from 0, such as "
            f"{pieces[wrong[0]]:g} of item '{what[int(wrong[0])]}'.",
            "It is how many people an item can be shown to.",
            "write 0 for what is sold out, and leave out what there is enough of.",
        )
    if pc.count_distinct(what).as_py() < len(what):
        raise DataContractError(
            f"Table '{_TABLE}' names an item more than once.",
            "It would be chance which capacity holds.",
            f"keep one row an item, such as frame.groupby('{ITEM_ID}', as_index=False).sum().",
        )
    place = pc.index_in(what, value_set=items)
    if place.null_count:
        example = what.filter(pc.is_null(place))[0].as_py()
        known = items.slice(0, _COMPARED).to_pylist()
        near = nearest(example, known)
        raise ConfigurationError(
            f"Table '{_TABLE}' names {place.null_count:,} items that the catalogue of {len(items):,} does not "
            f"have, such as '{example}'.",
            "The limit of an item that does not exist is not kept, and nobody would notice.",
            (f"did you mean '{near}'? Otherwise " if near else "")
            + "leave these rows out, or learn from a table of items that has them.",
        )
    capacity = np.full(len(items), np.inf)
    capacity[place.to_numpy()] = pieces
    return capacity


@dataclass(frozen=True, slots=True, eq=False)
class Allotment:
    """Which scarce items each recipient may be shown.

    Parameters
    ----------
    scarce : ndarray of bool, shape (items,)
        Items of which there is a limit.
    start : ndarray of int64, shape (recipients + 1,)
        Where the items of each recipient begin.
    item : ndarray of int32
        Scarce items, by recipient.
    """

    scarce: Flags
    start: npt.NDArray[np.int64]
    item: Codes

    def mask(self, first: int, last: int) -> Flags:
        """Return what some recipients may be shown, as far as scarcity goes.

        Parameters
        ----------
        first, last : int
            Places of the recipients; `last` is not among them.

        Returns
        -------
        ndarray of bool, shape (last - first, items)
            True for all that is not scarce.
        """
        flags = np.repeat(~self.scarce[None, :], last - first, axis=0)
        lengths = np.diff(self.start[first : last + 1])
        own = self.item[self.start[first] : self.start[last]]
        flags[np.repeat(np.arange(last - first), lengths), own] = True
        return flags


def allot(item: Codes, value: Floats, capacity: Floats, k: int) -> Allotment:
    """Return who may be shown which scarce item.

    Parameters
    ----------
    item : ndarray of int32, shape (recipients, m)
        The best items of each; -1 for none.
    value : ndarray of float64, shape (recipients, m)
        What each is worth there, comparable between recipients; above 0 where there is an item.
    capacity : ndarray of float64, shape (items,)
        How often each may be shown; ``inf`` for no limit.
    k : int
        Slots of each recipient.

    Returns
    -------
    Allotment
        No item is allotted more often than its capacity.
    """
    recipient, place = np.nonzero((item >= 0) & (value > 0))
    what = item[recipient, place]
    found = allocate(recipient, what, value[recipient, place], capacity=capacity, slots=k)
    scarce = np.isfinite(capacity)
    kept = found.chosen & scarce[what]
    start = np.searchsorted(recipient[kept], np.arange(len(item) + 1)).astype(np.int64)
    return Allotment(scarce, start, what[kept].astype(np.int32))
