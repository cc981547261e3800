"""At which moments do a date, an anniversary or a timetable let people in?"""

from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.orchestration.documents import WEEKDAYS
from mlmarket.orchestration.engine.local_time import (
    Zones,
    day_moments,
    to_local,
    to_utc,
    weekday_of,
)
from mlmarket.orchestration.journeys.entry import Entry, Schedule

__all__ = ["last_occurrences", "last_run"]

Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

_DAY: Final = np.timedelta64(1, "D")
_NEVER: Final = np.datetime64("NaT", "us")


def last_occurrences(
    entry: Entry, dates: Times, people: Rows, zones: Zones, *, after: datetime, until: datetime
) -> Times:
    """Return when the date of each person, or its anniversary, last came round.

    Parameters
    ----------
    entry : Entry
        With a date.
    dates : ndarray of datetime64[us], shape (n,)
        The column's values; NaT where missing.
    people : ndarray of int64, shape (n,)
        Whose they are, for their zones.
    zones : Zones
        Of all people.
    after, until : datetime
        UTC without a zone; what lies outside of ``(after, until]`` does not count.

    Returns
    -------
    ndarray of datetime64[us], shape (n,)
        NaT where there was none.
    """
    shift = (entry.after or timedelta(0)) - (entry.before or timedelta(0))
    codes = zones.of(people)
    low, high = np.datetime64(after, "us"), np.datetime64(until, "us")
    found = np.full(len(dates), _NEVER)
    for days in [dates] if entry.every is None else _anniversaries(dates, shift, after, until):
        moments = day_moments(days, codes, zones.names, entry.time, shift)
        inside = (moments > low) & (moments <= high)
        found = np.where(inside & ~(found >= moments), moments, found)
    return found


def _anniversaries(dates: Times, shift: timedelta, after: datetime, until: datetime) -> list[Times]:
    """Return the date in each year that could bring it into a stretch of time, from the next on."""
    first = (after - shift).year - 1
    last = (until - shift).year + 1
    years = dates.astype("datetime64[Y]")
    # The time of day stays: it says whether the date is a calendar day or a moment.
    within_day = dates - dates.astype("datetime64[D]")
    month = dates.astype("datetime64[M]") - years.astype("datetime64[M]")
    day = dates.astype("datetime64[D]") - dates.astype("datetime64[M]").astype("datetime64[D]")
    found = []
    for year in range(first, last + 1):
        this = np.datetime64(str(year), "Y")
        months = this.astype("datetime64[M]") + month
        longest = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]") - _DAY
        days = months.astype("datetime64[D]") + np.minimum(day, longest)
        found.append(np.where(years < this, days + within_day, _NEVER))
    return found


def last_run(schedule: Schedule, zone: str, *, after: datetime, until: datetime) -> datetime | None:
    """Return when a timetable last came due.

    Each moment is worked out from the business's clock, never from the moment before it, so an
    hour that comes twice runs once, and one that is left out runs behind the gap.

    Parameters
    ----------
    schedule : Schedule
        Days and time.
    zone : str
        Of the business.
    after, until : datetime
        UTC without a zone; what lies outside of ``(after, until]`` does not count.

    Returns
    -------
    datetime or None
        UTC without a zone; None where it did not come due.
    """
    ends = np.array([after, until], dtype="datetime64[us]")
    here = np.zeros(2, dtype=np.int64)
    first, last = to_local(ends, here, [zone]).astype("datetime64[D]")
    days = np.arange(first - _DAY, last + 2 * _DAY)
    if schedule.day_of_month is not None:
        numbers = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
        days = days[numbers + 1 == schedule.day_of_month]
    elif schedule.weekdays is not None:
        allowed = [WEEKDAYS.index(day) for day in schedule.weekdays]
        days = days[np.isin(weekday_of(days), allowed)]
    minutes = np.timedelta64(schedule.time.hour * 60 + schedule.time.minute, "m")
    shown: Times = days.astype("datetime64[us]") + minutes  # type: ignore[assignment]
    moments = to_utc(shown, np.zeros(len(days), dtype=np.int64), [zone])
    due = moments[(moments > ends[0]) & (moments <= ends[1])]
    if not len(due):
        return None
    latest: datetime = due.max().item()
    return latest
