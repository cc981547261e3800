"""Who gets what is scarce, if everybody bids?

Contacts bid for places in items up to what makes their next best choice as good; whoever is outbid bids again. A
contact with several free slots bids against the first choice that would be left out. The price of an item is the
lowest accepted bid where it is full, else 0. A campaign is a group of items with a price of its own; its first
places, up to its minimum, start at a price so low that somebody takes them.

References
----------
Bertsekas and Castañon (1989), "The auction algorithm for the transportation problem", Annals of Operations Research
20, 67-96.
"""

from typing import NamedTuple

import numba
import numpy as np

from mlmarket.prediction.scarcity import Flags, Floats, Integers, Market, Offers

__all__ = ["Books", "opened_books", "run_auction", "value_left"]


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


class Books(NamedTuple):
    """Accepted bids: a heap for each item, the lowest first."""

    begin: Integers
    size: Integers
    bid: Floats
    row: Integers
    held: Integers  # places taken in each campaign
    quote: Floats  # price of each campaign


@_compiled
def _swap(books: Books, one: int, other: int) -> None:
    books.bid[one], books.bid[other] = books.bid[other], books.bid[one]
    books.row[one], books.row[other] = books.row[other], books.row[one]


@_compiled
def _push(books: Books, item: int, bid: float, row: int) -> None:
    begin, place = books.begin[item], books.size[item]
    books.bid[begin + place], books.row[begin + place] = bid, row
    books.size[item] += 1
    while place > 0:
        parent = (place - 1) // 2
        if books.bid[begin + parent] <= books.bid[begin + place]:
            break
        _swap(books, begin + parent, begin + place)
        place = parent


@_compiled
def _pop(books: Books, item: int) -> int:
    begin = books.begin[item]
    row = books.row[begin]
    books.size[item] -= 1
    size = books.size[item]
    books.bid[begin], books.row[begin] = books.bid[begin + size], books.row[begin + size]
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and books.bid[begin + child + 1] < books.bid[begin + child]:
            child += 1
        if books.bid[begin + place] <= books.bid[begin + child]:
            break
        _swap(books, begin + place, begin + child)
        place = child
    return int(row)


@_compiled
def _cheapest(market: Market, books: Books, campaign: int) -> int:
    """Return the item of a campaign with the lowest accepted bid, -1 where there is none."""
    cheapest = -1
    for place in range(market.member_start[campaign], market.member_start[campaign + 1]):
        item = market.member[place]
        if books.size[item] == 0:
            continue
        if cheapest < 0 or books.bid[books.begin[item]] < books.bid[books.begin[cheapest]]:
            cheapest = item
    return cheapest


@_compiled
def _quote(market: Market, books: Books, campaign: int, lowest: float) -> float:
    """Return what a place in a campaign costs, in an item that is not full."""
    count, minimum = books.held[campaign], market.minimum[campaign]
    if count < minimum:
        return lowest
    full = count >= market.maximum[campaign]
    if not full and (count > minimum or minimum == 0):
        return 0.0
    bid = float(books.bid[books.begin[_cheapest(market, books, campaign)]])
    return bid if full else min(bid, 0.0)


@_compiled
def _price(market: Market, books: Books, item: int) -> float:
    if books.size[item] >= market.capacity[item]:
        return float(books.bid[books.begin[item]])
    campaign = market.campaign[item]
    return 0.0 if campaign < 0 else float(books.quote[campaign])


@_compiled
def _loser(market: Market, books: Books, item: int) -> int:
    """Return from which item somebody has to leave for a new one in `item`, -1 where there is room."""
    campaign = market.campaign[item]
    if books.size[item] >= market.capacity[item]:
        return item
    if campaign < 0 or books.held[campaign] < market.minimum[campaign]:
        return -1
    contested = books.held[campaign] >= market.maximum[campaign] or books.quote[campaign] < 0.0
    return int(_cheapest(market, books, campaign)) if contested else -1


@_compiled
def _choices(
    offers: Offers,
    market: Market,
    books: Books,
    chosen: Flags,
    contact: int,
    best: tuple[Integers, Floats],
) -> int:
    """Find the best rows of a contact that are not chosen; return how many are worth anything."""
    wanted, net = best
    count, width = 0, len(wanted)
    for row in range(offers.start[contact], offers.start[contact + 1]):
        item = offers.item[row]
        if chosen[row] or market.capacity[item] == 0:
            continue
        worth = offers.value[row] - _price(market, books, item)
        if worth <= 0.0 or (count == width and worth <= net[width - 1]):
            continue
        place = min(count, width - 1)
        while place > 0 and net[place - 1] < worth:
            net[place], wanted[place] = net[place - 1], wanted[place - 1]
            place -= 1
        net[place], wanted[place] = worth, row
        count = min(count + 1, width)
    return count


@_compiled
def _accept(
    offers: Offers, market: Market, books: Books, row: int, bid: float, lowest: float
) -> int:
    """Give a row its place; return the row that has to leave for it, -1 for none."""
    item = offers.item[row]
    campaign = market.campaign[item]
    left = -1
    loser = _loser(market, books, item)
    if loser >= 0:
        left = _pop(books, loser)
    elif campaign >= 0:
        books.held[campaign] += 1
    if books.begin[item + 1] > books.begin[item]:
        _push(books, item, bid, row)
    if campaign >= 0:
        books.quote[campaign] = _quote(market, books, campaign, lowest)
    return left


@_compiled
def _bid(
    offers: Offers,
    market: Market,
    books: Books,
    chosen: Flags,
    contact: int,
    step: tuple[float, float],
    left: Integers,
) -> int:
    """Let a contact bid for its free slots; list in `left` the rows that are to bid again, and return how many."""
    epsilon, lowest = step
    free = offers.slots[contact]
    for row in range(offers.start[contact], offers.start[contact + 1]):
        free -= chosen[row]
    best = (np.empty(free + 1, np.int64), np.empty(free + 1, np.float64))
    count = _choices(offers, market, books, chosen, contact, best)
    wanted, net = best
    others = net[free] if count > free else 0.0
    leaving = 0
    for place in range(min(count, free)):
        row = wanted[place]
        bid = offers.value[row] - others + epsilon
        if bid <= _price(market, books, offers.item[row]):
            # Its own bid for another item of the campaign has raised the price: it asks again.
            left[leaving] = row
            leaving += 1
            continue
        chosen[row] = True
        gone = _accept(offers, market, books, row, bid, lowest)
        if gone >= 0:
            chosen[gone] = False
            left[leaving] = gone
            leaving += 1
    return leaving


@_compiled
def run_auction(
    offers: Offers, market: Market, books: Books, epsilon: float, lowest: float
) -> tuple[Flags, Floats, Floats]:
    """Let all contacts bid until nobody wants more at these prices.

    Parameters
    ----------
    offers : Offers
        What may be chosen.
    market : Market
        What is scarce.
    books : Books
        Empty.
    epsilon : float
        By how much a bid is above what makes the next best choice as good: the total value is less than the best
        one by at most this for each slot.
    lowest : float
        Where the price of a campaign below its minimum starts.

    Returns
    -------
    chosen : ndarray of bool, shape (rows,)
        Caps are never exceeded.
    item_price : ndarray of float64, shape (items,)
        On top of the campaign's.
    campaign_price : ndarray of float64, shape (campaigns,)
        Below 0 where it takes a discount to reach the minimum.
    """
    contacts = len(offers.slots)
    chosen = np.zeros(len(offers.item), np.bool_)
    queue = np.arange(contacts)
    waiting = np.ones(contacts, np.bool_)
    first, length = 0, contacts
    left = np.empty(max(offers.slots.max(), 1) if contacts else 1, np.int64)
    for campaign in range(len(market.minimum)):
        books.quote[campaign] = lowest if market.minimum[campaign] > 0 else 0.0
    while length > 0:
        contact = queue[first]
        first = (first + 1) % contacts
        length -= 1
        waiting[contact] = False
        leaving = _bid(offers, market, books, chosen, contact, (epsilon, lowest), left)
        for place in range(leaving):
            other = offers.contact[left[place]]
            if not waiting[other]:
                queue[(first + length) % contacts] = other
                length += 1
                waiting[other] = True
    price = np.zeros(len(market.capacity))
    for item in range(len(price)):
        if market.capacity[item] == 0:
            continue
        campaign = market.campaign[item]
        full = _price(market, books, item)
        price[item] = full - books.quote[campaign] if campaign >= 0 else full
    return chosen, price, books.quote


@_compiled
def value_left(offers: Offers, price: Floats) -> float:
    """Return the value left to all contacts, if each takes the best there is at these prices.

    Parameters
    ----------
    offers : Offers
        What may be chosen.
    price : ndarray of float64, shape (items,)
        Of each item, its campaign's included.

    Returns
    -------
    float
        What the prices bring in is not part of it.
    """
    total = 0.0
    for contact in range(len(offers.slots)):
        begin, end = offers.start[contact], offers.start[contact + 1]
        net = np.empty(end - begin)
        for row in range(begin, end):
            net[row - begin] = max(offers.value[row] - price[offers.item[row]], 0.0)
        net.sort()
        for place in range(offers.slots[contact]):
            total += net[len(net) - 1 - place]
    return total


def opened_books(offers: Offers, market: Market) -> Books:
    """Return books in which nobody has bid.

    Parameters
    ----------
    offers : Offers
        What may be chosen.
    market : Market
        What is scarce.

    Returns
    -------
    Books
        With room for as many bids for each item as there are places and rows.
    """
    demand = np.bincount(offers.item, minlength=len(market.capacity))
    # Where there is enough for all nobody is ever outbid: no bid needs to be kept.
    scarce = (demand > market.capacity) | (market.campaign >= 0)
    room = np.where(scarce, np.minimum(market.capacity, demand), 0)
    begin = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
    return Books(
        begin,
        np.zeros(len(room), np.int64),
        np.zeros(max(int(begin[-1]), 1)),
        np.zeros(max(int(begin[-1]), 1), np.int64),
        np.zeros(len(market.minimum), np.int64),
        np.zeros(len(market.minimum)),
    )
