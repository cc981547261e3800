"""By what process do people buy, leave and come back?

The process moves in days of the business time zone. Each person has a mood (away, cool or
warm), a purchase clock that restarts with each order, and a boost after a click. What moves
from one day to the next is written once here; the simulation draws from it and the oracle
sums over it.
"""

from typing import Final

import numpy as np
from scipy.special import gammaincc

from mlmarket.market.samples.calendar import Calendar
from mlmarket.market.samples.draws import Floats, Ints
from mlmarket.market.samples.people import SHAPES, Buying

__all__ = [
    "AWAY",
    "BOOST_END",
    "CLICK_GAIN",
    "COOL",
    "COOL_AFTER_ORDER",
    "COOL_GAIN",
    "FURTHEST",
    "WARM",
    "clock_hazard",
    "dropout",
    "first_mood",
]

AWAY: Final = 0
COOL: Final = 1
WARM: Final = 2

COOL_GAIN: Final = 0.55
BOOST_END: Final = 1 / 5  # chance that the boost of a click is over, each day
COOL_AFTER_ORDER: Final = 0.6
CLICK_GAIN: Final = np.array([0.2, 1.0, 1.7])  # by mood
FURTHEST: Final = 7.0  # where the clock stops; no interval is seven times its mean

_YOUNG_GAIN: Final = 1.6
_YOUNG_DAYS: Final = 60.0
_TURNOVER: Final = 0.003  # hazard at which half of the old people are away at first
_GRID: Final = 200
_TABLE: Final[Floats] = np.stack(
    [-np.log(gammaincc(k, k * np.arange(0, FURTHEST + 2, 1 / _GRID))) for k in SHAPES]
)


def clock_hazard(shape: Ints, clock: Floats) -> Floats:
    """Return the cumulative hazard of a gamma interval whose mean is 1.

    Parameters
    ----------
    shape : ndarray of shape (n,)
        Index into ``people.SHAPES``.
    clock : ndarray of shape (n,)
        Time since the last order in mean intervals, at most ``FURTHEST + 1``.

    Returns
    -------
    ndarray of shape (n,)
        Minus the logarithm of the chance that the interval is longer.

    Examples
    --------
    >>> clock_hazard(np.array([0]), np.array([0.5])).round(6)
    array([0.5])
    """
    place = clock * _GRID
    left = place.astype(np.int64)
    low = _TABLE[shape, left]
    hazard: Floats = low + (place - left) * (_TABLE[shape, left + 1] - low)
    return hazard


def dropout(buying: Buying, age: Ints, calendar: Calendar, day: int) -> Floats:
    """Return each person's chance to leave on a day: higher at first, higher late in the period.

    Parameters
    ----------
    buying : Buying
        Traits of n people.
    age : ndarray of shape (n,)
        Days since arrival.
    calendar : Calendar
        The days.
    day : int
        Index of the day.

    Returns
    -------
    ndarray of shape (n,)
        Chance of leaving, for those who are there.
    """
    young = 0.7 + _YOUNG_GAIN * np.exp(-age / _YOUNG_DAYS)
    chance: Floats = -np.expm1(-buying.dropout * young * calendar.leaving[day])
    return chance


def first_mood(rng: np.random.Generator, buying: Buying, arrival_day: Ints) -> Ints:
    """Draw the moods at the first moment: new people are cool, a part of the old ones is away.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    buying : Buying
        Traits of n people.
    arrival_day : ndarray of shape (n,)
        Day of arrival, -1 before the first.

    Returns
    -------
    ndarray of shape (n,)
        ``AWAY`` or ``COOL``.
    """
    away = rng.random(arrival_day.size) < buying.dropout / (buying.dropout + _TURNOVER)
    return np.where((arrival_day < 0) & away, AWAY, COOL)
