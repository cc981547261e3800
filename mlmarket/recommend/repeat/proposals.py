"""Which own items, and which new ones, are candidates?"""

from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.generators.selection import largest
from mlmarket.recommend.interactions import Interactions

__all__ = ["own_and_new"]

Scores = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]

_TIE: Final = np.float32(1e-3)
"""How much the order among new items counts beside what is said of all items."""


def own_and_new(
    total: Scores, of_new: Scores, recipients: Interactions, most: int
) -> tuple[Codes, Scores]:
    """Return the best items that recipients have had, and the best that are new to them.

    What somebody buys again drives out what they never had: in one list of candidates nothing new would be left to
    choose from.

    Parameters
    ----------
    total : ndarray of float32, shape (recipients, items)
        What is said of all items; 0 for those that are not asked about.
    of_new : ndarray of float32, shape (recipients, items)
        What is said of new ones; 0 for those that are not asked about.
    recipients : Interactions
        Histories.
    most : int
        How many of each kind.

    Returns
    -------
    item : ndarray of int32, shape (recipients, 2 · most)
        Places in the catalogue; -1 where there are no more.
    blend : ndarray of float32, shape (recipients, 2 · most)
        What is said of them, descending; ``-inf`` where there is no item.
    """
    rows, items = recipients.contact, recipients.item
    own = np.zeros_like(total)
    own[rows, items] = total[rows, items]
    fresh = of_new.copy()
    fresh[rows, items] = 0.0
    most = min(most, total.shape[1])
    found = [largest(own, most)[0], largest(fresh, most)[0]]
    item = np.concatenate(found, axis=1)
    at = np.maximum(item, 0).astype(np.intp)
    said = [np.take_along_axis(scores, at, axis=1) for scores in (total, of_new)]
    blend = np.where(item >= 0, said[0] + _TIE * said[1], -np.inf).astype(np.float32)
    order = np.argsort(-blend, axis=1, kind="stable")
    return np.take_along_axis(item, order, axis=1), np.take_along_axis(blend, order, axis=1)
