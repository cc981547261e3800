"""What to show each person?"""

from mlmarket.recommend.exploration import Exploration, cold_items
from mlmarket.recommend.generators.attributes import AttributeNeighbours
from mlmarket.recommend.generators.ease import Ease, LargeCatalogueError
from mlmarket.recommend.generators.generator import Candidates, Generator
from mlmarket.recommend.generators.history import History
from mlmarket.recommend.generators.linear import LinearGenerator
from mlmarket.recommend.generators.neighbours import Neighbours
from mlmarket.recommend.generators.popularity import (
    CategoryPopularity,
    Popularity,
    SegmentPopularity,
)
from mlmarket.recommend.generators.sequential import Sequential
from mlmarket.recommend.generators.together import Together
from mlmarket.recommend.generators.transitions import Transitions
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import Attributes, ItemFacts, catalogue
from mlmarket.recommend.recommendations import Recommendations
from mlmarket.recommend.recommender import Recommender, Tonight
from mlmarket.recommend.rules import Fallback, PopularChain, Rules, RuleTables, Slots

__all__ = [
    "AttributeNeighbours",
    "Attributes",
    "Candidates",
    "CategoryPopularity",
    "Ease",
    "Exploration",
    "Fallback",
    "Generator",
    "History",
    "Interactions",
    "ItemFacts",
    "LargeCatalogueError",
    "LinearGenerator",
    "Neighbours",
    "PopularChain",
    "Popularity",
    "Recommendations",
    "Recommender",
    "RuleTables",
    "Rules",
    "SegmentPopularity",
    "Sequential",
    "Slots",
    "Together",
    "Tonight",
    "Transitions",
    "catalogue",
    "cold_items",
]
