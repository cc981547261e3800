"""Who takes part in the contest of purchase and churn?"""

from datetime import timedelta

from mlmarket.churn.beta_geo_learner import BetaGeoLearner
from mlmarket.churn.history_blend import HistoryBlend
from mlmarket.churn.rfm import RecencyRule, RfmCells
from mlmarket.prediction.contest import Candidates
from mlmarket.prediction.learner import BaseRate
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.training import step_of
from mlmarket.prediction.trees import BoostedTrees

__all__ = ["candidates"]


def candidates(horizon: timedelta, *, negated: bool) -> Candidates:
    """Return the models and rules that predict whether contacts order.

    A blend of trees and a line, both of which know what BG/NBD says; each of the three alone; and
    the rules that every marketer knows.

    Parameters
    ----------
    horizon : timedelta
        How far the label looks.
    negated : bool
        Whether the label is *no* order.

    Returns
    -------
    Candidates
        The blend is the default.
    """

    def history() -> BetaGeoLearner:
        return BetaGeoLearner(horizon, negated=negated)

    def trees() -> BoostedTrees:
        return BoostedTrees(trees=120, rows_a_leaf=round(60 * overlap))

    def line() -> LogisticModel:
        return LogisticModel(strength=30.0 * overlap)

    # A day lies in so many windows, and as many rows say nearly the same.
    overlap = horizon / step_of(horizon)
    return Candidates(
        challengers={
            "blend": lambda: HistoryBlend([trees(), line()], history()),
            BoostedTrees.name: lambda: HistoryBlend([trees()], history(), name=BoostedTrees.name),
            LogisticModel.name: lambda: HistoryBlend([line()], history(), name=LogisticModel.name),
            BetaGeoLearner.name: history,
        },
        baselines={"base_rate": BaseRate, "recency_rule": RecencyRule, "rfm_cells": RfmCells},
    )
