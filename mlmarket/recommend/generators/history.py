"""What does somebody come back to?"""

from typing import TYPE_CHECKING

import numpy as np

from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.pairs import Neighbourhood

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions

__all__ = ["History"]


class History(LinearGenerator):
    """The items of the contact's own history, more the more often and the later they were touched.

    Parameters
    ----------
    power : float, default 0.5
        The n-th occasion of a history from its end counts ``n ** -power``.
    half_life : float or None, default 365
        Days after which a row counts half.
    """

    def __init__(self, *, power: float = 0.5, half_life: float | None = 365.0) -> None:
        self.power = power
        self.half_life = half_life

    def _learn(self, interactions: "Interactions") -> Neighbourhood:
        size = len(interactions.items)
        return Neighbourhood(
            np.arange(size + 1, dtype=np.int64),
            np.arange(size, dtype=np.int32),
            np.ones(size, dtype=np.float32),
        )
