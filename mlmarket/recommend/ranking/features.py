"""What is known of a recipient and a candidate, beside the scores of generators?

A block is a family of features. Whatever it learns, it learns in ``fit`` from what was known before the question,
so that the same block answers for windows of the past and for tonight.
"""

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

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
        Standardised, of candidates.
    blend : ndarray of float32, shape (recipients, m)
        Their weighted sum, descending.

    Returns
    -------
    ndarray of float32, shape (recipients, m, features)
        Of each generator the score, how far it is behind the best candidate's, and the place among candidates;
        the blend, its place, and how many generators know a reason.
    """
    parts: list[Scores] = []
    places = np.arange(blend.shape[1], dtype=np.float32)
    for score in scores:
        order = np.argsort(-score, axis=1, kind="stable")
        place = np.empty_like(score)
        np.put_along_axis(place, order, np.broadcast_to(places, score.shape), axis=1)
        parts += [score, score - score.max(axis=1, keepdims=True), place]
    voices = (scores > 0).sum(axis=0).astype(np.float32)
    parts += [blend, np.broadcast_to(places, blend.shape), voices]
    return np.stack(parts, axis=-1)
