"""What to show each person?"""

from mlmarket.recommend.generators.generator import Candidates, Generator
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import Attributes, ItemFacts, catalogue

__all__ = ["Attributes", "Candidates", "Generator", "Interactions", "ItemFacts", "catalogue"]
