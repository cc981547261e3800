"""What do all items of a history say together about the next one?"""

from typing import Self

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.pairs import Neighbourhood, nearest_items, pairs_of
from mlmarket.recommend.generators.recency import of_rows
from mlmarket.recommend.interactions import Interactions

__all__ = ["BayesTransitions"]

Scores = npt.NDArray[np.float32]


class BayesTransitions(LinearGenerator):
    """Naive Bayes of transitions: each item of the history multiplies the odds of what comes next.

    Where a sum of transition probabilities is ruled by one item that has a strong follower, a product asks for
    followers on which several items of the history agree. The score is the logarithm,
    ``log(1 + rows(c)) + Σ_rows weight(row) · log(1 + follows(item(row), c) / expected(c))``: popularity, and how
    much more often than by chance each item was followed. Weights that fall with the place in the history temper
    the evidence, since neighbouring items say the same twice.

    Parameters
    ----------
    window : int, default 6
        How many occasions later an item still follows another.
    distance_power : float, default 0.7
        One that came n occasions later counts ``n ** -distance_power``.
    shrink : float, default 2
        How much evidence popularity is worth, in transitions of an item that has as many as the mean item.
    neighbours : int, default 1000
        How many followers an item keeps.
    power : float, default 1.25
        The n-th occasion of a history from its end counts ``n ** -power``.
    half_life : float, optional
        Days after which a row of a history counts half.
    memory : float, optional
        Days after which a transition counts half in the fit.

    References
    ----------
    Domingos and Pazzani (1997), On the optimality of the simple Bayesian classifier under zero-one loss, Machine
    Learning 29, pp. 103-130: why the product ranks well though its factors are not independent.
    """

    prior_: Scores

    def __init__(
        self,
        *,
        window: int = 6,
        distance_power: float = 0.7,
        shrink: float = 2.0,
        neighbours: int = 1000,
        power: float = 1.25,
        half_life: float | None = None,
        memory: float | None = None,
    ) -> None:
        self.window = window
        self.distance_power = distance_power
        self.shrink = shrink
        self.neighbours = neighbours
        self.power = power
        self.half_life = half_life
        self.memory = memory

    def fit(self, interactions: Interactions) -> Self:
        """Learn which items lead to which.

        Parameters
        ----------
        interactions : Interactions
            Histories up to ``interactions.now``.

        Returns
        -------
        Self
            With ``start_``, ``neighbour_`` and ``weight_``, the rows of the evidence, and ``prior_``, shape (items,).
        """
        self.prior_ = np.log1p(self._rows(interactions)).astype(np.float32)
        return super().fit(interactions)

    def _rows(self, interactions: Interactions) -> npt.NDArray[np.float64]:
        weight = of_rows(interactions, self.memory).astype(np.float64)
        rows = np.bincount(interactions.item, weights=weight, minlength=len(interactions.items))
        return rows.astype(np.float64)

    def _learn(self, interactions: Interactions) -> Neighbourhood:
        after = np.zeros(self.window + 1)
        after[1:] = np.arange(1.0, self.window + 1.0) ** -self.distance_power
        mass = np.sqrt(of_rows(interactions, self.memory).astype(np.float64))
        pairs = pairs_of(interactions, after=after, before=after[:0], mass=mass)
        rows = self._rows(interactions) + 0.5
        typical = rows.mean() * after.sum()
        expected = self.shrink * typical * rows / rows.sum()
        found = nearest_items(
            pairs, left=np.ones(len(rows)), right=1.0 / expected, most=self.neighbours, shrink=0.0
        )
        return found._replace(weight=np.log1p(found.weight))

    def scores(self, recipients: Interactions) -> Scores:
        """Return a score for every recipient and item of the catalogue.

        Parameters
        ----------
        recipients : Interactions
            Histories of anyone, in the catalogue of the fit.

        Returns
        -------
        ndarray of float32, shape (recipients, items)
            0 for items that nobody ever touched.
        """
        evidence = super().scores(recipients)
        evidence += self.prior_
        return evidence
