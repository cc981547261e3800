"""What to show each person?"""

from mlmarket.recommend.generators.generator import Candidates, Generator
from mlmarket.recommend.interactions import Interactions

__all__ = ["Candidates", "Generator", "Interactions"]
