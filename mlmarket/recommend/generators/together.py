"""What is bought in the same basket?"""

from typing import TYPE_CHECKING

import numpy as np

from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.pairs import (
    Neighbourhood,
    nearest_items,
    pairs_of,
    rows_of_items,
)
from mlmarket.recommend.generators.recency import of_rows

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions

__all__ = ["Together"]


class Together(LinearGenerator):
    """Items that stand on the same occasions as those of the history, such as in the same orders.

    Parameters
    ----------
    item_power, popularity_power : float, default 0.5
        Common occasions are divided by these powers of the number of rows of the item in the history, and of the
        other.
    basket_power : float, default 1
        A pair on an occasion of n items counts ``n ** -basket_power``: a large basket says little of each pair.
    neighbours : int, default 100
        How many an item keeps.
    shrink : float, default 0.5
        A sum s counts s / (s + shrink) of itself.
    power : float, default 1
        The n-th occasion of a history from its end counts ``n ** -power``.
    half_life : float, optional
        Days after which a row of a history counts half.
    memory : float or None, default 120
        Days after which a common occasion counts half in the fit.
    """

    def __init__(  # noqa: PLR0913 - the arguments of one formula
        self,
        *,
        item_power: float = 0.5,
        popularity_power: float = 0.5,
        basket_power: float = 1.0,
        neighbours: int = 100,
        shrink: float = 0.5,
        power: float = 1.0,
        half_life: float | None = None,
        memory: float | None = 120.0,
    ) -> None:
        self.item_power = item_power
        self.popularity_power = popularity_power
        self.basket_power = basket_power
        self.neighbours = neighbours
        self.shrink = shrink
        self.power = power
        self.half_life = half_life
        self.memory = memory

    def _learn(self, interactions: "Interactions") -> Neighbourhood:
        back = interactions.occasions_back
        same = np.ones(len(back), dtype=np.bool_)
        same[1:] = (np.diff(interactions.contact) != 0) | (np.diff(back) != 0)
        basket = np.cumsum(same) - 1
        size = np.bincount(basket)[basket].astype(np.float64)
        weight = np.minimum(of_rows(interactions, self.memory), 1.0).astype(np.float64)
        mass = np.sqrt(weight * size**-self.basket_power)
        once = np.ones(1)
        pairs = pairs_of(interactions, after=once, before=once, mass=mass)
        rows = rows_of_items(interactions)
        return nearest_items(
            pairs,
            left=rows**-self.item_power,
            right=rows**-self.popularity_power,
            most=self.neighbours,
            shrink=self.shrink,
        )
