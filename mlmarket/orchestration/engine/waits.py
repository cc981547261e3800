"""Until when does somebody wait?

Lengths of time are counted in UTC; times of day on the clock of the person's zone.
"""

from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.orchestration.documents import WEEKDAYS
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.engine.entries import times_of
from mlmarket.orchestration.engine.local_time import day_moments, next_time
from mlmarket.orchestration.engine.people import People
from mlmarket.orchestration.journeys.flow import Wait
from mlmarket.orchestration.journeys.journey import Journey

__all__ = ["Waits"]

Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]
Hours = npt.NDArray[np.timedelta64]

_NEVER: Final = np.datetime64("NaT", "us")
_HOUR: Final = np.timedelta64(3_600_000_000, "us")
_HOURS: Final = 24


class Waits:
    """Works out when waits are over.

    Parameters
    ----------
    people : People
        Zones, dates and send-time predictions.
    bench : Bench
        Where columns are read, once each.
    """

    def __init__(self, people: People, bench: Bench) -> None:
        self._people, self._bench = people, bench
        self._columns: dict[str, pa.Array | None] = {}

    def over(self, wait: Wait, journey: Journey, person: Rows, clock: Times) -> Times:
        """Return when a wait that begins now is over.

        Parameters
        ----------
        wait : Wait
            What is waited for; for ``until``, the moment at which it is given up.
        journey : Journey
            Whose step it is, for messages.
        person : ndarray of int64, shape (n,)
            Who waits.
        clock : ndarray of datetime64[us], shape (n,)
            When the wait begins.

        Returns
        -------
        ndarray of datetime64[us], shape (n,)
            Never before the clock; equal to it where there is nothing to wait for.

        Raises
        ------
        ConfigurationError
            Where the column of a date holds no times.
        """
        if wait.duration is not None:
            return clock + np.timedelta64(wait.duration)
        if wait.until is not None and wait.at_most is not None:
            return clock + np.timedelta64(wait.at_most)
        codes, names = self._people.zones.of(person), self._people.zones.names
        if wait.best_send_time is not None:
            found = self._best_time(person, clock, wait.best_send_time)
        elif wait.date is not None:
            found = self._date(wait, journey, person)
        elif wait.time is not None:
            found = next_time(clock, codes, names, wait.time, wait.weekdays)
        else:
            found = clock
        # A date that is missing or has passed holds nobody up.
        over: Times = np.where(found > clock, found, clock)
        return over

    def _date(self, wait: Wait, journey: Journey, person: Rows) -> Times:
        column = self._column(str(wait.date))
        if column is None:
            return np.full(len(person), _NEVER)
        dates = times_of(column, str(wait.date), journey)[person]
        shift = (wait.after or timedelta(0)) - (wait.before or timedelta(0))
        codes, names = self._people.zones.of(person), self._people.zones.names
        days = day_moments(dates, codes, names, wait.time, shift)
        if wait.time is not None:
            return days
        # Without an hour, a date with a time of day is that very moment.
        is_day = dates == dates.astype("datetime64[D]")
        return np.where(is_day, days, dates + np.timedelta64(shift))

    def _best_time(self, person: Rows, clock: Times, longest: timedelta) -> Times:
        """Return the person's own hour, within a limit; NaT where it is not known."""
        latest = clock + np.timedelta64(longest)
        moment = self._times("send_at_utc")[person]
        found = np.where((moment > clock) & (moment <= latest), moment, _NEVER)
        hour, weekday = self._numbers("send_hour_local")[person], self._weekdays()[person]
        rows = np.flatnonzero(np.isnat(found) & (hour >= 0) & (hour < _HOURS))
        if not len(rows):
            return found
        codes, names = self._people.zones.of(person[rows]), self._people.zones.names
        hours: Hours = hour[rows].astype(np.int64) * _HOUR
        allowed = np.ones((len(rows), len(WEEKDAYS)), dtype=np.bool_)
        on_a_day = weekday[rows] >= 0
        allowed[on_a_day] = np.eye(len(WEEKDAYS), dtype=np.bool_)[weekday[rows][on_a_day]]
        on_the_day = next_time(clock[rows], codes, names, hours, allowed)
        any_day = next_time(clock[rows], codes, names, hours)
        best = np.where(on_the_day <= latest[rows], on_the_day, any_day)
        found[rows] = np.minimum(best, latest[rows])
        return found

    def _times(self, name: str) -> Times:
        column = self._column(name)
        if column is None or not pa.types.is_timestamp(column.type):
            return np.full(len(self._people), _NEVER)
        times: Times = column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
        return times.astype("datetime64[us]")

    def _numbers(self, name: str) -> npt.NDArray[np.float64]:
        column = self._column(name)
        if column is None or not (
            pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        ):
            return np.full(len(self._people), np.nan)
        numbers: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return numbers

    def _weekdays(self) -> Rows:
        """Return the weekday of each person, 0 for Monday, -1 where there is none."""
        column = self._column("send_weekday")
        if column is not None and pa.types.is_string(column.type):
            places = {name: place for place, name in enumerate(WEEKDAYS)}
            words = (None if one is None else one[:3].lower() for one in column.to_pylist())
            return np.array([places.get(one or "", -1) for one in words], dtype=np.int64)
        numbers = self._numbers("send_weekday")
        known = (numbers >= 0) & (numbers < len(WEEKDAYS))
        return np.where(known, np.where(known, numbers, 0), -1).astype(np.int64)

    def _column(self, name: str) -> pa.Array | None:
        if name not in self._columns:
            self._columns[name] = self._people.column(name, self._bench)
        return self._columns[name]
