"""What time is it where each person is?

Zones are read once as the moments at which their clocks change, so that a million local times are
two array operations. Everything is in whole microseconds since 1970: moments in UTC, local times as
the clock on the wall shows them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["DAY", "HOUR", "Zones", "local_time", "local_times", "utc_time", "utc_times", "zones"]

Integers = npt.NDArray[np.int64]

HOUR: Final = 3_600_000_000
"""Microseconds."""
DAY: Final = 24 * HOUR
"""Microseconds."""

_EARLIEST: Final = np.iinfo(np.int64).min
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEP: Final = timedelta(hours=6)
"""No zone has changed its clocks twice within it since 1970."""


class Zones(NamedTuple):
    """The offsets of several zones over a stretch of time, one after the other.

    Parameters
    ----------
    begin : ndarray of int64, shape (zones + 1,)
        Where the offsets of each zone begin.
    since : ndarray of int64, shape (k,)
        From which moment an offset holds; the first of a zone from ever.
    offset : ndarray of int64, shape (k,)
        Local time minus UTC.
    """

    begin: Integers
    since: Integers
    offset: Integers


def zones(names: Sequence[str], first: int, last: int) -> Zones:
    """Read zones between two moments.

    Parameters
    ----------
    names : sequence of str
        IANA names that exist.
    first, last : int
        The moments. Outside of them, the nearest offset is used.

    Returns
    -------
    Zones
        In the order of the names.
    """
    # Whole days, so that ticks of one day read each zone once.
    read = [_changes(name, first // DAY, -(-last // DAY)) for name in names]
    lengths = [len(since) for since, _ in read]
    begin = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    nothing = np.empty(0, np.int64)
    since = np.concatenate([nothing, *(since for since, _ in read)])
    return Zones(begin, since, np.concatenate([nothing, *(offset for _, offset in read)]))


@lru_cache(maxsize=1024)
def _changes(name: str, first_day: int, last_day: int) -> tuple[Integers, Integers]:
    zone = ZoneInfo(name)
    moment, end = _EPOCH + timedelta(days=first_day), _EPOCH + timedelta(days=last_day)
    offset = _offset(zone, moment)
    since, offsets = [_EARLIEST], [offset]
    while moment < end:
        later = moment + _STEP
        shifted = _offset(zone, later)
        if shifted != offset:
            since.append(_change(zone, moment, later))
            offsets.append(shifted)
        moment, offset = later, shifted
    return np.array(since, np.int64), np.array(offsets, np.int64)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> int:
    """Return the first second at which the offset is that of ``after``."""
    wanted = _offset(zone, after)
    low, high = 0, int(_STEP.total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, before + timedelta(seconds=middle)) == wanted:
            high = middle
        else:
            low = middle
    return (before + timedelta(seconds=high) - _EPOCH) // timedelta(microseconds=1)


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset() or timedelta(0)
    return offset // timedelta(microseconds=1)


def _local_time(known: Zones, zone: int, moment: int) -> int:
    """Return what the clocks of a zone show at a moment.

    Parameters
    ----------
    known : Zones
        The zones.
    zone : int
        The place of the zone.
    moment : int
        In UTC.

    Returns
    -------
    int
        Local time.
    """
    place = known.begin[zone + 1] - 1
    while known.since[place] > moment:
        place -= 1
    local: int = moment + known.offset[place]
    return local


def _utc_time(known: Zones, zone: int, local: int) -> int:
    """Return the first moment at which the clocks of a zone show a time or a later one.

    Parameters
    ----------
    known : Zones
        The zones.
    zone : int
        The place of the zone.
    local : int
        Local time. One that is left out when clocks go forward stands for the moment at which
        they do; one that comes twice stands for the first.

    Returns
    -------
    int
        In UTC.
    """
    last = known.begin[zone + 1] - 1
    for place in range(known.begin[zone], last):
        moment: int = max(local - known.offset[place], known.since[place])
        if moment < known.since[place + 1]:
            return moment
    behind: int = max(local - known.offset[last], known.since[last])
    return behind


def _local_times(known: Zones, zone: Integers, moments: Integers) -> Integers:
    """Return :func:`local_time` of many moments.

    Parameters
    ----------
    known : Zones
        The zones.
    zone, moments : ndarray of int64, shape (n,)
        The place of each zone, and a moment in UTC.

    Returns
    -------
    ndarray of int64, shape (n,)
        Local times.
    """
    shown = np.empty_like(moments)
    for n in range(len(moments)):
        shown[n] = local_time(known, zone[n], moments[n])
    return shown


def _utc_times(known: Zones, zone: Integers, local: Integers) -> Integers:
    """Return :func:`utc_time` of many local times.

    Parameters
    ----------
    known : Zones
        The zones.
    zone, local : ndarray of int64, shape (n,)
        The place of each zone, and a local time.

    Returns
    -------
    ndarray of int64, shape (n,)
        Moments in UTC.
    """
    moments = np.empty_like(local)
    for n in range(len(local)):
        moments[n] = utc_time(known, zone[n], local[n])
    return moments


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
local_time = _compiled(_local_time)
utc_time = _compiled(_utc_time)
local_times = _compiled(_local_times)
utc_times = _compiled(_utc_times)
