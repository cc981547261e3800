"""Who goes first, and who finds no room after them?

The only part of arbitration in which the decision about one message depends on those about others.
All candidates are taken in one order over all people: by priority, then by expected value where it is
known, then by lot. Each finds what those before it have taken, and takes its own part only if it
goes out. So what a message is told depends on messages of a higher rank alone, and a message of a
higher rank finds at least the room that it would have found behind.
"""

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.orchestration.arbitration.candidates import Candidates
from mlmarket.orchestration.arbitration.caps import Calendar, Caps, first_room
from mlmarket.orchestration.arbitration.reasons import Reason
from mlmarket.orchestration.arbitration.throughput import Load, add, full_until
from mlmarket.orchestration.arbitration.zones import Integers

__all__ = ["BLOCKED", "HELD_OUT", "TAKES_TURNS", "Contest", "Past", "Result", "Rules"]
__all__ += ["choose", "ranked"]

BLOCKED: Final = 1
"""Something that no other candidate can change speaks against it."""
HELD_OUT: Final = 2
"""Decided like all others, but never sent: it takes nothing from anybody."""
TAKES_TURNS: Final = 4
"""A marketing message that arrives: a person gets only so many at once."""

_OUTRANKED: Final = int(Reason.OUTRANKED)
_CAPPED: Final = int(Reason.CAPPED)
_THROUGHPUT: Final = int(Reason.THROUGHPUT)


class Contest(NamedTuple):
    """The candidates, as the loop over them needs them.

    Parameters
    ----------
    order : ndarray of int64, shape (n,)
        The candidates, the first first.
    person, zone, channel, pair : ndarray of int64, shape (n,)
        Whose, where they are, on which channel, and the pair of both in the opening hours.
    planned : ndarray of int64, shape (n,)
        When each would go out.
    counted : ndarray of int64, shape (n,)
        Which caps count it.
    flags : ndarray of int64, shape (n,)
        :data:`BLOCKED`, :data:`HELD_OUT`, :data:`TAKES_TURNS`.
    """

    order: Integers
    person: Integers
    zone: Integers
    channel: Integers
    pair: Integers
    planned: Integers
    counted: Integers
    flags: Integers


class Past(NamedTuple):
    """Other messages that caps count, by person and time.

    Parameters
    ----------
    begin : ndarray of int64, shape (people + 1,)
        Where those of each person begin.
    at, counted : ndarray of int64, shape (k,)
        When, and which caps count it.
    """

    begin: Integers
    at: Integers
    counted: Integers


class Rules(NamedTuple):
    """What the policy allows.

    Parameters
    ----------
    caps : Caps
        How many messages a person gets.
    calendar : Calendar
        Zones and opening hours.
    loads : tuple of Load
        How full each channel is.
    at_once : int
        How many marketing messages a person gets in one tick.
    thorough : bool
        Whether to find every reason, rather than only who goes out.
    """

    caps: Caps
    calendar: Calendar
    loads: tuple[Load, ...]
    at_once: int
    thorough: bool


class Result(NamedTuple):
    """What the loop finds out, filled in by it.

    Parameters
    ----------
    reasons : ndarray of int64, shape (n,)
        Outranked, capped or no throughput.
    until : ndarray of int64, shape (n,)
        From when on there is room.
    winner : ndarray of int64, shape (n,)
        Which candidate went first, -1 for none.
    chosen : ndarray of bool, shape (n,)
        Whether it goes out.
    previous : ndarray of int64, shape (n,)
        The person's chosen candidate before this one, -1 for none.
    """

    reasons: Integers
    until: Integers
    winner: Integers
    chosen: npt.NDArray[np.bool_]
    previous: Integers


class Seats(NamedTuple):
    """What the chosen have taken so far, by person.

    Parameters
    ----------
    taken : ndarray of int64, shape (people,)
        How many chosen marketing messages arrive.
    first, latest : ndarray of int64, shape (people,)
        The first of them, and the last chosen of any kind; -1 for none.
    """

    taken: Integers
    first: Integers
    latest: Integers


def ranked(candidates: Candidates, value: npt.NDArray[np.float64]) -> Integers:
    """Return the candidates in the order in which they are asked.

    Parameters
    ----------
    candidates : Candidates
        The messages.
    value : ndarray of float64, shape (n,)
        What each is expected to earn; unknown ones come last.

    Returns
    -------
    ndarray of int64, shape (n,)
        The same order of messages in whatever order they are given.
    """
    priorities = np.array([-offer.priority for offer in candidates.offers], np.int64)
    priority, lot = priorities[candidates.offer], candidates.lot
    order = np.lexsort((lot, -value, priority))
    ties = np.ones(max(len(order) - 1, 0), np.bool_)
    for key in (priority, value, lot):
        ties &= key[order][1:] == key[order][:-1]
    # A hash hardly ever repeats, so the order is mostly settled here.
    if not ties.any() and not (np.isnan(value).any() and _repeats(lot)):
        return order
    names = [(offer.journey, offer.version, offer.step) for offer in candidates.offers]
    place = np.array([sorted(names).index(name) for name in names], np.int64)[candidates.offer]
    keys = (candidates.entered, place, candidates.person, lot, -value, priority)
    return np.lexsort(keys)


def _repeats(lot: npt.NDArray[np.uint64]) -> bool:
    return len(np.unique(lot)) < len(lot)


def _sends_of(
    person: int, last: int, contest: Contest, past: Past, previous: Integers
) -> tuple[Integers, Integers]:
    """Return a person's other messages in order of time, and which caps count each."""
    begin, end = past.begin[person], past.begin[person + 1]
    size, one = end - begin, last
    while one >= 0:
        size += 1
        one = previous[one]
    times, counts = np.empty(size, np.int64), np.empty(size, np.int64)
    filled = end - begin
    times[:filled] = past.at[begin:end]
    counts[:filled] = past.counted[begin:end]
    one = last
    while one >= 0:
        n = filled
        while n > 0 and times[n - 1] > contest.planned[one]:
            times[n], counts[n] = times[n - 1], counts[n - 1]
            n -= 1
        times[n], counts[n] = contest.planned[one], contest.counted[one]
        filled += 1
        one = previous[one]
    return times, counts


def _first_sharing(last: int, counted: int, contest: Contest, previous: Integers) -> int:
    """Return the person's first chosen candidate that one of the same caps counts, -1 for none."""
    found, one = -1, last
    while one >= 0:
        if contest.counted[one] & counted:
            found = one
        one = previous[one]
    return found


def _room(one: int, last: int, contest: Contest, past: Past, rules: Rules, result: Result) -> int:
    """Return from when on caps leave room for a candidate."""
    planned, person = contest.planned[one], contest.person[one]
    if contest.counted[one] == 0 or (last < 0 and past.begin[person] == past.begin[person + 1]):
        room: int = planned
        return room
    sends = sends_of(person, last, contest, past, result.previous)
    where = (contest.zone[one], contest.pair[one])
    counted = contest.counted[one]
    room = first_room(counted, sends, rules.caps, rules.calendar, where, planned)
    return room


def _asked(
    one: int, seats: Seats, contest: Contest, past: Past, rules: Rules, result: Result
) -> None:
    """Write down what those before a candidate have left to it."""
    person, planned = contest.person[one], contest.planned[one]
    if contest.flags[one] & TAKES_TURNS and seats.taken[person] >= rules.at_once:
        result.reasons[one] |= _OUTRANKED
        result.winner[one] = seats.first[person]
        if not rules.thorough:
            return
    last = seats.latest[person]
    room = room_of(one, last, contest, past, rules, result)
    if room > planned:
        result.reasons[one] |= _CAPPED
        if result.winner[one] < 0:
            counted = contest.counted[one]
            result.winner[one] = first_sharing(last, counted, contest, result.previous)
    free = full_until(rules.loads[contest.channel[one]], planned)
    if free > planned:
        result.reasons[one] |= _THROUGHPUT
    result.until[one] = max(room, free)


def _choose(contest: Contest, past: Past, rules: Rules, result: Result) -> None:
    """Go through all candidates in their order.

    Parameters
    ----------
    contest : Contest
        The candidates.
    past : Past
        Other messages.
    rules : Rules
        Their loads are added to.
    result : Result
        Filled in; ``chosen`` false, ``reasons`` 0 and ``winner`` -1 everywhere before.
    """
    people = len(past.begin) - 1
    nobody = np.full(people, -1, np.int64)
    seats = Seats(np.zeros(people, np.int64), nobody, nobody.copy())
    for one in contest.order:
        flags, person = contest.flags[one], contest.person[one]
        if flags & BLOCKED and not rules.thorough:
            continue
        asked(one, seats, contest, past, rules, result)
        if result.reasons[one] or flags & (BLOCKED | HELD_OUT):
            continue
        result.chosen[one] = True
        result.previous[one] = seats.latest[person]
        seats.latest[person] = one
        add(rules.loads[contest.channel[one]], contest.planned[one])
        if flags & TAKES_TURNS:
            seats.taken[person] += 1
            if seats.first[person] < 0:
                seats.first[person] = one


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
sends_of = _compiled(_sends_of)
first_sharing = _compiled(_first_sharing)
room_of = _compiled(_room)
asked = _compiled(_asked)
choose = _compiled(_choose)
