"""Which rules does a model have to beat?"""

from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.generators.ease import Ease
from mlmarket.recommend.generators.generator import Candidates, Generator, best
from mlmarket.recommend.generators.history import History
from mlmarket.recommend.generators.neighbours import Neighbours
from mlmarket.recommend.generators.popularity import Popularity

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions

__all__ = ["PersonalFrequency", "simple_rules"]

Scores = npt.NDArray[np.float32]

_BEHIND: Final = np.float32(1e-4)
"""What popularity adds: less than one row, so that it orders what was had equally often, and what never was."""


class PersonalFrequency:
    """What somebody had most often; of equal items, and after them, what is popular."""

    def fit(self, interactions: "Interactions") -> Self:
        """Count what is popular.

        Parameters
        ----------
        interactions : Interactions
            Histories up to ``interactions.now``.

        Returns
        -------
        Self
            Fitted.
        """
        self._own = History(power=0.0, half_life=None).fit(interactions)
        self._popularity = Popularity().fit(interactions)
        return self

    def scores(self, recipients: "Interactions") -> Scores:
        """Return a score for every recipient and item.

        Parameters
        ----------
        recipients : Interactions
            Anyone.

        Returns
        -------
        ndarray of float32, shape (recipients, items)
            The number of rows, and less than 1 for what is popular.
        """
        return self._own.scores(recipients) + _BEHIND * self._popularity.scores(recipients)

    def candidates(self, recipients: "Interactions", k: int) -> Candidates:
        """Return the `k` best items of each recipient; see :meth:`scores`."""
        return best(self.scores(recipients), recipients, k)


def simple_rules() -> dict[str, Generator]:
    """Return the rules that a model has to beat, unfitted.

    Returns
    -------
    dict of str to Generator
        Recent popularity, how often the recipient had an item, item-kNN and EASE.
    """
    return {
        "popularity": Popularity(),
        "personal_frequency": PersonalFrequency(),
        "item_knn": Neighbours(),
        "ease": Ease(),
    }
