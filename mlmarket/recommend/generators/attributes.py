"""Which items are of the same kind, though nobody has touched them yet?"""

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.pairs import Neighbourhood

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions

__all__ = ["AttributeNeighbours"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]


class AttributeNeighbours(LinearGenerator):
    """Items whose category, tags, words of the title and own attributes are those of the history.

    The cosine of the two items' attributes, each weighted by how rare it is. Nothing is learned from what people
    did, so that an item is recommended from its first day.

    Parameters
    ----------
    start, attribute : ndarray
        Attributes of each item: ``ItemFacts.attributes.start`` and ``.attribute``.
    neighbours : int, default 100
        By how many items of histories each item can be reached: those nearest to it.
    power : float, default 0.5
        The n-th occasion of a history from its end counts ``n ** -power``.
    half_life : float, optional
        Days after which a row of a history counts half.
    """

    def __init__(
        self,
        start: Offsets,
        attribute: Codes,
        *,
        neighbours: int = 100,
        power: float = 0.5,
        half_life: float | None = None,
    ) -> None:
        self.start = start
        self.attribute = attribute
        self.neighbours = neighbours
        self.power = power
        self.half_life = half_life

    def _learn(self, interactions: "Interactions") -> Neighbourhood:
        size = len(interactions.items)
        if len(self.start) - 1 != size:
            raise ConfigurationError(
                f"There are attributes of {len(self.start) - 1:,} items in a catalogue of {size:,}.",
                "Places in one catalogue are other items in the other.",
                "read ItemFacts with ids=interactions.items.",
            )
        many = int(self.attribute.max(initial=-1)) + 1
        having = np.bincount(self.attribute, minlength=many)
        rarity = np.log(size / np.maximum(having, 1))
        item = np.repeat(np.arange(size, dtype=np.int32), np.diff(self.start))
        value = rarity[self.attribute]
        length = np.sqrt(np.bincount(item, weights=value**2, minlength=size))
        value = value / np.maximum(length[item], 1e-30)
        # an attribute of everything, or of one item alone, brings nobody nearer
        used = (value > 0.0) & (having[self.attribute] > 1)
        sorted_ = np.argsort(self.attribute[used], kind="stable")
        first = np.concatenate([[0], np.cumsum(np.bincount(self.attribute[used], minlength=many))])
        kept = np.concatenate([[0], np.cumsum(used)])[self.start].astype(np.int64)
        owns = (kept, self.attribute[used], value[used])
        owners = (first.astype(np.int64), item[used][sorted_], value[used][sorted_])
        # held by history items: the transpose of each item's nearest
        popular = np.bincount(interactions.item, minlength=size) > 0
        return _reached_by(owns, owners, popular, min(self.neighbours, size))


def _nearest_of(owns, owners, touched, neighbour, weight):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    start, attribute, value = owns
    first, item, other_value = owners
    size, most = neighbour.shape
    sums = np.zeros(size)
    for one in range(size):
        sums[:] = 0.0
        for place in range(start[one], start[one + 1]):
            for other in range(first[attribute[place]], first[attribute[place] + 1]):
                sums[item[other]] += value[place] * other_value[other]
        sums[one] = 0.0
        for other in range(size):
            if not touched[other]:
                sums[other] = 0.0
        bar = 0.0
        if most < size:
            bar = np.partition(sums, size - most)[size - most]
        ties = most - np.sum(sums > bar)
        count = 0
        for other in range(size):
            if sums[other] <= 0.0 or sums[other] < bar or (sums[other] == bar and ties <= 0):
                continue
            ties -= sums[other] == bar
            neighbour[one, count] = other
            weight[one, count] = sums[other]
            count += 1


_nearest: Any = numba.njit(cache=True, nogil=True, error_model="numpy")(_nearest_of)


def _reached_by(
    owns: tuple[Offsets, Codes, Numbers],
    owners: tuple[Offsets, Codes, Numbers],
    touched: npt.NDArray[np.bool_],
    most: int,
) -> Neighbourhood:
    """Return, for each item, those that have it among the items nearest to them."""
    size = len(touched)
    neighbour = np.full((size, most), -1, dtype=np.int32)
    weight = np.zeros((size, most))
    _nearest(owns, owners, touched, neighbour, weight)
    one, place = np.nonzero(neighbour >= 0)
    by = neighbour[one, place]
    order = np.lexsort((one, by))
    start = np.searchsorted(by[order], np.arange(size + 1)).astype(np.int64)
    near = weight[one, place][order].astype(np.float32)
    return Neighbourhood(start, one[order].astype(np.int32), near)
