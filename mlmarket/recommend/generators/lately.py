"""What do people take lately who once took an item?

Where a catalogue turns over, what stood together a year ago is no longer what is taken now. These generators learn
from all histories what leads to the takings of the latest days alone.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.generators.ease import LIMIT, LargeCatalogueError, strongest
from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.pairs import Neighbourhood
from mlmarket.recommend.generators.recency import of_rows

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions

__all__ = ["LatelyNeighbours", "LatelyRegression"]

Numbers = npt.NDArray[np.float64]


class LatelyRegression(LinearGenerator):
    """Ridge regression of what was taken in the latest days on the histories before them, in closed form.

    The question of the night, asked of the past: how the latest days would have been foretold. What leads back to
    itself is part of the answer. Where only an order is known, the latest occasion stands for the latest days.

    Parameters
    ----------
    days : float, default 30
        Length of the period that is foretold.
    regularisation : float, default 300
        Ridge, in contacts.
    neighbours : int, default 1000
        How many of the largest weights an item keeps, of either sign.
    power : float, default 0
        The n-th occasion of a history from its end counts ``n ** -power``.
    half_life : float or None, default 90
        Days after which a row of a history counts half, in the fit as well.
    limit : int, default 5000
        Most items; larger catalogues are refused.

    References
    ----------
    A. E. Hoerl and R. W. Kennard (1970), Ridge regression: biased estimation for nonorthogonal problems,
    Technometrics 12 (1), pp. 55-67.
    """

    def __init__(
        self,
        *,
        days: float = 30.0,
        regularisation: float = 300.0,
        neighbours: int = 1000,
        power: float = 0.0,
        half_life: float | None = 90.0,
        limit: int = LIMIT,
    ) -> None:
        self.days = days
        self.regularisation = regularisation
        self.neighbours = neighbours
        self.power = power
        self.half_life = half_life
        self.limit = limit

    def _learn(self, interactions: "Interactions") -> Neighbourhood:
        from scipy.linalg import cho_factor, cho_solve

        size = len(interactions.items)
        if size > self.limit:
            raise LargeCatalogueError("The regression of the latest days", size, self.limit)
        if not size:
            return strongest(np.zeros((0, 0)), self.neighbours)
        late = _late(interactions, self.days)
        if interactions.timed:
            earlier = interactions.before(interactions.now - self.days)
        else:
            earlier = interactions.without_last(1)
        before = _matrix(earlier, of_rows(earlier, self.half_life))
        gram = (before.T @ before).toarray()
        gram[np.diag_indices(size)] += self.regularisation
        led_to = (before.T @ _matrix(late, np.ones(len(late)))).toarray()
        weights: Numbers = cho_solve(cho_factor(gram, overwrite_a=True), led_to, overwrite_b=True)
        return strongest(weights, self.neighbours)


class LatelyNeighbours(LinearGenerator):
    """Item-kNN whose one side is all that a contact ever took, and whose other side is what they took lately.

    Parameters
    ----------
    memory : float, default 14
        Days after which a taking is half as late.
    item_power : float, default 0.5
    popularity_power : float, default 0.5
        Sums are divided by these powers of the number of contacts with the item in the history, and of the late
        takings of its neighbour.
    neighbours : int, default 200
        How many an item keeps.
    power : float, default 0
        The n-th occasion of a history from its end counts ``n ** -power``.
    half_life : float, optional
        Days after which a row of a history counts half.
    limit : int, default 5000
        Most items; larger catalogues are refused.

    References
    ----------
    M. Deshpande and G. Karypis (2004), Item-based top-N recommendation algorithms, ACM Transactions on Information
    Systems 22 (1), pp. 143-177: the kNN of items, and why long histories count less.
    """

    def __init__(
        self,
        *,
        memory: float = 14.0,
        item_power: float = 0.5,
        popularity_power: float = 0.5,
        neighbours: int = 200,
        power: float = 0.0,
        half_life: float | None = None,
        limit: int = LIMIT,
    ) -> None:
        self.memory = memory
        self.item_power = item_power
        self.popularity_power = popularity_power
        self.neighbours = neighbours
        self.power = power
        self.half_life = half_life
        self.limit = limit

    def _learn(self, interactions: "Interactions") -> Neighbourhood:
        from scipy import sparse

        size = len(interactions.items)
        if size > self.limit:
            raise LargeCatalogueError("The neighbours of the latest days", size, self.limit)
        ever = _matrix(interactions, np.ones(len(interactions)))
        lately = _matrix(interactions, of_rows(interactions, self.memory))
        having = np.asarray(ever.sum(axis=0)).ravel()
        rarity = np.log((ever.shape[0] + 1.0) / np.maximum(having, 1.0))
        length = np.sqrt(ever @ rarity**2)
        told = (
            sparse.diags_array(1.0 / np.maximum(length, 1e-9)) @ ever @ sparse.diags_array(rarity)
        )
        sums = (told.T @ lately).toarray()
        sums *= ((having + 1.0) ** -self.item_power)[:, None]
        sums *= (np.asarray(lately.sum(axis=0)).ravel() + 0.1) ** -self.popularity_power
        np.fill_diagonal(sums, 0.0)
        return strongest(sums, self.neighbours)


def _late(interactions: "Interactions", days: float) -> "Interactions":
    if interactions.timed:
        return interactions.rows(interactions.age < days)
    return interactions.rows(interactions.occasions_back == 0)


def _matrix(interactions: "Interactions", weight: npt.NDArray[Any]) -> Any:  # noqa: ANN401 - sparse matrices have no type
    """Return contacts and items, the weights of equal rows added up to at most 1."""
    from scipy import sparse

    shape = (len(interactions.contacts), len(interactions.items))
    rows = (weight.astype(np.float64), interactions.item, interactions.start)
    made = sparse.csr_array(rows, shape=shape, copy=True)
    made.sum_duplicates()
    np.minimum(made.data, 1.0, out=made.data)
    return made
