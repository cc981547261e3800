"""Which predictions belong together, and how do outcomes add up from the best to the worst?

Equal predictions are never told apart: the order of rows must not change a measure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlmarket.evaluation.checks import FloatArray, require_count

__all__ = ["Ranking", "equal_count_bins", "rank"]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Weights of positives and negatives at each distinct prediction, ascending."""

    value: FloatArray
    positive: FloatArray
    negative: FloatArray
    position: NDArray[np.intp]
    """Index into the other arrays, for each row that was ranked."""


def rank(y: FloatArray, p: FloatArray, weights: FloatArray) -> Ranking:
    """Gather rows of equal prediction.

    Parameters
    ----------
    y, p, weights : ndarray of shape (n,)
        Checked labels, predictions and weights.

    Returns
    -------
    Ranking
        Distinct predictions in ascending order with the weights of both classes.
    """
    order = np.argsort(p, kind="stable")
    ascending = p[order]
    is_new = np.concatenate(([True], ascending[1:] != ascending[:-1]))
    starts = np.flatnonzero(is_new)
    position = np.empty(p.size, dtype=np.intp)
    position[order] = np.cumsum(is_new) - 1
    positive = np.add.reduceat((weights * y)[order], starts)
    negative = np.add.reduceat((weights * (1.0 - y))[order], starts)
    return Ranking(ascending[starts], positive, negative, position)


def equal_count_bins(
    p: FloatArray, n_bins: int, weights: FloatArray | None = None
) -> NDArray[np.intp]:
    """Return the number of the equal-count bin that each prediction falls in.

    All rows of one prediction share the bin in which the middle of them lies; so some bins
    may be larger than others, or empty.

    Parameters
    ----------
    p : ndarray of shape (n,)
        Checked predictions.
    n_bins : int
        How many bins at most.
    weights : ndarray of shape (n,), optional
        Checked weights.

    Returns
    -------
    ndarray of int, shape (n,)
        Bins from 0 (lowest predictions) to ``n_bins - 1``.

    Raises
    ------
    ConfigurationError
        Where `n_bins` is not a positive whole number.
    """
    require_count(n_bins, "n_bins")
    values, position, counts = np.unique(p, return_inverse=True, return_counts=True)
    if weights is None:
        # In whole numbers, so that no rounding decides which side of an edge a value falls on.
        doubled_middle = 2 * np.cumsum(counts) - counts
        bin_of_value = doubled_middle * n_bins // (2 * p.size)
    else:
        mass = np.bincount(position, weights=weights, minlength=values.size)
        middle = (np.cumsum(mass) - mass / 2.0) / mass.sum()
        bin_of_value = np.minimum(np.floor(middle * n_bins), n_bins - 1).astype(np.intp)
    bins: NDArray[np.intp] = bin_of_value[position].astype(np.intp)
    return bins
