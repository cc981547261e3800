"""Which generators does a catalogue get?

The one configuration for all data: what cannot serve a catalogue, because it is too large or nothing is known of its
items, is left out.
"""

from typing import TYPE_CHECKING

from mlmarket.recommend.generators.attributes import AttributeNeighbours
from mlmarket.recommend.generators.bayes import BayesTransitions
from mlmarket.recommend.generators.ease import LIMIT, Ease
from mlmarket.recommend.generators.history import History
from mlmarket.recommend.generators.lately import LatelyNeighbours, LatelyRegression
from mlmarket.recommend.generators.neighbours import Neighbours
from mlmarket.recommend.generators.popularity import CategoryPopularity, Popularity
from mlmarket.recommend.generators.sequential import Sequential
from mlmarket.recommend.generators.together import Together
from mlmarket.recommend.generators.transitions import Transitions
from mlmarket.recommend.ranking.latest import LatestItems
from mlmarket.recommend.repeat.demand import DemandFeatures
from mlmarket.recommend.repeat.features import RepeatFeatures

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions
    from mlmarket.recommend.items import ItemFacts
    from mlmarket.recommend.ranking.features import FeatureBlock, StoredGenerator

__all__ = ["standard_blocks", "standard_generators"]


def standard_generators(
    interactions: "Interactions", facts: "ItemFacts"
) -> "dict[str, StoredGenerator]":
    """Return generators for a catalogue, not yet fitted.

    Parameters
    ----------
    interactions : Interactions
        Everything that is known.
    facts : ItemFacts
        Of the items of its catalogue.

    Returns
    -------
    dict of str to StoredGenerator
        By the name that becomes the source of an item.
    """
    found: dict[str, StoredGenerator] = {
        "history": History(),
        "bayes": BayesTransitions(),
        "transitions": Transitions(),
        "neighbours": Neighbours(),
        "popularity": Popularity(),
    }
    if len(interactions.items) <= LIMIT:
        found |= {
            "sequential": Sequential(neighbours=1000),
            "ease": Ease(power=0.0, neighbours=1000),
        }
    if interactions.timed and len(interactions.items) <= LIMIT:
        found |= {"lately": LatelyRegression(), "lately_neighbours": LatelyNeighbours()}
    if interactions.occasions_back.size and _has_baskets(interactions):
        found["together"] = Together()
    if len(facts.categories) > 1:
        found["category"] = CategoryPopularity(facts.category)
    if facts.attributes.names:
        found["attributes"] = AttributeNeighbours(
            facts.attributes.start, facts.attributes.attribute
        )
    return found


def standard_blocks() -> "tuple[FeatureBlock, ...]":
    """Return what the trees see beside the scores of generators.

    Returns
    -------
    tuple of FeatureBlock
        Not yet fitted: what each of the latest items says, what comes back and when, and what rises.
    """
    return (LatestItems(), RepeatFeatures(), DemandFeatures())


def _has_baskets(interactions: "Interactions") -> bool:
    """Return whether occasions hold more than one item."""
    back = interactions.occasions_back
    contact = interactions.contact
    return bool(((contact[1:] == contact[:-1]) & (back[1:] == back[:-1])).any())
