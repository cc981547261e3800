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

__all__ = ["FALLBACKS", "POPULAR_BY", "Fallbacks", "source_of_segment"]

POPULAR_BY: Final = "popular_by_"
"""How the fallbacks begin that are about some people or some items."""
FALLBACKS: Final = ("popular", "newest")
"""The others."""
_LATELY: Final = 28.0
_FOLD: Final = np.float32(1e-6)
"""What was popular at any time stands behind everything that is popular now."""


def source_of_segment(column: str) -> str:
    """Return the name of the fallback by a column of contacts, such as ``popular_by_country``.

    Parameters
    ----------
    column : str
        Of contacts.

    Returns
    -------
    str
        Its name.
    """
    return f"{POPULAR_BY}{column}"


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """What fills slots that the ranking leaves empty, in this order.

    What is popular in the categories of the recipient's history (``popular_by_category``), among people of the same segment
    (``popular_by_country`` and others, in the order asked), with everybody (``popular``), and what came last
    (``newest``).

    Parameters
    ----------
    category : CategoryPopularity
        Fitted.
    by_segment : mapping of str to SegmentPopularity
        Fitted, by column of contacts.
    popular, newest : ndarray of float32, shape (items,)
        Larger is shown first; `newest` is above 0 for every item, so that slots are filled as long as anything may be
        shown.
    """

    category: CategoryPopularity
    by_segment: Mapping[str, SegmentPopularity]
    popular: npt.NDArray[np.float32]
    newest: npt.NDArray[np.float32]

    @classmethod
    def fit(
        cls, interactions: Interactions, facts: ItemFacts, segments: Mapping[str, Segments]
    ) -> Self:
        """Count what is popular.

        Parameters
        ----------
        interactions : Interactions
            Everything known.
        facts : ItemFacts
            Of the catalogue.
        segments : mapping of str to Segments
            Who is alike, by column of contacts.

        Returns
        -------
        Self
            Fitted.
        """
        lately = Popularity(half_life=_LATELY).fit(interactions).popularity_
        ever = Popularity(half_life=None).fit(interactions).popularity_
        by_segment = {
            column: SegmentPopularity(one.contacts, one.code, half_life=_LATELY).fit(interactions)
            for column, one in segments.items()
        }
        category = CategoryPopularity(facts.category, half_life=_LATELY).fit(interactions)
        return cls(category, by_segment, lately + _FOLD * ever, _newest(facts))

    def of(self, recipients: Interactions, segments: Mapping[str, Segments]) -> list[Fallback]:
        """Return the fallbacks of some recipients.

        Parameters
        ----------
        recipients : Interactions
            Their histories; a recipient without any has no taste for categories.
        segments : mapping of str to Segments
            Who is alike, tonight.

        Returns
        -------
        list of Fallback
            In order.
        """
        taste = self.category.scores(recipients)
        taste[np.diff(recipients.start) == 0] = 0.0
        found = [Fallback(source_of_segment("category"), taste)]
        for column, popularity in self.by_segment.items():
            group = segments[column].of_contacts(recipients.contacts)
            source = source_of_segment(column)
            found.append(Fallback(source, popularity.popularity_, group.astype(np.int64)))
        return [*found, *map(Fallback, FALLBACKS, (self.popular, self.newest))]

    def to_state(self) -> dict[str, Any]:
        """Return what was learned."""
        return {
            "category": self.category.to_state(),
            "columns": list(self.by_segment),
            "by_segment": {name: one.to_state() for name, one in self.by_segment.items()},
            "popular": self.popular,
            "newest": self.newest,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_state` gave."""
        by_segment = {
            name: SegmentPopularity.from_state(state["by_segment"][name])
            for name in state["columns"]
        }
        category = CategoryPopularity.from_state(state["category"])
        return cls(category, by_segment, state["popular"], state["newest"])


def _newest(facts: ItemFacts) -> npt.NDArray[np.float32]:
    """Return 1 for the latest item down to almost 0; those of which no date is known come last."""
    order = np.argsort(np.nan_to_num(facts.published, nan=-np.inf), kind="stable")
    place = np.empty(len(facts), dtype=np.float32)
    place[order] = np.arange(1, len(facts) + 1, dtype=np.float32)
    return (place / max(len(facts), 1)).astype(np.float32)
