"""Who will buy, and who is leaving?"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from mlmarket.churn.gates import (
    DataGate,
    DataNeeds,
    Finding,
    OrderHistory,
    hold_data_gate,
    order_history,
)
from mlmarket.churn.horizon import HorizonProposal, suggest_horizon
from mlmarket.churn.models import ChurnModel, PurchaseModel
from mlmarket.churn.next_order import NextOrderModel
from mlmarket.churn.next_order_answers import due_items
from mlmarket.churn.retention import (
    RetentionCurve,
    choose_contacts,
    expected_value_saved,
    plot_retention,
    retention_curve,
)
from mlmarket.churn.rfm import RecencyRule, RfmCells
from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.prediction import BatchPredictor

__all__ = [
    "ChurnModel",
    "DataGate",
    "DataNeeds",
    "Finding",
    "HorizonProposal",
    "NextOrderModel",
    "OrderHistory",
    "PurchaseModel",
    "RecencyRule",
    "RetentionCurve",
    "RfmCells",
    "choose_contacts",
    "due_items",
    "expected_value_saved",
    "hold_data_gate",
    "order_history",
    "plot_retention",
    "predictors",
    "retention_curve",
    "suggest_horizon",
]


_KINDS: Final[Mapping[str, Callable[..., BatchPredictor]]] = {
    "purchase": PurchaseModel,
    "churn": ChurnModel,
}


def predictors(settings: Mapping[str, Mapping[str, Any]]) -> list[BatchPredictor]:
    """Return the predictors of this question that a night runs.

    Parameters
    ----------
    settings : mapping of str to mapping
        Arguments of each that is asked: ``{"purchase": {"horizon": "30D"}, "churn": {}}``.

    Returns
    -------
    list of BatchPredictor
        Not trained yet, in the order of `settings`.

    Raises
    ------
    ConfigurationError
        Where there is no such predictor, or an argument cannot be read.
    """
    for name, arguments in settings.items():
        if name not in _KINDS:
            raise ConfigurationError(
                f"'mlmarket.churn' has no predictor '{name}'.",
                "It would silently not be asked.",
                suggestion(name, _KINDS),
            )
        known = list(inspect.signature(_KINDS[name]).parameters)
        for key in arguments:
            if key not in known:
                raise ConfigurationError(
                    f"[predict.{name}] has no setting '{key}'.",
                    "A setting that is not known would silently do nothing.",
                    suggestion(key, known),
                )
    return [_KINDS[name](**arguments) for name, arguments in settings.items()]
