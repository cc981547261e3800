"""What is new in the shop, what rises, and what has had its time?"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.generators.previous import previous_rows
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts

__all__ = ["DemandFeatures"]

Values = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_WINDOWS: Final = (3.0, 7.0, 14.0, 30.0, 90.0)
"""Days whose takers are counted, beside those of all times."""

_FEW: Final = 0.05
"""Per mille of all takings that is added on both sides before shares are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class DemandFeatures:
    """Features of items alone: who takes them, how lately, and whether more of them than before.

    Of each of several recent windows the item's share of all takers, in per mille; the ratio of each share to that
    of the next longer window, above 1 where an item rises; the share of latest takers to whom it was new; days
    since the first and the latest taking. Where only an order is known, nobody can say what is recent: only the
    share of all times is known then.

    Parameters
    ----------
    learned : ndarray of float32, shape (items, features), optional
        What was learned; :meth:`fit` fills it.
    """

    learned: Values | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        days = [f"{window:.0f}d" for window in _WINDOWS]
        shares = [f"demand_{name}" for name in (*days, "ever")]
        rises = [f"demand_rise_{name}" for name in days]
        return (*shares, *rises, "demand_new_takers", "item_since_first", "item_since_latest")

    def fit(self, interactions: Interactions, facts: ItemFacts) -> Self:  # noqa: ARG002 - a block's seam
        """Count takers.

        Parameters
        ----------
        interactions : Interactions
            Histories up to ``interactions.now``.
        facts : ItemFacts
            Not used.

        Returns
        -------
        Self
            A fitted copy.
        """
        windows = (*_WINDOWS, np.inf)
        previous = previous_rows(interactions)
        shares = [_share(interactions, previous, window) for window in windows]
        pairs = itertools.pairwise(shares)
        rises = [(short + _FEW) / (long + _FEW) for short, long in pairs]
        columns = [*shares, *rises, *_novelty(interactions, previous)]
        return type(self)(np.stack(columns, axis=1).astype(np.float32))

    def values(self, recipients: Interactions, item: npt.NDArray[np.int32]) -> Values:  # noqa: ARG002 - a block's seam
        """Return the features of candidates.

        Parameters
        ----------
        recipients : Interactions
            Not used.
        item : ndarray of int32, shape (recipients, m)
            Places in the catalogue, -1 where there is no candidate.

        Returns
        -------
        ndarray of float32, shape (recipients, m, features)
            In the order of `names`.
        """
        values: Values = self._known()[np.maximum(item, 0)]
        return values

    def to_state(self) -> dict[str, Any]:
        """Return what was learned."""
        return {"learned": self._known()}

    def from_state(self, state: Mapping[str, Any]) -> Self:
        """Return a copy that knows what :meth:`to_state` gave."""
        return type(self)(state["learned"])

    def _known(self) -> Values:
        if self.learned is None:
            raise ConfigurationError(
                f"{type(self).__name__} has learned nothing yet.",
                "Its features come from what earlier histories say.",
                "call fit first, and use what it returns.",
            )
        return self.learned


def _share(interactions: Interactions, previous: npt.NDArray[np.int64], window: float) -> Floats:
    """Return per mille of takers of all items within a window."""
    items = len(interactions.items)
    if np.isinf(window):
        first = previous < 0
    elif interactions.timed:
        recent = interactions.age < window
        first = recent & ~((previous >= 0) & recent[previous])
    else:
        return np.full(items, np.nan)
    takers = np.bincount(interactions.item[first], minlength=items).astype(np.float64)
    return takers / max(float(takers.sum()), 1.0) * 1000.0


def _novelty(interactions: Interactions, previous: npt.NDArray[np.int64]) -> list[Floats]:
    """Return the share of takers of 30 days to whom it was new, and days since the first and the latest taking."""
    items = len(interactions.items)
    if not interactions.timed:
        return [np.full(items, np.nan)] * 3
    item, age, new = interactions.item, interactions.age, previous < 0
    recent = age < 30.0
    takings = np.bincount(item[recent], minlength=items).astype(np.float64)
    first_time = np.bincount(item[recent & new], minlength=items).astype(np.float64)
    oldest, latest = np.full(items, -np.inf), np.full(items, np.inf)
    np.maximum.at(oldest, item, age)
    np.minimum.at(latest, item, age)
    share = np.divide(first_time, takings, out=np.full(items, np.nan), where=takings > 0)
    return [
        share,
        np.where(np.isfinite(oldest), oldest, np.nan),
        np.where(np.isfinite(latest), latest, np.nan),
    ]
