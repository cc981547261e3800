"""What to show each person?"""

from collections.abc import Mapping
from typing import Any, Final

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.prediction import BatchPredictor
from mlmarket.recommend.backtest import backtest
from mlmarket.recommend.exploration import Exploration, cold_items
from mlmarket.recommend.gallery import Gallery, gallery
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
from mlmarket.recommend.mailer import mailer_schema, mailer_table
from mlmarket.recommend.predictor import RecommendPredictor
from mlmarket.recommend.ranking_report import RankingReport
from mlmarket.recommend.reasons import ReasonTexts
from mlmarket.recommend.recommendations import Recommendations
from mlmarket.recommend.recommender import Recommender, Tonight
from mlmarket.recommend.rules import Fallback, Rules, RuleTables, Slots
from mlmarket.recommend.simple_rules import PersonalFrequency, simple_rules

__all__ = [
    "AttributeNeighbours",
    "Attributes",
    "Candidates",
    "CategoryPopularity",
    "Ease",
    "Exploration",
    "Fallback",
    "Gallery",
    "Generator",
    "History",
    "Interactions",
    "ItemFacts",
    "LargeCatalogueError",
    "LinearGenerator",
    "Neighbours",
    "PersonalFrequency",
    "Popularity",
    "RankingReport",
    "ReasonTexts",
    "RecommendPredictor",
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
    "backtest",
    "catalogue",
    "cold_items",
    "gallery",
    "mailer_schema",
    "mailer_table",
    "predictors",
    "simple_rules",
]

_NAME: Final = "recommend"


def predictors(settings: Mapping[str, Mapping[str, Any]]) -> list[BatchPredictor]:
    """Return the predictors of this question that a night runs.

    Parameters
    ----------
    settings : mapping of str to mapping
        Arguments of each that is asked: ``{"recommend": {"slots": 4}}``.

    Returns
    -------
    list of BatchPredictor
        Not trained yet.

    Raises
    ------
    ConfigurationError
        Where there is no such predictor, or an argument cannot be read.
    """
    for name in settings:
        if name != _NAME:
            raise ConfigurationError(
                f"'mlmarket.recommend' has no predictor '{name}'.",
                "It would silently not be asked.",
                suggestion(name, [_NAME]),
            )
    return [RecommendPredictor(**arguments) for arguments in settings.values()]
