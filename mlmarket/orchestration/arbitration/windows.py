"""When may a channel next be used where the person is?

A moment is permitted where the clock on the wall there stands inside the window. So an hour that
clocks leave out is never permitted, one that comes twice is so twice, and a window that begins in a
gap begins with the first moment behind it.
"""

from collections.abc import Sequence
from datetime import time
from typing import Final, NamedTuple

import numba
import numpy as np

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.zones import DAY, HOUR, Integers, Zones
from mlmarket.orchestration.documents import WEEKDAYS
from mlmarket.orchestration.policy import Policy, Window

__all__ = ["SLACK", "Hours", "next_open", "next_opens", "opening_hours"]

SLACK: Final = 16 * DAY
"""A window opens at least once within it: one a week, and one week whose hour is left out."""

_MONDAY: Final = 3
"""1970 began on a Thursday."""


class Hours(NamedTuple):
    """When channels are open in each zone, one pair of zone and channel after the other.

    Parameters
    ----------
    begin : ndarray of int64, shape (zones * channels + 1,)
        Where the hours of each pair begin; none where a channel has no window.
    opens, closes : ndarray of int64, shape (k,)
        In UTC; open from the one up to, but not at, the other.
    """

    begin: Integers
    opens: Integers
    closes: Integers


def opening_hours(policy: Policy, known: Zones, first: int, last: int) -> Hours:
    """Lay out when each channel is open.

    Parameters
    ----------
    policy : Policy
        The windows.
    known : Zones
        The zones, between the same moments.
    first, last : int
        The stretch of time.

    Returns
    -------
    Hours
        The pair of a zone and a channel stands at ``zone * len(CHANNELS) + channel``.
    """
    windows = {place: policy.channels.get(name) for place, name in enumerate(CHANNELS)}
    pieces: list[tuple[Integers, Integers]] = []
    for zone in range(len(known.begin) - 1):
        changes = slice(known.begin[zone], known.begin[zone + 1])
        for rule in windows.values():
            window = None if rule is None else rule.window
            piece = _open(window, known.since[changes], known.offset[changes], first, last)
            pieces.append(piece)
    lengths = [len(opens) for opens, _ in pieces]
    begin = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return Hours(begin, _joined([one for one, _ in pieces]), _joined([one for _, one in pieces]))


def _open(
    window: Window | None, since: Integers, offset: Integers, first: int, last: int
) -> tuple[Integers, Integers]:
    """Return when a window is open between two moments, in order."""
    if window is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    opening, closing = _microseconds(window.opens), _microseconds(window.closes)
    if closing < opening:
        closing += DAY
    weekdays = [WEEKDAYS.index(day) for day in window.weekdays or WEEKDAYS]
    opens, closes = [], []
    ends = np.append(since[1:], last)
    for start, end, shift in zip(np.maximum(since, first), ends, offset, strict=True):
        # The day before: its window may last over midnight.
        days = np.arange((start + shift) // DAY - 1, (end + shift) // DAY + 1)
        days = days[np.isin((days + _MONDAY) % 7, weekdays)]
        begins = np.maximum(days * DAY + opening - shift, start)
        stops = np.minimum(days * DAY + closing - shift, end)
        opens.append(begins[begins < stops])
        closes.append(stops[begins < stops])
    return _joined(opens), _joined(closes)


def _joined(pieces: Sequence[Integers]) -> Integers:
    return np.concatenate([np.empty(0, np.int64), *pieces]).astype(np.int64)


def _microseconds(clock: time) -> int:
    return clock.hour * HOUR + clock.minute * (HOUR // 60)


def _next_open(hours: Hours, pair: int, moment: int) -> int:
    """Return the first permitted moment from another one on.

    Parameters
    ----------
    hours : Hours
        The opening hours.
    pair : int
        The place of a zone and a channel.
    moment : int
        In UTC.

    Returns
    -------
    int
        The same where it is permitted or the channel has no window; the end of the stretch of
        time where nothing in it is.
    """
    low, high = hours.begin[pair], hours.begin[pair + 1]
    end = high
    if low == high:
        return moment
    while low < high:
        middle = (low + high) // 2
        if hours.closes[middle] > moment:
            high = middle
        else:
            low = middle + 1
    opening: int = hours.closes[end - 1] if low == end else hours.opens[low]
    return max(moment, opening)


def _next_opens(hours: Hours, pairs: Integers, moments: Integers) -> Integers:
    """Return :func:`next_open` of many moments.

    Parameters
    ----------
    hours : Hours
        The opening hours.
    pairs, moments : ndarray of int64, shape (n,)
        The place of a zone and a channel, and a moment.

    Returns
    -------
    ndarray of int64, shape (n,)
        Moments.
    """
    found = np.empty_like(moments)
    for n in range(len(moments)):
        found[n] = next_open(hours, pairs[n], moments[n])
    return found


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
next_open = _compiled(_next_open)
next_opens = _compiled(_next_opens)
