"""What can every generator of candidates do?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from mlmarket.market.columns import CONTACT_ID
from mlmarket.recommend.interactions import ITEM_ID, Interactions

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Candidates", "Generator", "best"]

Scores = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The best items of each recipient, the best first.

    Parameters
    ----------
    contacts : pyarrow.StringArray, shape (recipients,)
        Who.
    items : pyarrow.StringArray, shape (items,)
        The catalogue.
    item : ndarray of int32, shape (recipients, k)
        Places in `items`; -1 where there are no more.
    score : ndarray of float32, shape (recipients, k)
        Larger is better; ``-inf`` where there is no item.
    """

    contacts: "pa.StringArray"
    items: "pa.StringArray"
    item: Codes
    score: Scores

    def to_arrow(self) -> "pa.Table":
        """Return one row a recipient and item.

        Returns
        -------
        pyarrow.Table
            ``contact_id, item_id, rank, score``; ranks begin at 1.
        """
        import pyarrow as pa

        recipient, place = np.nonzero(self.item >= 0)
        return pa.table(
            {
                CONTACT_ID: self.contacts.take(pa.array(recipient)),
                ITEM_ID: self.items.take(pa.array(self.item[recipient, place])),
                "rank": pa.array((place + 1).astype(np.int32)),
                "score": pa.array(self.score[recipient, place]),
            }
        )


@runtime_checkable
class Generator(Protocol):
    """Proposes items for recipients.

    Every generator scores the whole catalogue; 0 or less means that it knows no reason for an item.
    """

    def fit(self, interactions: Interactions) -> Self:
        """Learn from histories up to ``interactions.now``."""
        ...

    def scores(self, recipients: Interactions) -> Scores:
        """Return a score for every recipient and item, shape (recipients, items)."""
        ...

    def candidates(self, recipients: Interactions, k: int) -> Candidates:
        """Return the `k` best items of each recipient."""
        ...


def best(scores: Scores, recipients: Interactions, k: int) -> Candidates:
    """Return the `k` items with the highest scores above 0, of each recipient.

    Parameters
    ----------
    scores : ndarray of float32, shape (recipients, items)
        What a generator says.
    recipients : Interactions
        Whose they are.
    k : int
        How many; fewer where fewer are above 0.

    Returns
    -------
    Candidates
        Equal scores in the order of the catalogue.
    """
    from mlmarket.recommend.generators.selection import largest

    item, score = largest(scores, min(k, scores.shape[1]))
    return Candidates(recipients.contacts, recipients.items, item, score)
