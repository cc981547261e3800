"""How often do two items stand near each other in the histories of the same contacts?"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.recommend.interactions import Interactions

__all__ = ["Neighbourhood", "Pairs", "dense_pairs", "nearest_items", "pairs_of", "rows_of_items"]

Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]


class Pairs(NamedTuple):
    """Which pairs of rows of a contact count, and how much.

    The weight of an earlier row and a later one is the product of their ``mass``, of `after` or `before` at the
    number of occasions between them, and of 0.5 for every ``half_life`` days between them.
    """

    start: Offsets
    """Where each contact's rows begin."""
    item: Codes
    back: Codes
    """Occasions after each row's, of the same contact."""
    at: Numbers
    mass: Numbers
    """What each row brings in."""
    contact: Codes
    by_item: Offsets
    """Rows in the order of their items."""
    first: Offsets
    """Where each item's rows begin in `by_item`."""
    after: Numbers
    """Weight of a pair where the other row is 0, 1, 2, … occasions later; nothing beyond the last."""
    before: Numbers
    """The same where it is earlier."""
    rate: float
    """Decay by a day between the two, of the logarithm."""


def pairs_of(
    interactions: Interactions,
    *,
    after: Numbers,
    before: Numbers,
    mass: Numbers,
    rate: float = 0.0,
) -> Pairs:
    """Return the pairs of rows of each contact.

    Parameters
    ----------
    interactions : Interactions
        Histories.
    after, before : ndarray of float64, shape (occasions,)
        Weight by the number of occasions between an item and one that comes later, or earlier; the first is for
        the same occasion.
    mass : ndarray of float64, shape (rows,)
        How much each row counts.
    rate : float, default 0
        Decay by a day between the two, of the logarithm.

    Returns
    -------
    Pairs
        Not yet counted.
    """
    size = len(interactions.items)
    counts = np.bincount(interactions.item, minlength=size)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    by_item = np.empty(len(interactions), dtype=np.int64)
    _place(interactions.item, first[:-1].copy(), by_item)
    return Pairs(
        start=interactions.start,
        item=interactions.item,
        back=interactions.occasions_back,
        at=interactions.at,
        mass=mass,
        contact=interactions.contact,
        by_item=by_item,
        first=first,
        after=after,
        before=before,
        rate=rate if interactions.timed else 0.0,
    )


def _place_rows(item: Codes, following: Offsets, by_item: Offsets) -> None:
    for row in range(len(item)):
        by_item[following[item[row]]] = row
        following[item[row]] += 1


_place = numba.njit(cache=True, nogil=True, error_model="numpy")(_place_rows)


def rows_of_items(interactions: Interactions) -> Numbers:
    """Return how often each item was touched, and once more.

    Parameters
    ----------
    interactions : Interactions
        Histories.

    Returns
    -------
    ndarray of float64, shape (items,)
        From 1, so that it can be divided by.
    """
    counts = np.bincount(interactions.item, minlength=len(interactions.items))
    return counts.astype(np.float64) + 1.0


def _add(pairs: Pairs, one: int, other: int, lag: int, table: Numbers, sums: Numbers) -> None:
    weight = pairs.mass[one] * pairs.mass[other] * table[lag]
    if pairs.rate > 0.0:
        weight *= np.exp(-pairs.rate * abs(pairs.at[one] - pairs.at[other]))
    sums[pairs.item[other]] += weight


_add = numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")(_add)


def _gather(pairs: Pairs, item: int, sums: Numbers) -> None:
    """Add up the weights of all pairs of one item."""
    for place in range(pairs.first[item], pairs.first[item + 1]):
        row = pairs.by_item[place]
        contact = pairs.contact[row]
        for later in range(row, pairs.start[contact + 1]):
            lag = pairs.back[row] - pairs.back[later]
            if lag >= len(pairs.after):
                break
            if later != row:
                _add(pairs, row, later, lag, pairs.after, sums)
        for earlier in range(row - 1, pairs.start[contact] - 1, -1):
            lag = pairs.back[earlier] - pairs.back[row]
            if lag >= len(pairs.before):
                break
            _add(pairs, row, earlier, lag, pairs.before if lag else pairs.after, sums)


_gather = numba.njit(cache=True, nogil=True, error_model="numpy")(_gather)


def _dense(pairs: Pairs, sums: Numbers) -> None:
    for item in range(sums.shape[0]):
        _gather(pairs, item, sums[item])


_dense = numba.njit(cache=True, nogil=True, error_model="numpy")(_dense)


def dense_pairs(pairs: Pairs) -> Numbers:
    """Return the weight of all pairs of two items.

    Parameters
    ----------
    pairs : Pairs
        To be counted.

    Returns
    -------
    ndarray of float64, shape (items, items)
        From an item to one that stands near it.
    """
    size = len(pairs.first) - 1
    sums = np.zeros((size, size))
    _dense(pairs, sums)
    return sums


class Neighbourhood(NamedTuple):
    """For each item the others that are near it: rows of a sparse matrix."""

    start: Offsets
    neighbour: Codes
    weight: Scores


def _nearest(
    pairs: Pairs, left: Numbers, right: Numbers, shrink: float, neighbour: Codes, weight: Numbers
) -> None:
    size, most = len(left), neighbour.shape[1]
    sums = np.zeros(size)
    for item in range(size):
        sums[:] = 0.0
        _gather(pairs, item, sums)
        sums[item] = 0.0
        for other in range(size):
            if sums[other] > 0.0:
                sums[other] *= left[item] * right[other] * sums[other] / (sums[other] + shrink)
        bar = 0.0
        if most < size:
            bar = np.partition(sums, size - most)[size - most]
        above = 0
        for other in range(size):
            above += sums[other] > bar
        ties = most - above
        count = 0
        for other in range(size):
            near = sums[other]
            if near <= 0.0 or near < bar or (near == bar and ties <= 0):
                continue
            ties -= near == bar
            neighbour[item, count] = other
            weight[item, count] = near
            count += 1


_nearest = numba.njit(cache=True, nogil=True, error_model="numpy")(_nearest)


def nearest_items(
    pairs: Pairs, *, left: Numbers, right: Numbers, most: int, shrink: float
) -> Neighbourhood:
    """Return the items with the largest weights near each item.

    Parameters
    ----------
    pairs : Pairs
        To be counted.
    left, right : ndarray of float64, shape (items,)
        Factors of the item and of its neighbour.
    most : int
        How many neighbours an item keeps.
    shrink : float
        A sum s counts s / (s + shrink) of itself, so that few pairs prove little.

    Returns
    -------
    Neighbourhood
        Ascending by neighbour; of equal ones at the limit the first of the catalogue. An item is not its own
        neighbour.
    """
    size = len(left)
    most = min(most, size)
    neighbour = np.full((size, most), -1, dtype=np.int32)
    weight = np.zeros((size, most))
    _nearest(pairs, left, right, shrink, neighbour, weight)
    kept = neighbour >= 0
    start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
    return Neighbourhood(start, neighbour[kept], weight[kept].astype(np.float32))
