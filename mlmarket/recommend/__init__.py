"""What to show each person?"""

from mlmarket.recommend.generators.generator import Candidates, Generator
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import Attributes, ItemFacts, catalogue
from mlmarket.recommend.rules import Fallback, Rules, RuleTables, Slots

__all__ = [
    "Attributes",
    "Candidates",
    "Fallback",
    "Generator",
    "Interactions",
    "ItemFacts",
    "RuleTables",
    "Rules",
    "Slots",
    "catalogue",
]
