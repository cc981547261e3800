"""Who will buy, and who is leaving?"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from mlmarket.churn.btyd import (
    BetaGeoModel,
    ConvergenceWarning,
    ExtrapolationWarning,
    GammaGammaModel,
    ModifiedBetaGeoModel,
    ParameterDraws,
    ParetoNBDModel,
)
from mlmarket.churn.cross_section.evidence import CrossSectionEvidence
from mlmarket.churn.cross_section.model import CrossSectionChurn
from mlmarket.churn.gates import (
    DataGate,
    DataNeeds,
    Finding,
    OrderHistory,
    hold_data_gate,
    order_history,
)
from mlmarket.churn.horizon import HorizonProposal, suggest_horizon
from mlmarket.churn.next_order.answers import due_items
from mlmarket.churn.next_order.model import NextOrderModel
from mlmarket.churn.plots import plot_probability_alive, plot_tracking
from mlmarket.churn.purchase.model import ChurnModel, PurchaseModel
from mlmarket.churn.purchase.rfm import RecencyRule, RfmCells
from mlmarket.churn.retention import (
    RetentionCurve,
    choose_contacts,
    expected_value_saved,
    plot_retention,
    retention_curve,
)
from mlmarket.churn.subscription.hazard import DiscreteHazard, TenureHazard
from mlmarket.churn.subscription.model import SubscriptionChurnModel
from mlmarket.churn.subscription.periods import life_table, person_periods
from mlmarket.churn.tracking import PurchaseTracking, track_purchases
from mlmarket.churn.transactions import summarize_transactions
from mlmarket.churn.value.model import BuyTillYouDieValue, LifetimeValueModel
from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.features import Feature
from mlmarket.prediction import BatchPredictor

__all__ = [
    "BetaGeoModel",
    "BuyTillYouDieValue",
    "ChurnModel",
    "ConvergenceWarning",
    "CrossSectionChurn",
    "CrossSectionEvidence",
    "DataGate",
    "DataNeeds",
    "DiscreteHazard",
    "ExtrapolationWarning",
    "Finding",
    "GammaGammaModel",
    "HorizonProposal",
    "LifetimeValueModel",
    "ModifiedBetaGeoModel",
    "NextOrderModel",
    "OrderHistory",
    "ParameterDraws",
    "ParetoNBDModel",
    "PurchaseModel",
    "PurchaseTracking",
    "RecencyRule",
    "RetentionCurve",
    "RfmCells",
    "SubscriptionChurnModel",
    "TenureHazard",
    "choose_contacts",
    "due_items",
    "expected_value_saved",
    "hold_data_gate",
    "life_table",
    "order_history",
    "person_periods",
    "plot_probability_alive",
    "plot_retention",
    "plot_tracking",
    "predictors",
    "retention_curve",
    "suggest_horizon",
    "summarize_transactions",
    "track_purchases",
]


def _value(
    horizon: str = "365D",
    *,
    eligible: str = "order",
    features: Sequence[Feature | str] | None = None,
    needs: Mapping[str, int] | None = None,
    extrapolate: bool = False,
) -> BatchPredictor:
    """Return the predictor of value; one that extrapolates knows no features."""
    if extrapolate:
        return BuyTillYouDieValue(horizon, eligible=eligible, needs=needs)
    return LifetimeValueModel(horizon, eligible=eligible, features=features, needs=needs)


_KINDS: Final[Mapping[str, Callable[..., BatchPredictor]]] = {
    "purchase": PurchaseModel,
    "churn": ChurnModel,
    "value": _value,
    "next_order": partial(NextOrderModel, "contact"),
    "replenishment": partial(NextOrderModel, "item"),
    "subscription": SubscriptionChurnModel,
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
