"""Which messages could go out in one tick, and what is decided about each?

Everything is by row and by number: one row a message that one pass of one person has come to.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlmarket.orchestration.arbitration.reasons import Bits
from mlmarket.orchestration.journeys.actions import Blocked, Worth

__all__ = ["Candidates", "Offer", "Verdicts"]

Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Offer:
    """A message (or an audience to join) of one version of a journey, as arbitration sees it.

    Parameters
    ----------
    journey, version, step : str
        Where it stands.
    channels : tuple of str
        The ladder.
    topic : str or None
        In small letters.
    priority : int
        Of the journey.
    group : str or None
        The exclusion group of the journey.
    legal_basis : str
        What it rests on.
    transactional : bool
        Whether it passes caps.
    best_time : bool
        Whether it goes out at the person's own hour.
    within : timedelta64
        How far ahead that may lie.
    worth : Worth or None
        What it is expected to earn.
    if_blocked : str
        What becomes of people for whom no channel is open.
    """

    journey: str
    version: str
    step: str
    channels: tuple[str, ...]
    topic: str | None
    priority: int
    group: str | None
    legal_basis: str
    transactional: bool
    best_time: bool
    within: np.timedelta64
    worth: Worth | None
    if_blocked: Blocked


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What could be sent.

    Parameters
    ----------
    offers : tuple of Offer
        All messages of the tick.
    offer : ndarray of int64, shape (n,)
        Which message, by its place in ``offers``.
    person : ndarray of int64, shape (n,)
        The person's number: their place in the tick's sorted ``contact_id``.
    entered, expires : ndarray of datetime64[us], shape (n,)
        Of the pass.
    against : ndarray of int64, shape (n,)
        Reasons that the engine knows already: holdouts, missing tokens. Not holdouts alone.
    held_since : ndarray of datetime64[us], shape (n,)
        When the pass came to the message.
    lot : ndarray of uint64, shape (n,)
        A stable hash of the pass, which breaks ties.
    """

    offers: tuple[Offer, ...]
    offer: Rows
    person: Rows
    entered: Times
    expires: Times
    against: Bits
    held_since: Times
    lot: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.offer)


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What is decided about each candidate, in the same order.

    Parameters
    ----------
    fate : ndarray of int8, shape (n,)
        A number of :class:`~mlmarket.orchestration.arbitration.reasons.Fate`.
    channel : ndarray of int8, shape (n,)
        The place in ``CHANNELS`` of what is used; -1 where nothing is sent.
    not_before : ndarray of datetime64[us], shape (n,)
        When what is sent may go out.
    reasons : ndarray of int64, shape (n,)
        All reasons, over all channels, also of those that fell back.
    until : ndarray of datetime64[us], shape (n,)
        When to try again, for what is deferred; else NaT.
    winner : ndarray of int64, shape (n,)
        The candidate that went first, -1 where there is none.
    value : ndarray of float64, shape (n,)
        The expected value; NaN where it is not known.
    """

    fate: npt.NDArray[np.int8]
    channel: npt.NDArray[np.int8]
    not_before: Times
    reasons: Bits
    until: Times
    winner: Rows
    value: npt.NDArray[np.float64]
