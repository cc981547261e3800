"""Who will buy, and who is leaving?"""

from collections.abc import Mapping

from mlmarket.churn.models import ChurnModel, PurchaseModel
from mlmarket.churn.rfm import RecencyRule, RfmCells
from mlmarket.prediction import Predictor

__all__ = ["ChurnModel", "PurchaseModel", "RecencyRule", "RfmCells", "predictors"]


def predictors(settings: Mapping[str, Mapping[str, str]]) -> list[Predictor]:
    """Return the predictors of this question that a night runs.

    Parameters
    ----------
    settings : mapping of str to mapping
        ``[predict.purchase]`` and ``[predict.churn]`` of the configuration: `horizon`, `eligible`.
        Both run with their defaults where nothing is said.

    Returns
    -------
    list of Predictor
        Not trained yet.
    """
    return [
        PurchaseModel(**settings.get("purchase", {})),
        ChurnModel(**settings.get("churn", {})),
    ]
