"""When would each message go out, if nothing else held it back?

At once, or at the person's best time where the message asks for it; either way not before the
channel is open where they are. A best time that lies further ahead than the message allows, or
behind the end of the pass, is no reason to lose the message: it goes out at once then.
"""

from dataclasses import dataclass

import numpy as np

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.candidates import Candidates, Rows
from mlmarket.orchestration.arbitration.caps import Calendar, longest
from mlmarket.orchestration.arbitration.facts import NEVER, PeopleFacts, microseconds
from mlmarket.orchestration.arbitration.windows import SLACK, next_opens, opening_hours
from mlmarket.orchestration.arbitration.zones import DAY, HOUR, local_times, utc_times, zones
from mlmarket.orchestration.policy import Policy

__all__ = ["Plan", "calendar_of", "planned"]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """When messages would go out.

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
        The planned moment.
    pair : ndarray of int64, shape (n,)
        The place of zone and channel in the opening hours.
    waits : ndarray of bool, shape (n,)
        Whether the channel is closed at the moment that would be right otherwise.
    """

    at: Rows
    pair: Rows
    waits: np.ndarray


def calendar_of(
    candidates: Candidates, people: PeopleFacts, policy: Policy, *, now: int
) -> Calendar:
    """Read zones and opening hours as far as any message could be planned.

    Parameters
    ----------
    candidates : Candidates
        The messages.
    people : PeopleFacts
        Zones and past sends.
    policy : Policy
        Windows and caps.
    now : int
        The moment of the tick.

    Returns
    -------
    Calendar
        Of all zones of ``people``.
    """
    length = longest(policy)
    within = max((_within(candidates) * _wants_best(candidates)).tolist(), default=0)
    ahead = int(microseconds(people.past.at).max(initial=now))
    last = ahead + within + 2 * length + 2 * SLACK
    known = zones(people.zones, now - length - SLACK, last)
    return Calendar(known, opening_hours(policy, known, now - 2 * DAY, last))


def planned(
    candidates: Candidates, people: PeopleFacts, calendar: Calendar, *, channel: Rows, now: int
) -> Plan:
    """Plan each message by itself.

    Parameters
    ----------
    candidates : Candidates
        The messages.
    people : PeopleFacts
        Zones and best times.
    calendar : Calendar
        Opening hours.
    channel : ndarray of int64, shape (n,)
        The place in ``CHANNELS`` that each would use.
    now : int
        The moment of the tick.

    Returns
    -------
    Plan
        Never before ``now``.
    """
    pair = people.zone[candidates.person] * len(CHANNELS) + channel
    # Most messages go out at once, and there are few zones and channels: each is asked once.
    pairs = np.arange(len(calendar.hours.begin) - 1)
    at = next_opens(calendar.hours, pairs, np.full_like(pairs, now))[pair]
    wished = np.full(len(at), now, np.int64)
    rows = np.flatnonzero(_wants_best(candidates)[candidates.offer])
    if len(rows):
        best = _best_times(people, candidates.person[rows], calendar, now)
        known = best != NEVER
        rows, best = rows[known], best[known]
        opened = next_opens(calendar.hours, pair[rows], best)
        near = opened <= now + _within(candidates)[candidates.offer[rows]]
        near &= opened < microseconds(candidates.expires[rows])
        at[rows[near]] = opened[near]
        wished[rows[near]] = best[near]
    return Plan(at, pair, at > wished)


def _within(candidates: Candidates) -> Rows:
    lengths = [offer.within for offer in candidates.offers]
    return np.array(lengths, "timedelta64[us]").astype(np.int64)


def _wants_best(candidates: Candidates) -> np.ndarray:
    return np.array([offer.best_time for offer in candidates.offers], np.bool_)


def _best_times(people: PeopleFacts, person: Rows, calendar: Calendar, now: int) -> Rows:
    """Return the next best time of each person, NEVER where it is not known."""
    best = microseconds(people.send_at[person])
    hour, weekday = people.send_hour[person], people.send_weekday[person]
    late = np.flatnonzero((best < now) & (hour >= 0))
    best[best < now] = NEVER
    zone = people.zone[person[late]]
    local = local_times(calendar.zones, zone, np.full(len(late), now, np.int64))
    today = local // DAY
    found = np.full(len(late), NEVER, np.int64)
    for ahead in range(9):
        day = today + ahead
        begins = utc_times(calendar.zones, zone, day * DAY + hour[late] * HOUR)
        # Within the best hour, now is the best time.
        inside = (ahead == 0) & (local // HOUR == day * 24 + hour[late])
        right_day = (weekday[late] < 0) | ((day + 3) % 7 == weekday[late])
        fits = (found == NEVER) & right_day & (inside | (begins >= now))
        found[fits] = np.where(inside, now, begins)[fits]
    best[late] = found
    return best
