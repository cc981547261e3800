"""Who gets what, where there is not enough of everything?

Contacts compete for stock, for the places of a campaign, for the hours of a sales team. The greedy answer gives what
is scarce to whoever comes first; the best total value gives it to those who cannot do without it. Prices say which:
at the right ones everybody simply takes what is worth most to them after the price.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.prediction.scarcity import (
    Campaigns,
    Flags,
    Floats,
    Market,
    Offers,
    read_market,
    read_offers,
)

__all__ = ["Allocation", "Campaigns", "allocate"]

_EXACT_NODES: Final = 400
_EXACT_WORK: Final = 2_000_000_000
"""About how many comparisons the search for the very best may cost."""
_SMALL: Final = 1e-12
_FINEST: Final = 1e-9
"""Bids rise by at least this share of the largest value, so that they come to an end."""


@dataclass(frozen=True, slots=True, repr=False)
class Allocation:
    """Who gets what.

    Parameters
    ----------
    chosen : ndarray of bool, shape (rows,)
        Which rows are chosen, in the order they were given.
    prices : ndarray of float64, shape (items,)
        What one more place in each item would be worth, its campaign's included.
    campaign_prices : ndarray of float64, shape (campaigns,)
        What one more place in each campaign would be worth; below 0 where its minimum costs.
    value : float
        Total value of the chosen rows.
    bound : float
        No allocation within the caps has a total value above it.
    """

    chosen: Flags
    prices: Floats
    campaign_prices: Floats
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """How far the value may be from the best there is, as a share of the bound."""
        return max(self.bound - self.value, 0.0) / max(abs(self.bound), _SMALL)

    def __repr__(self) -> str:
        count = int(np.count_nonzero(self.chosen))
        return f"Allocation({count:,} rows, value {self.value:,.6g}, gap {self.gap:.2%})"


def allocate(
    contact: npt.ArrayLike,
    item: npt.ArrayLike,
    value: npt.ArrayLike,
    *,
    capacity: npt.ArrayLike,
    slots: npt.ArrayLike = 1,
    campaigns: Campaigns | None = None,
    tolerance: float = 1e-3,
) -> Allocation:
    """Choose rows of the highest total value, within what there is of each item and what each contact takes.

    Parameters
    ----------
    contact : array-like of int, shape (rows,)
        Who, as places from 0.
    item : array-like of int, shape (rows,)
        What, as places in `capacity`; each at most once a contact.
    value : array-like of float, shape (rows,)
        What it is worth; rows worth 0 or less are chosen only to reach a campaign's minimum.
    capacity : array-like, shape (items,)
        Whole numbers from 0, or ``inf`` where there is no limit.
    slots : int or array-like of int, shape (contacts,), default 1
        How many items each contact takes at most.
    campaigns : Campaigns, optional
        Caps and minima over several items together.
    tolerance : float, default 1e-3
        How far the value may be from the best one where there is too much to search for the very best, as a share of
        the mean value of a row for each chosen one. `Allocation.gap` says how far it is.

    Returns
    -------
    Allocation
        Caps are never exceeded. The same rows give the same answer in any order.

    Raises
    ------
    ConfigurationError
        Where rows, caps or minima cannot be meant, or a minimum cannot be reached.

    References
    ----------
    Bertsekas and Castañon (1989), "The auction algorithm for the transportation problem", Annals of Operations
    Research 20, 67-96.

    Examples
    --------
    >>> chosen = allocate([0, 0, 1], [0, 1, 0], [3.0, 2.0, 2.5], capacity=[1, 1]).chosen
    >>> chosen.tolist()
    [False, True, True]
    """
    order, offers = read_offers(contact, item, value, slots)
    market = read_market(capacity, campaigns, offers)
    if isinstance(tolerance, bool) or not 0.0 < tolerance <= 1.0:
        raise ConfigurationError(
            f"tolerance is {tolerance!r}.",
            "Bids have to rise to come to an end.",
            "write a number above 0, up to 1, such as 1e-3.",
        )
    chosen, prices = _solve(offers, market, tolerance)
    _require_minima(offers, market, chosen)
    back = np.empty(len(order), np.bool_)
    back[order] = chosen
    return _answer(offers, market, back, chosen, prices)


def _solve(offers: Offers, market: Market, tolerance: float) -> tuple[Flags, tuple[Floats, Floats]]:
    """Return what is chosen, and prices of items (with their campaign's) and of campaigns."""
    from mlmarket.prediction.auction import opened_books, run_auction
    from mlmarket.prediction.exchange import improve

    size = np.abs(offers.value)
    largest, mean = float(size.max(initial=0.0)), float(size.mean()) if len(size) else 0.0
    largest = largest or 1.0
    epsilon = max(tolerance * mean, _FINEST * largest)
    chosen, item_price, campaign_price = run_auction(
        offers, market, opened_books(offers, market), epsilon, -3.0 * largest
    )
    items, campaigns = len(market.capacity), len(market.minimum)
    full = item_price + _by_item(campaign_price, market)
    nodes = items + campaigns + 2
    longest = int(np.diff(offers.start).max(initial=1))
    rounds = _EXACT_WORK // (10 * nodes * nodes + len(offers.item) * longest + 1)
    if nodes > _EXACT_NODES:
        return chosen, (full, campaign_price)
    bonus = 3.0 * largest * nodes
    done, gain = improve(offers, market, chosen, bonus, _SMALL * largest, int(rounds))
    if not done:
        return chosen, (full, campaign_price)
    # what nobody can move away from has no finite price: one that nobody pays stands for it
    gain = np.maximum(gain, -largest)
    campaign_price = -gain[items : items + campaigns]
    return chosen, (np.maximum(-gain[:items], _by_item(campaign_price, market)), campaign_price)


def _by_item(campaign_price: Floats, market: Market) -> Floats:
    """Return for each item the price of its campaign; 0 for those without one."""
    return np.append(campaign_price, 0.0)[market.campaign]


def _answer(
    offers: Offers,
    market: Market,
    chosen: Flags,
    sorted_chosen: Flags,
    prices: tuple[Floats, Floats],
) -> Allocation:
    from mlmarket.prediction.auction import value_left

    full, of_campaign = prices
    own = np.maximum(full - _by_item(of_campaign, market), 0.0)
    total = float(offers.value[sorted_chosen].sum())
    places = np.minimum(market.capacity, len(offers.item))
    up, down = np.maximum(of_campaign, 0.0), np.minimum(of_campaign, 0.0)
    bound = float(own @ places + up @ market.maximum + down @ market.minimum)
    bound += value_left(offers, own + _by_item(of_campaign, market))
    return Allocation(chosen, full, of_campaign, total, max(bound, total))


def _require_minima(offers: Offers, market: Market, chosen: Flags) -> None:
    reached = np.zeros(len(market.minimum) + 1, np.int64)
    np.add.at(reached, market.campaign[offers.item[chosen]], 1)  # -1 counts in the last place
    short = np.flatnonzero(reached[:-1] < market.minimum)
    if len(short):
        first = int(short[0])
        raise ConfigurationError(
            f"Campaign {first} needs {market.minimum[first]:,} places filled, and "
            f"{reached[first]:,} could be.",
            "A minimum that cannot be kept would be broken without a word.",
            "lower the minimum, or offer its items to more contacts.",
        )
