"""What is shown where nothing is known of a person?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.fitting import Segments
from mlmarket.recommend.generators.popularity import (
    CategoryPopularity,
    Popularity,
    SegmentPopularity,
)
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.rules.slots import Fallback

__all__ = ["FALLBACKS", "Fallbacks"]

FALLBACKS: Final = ("category", "segment", "popular", "newest")
"""Popular in the categories of the history, among people of the segment, with everybody; and what came last."""

_LATELY: Final = 28.0
_FOLD: Final = np.float32(1e-6)
"""What was popular at any time stands behind everything that is popular now."""


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """What fills slots, in the order of :data:`FALLBACKS`.

    Parameters
    ----------
    category, segment, lately, ever : generators
        Fitted.
    newest : ndarray of float32, shape (items,)
        Larger where an item was published later; above 0 for every item, so that slots are filled as long as
        anything may be shown.
    """

    category: CategoryPopularity
    segment: SegmentPopularity
    lately: Popularity
    ever: Popularity
    newest: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, interactions: Interactions, facts: ItemFacts, segments: Segments) -> Self:
        """Count what is popular.

        Parameters
        ----------
        interactions : Interactions
            Everything known.
        facts : ItemFacts
            Of the catalogue.
        segments : Segments
            Who is alike.

        Returns
        -------
        Self
        """
        return cls(
            CategoryPopularity(facts.category, half_life=_LATELY).fit(interactions),
            SegmentPopularity(segments.contacts, segments.code, half_life=_LATELY).fit(
                interactions
            ),
            Popularity(half_life=_LATELY).fit(interactions),
            Popularity(half_life=None).fit(interactions),
            _newest(facts),
        )

    def of(self, recipients: Interactions, segments: Segments) -> list[Fallback]:
        """Return the fallbacks of some recipients.

        Parameters
        ----------
        recipients : Interactions
            Their histories; a recipient without any has no taste for categories.
        segments : Segments
            Who is alike, tonight.

        Returns
        -------
        list of Fallback
            In order.
        """
        taste = self.category.scores(recipients)
        taste[np.diff(recipients.start) == 0] = 0.0
        alike = self.segment.with_members(segments.contacts, segments.code).scores(recipients)
        unknown = segments.of_contacts(recipients.contacts) < 0
        alike[unknown] = 0.0
        nobody = recipients.chunk(0, min(1, len(recipients.contacts)))
        popular = self.lately.scores(nobody) + _FOLD * self.ever.scores(nobody)
        scores = (taste, alike, popular.reshape(-1, len(self.newest))[:1], self.newest)
        return [Fallback(name, one) for name, one in zip(FALLBACKS, scores, strict=True)]

    def to_state(self) -> dict[str, Any]:
        """Return what was learned."""
        parts = ("category", "segment", "lately", "ever")
        return {name: getattr(self, name).to_state() for name in parts} | {"newest": self.newest}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_state` gave."""
        return cls(
            CategoryPopularity.from_state(state["category"]),
            SegmentPopularity.from_state(state["segment"]),
            Popularity.from_state(state["lately"]),
            Popularity.from_state(state["ever"]),
            state["newest"],
        )


def _newest(facts: ItemFacts) -> npt.NDArray[np.float32]:
    """Return 1 for the latest item down to almost 0; those of which no date is known come last."""
    order = np.argsort(np.nan_to_num(facts.published, nan=-np.inf), kind="stable")
    place = np.empty(len(facts), dtype=np.float32)
    place[order] = np.arange(1, len(facts) + 1, dtype=np.float32)
    return (place / max(len(facts), 1)).astype(np.float32)
