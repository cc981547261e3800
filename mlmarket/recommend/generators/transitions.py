"""What follows what?"""

import numpy as np

from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.pairs import (
    Neighbourhood,
    nearest_items,
    pairs_of,
    rows_of_items,
)
from mlmarket.recommend.generators.recency import of_rows
from mlmarket.recommend.interactions import Interactions

__all__ = ["Transitions"]


class Transitions(LinearGenerator):
    """Windowed Markov transitions: items that came within the next occasions after those of the history.

    Directional: what follows a razor are blades, not another razor.

    Parameters
    ----------
    window : int, default 10
        How many occasions later an item still follows another.
    distance_power : float, default 0.5
        One that came n occasions later counts ``n ** -distance_power``.
    popularity_power : float, default 0.25
        Transitions are divided by this power of the follower's number of rows (and by the whole number of the
        item's that it follows).
    neighbours : int, default 200
        How many followers an item keeps.
    shrink : float, default 1
        A sum s counts s / (s + shrink) of itself.
    power : float, default 1
        The n-th occasion of a history from its end counts ``n ** -power``.
    half_life : float, optional
        Days after which a row of a history counts half.
    memory : float or None, default 120
        Days after which a transition counts half in the fit.
    """

    def __init__(  # noqa: PLR0913 - the arguments of one formula
        self,
        *,
        window: int = 10,
        distance_power: float = 0.5,
        popularity_power: float = 0.25,
        neighbours: int = 200,
        shrink: float = 1.0,
        power: float = 1.0,
        half_life: float | None = None,
        memory: float | None = 120.0,
    ) -> None:
        self.window = window
        self.distance_power = distance_power
        self.popularity_power = popularity_power
        self.neighbours = neighbours
        self.shrink = shrink
        self.power = power
        self.half_life = half_life
        self.memory = memory

    def _learn(self, interactions: Interactions) -> Neighbourhood:
        after = np.zeros(self.window + 1)
        after[1:] = np.arange(1.0, self.window + 1.0) ** -self.distance_power
        mass = np.sqrt(of_rows(interactions, self.memory).astype(np.float64))
        pairs = pairs_of(interactions, after=after, before=after[:0], mass=mass)
        rows = rows_of_items(interactions)
        return nearest_items(
            pairs,
            left=1.0 / rows,
            right=rows**-self.popularity_power,
            most=self.neighbours,
            shrink=self.shrink,
        )
