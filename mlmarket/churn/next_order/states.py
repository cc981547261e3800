"""What was known of a rhythm of purchases on a day, and how long did the next one take?

Compiled by numba when it is first called. A series is a contact, or a pair of contact and item. A row is a
series and a day on or before which it had bought. What a row says is made of what was known on that day: a
purchase that became known later is not seen.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.churn.next_order.purchases import Log

__all__ = [
    "RHYTHM",
    "WINDOWS",
    "count_days",
    "count_days_since",
    "days_until_next",
    "rhythms",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WINDOWS: Final = (14, 28, 56, 91, 182)

RHYTHM: Final = (
    "days",
    "tenure",
    "since_last",
    "gap_last",
    "gap_before_last",
    "gap_mean",
    "gap_geometric_mean",
    "gap_spread",
    "gap_median",
    "gap_smallest",
    "gap_largest",
    "gap_recent",
    "gaps_longer",
    "size_usual",
    "size_last",
    "size_relative",
    "lines_usual",
    "lines_relative",
    "rate",
    *(f"days_{window}d" for window in WINDOWS),
)
"""What is known of a series: purchase days, and days between them; ``gaps_longer`` is the share of gaps that
were longer than the time since the last purchase, ``rate`` purchase days by day."""

_DAYS, _TENURE, _SINCE = 0, 1, 2
_GAPS: Final = 3
_SIZES: Final = 13
_RATE: Final = 18
_SPANS: Final = np.array(WINDOWS, dtype=np.int64)
_FRESH: Final = 0.4
"""Weight of the latest gap in the mean that forgets the older ones."""
_START: Final = 30.0
"""Days added to the tenure, so that a first order of yesterday is no daily habit."""


def _days_seen(log: Log, series: int, at: int, seen: Floats) -> int:
    """Collect the distinct days that were known on a day, with their size and lines."""
    count = 0
    for row in range(log.begin[series], log.begin[series + 1]):
        if log.day[row] > at:
            break
        if log.known[row] > at:
            continue
        if count == 0 or seen[0, count - 1] != log.day[row]:
            seen[0, count] = log.day[row]
            seen[1, count] = 0.0
            seen[2, count] = 0.0
            count += 1
        seen[1, count - 1] += log.size[row]
        seen[2, count - 1] += log.lines[row]
    return count


def _of_gaps(seen: Floats, count: int, since: float, out: Floats) -> None:
    """Write what is made of the gaps between days; there is at least one."""
    gaps = np.sort(np.diff(seen[0, :count]))
    many = len(gaps)
    logs = 0.0
    squares = 0.0
    longer = 0
    recent = seen[0, 1] - seen[0, 0]
    for place in range(many):
        logs += np.log(gaps[place])
        squares += np.log(gaps[place]) ** 2
        longer += gaps[place] > since
        if place > 0:
            gap = seen[0, place + 1] - seen[0, place]
            recent = (1.0 - _FRESH) * recent + _FRESH * gap
    out[0] = seen[0, count - 1] - seen[0, count - 2]
    if many > 1:
        out[1] = seen[0, count - 2] - seen[0, count - 3]
    out[2] = (seen[0, count - 1] - seen[0, 0]) / many
    out[3] = np.exp(logs / many)
    out[4] = np.sqrt(max(squares / many - (logs / many) ** 2, 0.0))
    out[5] = (gaps[many // 2] + gaps[(many - 1) // 2]) / 2.0
    out[6] = gaps[0]
    out[7] = gaps[many - 1]
    out[8] = recent
    out[9] = (longer + 0.5) / (many + 1.0)


def _of_sizes(seen: Floats, count: int, out: Floats) -> None:
    """Write how much is usually bought, and how much it was the last time."""
    sizes = 0.0
    lines = 0.0
    for place in range(count):
        sizes += np.log1p(seen[1, place])
        lines += np.log(seen[2, place])
    last = np.log1p(seen[1, count - 1])
    out[0] = np.expm1(sizes / count)
    out[1] = seen[1, count - 1]
    out[2] = last - sizes / count
    out[3] = np.exp(lines / count)
    out[4] = np.log(seen[2, count - 1]) - lines / count


def _rhythms(log: Log, series: Integers, at: Integers, numbers: Floats) -> None:
    seen = np.empty((3, max(np.max(np.diff(log.begin)), 1)))
    for row in range(len(series)):
        count = _days_seen(log, series[row], at[row], seen)
        out = numbers[row]
        out[:] = np.nan
        if count == 0:
            continue
        since = at[row] - seen[0, count - 1]
        out[_DAYS] = count
        out[_TENURE] = at[row] - seen[0, 0]
        out[_SINCE] = since
        if count > 1:
            _of_gaps(seen, count, since, out[_GAPS:])
        _of_sizes(seen, count, out[_SIZES:])
        out[_RATE] = count / (out[_TENURE] + _START)
        for window in range(len(_SPANS)):
            inside = 0
            while inside < count and at[row] - seen[0, count - 1 - inside] < _SPANS[window]:
                inside += 1
            out[_RATE + 1 + window] = inside


def _count_days(log: Log, at: Integers, counts: Integers) -> None:
    for series in range(len(log.begin) - 1):
        for instant in range(len(at)):
            before = at[instant] + 1
            for row in range(log.begin[series], log.begin[series + 1]):
                if log.day[row] > at[instant]:
                    break
                if log.known[row] <= at[instant] and log.day[row] != before:
                    before = log.day[row]
                    counts[series, instant] += 1


def _count_days_since(log: Log, series: Integers, at: Integers, after: Integers) -> Integers:
    counts = np.zeros(len(series), dtype=np.int64)
    for row in range(len(series)):
        before = at[row] + 1
        for place in range(log.begin[series[row]], log.begin[series[row] + 1]):
            day = log.day[place]
            if day > at[row]:
                break
            if day > after[row] and log.known[place] <= at[row] and day != before:
                before = day
                counts[row] += 1
    return counts


def _days_until_next(
    log: Log, series: Integers, at: Integers, stands: Integers, waits: Integers
) -> None:
    for row in range(len(series)):
        for stand in range(len(stands)):
            for place in range(log.begin[series[row]], log.begin[series[row] + 1]):
                day = log.day[place]
                if day > stands[stand]:
                    break
                if day > at[row] and log.known[place] <= stands[stand]:
                    waits[row, stand] = day - at[row]
                    break


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
_days_seen = _compiled(_days_seen)
_of_gaps = _compiled(_of_gaps)
_of_sizes = _compiled(_of_sizes)
_rhythms = _compiled(_rhythms)
_count_days = _compiled(_count_days)
_count_days_since = _compiled(_count_days_since)
_days_until_next = _compiled(_days_until_next)


def rhythms(log: Log, series: Integers, at: Integers) -> Floats:
    """Return what was known of series on given days.

    Parameters
    ----------
    log : Log
        Their purchases.
    series, at : ndarray of int64, shape (rows,)
        Which, and on which day.

    Returns
    -------
    ndarray of float64, shape (rows, len(RHYTHM))
        Row by row in memory; NaN where nothing is known, such as the gaps after one purchase.
    """
    numbers = np.empty((len(series), len(RHYTHM)))
    if len(series):
        _rhythms(log, series, at, numbers)
    return numbers


def count_days(log: Log, at: Integers) -> Integers:
    """Return on how many distinct days each series had bought, as it was known on given days.

    Parameters
    ----------
    log : Log
        Their purchases.
    at : ndarray of int64, shape (instants,)
        The days.

    Returns
    -------
    ndarray of int64, shape (series, instants)
    """
    counts = np.zeros((len(log.begin) - 1, len(at)), dtype=np.int64)
    _count_days(log, at, counts)
    return counts


def count_days_since(log: Log, series: Integers, at: Integers, after: Integers) -> Integers:
    """Return on how many distinct days a series bought after one day and until another.

    Parameters
    ----------
    log : Log
        Their purchases.
    series, at, after : ndarray of int64, shape (rows,)
        Which; until when, as it was known then; and the last day that does not count.

    Returns
    -------
    ndarray of int64, shape (rows,)
    """
    counts: Integers = _count_days_since(log, series, at, after)
    return counts


def days_until_next(log: Log, series: Integers, at: Integers, stands: Integers) -> Integers:
    """Return how many days the next purchase took, as far as it was known.

    Parameters
    ----------
    log : Log
        Their purchases.
    series, at : ndarray of int64, shape (rows,)
        Which, and since when.
    stands : ndarray of int64, shape (stands,)
        Days on which one looks back: purchases that became known later are not seen.

    Returns
    -------
    ndarray of int64, shape (rows, stands)
        1 for the day after; 0 where none was seen yet, which is no "never".
    """
    waits = np.zeros((len(series), len(stands)), dtype=np.int64)
    _days_until_next(log, series, at, stands, waits)
    return waits
