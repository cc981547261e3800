"""Who will buy, and who is leaving?"""

from collections.abc import Mapping
from typing import Any, Final

from mlmarket.churn.models import ChurnModel, PurchaseModel
from mlmarket.churn.rfm import RecencyRule, RfmCells
from mlmarket.churn.subscription_hazard import DiscreteHazard, TenureHazard
from mlmarket.churn.subscription_periods import life_table, person_periods
from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.prediction import Predictor

__all__ = [
    "ChurnModel",
    "DiscreteHazard",
    "PurchaseModel",
    "RecencyRule",
    "RfmCells",
    "TenureHazard",
    "life_table",
    "person_periods",
    "predictors",
]


_KINDS: Final = {"purchase": PurchaseModel, "churn": ChurnModel}
_ARGUMENTS: Final = ("horizon", "eligible", "features")


def predictors(settings: Mapping[str, Mapping[str, Any]]) -> list[Predictor]:
    """Return the predictors of this question that a night runs.

    Parameters
    ----------
    settings : mapping of str to mapping
        ``[predict.purchase]`` and ``[predict.churn]`` of the configuration: `horizon`, `eligible`,
        `features`. Both run with their defaults where nothing is said; other names are other questions'.

    Returns
    -------
    list of Predictor
        Not trained yet.

    Raises
    ------
    ConfigurationError
        Where a setting is unknown or cannot be read.
    """
    for name in _KINDS:
        for key in settings.get(name, {}):
            if key not in _ARGUMENTS:
                raise ConfigurationError(
                    f"[predict.{name}] has no setting '{key}'.",
                    "A setting that is not known would silently do nothing.",
                    suggestion(key, _ARGUMENTS),
                )
    return [kind(**settings.get(name, {})) for name, kind in _KINDS.items()]
