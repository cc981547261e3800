"""What happens to the people, day by day?"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mlmarket.market.samples.calendar import Calendar
from mlmarket.market.samples.draws import Flags, Floats, Ints
from mlmarket.market.samples.mail import Batch, Postman
from mlmarket.market.samples.people import People
from mlmarket.market.samples.purchases import (
    AWAY,
    BOOST_END,
    COOL,
    COOL_AFTER_ORDER,
    COOL_GAIN,
    FURTHEST,
    WARM,
    clock_hazard,
    dropout,
    first_mood,
)

__all__ = ["BOOST_BIT", "Lives", "State", "live"]

BOOST_BIT: Final = 4
"""Added to the mood in ``Lives.moods`` on days under the boost of a click."""


@dataclass(slots=True)
class State:
    """Where each person stands at the start of a day; arrays of shape (n_people,).

    Parameters
    ----------
    mood : ndarray
        Away, cool or warm.
    boosted : ndarray
        Whether a click still raises the purchase hazard.
    reachable : ndarray
        Whether email would reach the person: not left, no dead mailbox found.
    clock : ndarray
        Time since the last order in mean intervals.
    """

    mood: Ints
    boosted: Flags
    reachable: Flags
    clock: Floats

    def copy(self) -> "State":
        """Return a copy that later days do not change."""
        return State(
            self.mood.copy(), self.boosted.copy(), self.reachable.copy(), self.clock.copy()
        )


@dataclass(frozen=True, slots=True)
class Lives:
    """What happened.

    Parameters
    ----------
    moods : ndarray of shape (n_days, n_people)
        Mood of each day, plus ``BOOST_BIT`` where boosted.
    buyer, order_day : ndarray of shape (n_orders,)
        Who ordered on which day.
    snapshots : dict of int to State
        The state at the start of the first day of each month.
    batches : tuple of Batch
        What was sent.
    left_day, returned_day : ndarray of shape (n_people,)
        First day away after arrival and last day of a return, -1 where there is none.
    """

    moods: NDArray[np.uint8]
    buyer: Ints
    order_day: Ints
    snapshots: dict[int, State]
    batches: tuple[Batch, ...]
    left_day: Ints
    returned_day: Ints


def live(rng: np.random.Generator, people: People, calendar: Calendar, postman: Postman) -> Lives:
    """Simulate moods, orders and mail of some people.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    people : People
        The people.
    calendar : Calendar
        The days.
    postman : Postman
        Sends the campaigns.

    Returns
    -------
    Lives
        What happened.
    """
    size, born = people.size, people.arrivals.day
    state = State(
        mood=first_mood(rng, people.buying, born),
        boosted=np.zeros(size, dtype=np.bool_),
        reachable=np.ones(size, dtype=np.bool_),
        clock=rng.random(size),
    )
    moods = np.empty((calendar.days, size), dtype=np.uint8)
    left_day, returned_day = np.full((2, size), -1, dtype=np.int64)
    buyers: list[Ints] = []
    snapshots: dict[int, State] = {}
    for day in range(calendar.days):
        if calendar.first_of_month[day]:
            snapshots[day] = state.copy()
        before = state.mood
        state.mood = np.where(born < day, _next_mood(rng, people, before, calendar, day), before)
        left_day[(before != AWAY) & (state.mood == AWAY) & (left_day < 0)] = day
        returned_day[(before == AWAY) & (state.mood != AWAY)] = day
        moods[day] = state.mood + BOOST_BIT * state.boosted
        buyers.append(_buy(rng, people, state, calendar, day))
        state.boosted &= rng.random(size) >= BOOST_END
        postman.deliver(rng, day, state.mood, state.boosted, state.reachable)
    counts = [len(some) for some in buyers]
    return Lives(
        moods=moods,
        buyer=np.concatenate(buyers),
        order_day=np.repeat(np.arange(calendar.days), counts),
        snapshots=snapshots,
        batches=tuple(postman.batches),
        left_day=left_day,
        returned_day=returned_day,
    )


def _next_mood(
    rng: np.random.Generator, people: People, mood: Ints, calendar: Calendar, day: int
) -> Ints:
    buying = people.buying
    age = np.maximum(day - people.arrivals.day, 0)
    leaves = dropout(buying, age, calendar, day)
    drawn = rng.random(mood.size)
    turns = np.where(mood == COOL, buying.warm_up, buying.cool_down)
    present = np.where(drawn < leaves + turns, WARM + COOL - mood, mood)
    present = np.where(drawn < leaves, AWAY, present)
    return np.where(mood == AWAY, np.where(drawn < buying.wake, COOL, AWAY), present)


def _buy(
    rng: np.random.Generator, people: People, state: State, calendar: Calendar, day: int
) -> Ints:
    """Let people order; their clocks and moods are changed in place."""
    buying, born = people.buying, people.arrivals.day
    later = np.minimum(state.clock, FURTHEST) + buying.rate * calendar.pace[day]
    passed = clock_hazard(buying.shape, later)
    passed -= clock_hazard(buying.shape, np.minimum(state.clock, FURTHEST))
    gain = np.where(state.mood == COOL, COOL_GAIN, buying.warm_gain)
    gain = np.where(state.mood == AWAY, 0.0, gain)
    gain = np.where(state.boosted, gain * buying.boost_gain, gain)
    chance = np.where(born < day, -np.expm1(-passed * gain), 0.0)
    chance = np.where(born == day, buying.signup_order, chance)
    orders = rng.random(born.size) < chance
    state.clock = np.where(orders, 0.0, np.where(born < day, later, state.clock))
    calms = orders & (state.mood == WARM) & (rng.random(born.size) < COOL_AFTER_ORDER)
    state.mood = np.where(calms, COOL, state.mood)
    return np.flatnonzero(orders)
