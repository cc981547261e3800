"""How readily does each item come back, and after how long?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

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
        pairs = _Pairs.of(interactions)
        group = facts.category
        count = len(interactions.items)
        rate, by_category = _shrunk(
            _sums(pairs.item, pairs.repeats, count),
            _sums(pairs.item, pairs.later, count),
            group,
            _OPPORTUNITIES,
        )
        had, again = _lately(interactions, window)
        lately, _ = _shrunk(again, had, group, _OPPORTUNITIES)
        log_gap, _ = _shrunk(
            _sums(pairs.gap_item, np.log(pairs.gap), count),
            np.bincount(pairs.gap_item, minlength=count).astype(np.float64),
            group,
            _GAPS,
        )
        cadence = _cadence(interactions)
        gap = np.exp(log_gap) if len(pairs.gap) else np.full(count, cadence)
        return cls(rate, by_category, lately, gap, _share(interactions), cadence)

    def to_state(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Read them back."""
        return cls(**state)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Contacts and the items they have had."""

    item: Codes
    repeats: Floats
    """How often it was taken again."""
    later: Floats
    """On how many occasions after the first it could have been."""
    gap_item: Codes
    gap: Floats
    """Times between one taking and the next, above 0."""

    @classmethod
    def of(cls, interactions: Interactions) -> Self:
        order = np.lexsort((interactions.at, interactions.item, interactions.contact))
        contact, item = interactions.contact[order], interactions.item[order]
        at, back = interactions.at[order], interactions.occasions_back[order]
        new = _changes(contact, item)
        first = np.flatnonzero(new)
        takings = np.diff(np.append(first, len(order)))
        again = np.flatnonzero(~new)
        return cls(
            item=item[first],
            repeats=(takings - 1).astype(np.float64),
            later=back[first].astype(np.float64),
            gap_item=item[again],
            gap=at[again] - at[again - 1],
        )


def _changes(contact: Codes, item: Codes) -> npt.NDArray[np.bool_]:
    new = np.ones(len(item), dtype=np.bool_)
    new[1:] = (np.diff(contact) != 0) | (np.diff(item) != 0)
    return new


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


def _lately(interactions: Interactions, window: float) -> tuple[Floats, Floats]:
    """Return of each item how many had it before the latest window, and how many of them took it again in it."""
    items = len(interactions.items)
    recent = interactions.age < window if interactions.timed else interactions.occasions_back == 0
    key = interactions.contact.astype(np.int64) * max(items, 1) + interactions.item
    before, within = np.unique(key[~recent]), np.unique(key[recent])
    again = np.intersect1d(before, within, assume_unique=True)
    had = np.bincount(before % max(items, 1), minlength=items).astype(np.float64)
    return had, np.bincount(again % max(items, 1), minlength=items).astype(np.float64)


def _share(interactions: Interactions) -> float:
    """Return the share of rows after the first occasion that the contact had taken before."""
    order = np.lexsort((interactions.at, interactions.item, interactions.contact))
    new = _changes(interactions.contact[order], interactions.item[order])
    lengths = np.diff(interactions.start)
    if not len(interactions):
        return 0.0
    begin = np.minimum(interactions.start[:-1], len(interactions) - 1)
    first_at = np.repeat(interactions.at[begin], lengths)
    later = int((interactions.at > first_at).sum())
    return float((~new).sum() / max(later, 1))


def _cadence(interactions: Interactions) -> float:
    """Return the median time between occasions of a contact."""
    step = np.diff(interactions.at)
    same = np.diff(interactions.contact) == 0
    between = step[same & (step > 0)]
    return float(np.median(between)) if len(between) else 1.0
