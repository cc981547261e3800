"""Which days does the shop live through, and how busy is each?"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from mlmarket.market.samples.draws import Flags, Floats, Ints

__all__ = [
    "BUSINESS_ZONE",
    "DAY",
    "END",
    "HOUR",
    "MINUTE",
    "SECOND",
    "Calendar",
    "build_calendar",
    "microseconds",
]

BUSINESS_ZONE: Final = "Europe/Lisbon"
END: Final = datetime(2026, 7, 1, tzinfo=UTC)
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_WEEK: Final = np.array([1.10, 1.06, 1.02, 1.00, 0.95, 0.80, 1.07])
_YEARLY_SWING: Final = 0.12
_PEAK_GAIN: Final = 0.9  # a Gaussian bump around the Black Friday to Christmas weeks
_PEAK_DAY: Final = 340
_PEAK_WIDTH: Final = 11.0
_AUGUST_GAIN: Final = -0.22
_AUGUST_DAY: Final = 225
_AUGUST_WIDTH: Final = 13.0
_YEARLY_DECLINE: Final = 0.22
_COMPETITOR_SHARE: Final = 0.6  # share of the period after which people leave faster
_COMPETITOR_GAIN: Final = 0.35


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of the shop, cut at midnight of the business time zone.

    Parameters
    ----------
    starts : ndarray of shape (n_days + 1,)
        Start of each day and the end of the last, microseconds since 1970 UTC.
    weekday : ndarray of shape (n_days,)
        0 is Monday.
    month : ndarray of shape (n_days,)
        Months since the first day.
    first_of_month : ndarray of shape (n_days,)
        Whether the day is the first of its month.
    pace : ndarray of shape (n_days,)
        Multiplier of every buyer's rate: week, year and decline.
    leaving : ndarray of shape (n_days,)
        Multiplier of every person's dropout hazard.
    end : int
        End of the simulated period, microseconds since 1970 UTC.
    """

    starts: Ints
    weekday: Ints
    month: Ints
    first_of_month: Flags
    pace: Floats
    leaving: Floats
    end: int

    @property
    def days(self) -> int:
        """Number of days."""
        return self.weekday.size

    def at(self, day: Ints, seconds: Floats) -> Ints:
        """Return the instant that lies ``seconds`` after midnight of business days.

        A day on which the clocks change is stretched or squeezed, so that the instant
        never leaves its day.

        Parameters
        ----------
        day : ndarray of shape (n,)
            Index of the day.
        seconds : ndarray of shape (n,)
            Seconds on the clock, 0 to 86,400.

        Returns
        -------
        ndarray of shape (n,)
            Microseconds since 1970 UTC, whole seconds.
        """
        length = (self.starts[day + 1] - self.starts[day]) / DAY
        return self.starts[day] + np.floor(seconds * length).astype(np.int64) * SECOND


def microseconds(moment: datetime) -> int:
    """Return microseconds since 1970 UTC of a moment that has a time zone.

    Parameters
    ----------
    moment : datetime
        With a time zone.

    Returns
    -------
    int
        Microseconds.

    Examples
    --------
    >>> microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def build_calendar(months: int) -> Calendar:
    """Lay out the days of the ``months`` before the end of the simulated period.

    Parameters
    ----------
    months : int
        Length of the period.

    Returns
    -------
    Calendar
        Its days.
    """
    whole = END.year * 12 + END.month - 1 - months
    first, last = date(whole // 12, whole % 12 + 1, 1), END.date()
    dates = [first + timedelta(days=i) for i in range((last - first).days)]
    zone = ZoneInfo(BUSINESS_ZONE)
    starts = [
        microseconds(datetime(d.year, d.month, d.day, tzinfo=zone).astimezone(UTC))
        for d in [*dates, last]
    ]
    day_of_year = np.array([d.timetuple().tm_yday for d in dates], dtype=np.float64)
    weekday = np.array([d.weekday() for d in dates], dtype=np.int64)
    share = np.arange(len(dates)) / len(dates)
    return Calendar(
        starts=np.array(starts, dtype=np.int64),
        weekday=weekday,
        month=np.array([d.year * 12 + d.month - 1 - whole for d in dates], dtype=np.int64),
        first_of_month=np.array([d.day == 1 for d in dates]),
        pace=_WEEK[weekday] * _yearly(day_of_year) * _decline(len(dates)),
        leaving=1.0 + _COMPETITOR_GAIN * (share >= _COMPETITOR_SHARE),
        end=microseconds(END),
    )


def _yearly(day_of_year: Floats) -> Floats:
    swing = 1.0 + _YEARLY_SWING * np.cos(2 * np.pi * (day_of_year - 20.0) / 365.25)
    peak = _PEAK_GAIN * np.exp(-0.5 * ((day_of_year - _PEAK_DAY) / _PEAK_WIDTH) ** 2)
    august = _AUGUST_GAIN * np.exp(-0.5 * ((day_of_year - _AUGUST_DAY) / _AUGUST_WIDTH) ** 2)
    factor: Floats = swing * (1.0 + peak + august)
    return factor


def _decline(days: int) -> Floats:
    factor: Floats = np.exp(-_YEARLY_DECLINE * np.arange(days) / 365.25)
    return factor
