"""How is a number printed so that it is read at a glance?"""

import math
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from mlmarket.evaluation import Interval
from mlmarket.market.time import to_utc

__all__ = [
    "UNKNOWN",
    "change",
    "count",
    "day",
    "decimals",
    "local_day",
    "percent",
    "range_of",
]

UNKNOWN: Final = "\N{EN DASH}"
"""Stands where a number is not known."""

_MINUS: Final = "\N{MINUS SIGN}"
_FEW: Final = 10.0
_LEAST: Final = 0.1
_ALL: Final = 100.0
# Names of months from the system would follow its language, and the page its words.
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def count(number: float | None) -> str:
    """Return a number of people or rows.

    Parameters
    ----------
    number : float or None
        Whole, or an expected number.

    Returns
    -------
    str
        With thousands separators; one decimal below ten where it is not whole.

    Examples
    --------
    >>> count(3412), count(409.6), count(3.42)
    ('3,412', '410', '3.4')
    """
    if number is None or not math.isfinite(number):
        return UNKNOWN
    text = f"{number:,.0f}" if abs(number) >= _FEW else f"{number:,.1f}".removesuffix(".0")
    return _signed(text)


def change(now: int, before: int | None) -> str:
    """Return by how much a number of people changed.

    Parameters
    ----------
    now, before : int
        Two numbers; None where the earlier one is not known.

    Returns
    -------
    str
        With its sign.

    Examples
    --------
    >>> change(1420, 1300), change(5, 5)
    ('+120', '±0')
    """
    if before is None:
        return UNKNOWN
    if now == before:
        return "\N{PLUS-MINUS SIGN}0"
    return _signed(f"{now - before:+,d}")


def percent(share: float | None, places: int | None = None) -> str:
    """Return a share in percent.

    Parameters
    ----------
    share : float or None
        Such as 0.083.
    places : int, optional
        How many decimals, for columns; by default one below 10 % and just below 100 %, so that
        few are not printed as nobody, nor nearly all as all, and none between.

    Returns
    -------
    str
        With a space that does not break.

    Examples
    --------
    >>> [percent(share).replace(chr(0xA0), " ") for share in (0.0834, 0.5, 0.9999, 0.00001)]
    ['8.3 %', '50 %', '99.9 %', '<0.1 %']
    """
    if share is None or not math.isfinite(share):
        return UNKNOWN
    number = 100.0 * share
    if places is None:
        if 0.0 < number < _LEAST:
            return f"<{_LEAST}\N{NO-BREAK SPACE}%"
        if number < _ALL:
            number = min(number, _ALL - _LEAST)
        places = 1 if abs(number) < _FEW or _ALL - 0.5 <= number < _ALL else 0
    return _signed(f"{number:.{places}f}") + "\N{NO-BREAK SPACE}%"


def decimals(number: float | None, places: int = 3) -> str:
    """Return a measure with a fixed number of decimals.

    Parameters
    ----------
    number : float or None
        Such as an AUC.
    places : int, default 3
        How many decimals.

    Returns
    -------
    str
        A dash where it is not known.

    Examples
    --------
    >>> decimals(0.78149), decimals(float("nan")) == UNKNOWN
    ('0.781', True)
    """
    if number is None or not math.isfinite(number):
        return UNKNOWN
    return _signed(f"{number:.{places}f}")


def range_of(interval: Interval) -> str:
    """Return the bounds of an interval of people.

    Parameters
    ----------
    interval : Interval
        Bounds in people.

    Returns
    -------
    str
        Such as ``350 to 470``.

    Examples
    --------
    >>> range_of(Interval(410.0, 350.0, 1470.0, 0.9))
    '350 to 1,470'
    """
    return f"{count(interval.low)} to {count(interval.high)}"


def day(moment: date) -> str:
    """Return a date in words.

    Parameters
    ----------
    moment : date
        A day.

    Returns
    -------
    str
        Such as ``1 July 2026``, in the same words on every machine.

    Examples
    --------
    >>> day(date(2026, 7, 1))
    '1 July 2026'
    """
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def local_day(moment: datetime, zone: ZoneInfo) -> str:
    """Return the day of an instant where the business is.

    Parameters
    ----------
    moment : datetime
        An aware datetime.
    zone : ZoneInfo
        Time zone of the business.

    Returns
    -------
    str
        Such as ``1 July 2026``.

    Raises
    ------
    ConfigurationError
        Where the instant has no zone.
    """
    to_utc(moment)
    return day(moment.astimezone(zone).date())


def _signed(text: str) -> str:
    if text.lstrip("-0.,") == "":
        return text.removeprefix("-")
    return text.replace("-", _MINUS, 1)
