"""What do the latest items of a history say of a candidate, each by itself?"""

from collections.abc import Mapping
from typing import Any, Final, Self

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.recommend.generators.bayes import BayesTransitions
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts

__all__ = ["LatestItems"]

Scores = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]

_RECENT: Final = 20
"""Rows of a history whose popularity is compared with a candidate's."""


class LatestItems:
    """Evidence of each of the latest rows for a candidate, and how popular it is for this recipient.

    A sum over the history forgets which item spoke: five items that each hint at a candidate are not one that
    insists. Trees can tell them apart.

    Parameters
    ----------
    rows : int, default 5
        How many of the latest rows speak by themselves.
    """

    near_: BayesTransitions
    next_: BayesTransitions

    def __init__(self, *, rows: int = 5) -> None:
        self.rows = rows

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        after = tuple(f"after_{place + 1}" for place in range(self.rows))
        return (*after, "right_after_1", "right_after_2", "popularity", "more_popular", "rows")

    def fit(self, interactions: Interactions, facts: ItemFacts) -> Self:  # noqa: ARG002 - the protocol's
        """Learn what follows what.

        Parameters
        ----------
        interactions : Interactions
            Histories up to ``interactions.now``.
        facts : ItemFacts
            Not needed.

        Returns
        -------
        Self
            A fitted copy.
        """
        fitted = type(self)(rows=self.rows)
        fitted.near_ = BayesTransitions().fit(interactions)
        fitted.next_ = BayesTransitions(window=1, shrink=0.2).fit(interactions)
        return fitted

    def values(self, recipients: Interactions, item: Codes) -> Scores:
        """Return the features of candidates.

        Parameters
        ----------
        recipients : Interactions
            Histories.
        item : ndarray of int32, shape (recipients, m)
            Candidates, -1 for none.

        Returns
        -------
        ndarray of float32, shape (recipients, m, features)
            In the order of `names`.
        """
        out = np.zeros((*item.shape, len(self.names)), dtype=np.float32)
        history = (recipients.start, recipients.item)
        for lags, first, of in ((self.rows, 0, self.near_), (2, self.rows, self.next_)):
            matrix = (of.start_, of.neighbour_, of.weight_)
            _after(history, matrix, item, out[:, :, first : first + lags])
        prior = self.near_.prior_
        popular = prior[np.maximum(item, 0)]
        out[:, :, -3] = popular
        out[:, :, -2] = popular - _recent_mean(*history, prior)[:, None]
        out[:, :, -1] = np.diff(recipients.start)[:, None]
        return out

    def to_state(self) -> dict[str, Any]:
        """Return what was learned."""
        sides = (("near", self.near_), ("next", self.next_))
        return {
            f"{side}/{key}": value for side, of in sides for key, value in of.to_state().items()
        }

    def from_state(self, state: Mapping[str, Any]) -> Self:
        """Return a copy that knows what :meth:`to_state` gave."""
        read = type(self)(rows=self.rows)
        parts: dict[str, dict[str, Any]] = {"near": {}, "next": {}}
        for name, value in state.items():
            side, _, key = name.partition("/")
            parts[side][key] = value
        read.near_ = BayesTransitions.from_state(parts["near"])
        read.next_ = BayesTransitions.from_state(parts["next"])
        return read


def _after_latest(history, matrix, item, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    start, codes = history
    first, neighbour, weight = matrix
    known = np.zeros(len(first) - 1, dtype=np.float32)
    for recipient in range(item.shape[0]):
        for lag in range(out.shape[2]):
            row = start[recipient + 1] - 1 - lag
            if row < start[recipient]:
                out[recipient, :, lag] = np.nan
                continue
            low, high = first[codes[row]], first[codes[row] + 1]
            for place in range(low, high):
                known[neighbour[place]] = weight[place]
            for place in range(item.shape[1]):
                if item[recipient, place] >= 0:
                    out[recipient, place, lag] = known[item[recipient, place]]
            for place in range(low, high):
                known[neighbour[place]] = 0.0


_after = numba.njit(cache=True, nogil=True, error_model="numpy")(_after_latest)


def _recent_mean(start: Offsets, codes: Codes, prior: Scores) -> Scores:
    """Return the mean popularity of the latest rows of each history; that of all items where there are none."""
    sums = np.concatenate([[0.0], np.cumsum(prior[codes], dtype=np.float64)])
    begin = np.maximum(start[:-1], start[1:] - _RECENT)
    rows = start[1:] - begin
    mean = (sums[start[1:]] - sums[begin]) / np.maximum(rows, 1)
    found: Scores = np.where(rows > 0, mean, prior.mean()).astype(np.float32)
    return found
