"""Who takes part in the contest of purchase and churn?"""

from datetime import timedelta
from typing import TYPE_CHECKING

from mlmarket.churn.purchase.beta_geo_learner import BetaGeoLearner
from mlmarket.churn.purchase.history_blend import HistoryBlend
from mlmarket.churn.purchase.rfm import RecencyRule, RfmCells
from mlmarket.churn.purchase.tuned_blend import BlendSettings, TunedBlend
from mlmarket.prediction.contest import Candidates
from mlmarket.prediction.learner import BaseRate, Learner
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.training import step_of
from mlmarket.prediction.trees import BoostedTrees

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["candidates"]


def candidates(horizon: timedelta, *, negated: bool, tuned: bool = False) -> Candidates:
    """Return the models and rules that predict whether contacts order.

    A blend of trees and a line, both of which know what BG/NBD says; each of the three alone; and
    the rules that every marketer knows.

    Parameters
    ----------
    horizon : timedelta
        How far the label looks.
    negated : bool
        Whether the label is *no* order.
    tuned : bool, default False
        Whether a blend takes part whose settings are searched at each origin.

    Returns
    -------
    Candidates
        The blend is the default.
    """

    def history() -> BetaGeoLearner:
        return BetaGeoLearner(horizon, negated=negated)

    # A day lies in so many windows, and as many rows say nearly the same.
    usual = BlendSettings.for_overlap(horizon / step_of(horizon))
    trees, line = usual.made_trees, usual.made_line
    challengers: dict[str, Callable[[], Learner]] = {
        "blend": lambda: HistoryBlend([trees(), line()], history()),
        BoostedTrees.name: lambda: HistoryBlend([trees()], history(), name=BoostedTrees.name),
        LogisticModel.name: lambda: HistoryBlend([line()], history(), name=LogisticModel.name),
        BetaGeoLearner.name: history,
    }
    if tuned:
        challengers["tuned_blend"] = lambda: TunedBlend(horizon, history(), usual=usual)
    return Candidates(
        challengers,
        baselines={"base_rate": BaseRate, "recency_rule": RecencyRule, "rfm_cells": RfmCells},
    )
