"""Does what a configuration declares fit the tables there are?"""

from typing import TYPE_CHECKING

from mlmarket.features import check_features, choose_features, declared_features
from mlmarket.market import Market
from mlmarket.market.report import Note
from mlmarket.nightly.models import predictors_of
from mlmarket.prediction import ChecksTables
from mlmarket.prediction.distributed import is_on_spark

if TYPE_CHECKING:
    from mlmarket.nightly.night import Night

__all__ = ["check_declared"]


def check_declared(night: "Night", market: Market) -> tuple[Note, ...]:
    """Refuse features, and arguments of predictors, that the tables cannot answer, before anything is trained.

    Parameters
    ----------
    night : Night
        Its configuration.
    market : Market
        The tables.

    Returns
    -------
    tuple of Note
        Types of behaviour that never occur.

    Raises
    ------
    ConfigurationError
        With the feature's name: where a table, column or attribute is missing, a condition cannot
        be read, or a name is taken. With the rule's name where it speaks of what is not there.
    """
    declared = declared_features(night.settings.features)
    features = [feature for found in declared.values() for feature in found]
    notes = check_features(market, features, as_of=night.as_of)
    for predictor in predictors_of(night.settings):
        if predictor.features and all(map(market.has, predictor.needs)):
            choose_features(market, predictor.features, as_of=night.as_of)
        if isinstance(predictor, ChecksTables) and not is_on_spark(market):
            predictor.check(market, as_of=night.as_of)
    return notes
