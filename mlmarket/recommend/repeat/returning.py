"""How readily does each item come back, and after how long?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.generators.previous import previous_rows
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts

__all__ = ["Returning"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

_OPPORTUNITIES: Final = 20.0
"""Later occasions that an item's own rate of return needs to count as much as its category's."""

_GAPS: Final = 5.0
"""Gaps that an item's own typical gap needs to count as much as its category's."""


@dataclass(frozen=True, slots=True, eq=False)
class Returning:
    """What was learned of the return of items.

    Parameters
    ----------
    rate : ndarray of float64, shape (items,)
        Chance that somebody who has had the item takes it again on a later occasion.
    category_rate : ndarray of float64, shape (items,)
        The same of the item's category; of all items where it has none.
    lately : ndarray of float64, shape (items,)
        Share of those who had it before who took it again within the latest `window` days; on their latest occasion
        where only an order is known. It rises with the season.
    gap : ndarray of float64, shape (items,)
        Typical time from one taking to the next, geometric mean: days, or occasions where only an order is known.
    share : float
        Share of rows after a contact's first occasion that were taken before; 0 where nothing comes back.
    cadence : float
        Median time between occasions of a contact, in the same unit; 1 where nobody came twice.

    Notes
    -----
    Rates and gaps of items are shrunk to their category, those of categories to all items: an item that one person
    bought twice is no consumable yet.
    """

    rate: Floats
    category_rate: Floats
    lately: Floats
    gap: Floats
    share: float
    cadence: float

    @classmethod
    def learn(cls, interactions: Interactions, facts: ItemFacts, *, window: float = 30.0) -> Self:
        """Learn from histories up to ``interactions.now``.

        Parameters
        ----------
        interactions : Interactions
            Histories.
        facts : ItemFacts
            Of the same catalogue; the categories are used.
        window : float, default 30
            Days that count as lately.

        Returns
        -------
        Self
        """
        previous = previous_rows(interactions)
        again = np.flatnonzero(previous >= 0)
        item, first = interactions.item, previous < 0
        later = interactions.occasions_back[first].astype(np.float64)
        group, count = facts.category, len(interactions.items)
        repeats = _sums(item[again], np.ones(len(again)), count)
        rate, by_category = _shrunk(
            repeats, _sums(item[first], later, count), group, _OPPORTUNITIES
        )
        had, taken = _lately(interactions, previous, window)
        lately, _ = _shrunk(taken, had, group, _OPPORTUNITIES)
        between = interactions.at[again] - interactions.at[previous[again]]
        log_gap, _ = _shrunk(_sums(item[again], np.log(between), count), repeats, group, _GAPS)
        cadence = _cadence(interactions)
        gap = np.exp(log_gap) if len(again) else np.full(count, cadence)
        share = _share(interactions, len(again))
        return cls(rate, by_category, lately, gap, share, cadence)

    def to_state(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Read them back."""
        return cls(**state)


def _sums(place: Codes, values: Floats, count: int) -> Floats:
    return np.bincount(place, values, count).astype(np.float64)


def _shrunk(total: Floats, count: Floats, group: Codes, prior: float) -> tuple[Floats, Floats]:
    """Return means of items, shrunk to those of their group, and these, shrunk to the mean of all."""
    overall = float(total.sum() / max(float(count.sum()), 1.0))
    groups = int(group.max(initial=-1)) + 1
    place = np.where(group < 0, groups, group)
    group_total = np.bincount(place, total, groups + 1)
    group_count = np.bincount(place, count, groups + 1)
    of_group = (group_total + prior * overall) / (group_count + prior)
    of_group[groups] = overall
    prior_mean = of_group[place]
    return (total + prior * prior_mean) / (count + prior), prior_mean


def _lately(
    interactions: Interactions, previous: npt.NDArray[np.int64], window: float
) -> tuple[Floats, Floats]:
    """Return of each item how many had it before the latest window, and how many of them took it again in it."""
    items = len(interactions.items)
    recent = interactions.age < window if interactions.timed else interactions.occasions_back == 0
    before = ~recent & (previous < 0)
    again = recent & (previous >= 0) & ~recent[previous]
    had = np.bincount(interactions.item[before], minlength=items).astype(np.float64)
    return had, np.bincount(interactions.item[again], minlength=items).astype(np.float64)


def _share(interactions: Interactions, repeats: int) -> float:
    """Return the share of rows after the first occasion that the contact had taken before."""
    if not len(interactions):
        return 0.0
    begin = np.minimum(interactions.start[:-1], len(interactions) - 1)
    first_at = np.repeat(interactions.at[begin], np.diff(interactions.start))
    later = int((interactions.at > first_at).sum())
    return repeats / max(later, 1)


def _cadence(interactions: Interactions) -> float:
    """Return the median time between occasions of a contact."""
    step = np.diff(interactions.at)
    same = np.diff(interactions.contact) == 0
    between = step[same & (step > 0)]
    return float(np.median(between)) if len(between) else 1.0
