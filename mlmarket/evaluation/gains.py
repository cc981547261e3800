"""How much better than chance are the contacts that a prediction puts first?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mlmarket.evaluation.bins import Ranking, rank
from mlmarket.evaluation.checks import (
    FloatArray,
    as_pair,
    as_weights,
    require_count,
    require_fraction,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GainTable", "gain_table", "lift"]


@dataclass(frozen=True, slots=True, eq=False)
class GainTable:
    """Outcomes from the best-ranked contacts to the worst, in equal shares of contacts.

    Parameters
    ----------
    share : ndarray of float64, shape (bins,)
        Share of contacts from the best down to the end of this bin; the last is 1.
    rate : ndarray of float64, shape (bins,)
        Share of this bin's contacts with the outcome.
    captured : ndarray of float64, shape (bins,)
        Share of all outcomes found down to the end of this bin.
    lift : ndarray of float64, shape (bins,)
        Rate down to the end of this bin, divided by the rate of all.
    """

    share: FloatArray
    rate: FloatArray
    captured: FloatArray
    lift: FloatArray

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a bin.

        Returns
        -------
        pandas.DataFrame
            Columns ``share``, ``rate``, ``captured`` and ``lift``.
        """
        import pandas as pd

        columns = ("share", "rate", "captured", "lift")
        return pd.DataFrame({column: getattr(self, column) for column in columns})

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False)


def lift(
    y: ArrayLike, p: ArrayLike, share: float = 0.1, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return how much more often the outcome happens among the best-ranked contacts.

    Where the border of the share falls among equal predictions, each of them counts with the
    same fraction.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities.
    share : float, default 0.1
        Share of contacts, best first, between 0 and 1.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        Rate of the best share divided by the rate of all, 1 for a random order; NaN without a
        positive.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    Examples
    --------
    >>> lift([1, 0, 0, 0], [0.9, 0.1, 0.1, 0.1], share=0.5)
    2.0
    """
    require_fraction(share, "share")
    captured = _captured(_rank(y, p, sample_weight), np.array([share]))
    return float(captured[0] / share)


def gain_table(
    y: ArrayLike, p: ArrayLike, n_bins: int = 10, *, sample_weight: ArrayLike | None = None
) -> GainTable:
    """Return rate, lift and outcomes found, from the best-ranked contacts to the worst.

    Ties are shared between bins, so that every bin holds exactly the same share of contacts.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities.
    n_bins : int, default 10
        Number of equal shares.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    GainTable
        Arrays of shape (n_bins,); ``captured`` and ``lift`` are NaN without a positive.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    Examples
    --------
    >>> gain_table([1, 0, 1, 0], [0.9, 0.2, 0.6, 0.1], n_bins=2).captured.tolist()
    [1.0, 1.0]
    """
    require_count(n_bins, "n_bins")
    ranking = _rank(y, p, sample_weight)
    share = np.arange(1, n_bins + 1) / n_bins
    captured = _captured(ranking, share)
    base_rate = ranking.positive.sum() / (ranking.positive + ranking.negative).sum()
    gained = np.diff(captured, prepend=0.0) if base_rate > 0.0 else np.zeros(n_bins)
    # A difference of interpolated sums can miss 0 or 1 by a rounding.
    rate = np.clip(gained * n_bins * base_rate, 0.0, 1.0)
    return GainTable(share=share, rate=rate, captured=captured, lift=captured / share)


def _rank(y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None) -> Ranking:
    labels, predictions = as_pair(y, p)
    return rank(labels, predictions, as_weights(sample_weight, labels.size))


def _captured(ranking: Ranking, share: FloatArray) -> FloatArray:
    """Return the share of positives among the best shares of contacts; ties in proportion."""
    found = np.concatenate(([0.0], np.cumsum(ranking.positive[::-1])))
    if found[-1] == 0.0:
        return np.full(share.shape, np.nan)
    reached = np.concatenate(([0.0], np.cumsum((ranking.positive + ranking.negative)[::-1])))
    captured: FloatArray = np.interp(share * reached[-1], reached, found) / found[-1]
    return captured
