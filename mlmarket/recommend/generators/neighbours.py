"""Which items are liked by the same people, at about the same time?"""

import numpy as np

from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.pairs import (
    Neighbourhood,
    nearest_items,
    pairs_of,
    rows_of_items,
)
from mlmarket.recommend.generators.recency import of_rows, rate_of
from mlmarket.recommend.interactions import Interactions

__all__ = ["Neighbours"]


class Neighbours(LinearGenerator):
    """Item-kNN whose co-occurrences fade with the distance between the two in a history.

    Parameters
    ----------
    window : int, default 50
        Items further apart, in occasions, do not count as together.
    distance_power : float, default 1
        Two items n occasions apart count ``(n + 1) ** -distance_power``.
    item_power : float, default 0.5
    popularity_power : float, default 0.4
        Co-occurrences are divided by these powers of the number of rows of the item in the history, and of its
        neighbour. 0.5 and 0.5 is the cosine.
    neighbours : int, default 200
        How many an item keeps.
    shrink : float, default 3
        A sum s counts s / (s + shrink) of itself.
    power : float, default 1
        The n-th occasion of a history from its end counts ``n ** -power``.
    half_life : float, optional
        Days after which a row of a history counts half.
    apart : float, optional
        Days between two items after which they count half.
    memory : float or None, default 120
        Days after which a co-occurrence counts half in the fit.

    References
    ----------
    M. Deshpande and G. Karypis (2004), Item-based top-N recommendation algorithms, ACM Transactions on Information
    Systems 22 (1), pp. 143-177.
    """

    def __init__(  # noqa: PLR0913 - the arguments of one formula
        self,
        *,
        window: int = 50,
        distance_power: float = 1.0,
        item_power: float = 0.5,
        popularity_power: float = 0.4,
        neighbours: int = 200,
        shrink: float = 3.0,
        power: float = 1.0,
        half_life: float | None = None,
        apart: float | None = None,
        memory: float | None = 120.0,
    ) -> None:
        self.window = window
        self.distance_power = distance_power
        self.item_power = item_power
        self.popularity_power = popularity_power
        self.neighbours = neighbours
        self.shrink = shrink
        self.power = power
        self.half_life = half_life
        self.apart = apart
        self.memory = memory

    def _learn(self, interactions: Interactions) -> Neighbourhood:
        near = np.arange(1.0, self.window + 2.0) ** -self.distance_power
        mass = np.sqrt(of_rows(interactions, self.memory).astype(np.float64))
        pairs = pairs_of(interactions, after=near, before=near, mass=mass, rate=rate_of(self.apart))
        rows = rows_of_items(interactions)
        return nearest_items(
            pairs,
            left=rows**-self.item_power,
            right=rows**-self.popularity_power,
            most=self.neighbours,
            shrink=self.shrink,
        )
