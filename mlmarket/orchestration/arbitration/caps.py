"""From when on does a cap leave room for one more message?

A cap is kept around the moment at which a message would go out: no stretch of its length ever
holds more messages than it allows, past ones and those planned ahead together. Two messages just
that length apart do not lie in one stretch.
"""

from typing import Final, NamedTuple

import numba
import numpy as np

from mlmarket.errors import ConfigurationError
from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.windows import Hours, next_open
from mlmarket.orchestration.arbitration.zones import DAY, Integers, Zones, local_time, utc_time
from mlmarket.orchestration.policy import Cap, Policy

__all__ = ["LONGEST_MONTH", "Calendar", "Caps", "caps_of", "counting", "first_room", "longest"]

LONGEST_MONTH: Final = 31 * DAY

_PERIODS: Final = {"day": 1, "week": 2, "month": 3}
_WEEK, _MONTH = _PERIODS["week"], _PERIODS["month"]
_MONDAY: Final = 3
"""1970 began on a Thursday."""
_MOST_CAPS: Final = 62
"""Which caps count a message is kept in the bits of one number."""

_ADS: Final = CHANNELS.index("ads")


class Caps(NamedTuple):
    """Caps by number.

    Parameters
    ----------
    most : ndarray of int64, shape (caps,)
        How many messages.
    length : ndarray of int64, shape (caps,)
        Microseconds, for rolling caps.
    period : ndarray of int64, shape (caps,)
        0 for rolling caps, else 1 for a day, 2 for a week, 3 for a month.
    """

    most: Integers
    length: Integers
    period: Integers


class Calendar(NamedTuple):
    """What is needed to plan ahead.

    Parameters
    ----------
    zones : Zones
        The zones of people.
    hours : Hours
        When channels are open in them.
    """

    zones: Zones
    hours: Hours


def caps_of(policy: Policy) -> Caps:
    """Return the caps of a policy by number.

    Parameters
    ----------
    policy : Policy
        The rules.

    Returns
    -------
    Caps
        In the order of ``policy.caps``.

    Raises
    ------
    ConfigurationError
        For more than 62 caps.
    """
    caps = policy.caps
    if len(caps) > _MOST_CAPS:
        what = f"The policy has {len(caps)} caps; at most {_MOST_CAPS} are kept."
        raise ConfigurationError(what, "All must leave room for each message.", "remove some.")
    return Caps(
        np.array([cap.most for cap in caps], np.int64),
        np.array([_length(cap) if cap.per not in _PERIODS else 0 for cap in caps], np.int64),
        np.array([_PERIODS.get(str(cap.per), 0) for cap in caps], np.int64),
    )


def longest(policy: Policy) -> int:
    """Return the length of the longest cap, in microseconds; 0 without caps."""
    return max((_length(cap) for cap in policy.caps), default=0)


def _length(cap: Cap) -> int:
    if isinstance(cap.per, str):
        return LONGEST_MONTH
    return int(np.timedelta64(cap.per, "us").astype(np.int64))


def counting(policy: Policy, channel: Integers, topic: Integers, topics: list[str]) -> Integers:
    """Return which caps count messages.

    A message to ``ads`` is an audience joined: it counts only for caps on that channel, since
    nothing of it arrives.

    Parameters
    ----------
    policy : Policy
        The caps.
    channel : ndarray of int64, shape (n,)
        The place in ``CHANNELS``, -1 where it is none of them.
    topic : ndarray of int64, shape (n,)
        The place in ``topics``, -1 where it is none of them.
    topics : list of str
        Topics in small letters.

    Returns
    -------
    ndarray of int64, shape (n,)
        Bit ``c`` for the cap at place ``c``.
    """
    counted = np.zeros(len(channel), np.int64)
    for place, cap in enumerate(policy.caps):
        named = None if cap.channel is None else CHANNELS.index(cap.channel)
        counts = channel != _ADS if named is None else channel == named
        if cap.topic is not None:
            word = cap.topic.lower()
            counts = counts & (topic == (topics.index(word) if word in topics else -2))
        counted[counts] |= 1 << place
    return counted


def _rolling_room(sends: Integers, most: int, length: int, moment: int) -> int:
    """Return the first moment from one on at which no stretch would hold too many sends."""
    # Each run of as many sends as are allowed, shorter than the stretch, closes the time around it.
    # Both ends of what is closed move forward from run to run, so one pass is enough.
    for first in range(len(sends) - most + 1):
        start, end = sends[first], sends[first + most - 1]
        if end - start < length and end - length < moment < start + length:
            moment = start + length
    return moment


def _month(day: int) -> int:
    """Return the number of the month that a day lies in, counted from March of the year 0.

    References
    ----------
    H. Hinnant, *chrono-Compatible Low-Level Date Algorithms*, 2013.
    """
    shifted = day + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    return 12 * (year + 400 * era) + (5 * of_year + 2) // 153


def _period(local: int, kind: int) -> int:
    day = local // DAY
    if kind == _WEEK:
        return (day + _MONDAY) // 7
    return month(day) if kind == _MONTH else day


def _next_period(known: Zones, zone: int, kind: int, moment: int) -> int:
    """Return the first moment of the next calendar period where the person is."""
    local = local_time(known, zone, moment)
    now = period(local, kind)
    day = local // DAY + 1
    while period(day * DAY, kind) == now:
        day += 1
    return max(utc_time(known, zone, day * DAY), moment + 1)


def _calendar_room(
    sends: Integers, most: int, kind: int, known: Zones, zone: int, moment: int
) -> int:
    """Return the first moment from one on whose day, week or month is not full yet."""
    while True:
        now = period(local_time(known, zone, moment), kind)
        count = 0
        for send in sends:
            count += period(local_time(known, zone, send), kind) == now
        if count < most:
            return moment
        moment = next_period(known, zone, kind, moment)


def _first_room(
    counted: int,
    sends: tuple[Integers, Integers],
    caps: Caps,
    calendar: Calendar,
    place: tuple[int, int],
    moment: int,
) -> int:
    """Return the first moment from one on that all caps and the channel's hours permit.

    Parameters
    ----------
    counted : int
        Bits of the caps that count the message.
    sends : tuple of ndarray of int64, shape (k,)
        The person's other messages in order of time, and which caps count each.
    caps : Caps
        The caps.
    calendar : Calendar
        Zones and opening hours.
    place : tuple of int
        The zone, and the pair of zone and channel.
    moment : int
        In UTC, permitted by the channel's hours.

    Returns
    -------
    int
        The same moment where there is room.
    """
    times, counts = sends
    of_cap = np.empty_like(times)
    before = moment - 1
    while moment != before:
        before = moment
        for cap in range(len(caps.most)):
            if not counted >> cap & 1:
                continue
            size = 0
            for n in range(len(times)):
                if counts[n] >> cap & 1:
                    of_cap[size] = times[n]
                    size += 1
            if size < caps.most[cap]:
                continue
            if caps.period[cap] == 0:
                moment = rolling_room(of_cap[:size], caps.most[cap], caps.length[cap], moment)
            else:
                kind, zone = caps.period[cap], place[0]
                moment = calendar_room(
                    of_cap[:size], caps.most[cap], kind, calendar.zones, zone, moment
                )
        moment = next_open(calendar.hours, place[1], moment)
    return moment


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
rolling_room = _compiled(_rolling_room)
month = _compiled(_month)
period = _compiled(_period)
next_period = _compiled(_next_period)
calendar_room = _compiled(_calendar_room)
first_room = _compiled(_first_room)
