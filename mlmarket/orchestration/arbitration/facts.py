"""What has to be known about people before their messages are weighed against each other?

People are numbers: their places in the tick's sorted ``contact_id``. Times are moments in UTC.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.orchestration.arbitration.candidates import Rows, Times
from mlmarket.orchestration.arbitration.reasons import Bits

__all__ = ["NEVER", "Passes", "PastSends", "PeopleFacts", "microseconds"]

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NEVER: Final = int(np.iinfo(np.int64).min)
"""What a missing time is as a number."""


def microseconds(times: Times) -> Rows:
    """Return times as whole microseconds since 1970, :data:`NEVER` where missing."""
    return times.astype("datetime64[us]").astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class PastSends:
    """Messages that went out, or are planned to, other than the candidates.

    Parameters
    ----------
    person : ndarray of int64, shape (k,)
        To whom; -1 for people outside of the tick, whose messages count for throughput only.
    at : ndarray of datetime64[us], shape (k,)
        When.
    channel : ndarray of int64, shape (k,)
        The place in ``CHANNELS``, -1 where it is none of them.
    topic : ndarray of int64, shape (k,)
        The place in ``topics``, -1 where it is none of them.
    transactional : ndarray of bool, shape (k,)
        Whether no cap counts it.
    topics : tuple of str
        The topics that caps name, in small letters.
    """

    person: Rows
    at: Times
    channel: Rows
    topic: Rows
    transactional: Flags
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """Passes under way through journeys of an exclusion group, without those held out.

    Parameters
    ----------
    person : ndarray of int64, shape (k,)
        Whose.
    journey : ndarray of int64, shape (k,)
        The place in ``journeys``.
    priority : ndarray of int64, shape (k,)
        Of the version.
    entered : ndarray of datetime64[us], shape (k,)
        Since when.
    group : ndarray of int64, shape (k,)
        The place in ``groups``.
    journeys, groups : tuple of str
        Names.
    """

    person: Rows
    journey: Rows
    priority: Rows
    entered: Times
    group: Rows
    journeys: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PeopleFacts:
    """All that arbitration reads beside the candidates themselves.

    Parameters
    ----------
    zones : tuple of str
        Names of time zones.
    zone : ndarray of int64, shape (people,)
        The place of each person's in ``zones``.
    handed_over, unhygienic : ndarray of bool, shape (people,)
        Whether a human is talking to them, and whether their address is to be left alone.
    send_at : ndarray of datetime64[us], shape (people,)
        Their best time as a moment; NaT where not known.
    send_weekday, send_hour : ndarray of int64, shape (people,)
        The same where they are: 0 for Monday, and the hour from 0; -1 where not known.
    closed : ndarray of int64, shape (n, rungs)
        For each candidate and channel of its ladder, the reasons against that channel. Columns
        behind the end of a shorter ladder are not read.
    probability, gain : ndarray of float64, shape (n,)
        What each candidate's worth is made of; NaN where not known.
    past : PastSends
        Other messages.
    passes : Passes
        For exclusion groups.
    """

    zones: tuple[str, ...]
    zone: Rows
    handed_over: Flags
    unhygienic: Flags
    send_at: Times
    send_weekday: Rows
    send_hour: Rows
    closed: Bits
    probability: Floats
    gain: Floats
    past: PastSends
    passes: Passes
