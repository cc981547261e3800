"""What is known of a recipient and a candidate, beside the scores of generators?

A block is a family of features. Whatever it learns, it learns in ``fit`` from what was known before the question,
so that the same block answers for windows of the past and for tonight.
"""

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.recommend.generators.generator import Generator
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts

__all__ = ["FeatureBlock", "State", "StoredGenerator", "score_features", "score_names"]

State = Mapping[str, Any]
Scores = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]


class StoredGenerator(Generator, Protocol):
    """A generator that can be kept."""

    def to_state(self) -> dict[str, Any]:
        """Return arguments and what was learned: arrays, numbers and text by name."""
        ...

    def from_state(self, state: State) -> Self:
        """Return a copy that knows what :meth:`to_state` gave; a class method does, too."""
        ...


@runtime_checkable
class FeatureBlock(Protocol):
    """A family of features of recipients and candidates."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features; known before anything is fitted."""
        ...

    def fit(self, interactions: Interactions, facts: ItemFacts) -> Self:
        """Learn from histories up to ``interactions.now``; return a fitted copy."""
        ...

    def values(self, recipients: Interactions, item: Codes) -> Scores:
        """Return the features, shape (recipients, m, features).

        `item` holds places in the catalogue, shape (recipients, m), -1 where there is no candidate; features
        that are not known are NaN.
        """
        ...

    def to_state(self) -> dict[str, Any]:
        """Return what was learned: arrays, numbers and text by name."""
        ...

    def from_state(self, state: State) -> Self:
        """Return a copy that knows what :meth:`to_state` gave."""
        ...


def score_names(generators: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of :func:`score_features`.

    Parameters
    ----------
    generators : tuple of str
        Names of the generators.

    Returns
    -------
    tuple of str
        In the order of the features.
    """
    kinds = ("score", "behind", "place")
    each = tuple(f"{name}_{kind}" for name in generators for kind in kinds)
    return (*each, "blend", "blend_place", "voices")


def score_features(scores: Scores, blend: Scores) -> Scores:
    """Return what generators say of candidates.

    Parameters
    ----------
    scores : ndarray of float32, shape (generators, recipients, m)
        Of candidates, in units of each generator's spread.
    blend : ndarray of float32, shape (recipients, m)
        Their weighted sum, descending.

    Returns
    -------
    ndarray of float32, shape (recipients, m, features)
        Of each generator the score, how far it is behind the best candidate's, and the place among candidates;
        the blend, its place, and how many generators know a reason.
    """
    out = np.empty((*blend.shape, 3 * len(scores) + 3), dtype=np.float32)
    _score_features(scores, blend, out)
    return out


def _features_of_scores(scores: Scores, blend: Scores, out: Scores) -> None:
    generators, recipients, m = scores.shape
    for recipient in range(recipients):
        out[recipient, :, 3 * generators + 2] = 0.0
        for generator in range(generators):
            said = scores[generator, recipient]
            most = said.max() if m else 0.0
            for one in range(m):
                place = 0
                for other in range(m):
                    place += said[other] > said[one] or (said[other] == said[one] and other < one)
                out[recipient, one, 3 * generator] = said[one]
                out[recipient, one, 3 * generator + 1] = said[one] - most
                out[recipient, one, 3 * generator + 2] = place
                out[recipient, one, 3 * generators + 2] += said[one] > 0.0
        for one in range(m):
            out[recipient, one, 3 * generators] = blend[recipient, one]
            out[recipient, one, 3 * generators + 1] = one


_score_features = numba.njit(cache=True, nogil=True, error_model="numpy")(_features_of_scores)
