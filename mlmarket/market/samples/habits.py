"""At which hours of the week does each person read and shop?"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.market.samples.draws import Floats, Ints, choose

__all__ = ["LAGS", "NOTICE_HOURS", "Habits", "build_habits"]

NOTICE_HOURS: Final = 72
"""A message that was not read within so many hours is never read."""

LAGS: Final = 4
"""Business days on which a message can be read: its own and three more."""

_WEEK: Final = 168
_PATIENCE: Final = 6.0  # mean hours of attention until a message is met
_SINKING: Final = 30.0  # hours after which its chance to be noticed has fallen by 1/e
_PEAKS: Final = np.array([8.0, 12.5, 18.0, 21.0, 23.5])
_PEAK_WEIGHTS: Final = np.array([0.22, 0.2, 0.18, 0.3, 0.1])
_PEAK_SPREAD: Final = 0.9
_CONCENTRATION: Final = 3.5
_SLEEP: Final = np.array([0.15] * 7 + [1.0] * 17)


@dataclass(frozen=True, slots=True)
class Habits:
    """Each person's preference over the hours of the week, on their own clock.

    Parameters
    ----------
    first_peak, second_peak : ndarray of shape (n_people,)
        Preferred hours of the day.
    weekend : ndarray of shape (n_people,)
        Multiplier of Saturday and Sunday.
    climbed : ndarray of shape (n_people, 169)
        Attention spent since Monday 00:00; the whole week is 168.
    """

    first_peak: Floats
    second_peak: Floats
    weekend: Floats
    climbed: Floats

    def hour_of_day(self, rng: np.random.Generator, people: Ints, weekday: Ints) -> Ints:
        """Draw the hour of something that people do on a given weekday.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of chance.
        people, weekday : ndarray of shape (n,)
            Who, and on which day; 0 is Monday.

        Returns
        -------
        ndarray of shape (n,)
            Hour on the person's own clock.
        """
        low = self.climbed[people, 24 * weekday]
        high = self.climbed[people, 24 * weekday + 24]
        hour = self._hour_at(people, low + rng.random(people.size) * (high - low))
        clock: Ints = np.clip(hour - 24 * weekday, 0, 23)
        return clock

    def chance_of_hour(self, weekday: int, hour: Ints) -> Floats:
        """Tell how likely something done on a weekday is done in one hour of it.

        Parameters
        ----------
        weekday : int
            0 is Monday.
        hour : ndarray of shape (n_people,)
            Hour on each person's own clock.

        Returns
        -------
        ndarray of shape (n_people,)
            Chance.
        """
        people = np.arange(hour.size)
        start = 24 * weekday + hour
        spent = self.climbed[people, start + 1] - self.climbed[people, start]
        whole = self.climbed[:, 24 * weekday + 24] - self.climbed[:, 24 * weekday]
        chance: Floats = spent / whole
        return chance

    def first_reading(self, rng: np.random.Generator, people: Ints, hour_of_week: Ints) -> Ints:
        """Draw after how many hours a message is met in the inbox.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of chance.
        people : ndarray of shape (n,)
            Recipients.
        hour_of_week : ndarray of shape (n,)
            Hour of sending on the recipient's clock, since Monday 00:00.

        Returns
        -------
        ndarray of shape (n,)
            Hours, -1 where it is not met in time or has sunk by then.
        """
        effort = rng.exponential(_PATIENCE, people.size)
        target = self.climbed[people, hour_of_week] + effort
        hours = (self._hour_at(people, target % _WEEK) - hour_of_week) % _WEEK
        noticed = rng.random(people.size) < np.exp(-hours / _SINKING)
        return np.where(noticed & (hours < NOTICE_HOURS) & (effort < _WEEK), hours, -1)

    def reading_chances(self, hour: int, hour_of_week: Ints) -> Floats:
        """Tell how likely a message is read on its day and each of the next three.

        Parameters
        ----------
        hour : int
            Hour of sending in the business time zone.
        hour_of_week : ndarray of shape (n_people,)
            The same on each person's clock, since Monday 00:00.

        Returns
        -------
        ndarray of shape (4, n_people)
            Chances, given that the person opens mail at all.
        """
        lag = (hour + np.arange(NOTICE_HOURS)) // 24
        notice = np.exp(-np.arange(NOTICE_HOURS) / _SINKING)
        chances = np.zeros((LAGS, hour_of_week.size))
        twice = np.concatenate([self.climbed, self.climbed[:, 1:] + _WEEK], axis=1)
        for start in np.unique(hour_of_week):
            same = np.flatnonzero(hour_of_week == start)
            spent = twice[same, start : start + NOTICE_HOURS + 1] - twice[same, start, np.newaxis]
            unread = np.exp(-spent / _PATIENCE)
            read = (unread[:, :-1] - unread[:, 1:]) * notice
            for day in range(LAGS):
                chances[day, same] = read[:, lag == day].sum(axis=1)
        return chances

    def _hour_at(self, people: Ints, attention: Floats) -> Ints:
        """Return the hour of the week in which so much attention has been spent."""
        steps = (self.climbed[:, 1:] + _WEEK * np.arange(len(self.climbed))[:, np.newaxis]).ravel()
        found = np.searchsorted(steps, _WEEK * people + attention, side="right")
        hour: Ints = np.clip(found - _WEEK * people, 0, _WEEK - 1)
        return hour


def build_habits(rng: np.random.Generator, size: int) -> Habits:
    """Draw the habits of people.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    size : int
        Number of people.

    Returns
    -------
    Habits
        Their preferences.
    """
    peaks: list[Floats] = [
        (_PEAKS[choose(rng, _PEAK_WEIGHTS, size)] + rng.normal(0.0, _PEAK_SPREAD, size)) % 24
        for _ in range(2)
    ]
    first = rng.uniform(1.5, 6.0, size)
    second = rng.uniform(0.0, 2.5, size)
    weekend = np.exp(rng.normal(-0.1, 0.5, size))
    middle = np.arange(24) + 0.5
    day = _SLEEP * (
        0.35
        + first[:, np.newaxis] * _bump(middle, peaks[0])
        + second[:, np.newaxis] * _bump(middle, peaks[1])
    )
    mood = np.exp(rng.normal(0.0, 0.25, (size, 7)))
    mood[:, 5:] *= weekend[:, np.newaxis]
    hours = (mood[:, :, np.newaxis] * day[:, np.newaxis, :]).reshape(size, _WEEK)
    climbed = np.zeros((size, _WEEK + 1))
    np.cumsum(hours, axis=1, out=climbed[:, 1:])
    climbed *= _WEEK / climbed[:, -1:]
    return Habits(peaks[0], peaks[1], weekend, climbed)


def _bump(hours: Floats, peak: Floats) -> Floats:
    """Von Mises bump around the clock, 1 at its peak."""
    angle = 2 * np.pi * (hours - peak[:, np.newaxis]) / 24
    bump: Floats = np.exp(_CONCENTRATION * (np.cos(angle) - 1.0))
    return bump
