"""How is chance drawn, for many people at once?"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Flags", "Floats", "Ints", "choose", "choose_in_rows", "ladder", "logistic"]

Flags: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.int64]


def choose(rng: np.random.Generator, weights: Floats, size: int) -> Ints:
    """Draw categories with chances proportional to one set of weights.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    weights : ndarray of shape (n_categories,)
        Not negative, at least one positive.
    size : int
        Number of draws.

    Returns
    -------
    ndarray of shape (size,)
        Index of the category of each draw.
    """
    steps = ladder(weights[np.newaxis, :])
    return choose_in_rows(rng, steps, np.zeros(size, dtype=np.int64), weights.size)


def ladder(weights: Floats) -> Floats:
    """Lay the cumulative chances of many categorical distributions end to end.

    Row ``r`` climbs from ``r`` to ``r + 1``, so that one binary search over the
    flat array serves draws from any mix of rows.

    Parameters
    ----------
    weights : ndarray of shape (n_rows, n_categories)
        Not negative; each row has a positive sum.

    Returns
    -------
    ndarray of shape (n_rows * n_categories,)
        Increasing steps.

    Examples
    --------
    >>> ladder(np.array([[1.0, 1.0], [0.0, 2.0]]))
    array([0.5, 1. , 1. , 2. ])
    """
    climbed = np.cumsum(weights, axis=1)
    climbed /= climbed[:, -1:]
    climbed += np.arange(weights.shape[0])[:, np.newaxis]
    return climbed.ravel()


def choose_in_rows(rng: np.random.Generator, steps: Floats, rows: Ints, width: int) -> Ints:
    """Draw one category for each entry of ``rows``, from the distribution of that row.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    steps : ndarray of shape (n_rows * width,)
        What :func:`ladder` made.
    rows : ndarray of shape (n_draws,)
        Row of each draw.
    width : int
        Number of categories of a row.

    Returns
    -------
    ndarray of shape (n_draws,)
        Index of the category, 0 to ``width - 1``.
    """
    found = np.searchsorted(steps, rows + rng.random(rows.size), side="right")
    drawn: Ints = np.clip(found - rows * width, 0, width - 1)
    return drawn


def logistic(x: Floats) -> Floats:
    """Return the chance that belongs to log-odds ``x``.

    Parameters
    ----------
    x : ndarray
        Log-odds.

    Returns
    -------
    ndarray
        Chances, of the same shape.

    Examples
    --------
    >>> float(logistic(np.array(0.0)))
    0.5
    """
    chances: Floats = 1.0 / (1.0 + np.exp(-x))
    return chances
