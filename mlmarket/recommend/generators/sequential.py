"""Which item does a regression on the decayed history say comes next?"""

from typing import TYPE_CHECKING

import numpy as np

from mlmarket.recommend.generators.ease import LIMIT, LargeCatalogueError, inverse, strongest
from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.pairs import Neighbourhood, dense_pairs, pairs_of
from mlmarket.recommend.generators.recency import of_rows

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions

__all__ = ["Sequential"]


class Sequential(LinearGenerator):
    """Ridge regression of what comes next on what came before, in closed form and directional.

    Where transitions count what followed an item, the regression gives each item of the history only what the
    others do not explain.

    Parameters
    ----------
    regularisation : float, default 600
        Ridge, in rows.
    window : int, default 10
        How many occasions later an item still follows another.
    distance_power : float, default 1
        One that came n occasions later counts ``n ** -distance_power``.
    popularity_power : float, default 0.15
        What is foretold is divided by this power of its number of rows.
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
    M. Choi, J. Kim, J. Lee, H. Shim and J. Lee (2021), Session-aware linear item-item models for session-based
    recommendation, The Web Conference, pp. 2186-2197.
    """

    def __init__(  # noqa: PLR0913 - the arguments of one formula
        self,
        *,
        regularisation: float = 600.0,
        window: int = 10,
        distance_power: float = 1.0,
        popularity_power: float = 0.15,
        neighbours: int = 400,
        power: float = 1.0,
        half_life: float | None = None,
        memory: float | None = 120.0,
        limit: int = LIMIT,
    ) -> None:
        self.regularisation = regularisation
        self.window = window
        self.distance_power = distance_power
        self.popularity_power = popularity_power
        self.neighbours = neighbours
        self.power = power
        self.half_life = half_life
        self.memory = memory
        self.limit = limit

    def _learn(self, interactions: "Interactions") -> Neighbourhood:
        size = len(interactions.items)
        if size > self.limit:
            raise LargeCatalogueError("The sequential regression", size, self.limit)
        mass = np.sqrt(np.minimum(of_rows(interactions, self.memory), 1.0).astype(np.float64))
        near = np.arange(1.0, self.window + 1.0) ** -self.distance_power
        follows = pairs_of(interactions, after=np.append(0.0, near), before=near[:0], mass=mass)
        # Two items n occasions apart stand together in every later decayed history: the sum of the products of
        # their weights there.
        together = np.array([near[: len(near) - n] @ near[n:] for n in range(len(near))])
        gram = dense_pairs(pairs_of(interactions, after=together, before=together, mass=mass))
        rows = np.bincount(interactions.item, weights=mass**2, minlength=size)
        gram[np.diag_indices(size)] += together[0] * rows + self.regularisation
        weights = inverse(gram) @ dense_pairs(follows)
        np.fill_diagonal(weights, 0.0)
        weights *= (rows + 1.0) ** -self.popularity_power
        return strongest(weights, self.neighbours)
