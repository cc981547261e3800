"""Which swaps make an allocation the best there is?

Contacts that hold a place are asked what it is worth to them to move; a ring of moves that gains is carried out, and
so on until there is none. What is then left of the differences are exact prices. An allocation is a flow of places
from contacts through items and campaigns to the ground; without a ring that gains it is of maximal value.

References
----------
Klein (1967), "A primal method for minimal cost flows with applications to the assignment and transportation problems",
Management Science 14(3), 205-220.
"""

from typing import NamedTuple

import numba
import numpy as np

from mlmarket.prediction.scarcity import Flags, Floats, Integers, Market, Offers

__all__ = ["improve"]

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


class _Moves(NamedTuple):
    """What it is worth to pass one place on from a node to another.

    Nodes are items, campaigns, the hands of contacts with free slots, and the ground.
    """

    worth: Floats  # shape (nodes, nodes), -inf where it is impossible
    given: Integers  # the row that is given up, -1 for none
    taken: Integers  # the row that is taken, -1 for none


@_compiled
def _offer(moves: _Moves, one: int, other: int, worth: float, given: int, taken: int) -> None:
    if worth > moves.worth[one, other]:
        moves.worth[one, other] = worth
        moves.given[one, other] = given
        moves.taken[one, other] = taken


@_compiled
def _ask_contacts(offers: Offers, market: Market, chosen: Flags, moves: _Moves) -> None:
    hands = len(market.capacity) + len(market.minimum)
    for contact in range(len(offers.slots)):
        begin, end = offers.start[contact], offers.start[contact + 1]
        free = offers.slots[contact]
        for row in range(begin, end):
            free -= chosen[row]
        for row in range(begin, end):
            item = offers.item[row]
            if chosen[row]:
                _offer(moves, item, hands, -offers.value[row], row, -1)
                for other in range(begin, end):
                    if not chosen[other]:
                        gain = offers.value[other] - offers.value[row]
                        _offer(moves, item, offers.item[other], gain, row, other)
            elif free > 0:
                _offer(moves, hands, item, offers.value[row], -1, row)


@_compiled
def _ask_places(
    market: Market, taken: Integers, count: Integers, bonus: float, moves: _Moves
) -> None:
    items, campaigns = len(market.capacity), len(market.minimum)
    hands, ground = items + campaigns, items + campaigns + 1
    _offer(moves, hands, ground, 0.0, -1, -1)
    _offer(moves, ground, hands, 0.0, -1, -1)
    for item in range(items):
        campaign = market.campaign[item]
        under = items + campaign if campaign >= 0 else ground
        if taken[item] < market.capacity[item]:
            _offer(moves, item, under, 0.0, -1, -1)
        if taken[item] > 0:
            _offer(moves, under, item, 0.0, -1, -1)
    for campaign in range(campaigns):
        if count[campaign] < market.maximum[campaign]:
            gain = bonus if count[campaign] < market.minimum[campaign] else 0.0
            _offer(moves, items + campaign, ground, gain, -1, -1)
        if count[campaign] > market.minimum[campaign]:
            _offer(moves, ground, items + campaign, 0.0, -1, -1)


@_compiled
def _on_ring(before: Integers) -> int:
    """Return a node on a ring of predecessors, -1 where there is none."""
    seen = np.full(len(before), -1, np.int64)
    for start in range(len(before)):
        node = start
        while node >= 0 and seen[node] < 0:
            seen[node] = start
            node = before[node]
        if node >= 0 and seen[node] == start:
            return int(node)
    return -1


@_compiled
def _gaining_ring(worth: Floats, tolerance: float) -> Integers:
    """Return the nodes of a ring of moves that gains, in order; empty where there is none."""
    nodes = len(worth)
    best = np.zeros(nodes)
    before = np.full(nodes, -1, np.int64)
    for _ in range(nodes + 1):
        changed = False
        for one in range(nodes):
            for other in range(nodes):
                if best[one] + worth[one, other] > best[other] + tolerance:
                    best[other] = best[one] + worth[one, other]
                    before[other] = one
                    changed = True
        if not changed:
            break
        node = _on_ring(before)
        if node >= 0:
            ring = [node]
            back = before[node]
            while back != node:
                ring.append(back)
                back = before[back]
            return np.array(ring[::-1])
    return np.empty(0, np.int64)


@_compiled
def _distance_to_ground(worth: Floats) -> Floats:
    """Return the most that passing one place on to the ground can gain, from every node."""
    nodes = len(worth)
    best = np.full(nodes, -np.inf)
    best[nodes - 1] = 0.0
    for _ in range(nodes):
        changed = False
        for one in range(nodes - 1):
            for other in range(nodes):
                if worth[one, other] + best[other] > best[one]:
                    best[one] = worth[one, other] + best[other]
                    changed = True
        if not changed:
            break
    return best


@_compiled
def _moves(offers: Offers, market: Market, chosen: Flags, bonus: float) -> _Moves:
    items, campaigns = len(market.capacity), len(market.minimum)
    nodes = items + campaigns + 2
    taken, count = np.zeros(items, np.int64), np.zeros(campaigns, np.int64)
    for row in range(len(chosen)):
        if chosen[row]:
            item = offers.item[row]
            taken[item] += 1
            if market.campaign[item] >= 0:
                count[market.campaign[item]] += 1
    moves = _Moves(
        np.full((nodes, nodes), -np.inf),
        np.full((nodes, nodes), -1, np.int64),
        np.full((nodes, nodes), -1, np.int64),
    )
    _ask_contacts(offers, market, chosen, moves)
    _ask_places(market, taken, count, bonus, moves)
    return moves


@_compiled
def improve(
    offers: Offers, market: Market, chosen: Flags, bonus: float, tolerance: float, rounds: int
) -> tuple[bool, Floats]:
    """Carry out rings of moves that gain, in place, until there is none.

    Parameters
    ----------
    offers : Offers
        What may be chosen.
    market : Market
        What is scarce.
    chosen : ndarray of bool, shape (rows,)
        Within the caps; changed in place.
    bonus : float
        What a place below a campaign's minimum is worth; above any ring of moves.
    tolerance : float
        What counts as no gain.
    rounds : int
        How many rings at most.

    Returns
    -------
    done : bool
        Whether there is no ring left.
    worth : ndarray of float64, shape (items + campaigns + 2,)
        The most that one more place at each node gains; its opposite is a price.
    """
    for _ in range(rounds):
        moves = _moves(offers, market, chosen, bonus)
        ring = _gaining_ring(moves.worth, tolerance)
        if len(ring) == 0:
            return True, _distance_to_ground(moves.worth)
        for place in range(len(ring)):
            one, other = ring[place], ring[(place + 1) % len(ring)]
            if moves.given[one, other] >= 0:
                chosen[moves.given[one, other]] = False
            if moves.taken[one, other] >= 0:
                chosen[moves.taken[one, other]] = True
    return False, np.empty(0)
