"""What to show each person?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.lazy_names import lazily

if TYPE_CHECKING:
    from mlmarket.prediction import BatchPredictor
    from mlmarket.recommend.asking import Tonight
    from mlmarket.recommend.backtesting import backtest
    from mlmarket.recommend.baselines import PersonalFrequency, simple_rules
    from mlmarket.recommend.content import UrlPattern
    from mlmarket.recommend.exploration import Exploration, cold_items
    from mlmarket.recommend.from_market import market_interactions
    from mlmarket.recommend.gallery_page import Gallery, gallery
    from mlmarket.recommend.generators.attributes import AttributeNeighbours
    from mlmarket.recommend.generators.ease import Ease, LargeCatalogueError
    from mlmarket.recommend.generators.generator import Candidates, Generator
    from mlmarket.recommend.generators.history import History
    from mlmarket.recommend.generators.lately import LatelyNeighbours, LatelyRegression
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
    from mlmarket.recommend.probability import SlotProbability
    from mlmarket.recommend.ranking_report import RankingReport
    from mlmarket.recommend.reasons import REASON_CODES, ReasonTexts
    from mlmarket.recommend.recommendations import Recommendations
    from mlmarket.recommend.recommender import Recommender
    from mlmarket.recommend.rules import Fallback, Rules, RuleTables, Slots

__all__ = [
    "REASON_CODES",
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
    "LatelyNeighbours",
    "LatelyRegression",
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
    "SlotProbability",
    "Slots",
    "Together",
    "Tonight",
    "Transitions",
    "UrlPattern",
    "backtest",
    "catalogue",
    "cold_items",
    "gallery",
    "mailer_schema",
    "mailer_table",
    "market_interactions",
    "predictors",
    "simple_rules",
]

_PLACES: Final = {
    "REASON_CODES": "reasons",
    "AttributeNeighbours": "generators.attributes",
    "Attributes": "items",
    "Candidates": "generators.generator",
    "CategoryPopularity": "generators.popularity",
    "Ease": "generators.ease",
    "Exploration": "exploration",
    "Fallback": "rules",
    "Gallery": "gallery_page",
    "Generator": "generators.generator",
    "History": "generators.history",
    "Interactions": "interactions",
    "ItemFacts": "items",
    "LargeCatalogueError": "generators.ease",
    "LatelyNeighbours": "generators.lately",
    "LatelyRegression": "generators.lately",
    "LinearGenerator": "generators.linear",
    "Neighbours": "generators.neighbours",
    "PersonalFrequency": "baselines",
    "Popularity": "generators.popularity",
    "RankingReport": "ranking_report",
    "ReasonTexts": "reasons",
    "RecommendPredictor": "predictor",
    "Recommendations": "recommendations",
    "Recommender": "recommender",
    "RuleTables": "rules",
    "Rules": "rules",
    "SegmentPopularity": "generators.popularity",
    "Sequential": "generators.sequential",
    "SlotProbability": "probability",
    "Slots": "rules",
    "Together": "generators.together",
    "Tonight": "asking",
    "Transitions": "generators.transitions",
    "UrlPattern": "content",
    "backtest": "backtesting",
    "catalogue": "items",
    "cold_items": "exploration",
    "gallery": "gallery_page",
    "mailer_schema": "mailer",
    "mailer_table": "mailer",
    "market_interactions": "from_market",
    "simple_rules": "baselines",
}
__getattr__ = lazily(__name__, _PLACES)

_NAME: Final = "recommend"


def predictors(settings: Mapping[str, Mapping[str, Any]]) -> "list[BatchPredictor]":
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
    from mlmarket.recommend.predictor import RecommendPredictor

    return [RecommendPredictor(**arguments) for arguments in settings.values()]
