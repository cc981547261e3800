"""What will contacts be worth, and how often will they order?"""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from mlmarket.churn.value.buy_till_you_die import BuyTillYouDieAmounts
from mlmarket.churn.value.contest import AmountCandidates
from mlmarket.churn.value.hurdle import Hurdle
from mlmarket.churn.value.learners import AmountLearner, MeanOf, PastRate, RfmAmounts
from mlmarket.churn.value.predictor import ValuePredictor
from mlmarket.churn.value.study import Target
from mlmarket.churn.value.trees import AmountTrees
from mlmarket.features import Feature

__all__ = ["BuyTillYouDieValue", "LifetimeValueModel"]

_PACE: Final = {"value": "net_order_total_365d", "orders": "order_days_active_365d"}


class LifetimeValueModel(ValuePredictor):
    """What each contact is expected to be worth within the horizon.

    Value is the worth of orders less that of returns within the horizon, in currency, and 0 where
    more comes back than is bought. The default model is the mean of Tweedie trees and of a hurdle
    model (the probability of buying, times the value of those who buy); each of them alone and
    BG/NBD with Gamma-Gamma challenge it, and simple rules stand beside all of them. How it is chosen
    is said in :mod:`mlmarket.churn.value.contest`.

    Parameters
    ----------
    horizon : str or timedelta, default "365D"
        How far to look.
    eligible : str, default "order"
        Of whom it is asked; ``contact`` means everybody.
    features : sequence of Feature or str, optional
        Features, and names of sets; by default all that the tables allow. What the rules are made
        of, and sums net of returns, are known in any case.
    needs : mapping of str to int, optional
        Where a team wants less or more data than :class:`~mlmarket.churn.DataNeeds` before models
        are tried, such as ``{"buyers": 200}``.

    Attributes
    ----------
    evidence_, orders_evidence_ : Evidence
        After :meth:`fit`: of the value, and of the days with an order.
    training_record_ : dict
        After :meth:`fit`: parameters, data and metrics, for an experiment tracker.

    Raises
    ------
    ConfigurationError
        Where one of them cannot be read.

    Notes
    -----
    Totals are corrected by a seasonal factor only where the past at an origin is longer than a year
    and the horizon, at two origins or more, and only if the factor of a year earlier brought totals
    nearer there. It stands in the evidence and on the card.

    ``value_decile`` is 1 for the values that the highest tenth of the people of the last closed
    window had. The edges are kept with the model, so that a tenth means the same value each night
    until it is trained again.

    References
    ----------
    Gupta et al. (2006), Modeling customer lifetime value, Journal of Service Research 9(2).

    Examples
    --------
    >>> list(LifetimeValueModel("90D").outputs)[:3]
    ['expected_value_90d', 'expected_orders_90d', 'value_decile']
    """

    def __init__(
        self,
        horizon: str | timedelta = "365D",
        *,
        eligible: str = "order",
        features: Sequence[Feature | str] | None = None,
        needs: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(horizon, eligible=eligible, features=features, needs=needs)

    def _candidates(self, target: Target, horizon: timedelta) -> AmountCandidates:
        baselines: dict[str, Callable[[], AmountLearner]] = {
            RfmAmounts.name: RfmAmounts,
            PastRate.name: functools.partial(PastRate, _PACE[target]),
        }
        trees: dict[str, Callable[[], AmountLearner]] = {
            "value_blend": value_blend,
            "tweedie_trees": functools.partial(AmountTrees, "tweedie"),
            Hurdle.name: Hurdle,
        }
        if target == "orders":
            trees = {"poisson_trees": functools.partial(AmountTrees, "poisson")}
        return AmountCandidates({**trees, **_of_buying_and_leaving(target, horizon)}, baselines)


class BuyTillYouDieValue(ValuePredictor):
    """What each contact is expected to be worth, where no window of the horizon is closed.

    BG/NBD and Gamma-Gamma learn from what contacts did until now, and need nobody's outcome; so they
    can answer for a horizon that nobody has lived through yet. They are judged on the longest window
    that is closed, against the pace of the past 365 days, and what comes after is extrapolation:
    the evidence says so. Where they do not beat the pace, the pace goes on.

    Parameters
    ----------
    horizon : str or timedelta, default "365D"
        How far to look.
    eligible : str, default "order"
        Of whom it is asked; ``contact`` means everybody.
    needs : mapping of str to int, optional
        As for :class:`LifetimeValueModel`.

    Raises
    ------
    ConfigurationError
        Where one of them cannot be read.

    Examples
    --------
    >>> BuyTillYouDieValue("365D").headline.column
    'expected_value_365d'
    """

    _extrapolates = True

    def __init__(
        self,
        horizon: str | timedelta = "365D",
        *,
        eligible: str = "order",
        needs: Mapping[str, int] | None = None,
    ) -> None:
        # Nothing is known but what the models are made of.
        super().__init__(horizon, eligible=eligible, features=(), needs=needs)

    def _candidates(self, target: Target, horizon: timedelta) -> AmountCandidates:
        pace = {PastRate.name: functools.partial(PastRate, _PACE[target])}
        return AmountCandidates(_of_buying_and_leaving(target, horizon), pace)


def _of_buying_and_leaving(
    target: Target, horizon: timedelta
) -> dict[str, Callable[[], AmountLearner]]:
    make = functools.partial(BuyTillYouDieAmounts, horizon, of_value=target == "value")
    return {BuyTillYouDieAmounts.name: make}


def value_blend() -> MeanOf:
    """Return the default model of value: the mean of Tweedie trees and a hurdle model.

    Returns
    -------
    MeanOf
        Not fitted.
    """
    return MeanOf([AmountTrees("tweedie"), Hurdle()], name="value_blend")
