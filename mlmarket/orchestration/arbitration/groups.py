"""Of the journeys of an exclusion group that a person is in, which one may write to them?

The one of the highest priority, whether or not it has something to say now. Where two are equal,
the one they came into first, then the one whose name comes first: the same at every tick.
"""

import numpy as np

from mlmarket.orchestration.arbitration.candidates import Candidates, Rows
from mlmarket.orchestration.arbitration.facts import Flags, Passes, microseconds

__all__ = ["outgrouped"]


def outgrouped(candidates: Candidates, passes: Passes, held_out: Flags) -> tuple[Flags, Rows]:
    """Return which candidates have to leave the word to another journey of their group.

    Parameters
    ----------
    candidates : Candidates
        The messages; their own passes count as well.
    passes : Passes
        The passes under way.
    held_out : ndarray of bool, shape (n,)
        Whose journey is followed without messages: it leaves the word to the others.

    Returns
    -------
    blocked : ndarray of bool, shape (n,)
        Whether another journey goes first.
    winner : ndarray of int64, shape (n,)
        The candidate of that journey, -1 where it has none.
    """
    blocked = np.zeros(len(candidates), np.bool_)
    winner = np.full(len(candidates), -1, np.int64)
    grouped = np.array([offer.group is not None for offer in candidates.offers], np.bool_)
    rows = np.flatnonzero(grouped[candidates.offer])
    if not len(rows):
        return blocked, winner
    keys, own = _keys(candidates, passes, rows)
    person, group, priority, entered, journey = keys
    speaks = np.concatenate([~held_out[rows], np.ones(len(passes.person), np.bool_)])
    order = np.lexsort((~own, journey, entered, -priority, ~speaks, group, person))
    same = (np.diff(person[order]) == 0) & (np.diff(group[order]) == 0)
    firsts = np.flatnonzero(np.concatenate([[True], ~same]))
    first = np.empty(len(order), np.int64)
    first[order] = np.repeat(order[firsts], np.diff(np.append(firsts, len(order))))
    mine = first[: len(rows)]
    # Where only journeys that are held out are left, none goes before another.
    behind = speaks[mine] & _differ(mine, np.arange(len(rows)), (priority, entered, journey))
    blocked[rows] = behind
    is_candidate = mine < len(rows)
    winner[rows] = np.where(behind & is_candidate, rows[np.where(is_candidate, mine, 0)], -1)
    return blocked, winner


def _differ(one: Rows, other: Rows, columns: tuple[Rows, ...]) -> Flags:
    differ = np.zeros(len(one), np.bool_)
    for column in columns:
        differ |= column[one] != column[other]
    return differ


def _keys(candidates: Candidates, passes: Passes, rows: Rows) -> tuple[tuple[Rows, ...], Flags]:
    """Return person, group, priority, entry and journey of candidates and then of passes."""
    offers = candidates.offers
    groups = sorted({*passes.groups, *(one.group for one in offers if one.group is not None)})
    journeys = sorted({*passes.journeys, *(one.journey for one in offers)})
    offer = candidates.offer[rows]
    group = np.array([-1 if one.group is None else groups.index(one.group) for one in offers])
    journey = np.array([journeys.index(one.journey) for one in offers])
    of_groups = np.array([groups.index(name) for name in passes.groups], np.int64)
    of_journeys = np.array([journeys.index(name) for name in passes.journeys], np.int64)
    priority = np.array([one.priority for one in offers], np.int64)
    columns = (
        (candidates.person[rows], passes.person),
        (group[offer], of_groups[passes.group]),
        (priority[offer], passes.priority),
        (microseconds(candidates.entered[rows]), microseconds(passes.entered)),
        (journey[offer], of_journeys[passes.journey]),
    )
    own = np.arange(len(rows) + len(passes.person)) < len(rows)
    return tuple(np.concatenate(pair) for pair in columns), own
