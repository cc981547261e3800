"""What does the shop sell, and what is popular when?"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.market.samples.calendar import DAY, Calendar
from mlmarket.market.samples.draws import Flags, Floats, Ints, choose_in_rows, ladder

__all__ = ["ITEMS", "TOPICS", "Catalogue", "build_catalogue"]

TOPICS: Final = (
    "coffee",
    "tea",
    "bakery",
    "cheese",
    "wine",
    "skincare",
    "cleaning",
    "pets",
    "garden",
    "kitchen",
    "books",
    "outdoor",
)
ITEMS: Final = 300
_CONSUMABLE_TOPICS: Final = frozenset({"coffee", "tea", "skincare", "cleaning", "pets", "wine"})
_CONSUMABLE_SHARE: Final = 0.6
_INTERVALS: Final = (14, 21, 28, 30, 42, 45, 60, 90)
_MEDIAN_PRICES: Final = (12, 9, 7, 14, 16, 24, 8, 22, 18, 35, 15, 48)  # one a topic, EUR
_LAUNCHED_LATER_SHARE: Final = 0.2
_IN_STOCK_SHARE: Final = 0.93
_POPULARITY_SIGMA: Final = 1.1
_DRIFT_SIGMA: Final = 0.25


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items and their true popularity.

    Parameters
    ----------
    topic : ndarray of shape (n_items,)
        Index into ``TOPICS``.
    cents : ndarray of shape (n_items,)
        Price in euro cents.
    interval : ndarray of shape (n_items,)
        Days that a piece of a consumable lasts; 0 for others.
    published : ndarray of shape (n_items,)
        Microseconds since 1970 UTC.
    in_stock : ndarray of shape (n_items,)
        Whether it can be had at the end.
    organic : ndarray of shape (n_items,)
        Whether it carries that tag.
    appeal : ndarray of shape (n_topics,)
        How much each topic is liked in general.
    popularity : ndarray of shape (n_months, n_items)
        Weights; zero in months that do not lie wholly after the launch.
    steps : ndarray
        Ladder of popularity, a row for each month and topic.
    """

    topic: Ints
    cents: Ints
    interval: Ints
    published: Ints
    in_stock: Flags
    organic: Flags
    appeal: Floats
    popularity: Floats
    steps: Floats

    def choose(self, rng: np.random.Generator, topic: Ints, month: Ints) -> Ints:
        """Draw items of given topics by what is popular in a month.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of chance.
        topic, month : ndarray of shape (n,)
            Topic and month of each draw.

        Returns
        -------
        ndarray of shape (n,)
            Index of the item.
        """
        rows = month * len(TOPICS) + topic
        return choose_in_rows(rng, self.steps, rows, self.topic.size)


def build_catalogue(rng: np.random.Generator, calendar: Calendar) -> Catalogue:
    """Draw the items of the shop.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    calendar : Calendar
        The days; items are launched in them.

    Returns
    -------
    Catalogue
        Items and popularity.
    """
    topic = np.arange(ITEMS) % len(TOPICS)
    consumable = np.isin(topic, [TOPICS.index(name) for name in _CONSUMABLE_TOPICS])
    consumable &= rng.random(ITEMS) < _CONSUMABLE_SHARE
    consumable[: len(TOPICS)] = True  # one in each topic at least
    price = np.array(_MEDIAN_PRICES)[topic] * np.exp(rng.normal(0.0, 0.5, ITEMS))
    published = _launches(rng, calendar)
    popularity = _popularity(rng, calendar, published)
    in_topic = topic[np.newaxis, :] == np.arange(len(TOPICS))[:, np.newaxis]
    by_topic = popularity[:, np.newaxis, :] * in_topic[np.newaxis, :, :]
    return Catalogue(
        topic=topic,
        cents=np.round(price).astype(np.int64) * 100 - 10,
        interval=np.where(consumable, rng.choice(np.array(_INTERVALS), ITEMS), 0),
        published=published,
        in_stock=rng.random(ITEMS) < _IN_STOCK_SHARE,
        organic=rng.random(ITEMS) < 0.3,
        appeal=rng.uniform(0.5, 1.5, len(TOPICS)),
        popularity=popularity,
        steps=ladder(by_topic.reshape(-1, ITEMS)),
    )


def _launches(rng: np.random.Generator, calendar: Calendar) -> Ints:
    """Most items are old; the first of each topic always is, so that no topic is ever empty."""
    later = rng.random(ITEMS) < _LAUNCHED_LATER_SHARE
    later[: len(TOPICS)] = False
    old = calendar.starts[0] - rng.integers(30, 900, ITEMS) * DAY
    new = calendar.starts[rng.integers(0, calendar.days, ITEMS)]
    launched: Ints = np.where(later, new, old)
    return launched


def _popularity(rng: np.random.Generator, calendar: Calendar, published: Ints) -> Floats:
    months = int(calendar.month[-1]) + 1
    steps = rng.normal(0.0, _DRIFT_SIGMA, (months, ITEMS))
    steps[0] = rng.normal(0.0, _POPULARITY_SIGMA, ITEMS)
    first_days = calendar.starts[:-1][calendar.first_of_month]
    weights: Floats = np.exp(np.cumsum(steps, axis=0))
    return weights * (published[np.newaxis, :] <= first_days[:, np.newaxis])
