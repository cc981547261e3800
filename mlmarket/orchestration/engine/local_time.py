"""When is it nine o'clock where the person is?

Moments are UTC; a time of day is looked for on the clock of the person's zone. Where clocks go
forward, a time that does not exist is the first moment behind the gap; where they go back, a
time that comes twice is the first of the two.
"""

from collections.abc import Sequence
from datetime import time, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mlmarket.errors import ConfigurationError
from mlmarket.market.time import time_zone
from mlmarket.orchestration.documents import WEEKDAYS

__all__ = ["Zones", "day_moments", "next_time", "to_local", "to_utc", "weekday_of"]

Codes = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]
Hours = npt.NDArray[np.timedelta64]

_DAY: Final = np.timedelta64(1, "D")
_NEVER: Final = np.datetime64("NaT", "us")
_WEEK_AND_A_DAY: Final = 9
"""Days looked at for the next time of day: a week on, and one at either side of it."""


class Zones:
    """The zone of each person.

    Parameters
    ----------
    written : pyarrow.Array of string, shape (n,), or None
        IANA names; what is missing or no such name counts as the default.
    count : int
        The number of people.
    default : str
        The business's zone.
    """

    def __init__(self, written: pa.Array | None, count: int, default: str) -> None:
        self.names: tuple[str, ...] = (default,)
        self.codes: Codes = np.zeros(count, dtype=np.int64)
        if written is None or not count:
            return
        encoded = written.dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        known = sorted({text.strip() for text in texts if _is_zone(text.strip())} - {default})
        self.names = (default, *known)
        places = {name: place for place, name in enumerate(self.names)}
        by_text = np.array([places.get(text.strip(), 0) for text in texts] + [0], dtype=np.int64)
        self.codes = by_text[encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)]

    def of(self, people: Codes) -> Codes:
        """Return the codes of people by number; those who are not there have the default."""
        if not len(self.codes):
            return np.zeros(len(people), dtype=np.int64)
        there = people < len(self.codes)
        return np.where(there, self.codes[np.where(there, people, 0)], 0)


def _is_zone(name: str) -> bool:
    try:
        time_zone(name)
    except ConfigurationError:
        return False
    return True


def to_local(moments: Times, codes: Codes, names: Sequence[str]) -> Times:
    """Return what clocks show at given moments.

    Parameters
    ----------
    moments : ndarray of datetime64[us], shape (n,)
        UTC.
    codes : ndarray of int64, shape (n,)
        The zone of each, by its place in ``names``.
    names : sequence of str
        IANA names.

    Returns
    -------
    ndarray of datetime64[us], shape (n,)
        Local times, NaT where the moment is.
    """
    shown = moments.astype("datetime64[us]")
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        there = pd.DatetimeIndex(shown[rows]).tz_localize("UTC").tz_convert(names[code])
        shown[rows] = there.tz_localize(None).to_numpy().astype("datetime64[us]")
    return shown


def to_utc(shown: Times, codes: Codes, names: Sequence[str]) -> Times:
    """Return when clocks show given times; see the top of this module for gaps and repeats.

    Parameters
    ----------
    shown : ndarray of datetime64[us], shape (n,)
        Local times.
    codes : ndarray of int64, shape (n,)
        The zone of each, by its place in ``names``.
    names : sequence of str
        IANA names.

    Returns
    -------
    ndarray of datetime64[us], shape (n,)
        UTC, NaT where the local time is.
    """
    moments = shown.astype("datetime64[us]")
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        first = np.ones(len(rows), dtype=np.bool_)
        there = pd.DatetimeIndex(moments[rows]).tz_localize(
            names[code], ambiguous=first, nonexistent="shift_forward"
        )
        moments[rows] = there.tz_convert("UTC").tz_localize(None).to_numpy().astype("M8[us]")
    return moments


def weekday_of(days: npt.NDArray[np.datetime64]) -> Codes:
    """Return the day of the week, 0 for Monday."""
    # 1 January 1970 was a Thursday.
    numbers: Codes = (days.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return numbers


def next_time(
    after: Times,
    codes: Codes,
    names: Sequence[str],
    clock: Hours | time,
    weekdays: Sequence[str] | npt.NDArray[np.bool_] | None = None,
) -> Times:
    """Return the next time of day after given moments.

    Parameters
    ----------
    after : ndarray of datetime64[us], shape (n,)
        UTC; the time found lies strictly behind, so nothing runs twice at one moment.
    codes : ndarray of int64, shape (n,)
        The zone of each, by its place in ``names``.
    names : sequence of str
        IANA names.
    clock : time or ndarray of timedelta64, shape (n,)
        The time of day.
    weekdays : sequence of str, or ndarray of bool, shape (n, 7), optional
        The days that count, Monday first; every day by default.

    Returns
    -------
    ndarray of datetime64[us], shape (n,)
        UTC, NaT where ``after`` or ``clock`` is or no day counts.
    """
    count = len(after)
    hours = np.full(count, _since_midnight(clock)) if isinstance(clock, time) else clock
    allowed = weekdays if isinstance(weekdays, np.ndarray) else _allowed(weekdays, count)
    first_day = to_local(after, codes, names).astype("datetime64[D]")
    found = np.full(count, _NEVER)
    is_open = ~np.isnat(after) & ~np.isnat(hours)
    for ahead in range(_WEEK_AND_A_DAY):
        rows = np.flatnonzero(is_open)
        if not len(rows):
            break
        day: Times = first_day[rows] + ahead * _DAY  # type: ignore[assignment]
        shown: Times = day + hours[rows]
        moment = to_utc(shown, codes[rows], names)
        good = (moment > after[rows]) & allowed[rows, weekday_of(day)]
        found[rows[good]] = moment[good]
        is_open[rows[good]] = False
    return found


def day_moments(
    values: Times, codes: Codes, names: Sequence[str], clock: time | None, shift: timedelta
) -> Times:
    """Return the hour of a day that lies before or after the day of a date.

    Parameters
    ----------
    values : ndarray of datetime64[us], shape (n,)
        Dates. Midnight is a calendar day, wherever the person is; any other time is a moment in
        UTC, whose day is that of the person's zone.
    codes : ndarray of int64, shape (n,)
        The zone of each, by its place in ``names``.
    names : sequence of str
        IANA names.
    clock : time or None
        The hour; None for midnight.
    shift : timedelta
        How far the day is moved: whole days on the calendar, the rest as time that passes.

    Returns
    -------
    ndarray of datetime64[us], shape (n,)
        UTC, NaT where the date is.
    """
    days = values.astype("datetime64[D]")
    is_moment = days != values
    if is_moment.any():
        days = np.where(is_moment, to_local(values, codes, names).astype("datetime64[D]"), days)
    whole, rest = divmod(shift, timedelta(days=1))
    hour = _since_midnight(clock or time())
    shown: Times = days + whole * _DAY + hour  # type: ignore[assignment]
    return to_utc(shown, codes, names) + np.timedelta64(rest)


def _since_midnight(clock: time) -> np.timedelta64:
    minutes = clock.hour * 60 + clock.minute
    return np.timedelta64(minutes * 60_000_000, "us")


def _allowed(weekdays: Sequence[str] | None, count: int) -> npt.NDArray[np.bool_]:
    one = np.array([weekdays is None or day in weekdays for day in WEEKDAYS])
    return np.broadcast_to(one, (count, len(WEEKDAYS)))
