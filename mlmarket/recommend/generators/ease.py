"""Which items does a linear autoencoder reconstruct from a history?"""

from typing import TYPE_CHECKING, Final, cast

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.pairs import Neighbourhood
from mlmarket.recommend.generators.recency import by_occasion, of_rows

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions

__all__ = ["Ease", "LargeCatalogueError", "inverse", "strongest"]

Numbers = npt.NDArray[np.float64]

LIMIT: Final = 5_000
"""Items up to which a dense matrix of items and items is solved: 200 MB, and time grows with the cube."""

_TILE: Final = 64


class LargeCatalogueError(ConfigurationError):
    """A generator that solves a dense matrix of items and items stays out.

    Parameters
    ----------
    name : str
        The generator.
    items, limit : int
        How many there are, and how many there may be.
    """

    def __init__(self, name: str, items: int, limit: int) -> None:
        super().__init__(
            f"{name} solves a matrix of {items:,} by {items:,} items; its limit is {limit:,}.",
            f"It would need {items * items * 8 / 1e9:,.1f} GB more than once, and hours.",
            "leave it out: neighbours and transitions have no limit; or raise limit=.",
        )
        self.items = items
        self.limit = limit


class Ease(LinearGenerator):
    """EASE: the ridge regression of each item on all others, in closed form.

    Parameters
    ----------
    regularisation : float, default 700
        Ridge, in squared weights: about contacts who must agree.
    fit_power : float, default 0
        The n-th occasion from the end counts ``n ** -fit_power`` in the fit.
    neighbours : int, default 400
        How many of the largest weights an item keeps, of either sign.
    power : float, default 1
        The n-th occasion of a history from its end counts ``n ** -power``.
    half_life : float, optional
        Days after which a row of a history counts half.
    memory : float or None, default 120
        Days after which a row counts half in the fit.
    limit : int, default 5000
        Most items; larger catalogues are refused.

    References
    ----------
    H. Steck (2019), Embarrassingly shallow autoencoders for sparse data, The World Wide Web Conference,
    pp. 3251-3257.
    """

    def __init__(
        self,
        *,
        regularisation: float = 700.0,
        fit_power: float = 0.0,
        neighbours: int = 400,
        power: float = 1.0,
        half_life: float | None = None,
        memory: float | None = 120.0,
        limit: int = LIMIT,
    ) -> None:
        self.regularisation = regularisation
        self.fit_power = fit_power
        self.neighbours = neighbours
        self.power = power
        self.half_life = half_life
        self.memory = memory
        self.limit = limit

    def _learn(self, interactions: "Interactions") -> Neighbourhood:
        from scipy import sparse

        size = len(interactions.items)
        if size > self.limit:
            raise LargeCatalogueError("EASE", size, self.limit)
        fading = by_occasion(self.fit_power)
        back = np.minimum(interactions.occasions_back, len(fading) - 1)
        # capped: who buys an item a hundred times still likes it once
        weight = np.minimum(of_rows(interactions, self.memory), 1.0) * fading[back]
        shape = (len(interactions.contacts), size)
        rows = (weight.astype(np.float64), interactions.item, interactions.start)
        made = sparse.csr_array(rows, shape=shape, copy=True)
        made.sum_duplicates()
        np.minimum(made.data, 1.0, out=made.data)
        gram = (made.T @ made).toarray()
        gram[np.diag_indices(size)] += self.regularisation
        precision = inverse(gram)
        weights = precision / -np.diag(precision)
        np.fill_diagonal(weights, 0.0)
        return strongest(weights, self.neighbours)


def inverse(matrix: Numbers) -> Numbers:
    """Return the inverse of a symmetric positive definite matrix.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n, n)
        Overwritten.

    Returns
    -------
    ndarray of float64, shape (n, n)
        By Cholesky's factors.
    """
    from scipy.linalg import lapack

    if not len(matrix):
        return matrix
    factor, _ = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1)
    half, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    whole = cast("Numbers", half.T)  # rows stand together in memory; their upper right is known
    _mirror(whole)
    return whole


def _mirror_upper(matrix: Numbers) -> None:
    """Write the upper right of a square matrix to its lower left, tile by tile."""
    size = len(matrix)
    for top in range(0, size, _TILE):
        for left in range(top, size, _TILE):
            for row in range(top, min(top + _TILE, size)):
                for column in range(max(left, row + 1), min(left + _TILE, size)):
                    matrix[column, row] = matrix[row, column]


_mirror = numba.njit(cache=True, nogil=True, error_model="numpy")(_mirror_upper)


def strongest(weights: Numbers, most: int) -> Neighbourhood:
    """Return the weights of each row that are largest by size, of either sign.

    Parameters
    ----------
    weights : ndarray of float64, shape (items, items)
        From an item of the history to one that is scored.
    most : int
        How many a row keeps.

    Returns
    -------
    Neighbourhood
        Ascending by neighbour, without zeros.
    """
    size = len(weights)
    kept = weights != 0.0
    if most < size:
        near = np.abs(weights)
        bar = np.partition(near, size - most, axis=1)[:, size - most]
        kept &= near >= bar[:, None]
    start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
    return Neighbourhood(
        start, np.nonzero(kept)[1].astype(np.int32), weights[kept].astype(np.float32)
    )
