"""What is in each order, and what comes back?"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.market.samples.calendar import DAY, HOUR, MINUTE, SECOND, Calendar
from mlmarket.market.samples.catalogue import TOPICS, Catalogue
from mlmarket.market.samples.draws import Flags, Floats, Ints, choose_in_rows, ladder
from mlmarket.market.samples.life import BOOST_BIT, Lives
from mlmarket.market.samples.people import People

__all__ = ["Lines", "Orders", "fill_baskets", "place_orders"]

_MORE_LINES_SIGMA: Final = 1.0
_MOST_LINES: Final = 40
_DUE_AFTER: Final = 0.75  # share of a staple's interval after which it is bought again
_DUE_CHANCE: Final = 0.85
_FIRST_STAPLE_CHANCE: Final = 0.5
_ONE_PIECE: Final = 0.72
_WHOLESALE_SHARE: Final = 0.012
_DISCOUNT: Final = 0.10
_RETURN_SHARE: Final = 0.045
_LATE_SHARE: Final = 0.04


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders, sorted by person and time; arrays of shape (n_orders,).

    Parameters
    ----------
    person, day, time : ndarray
        Who, on which business day, at which microsecond since 1970 UTC.
    boosted : ndarray
        Whether it was placed under the boost of a click, with that campaign's discount.
    """

    person: Ints
    day: Ints
    time: Ints
    boosted: Flags


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of orders and of returns; arrays of shape (n_lines,).

    Parameters
    ----------
    order : ndarray
        Index of the order; a return has the index of the order it belongs to.
    returned : ndarray
        Whether the line is a return.
    person, time, item, quantity : ndarray
        Who, when, what and how many; negative on a return.
    cents : ndarray
        Worth of the line in euro cents; negative on a return.
    available : ndarray
        When the line reached the table; -1 where it was there at once.
    """

    order: Ints
    returned: Flags
    person: Ints
    time: Ints
    item: Ints
    quantity: Ints
    cents: Ints
    available: Ints


def place_orders(
    rng: np.random.Generator, people: People, calendar: Calendar, ahead: Ints, lives: Lives
) -> Orders:
    """Give each order its time of day.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    people : People
        The buyers.
    calendar : Calendar
        The days.
    ahead : ndarray of shape (n_zones, n_days)
        Hours by which each zone's clocks are ahead of the business's.
    lives : Lives
        Who ordered on which day.

    Returns
    -------
    Orders
        Sorted by person and time.
    """
    row = np.lexsort((lives.order_day, lives.buyer))
    person, day = lives.buyer[row], lives.order_day[row]
    local = people.habits.hour_of_day(rng, person, calendar.weekday[day])
    hour = (local - ahead[people.arrivals.place[person], day]) % 24
    time = calendar.at(day, hour * 3600.0 + np.floor(rng.uniform(0, 3600, day.size)))
    soon = people.arrivals.created[person] + rng.integers(10, 60, day.size) * MINUTE
    time = np.where(people.arrivals.day[person] == day, soon, time)
    return Orders(person, day, time, (lives.moods[day, person] & BOOST_BIT) > 0)


def fill_baskets(
    rng: np.random.Generator,
    people: People,
    calendar: Calendar,
    catalogue: Catalogue,
    orders: Orders,
) -> Lines:
    """Draw the lines of orders, and the returns.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    people : People
        The buyers.
    calendar : Calendar
        The days.
    catalogue : Catalogue
        What can be bought.
    orders : Orders
        Sorted by person and time.

    Returns
    -------
    Lines
        The lines of orders in their sequence, then the returns.
    """
    staples = np.flatnonzero(_takes_staple(rng, people, orders))
    more = rng.lognormal(-0.6, _MORE_LINES_SIGMA, orders.person.size)
    more *= people.buying.basket[orders.person]
    count = np.minimum(more.astype(np.int64), _MOST_LINES)
    count += 1
    count[staples] -= count[staples] == 1  # often the staple is all there is
    free = np.repeat(np.arange(orders.person.size), count)
    topic = choose_in_rows(rng, ladder(people.taste), orders.person[free], len(TOPICS))
    item = catalogue.choose(rng, topic, calendar.month[orders.day[free]])
    order = np.concatenate([free, staples])
    item = np.concatenate([item, people.buying.staple[orders.person[staples]]])
    row = np.argsort(order, kind="stable")
    return _price(rng, calendar, catalogue, orders, order[row], item[row])


def _takes_staple(rng: np.random.Generator, people: People, orders: Orders) -> Flags:
    """Go through everybody's first orders, then the second ones, and so on."""
    first = np.searchsorted(orders.person, orders.person, side="left")
    rank = np.arange(orders.person.size) - first
    last = np.full(people.size, -1, dtype=np.int64)
    takes = np.zeros(orders.person.size, dtype=np.bool_)
    drawn = rng.random(orders.person.size)
    for step in range(int(rank.max(initial=-1)) + 1):
        now = np.flatnonzero(rank == step)
        person = orders.person[now]
        waited = (orders.time[now] - last[person]) / DAY
        due = waited >= _DUE_AFTER * people.buying.staple_interval[person]
        chance = np.where(due, _DUE_CHANCE, 0.0)
        chance = np.where(last[person] < 0, _FIRST_STAPLE_CHANCE, chance)
        takes[now] = (people.buying.staple[person] >= 0) & (drawn[now] < chance)
        last[person[takes[now]]] = orders.time[now[takes[now]]]
    return takes


def _price(
    rng: np.random.Generator,
    calendar: Calendar,
    catalogue: Catalogue,
    orders: Orders,
    order: Ints,
    item: Ints,
) -> Lines:
    size = order.size
    quantity = rng.geometric(_ONE_PIECE, size)
    wholesale = rng.random(size) < _WHOLESALE_SHARE
    heavy = np.minimum(5 * (1 + rng.pareto(1.6, size)), 400).astype(np.int64)
    quantity = np.where(wholesale, heavy, quantity)
    share = np.where(orders.boosted[order], 1 - _DISCOUNT, 1.0)
    cents = np.rint(catalogue.cents[item] * quantity * share).astype(np.int64)
    time = orders.time[order]
    back = time + np.floor(rng.gamma(3.0, 4.0, size) * 86_400 + 86_400).astype(np.int64) * SECOND
    returned = np.flatnonzero((rng.random(size) < _RETURN_SHARE) & (back < calendar.end - HOUR))
    pieces = rng.integers(1, quantity[returned], endpoint=True)
    worth = np.rint(cents[returned] * pieces / quantity[returned]).astype(np.int64)
    when = np.concatenate([time, back[returned]])
    order = np.concatenate([order, order[returned]])
    return Lines(
        order=order,
        returned=np.arange(order.size) >= size,
        person=orders.person[order],
        time=when,
        item=np.concatenate([item, item[returned]]),
        quantity=np.concatenate([quantity, -pieces]),
        cents=np.concatenate([cents, -worth]),
        available=_late(rng, when, order),
    )


def _late(rng: np.random.Generator, time: Ints, order: Ints) -> Ints:
    """Whole orders arrive late, since an order is one row of the system it comes from."""
    orders = int(order.max(initial=-1)) + 1
    late = rng.random(orders) < _LATE_SHARE
    wait: Floats = np.minimum(np.ceil(rng.exponential(18 * 3600, orders)), 5 * 86_400)
    return np.where(late[order], time + wait.astype(np.int64)[order] * SECOND, -1)
