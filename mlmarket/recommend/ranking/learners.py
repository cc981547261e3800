"""Whose histories are learned from?"""

from typing import Final

import numpy as np

from mlmarket.evaluation.assignment import stable_fractions
from mlmarket.recommend.interactions import Interactions

__all__ = ["stable_sample"]

_SALT: Final = "ranking"


def stable_sample(interactions: Interactions, most: int) -> Interactions:
    """Return the histories of so many contacts at most.

    What follows what is known long before everybody was asked: the weights of generators, and what the trees see,
    hardly change beyond some hundred thousand histories, and what it costs to learn them grows with each.

    Parameters
    ----------
    interactions : Interactions
        Of everybody.
    most : int
        How many contacts stay.

    Returns
    -------
    Interactions
        Of those with the smallest numbers of :func:`mlmarket.evaluation.assignment.stable_fractions`: the same in
        any order of the rows, and most of them the same tomorrow.
    """
    if len(interactions.contacts) <= most:
        return interactions
    place = stable_fractions(_SALT, interactions.contacts.to_pylist())
    chosen = np.argsort(place, kind="stable")[:most]
    return interactions.take(np.sort(chosen))
