"""Has a channel room for one more message at a moment, among all that go out around it?

Room is kept exactly: for each moment at which a message may go out, how many go out within the
length of time that begins there. A message raises the counts of all stretches that hold it, and
there is room where none of them is full. A segment tree does both in logarithmic time.

References
----------
J. L. Bentley, *Solutions to Klee's rectangle problems*, 1977.
"""

from typing import NamedTuple

import numba
import numpy as np

from mlmarket.orchestration.arbitration.zones import Integers

__all__ = ["Load", "add", "full_until", "load_of", "no_load"]


class Load(NamedTuple):
    """How full one channel is.

    Parameters
    ----------
    times : ndarray of int64, shape (k,)
        All moments at which something goes or may go out, in order.
    highest : ndarray of int64, shape (2 * leaves,)
        The fullest stretch below each node of the tree.
    added : ndarray of int64, shape (2 * leaves,)
        What was added to all below a node at once.
    most : int
        How many messages a stretch may hold; 0 for no limit.
    length : int
        Of a stretch, in microseconds.
    """

    times: Integers
    highest: Integers
    added: Integers
    most: int
    length: int


def no_load() -> Load:
    """Return the load of a channel without a limit."""
    nothing = np.empty(0, np.int64)
    return Load(nothing, nothing, nothing, 0, 0)


def load_of(past: Integers, planned: Integers, *, most: int, length: int) -> Load:
    """Count what has gone out on a channel.

    Parameters
    ----------
    past : ndarray of int64, shape (m,)
        When something went out, or is planned to.
    planned : ndarray of int64, shape (n,)
        When something may go out.
    most : int
        How many messages a stretch may hold.
    length : int
        Of a stretch, in microseconds.

    Returns
    -------
    Load
        With room for all ``planned``.
    """
    past = np.sort(past)
    times = np.unique(np.concatenate([past, planned]))
    held = np.searchsorted(past, times + length) - np.searchsorted(past, times)
    # One leaf more at each end, so that a range never touches the border of the tree.
    leaves = 1 << max(1, int(len(times) + 1).bit_length())
    highest = np.zeros(2 * leaves, np.int64)
    highest[leaves + 1 : leaves + 1 + len(times)] = held
    level = leaves
    while level > 1:
        highest[level // 2 : level] = highest[level : 2 * level].reshape(-1, 2).max(axis=1)
        level //= 2
    return Load(times, highest, np.zeros(2 * leaves, np.int64), most, length)


def _place(times: Integers, moment: int) -> int:
    """Return how many times lie before a moment."""
    low, high = 0, len(times)
    while low < high:
        middle = (low + high) // 2
        if times[middle] < moment:
            low = middle + 1
        else:
            high = middle
    return low


def _fullest(load: Load, first: int, last: int) -> int:
    """Return the count of the fullest stretch that begins from one place to another."""
    leaves = len(load.highest) // 2
    low, high = first + leaves, last + leaves + 2
    left = right = 0
    while low ^ high != 1:
        if not low & 1:
            left = max(left, load.highest[low ^ 1])
        if high & 1:
            right = max(right, load.highest[high ^ 1])
        low >>= 1
        high >>= 1
        left += load.added[low]
        right += load.added[high]
    most = max(left, right)
    while low > 1:
        low >>= 1
        most += load.added[low]
    return most


def _full_until(load: Load, moment: int) -> int:
    """Return from when on a message could find room that finds none now.

    Parameters
    ----------
    load : Load
        Of the channel.
    moment : int
        One of its times.

    Returns
    -------
    int
        The same moment where there is room.
    """
    if load.most == 0:
        return moment
    first, last = place(load.times, moment - load.length + 1), place(load.times, moment)
    if fullest(load, first, last) < load.most:
        return moment
    # The latest of the full stretches that hold the moment ends last.
    while first < last:
        middle = (first + last + 1) // 2
        if fullest(load, middle, last) >= load.most:
            first = middle
        else:
            last = middle - 1
    until: int = load.times[first] + load.length
    return until


def _add(load: Load, moment: int) -> None:
    """Let a message go out at one of the channel's times.

    Parameters
    ----------
    load : Load
        Changed in place.
    moment : int
        One of its times.
    """
    if load.most == 0:
        return
    highest, added = load.highest, load.added
    first, last = place(load.times, moment - load.length + 1), place(load.times, moment)
    leaves = len(highest) // 2
    low, high = first + leaves, last + leaves + 2
    while low ^ high != 1:
        if not low & 1:
            highest[low ^ 1] += 1
            added[low ^ 1] += 1
        if high & 1:
            highest[high ^ 1] += 1
            added[high ^ 1] += 1
        low >>= 1
        high >>= 1
        highest[low] = max(highest[2 * low], highest[2 * low + 1]) + added[low]
        highest[high] = max(highest[2 * high], highest[2 * high + 1]) + added[high]
    while low > 1:
        low >>= 1
        highest[low] = max(highest[2 * low], highest[2 * low + 1]) + added[low]


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
place = _compiled(_place)
fullest = _compiled(_fullest)
full_until = _compiled(_full_until)
add = _compiled(_add)
