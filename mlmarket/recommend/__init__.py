"""What to show each person?"""

from mlmarket.recommend.exploration import Exploration, cold_items
from mlmarket.recommend.generators.generator import Candidates, Generator
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import Attributes, ItemFacts, catalogue
from mlmarket.recommend.rules import Fallback, PopularChain, Rules, RuleTables, Slots

__all__ = [
    "Attributes",
    "Candidates",
    "Exploration",
    "Fallback",
    "Generator",
    "Interactions",
    "ItemFacts",
    "PopularChain",
    "RuleTables",
    "Rules",
    "Slots",
    "catalogue",
    "cold_items",
]
