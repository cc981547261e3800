"""Which model of contracts is best where it counts: on those who came after it?

At each origin every candidate learns from contracts as they were known by then, and says who ends
within the horizon. Hazards know the months up to the origin, a classifier of the horizon only those
whose horizon was over: each is judged with what it would have had.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from mlmarket.churn.subscription.contracts import ContractRows
from mlmarket.churn.subscription.learners import BASELINES, CHALLENGERS, ContractModel, teaches
from mlmarket.prediction.contest import Candidates, Contest, Fold, decide

if TYPE_CHECKING:
    from mlmarket.prediction.learner import Floats

__all__ = ["hold_contract_contest"]


def hold_contract_contest(contracts: ContractRows, candidates: Candidates) -> Contest | None:
    """Let all candidates predict from every origin, and choose.

    Parameters
    ----------
    contracts : ContractRows
        Where rows come from, and the plan.
    candidates : Candidates
        Those of :data:`~mlmarket.churn.subscription.learners.CHALLENGERS` and `BASELINES`.

    Returns
    -------
    Contest or None
        None where no origin has contracts that ended and contracts that lasted before and after it.
    """
    judged = (_judge(contracts, origin) for origin in contracts.plan.origins)
    folds = [fold for fold in judged if fold is not None]
    return decide(folds, contracts.plan, candidates) if folds else None


def _judge(contracts: ContractRows, origin: datetime) -> Fold | None:
    learn = contracts.learned(until=origin, known_at=origin)
    judge = contracts.judged(origin)
    if not teaches(learn.label) or not 0 < int(judge.label.sum()) < len(judge):
        return None
    plan = contracts.plan
    predicted: dict[str, Floats] = {}
    for name in (*BASELINES, *CHALLENGERS):
        if name != "hazard":
            model = ContractModel(name, horizon=plan.horizon, period=contracts.period)
            predicted[name] = model.fit(learn.features, learn.label).predict(judge.features)
    # The mean of two that have learned already; ContractModel("hazard") gives the same numbers.
    predicted["hazard"] = np.mean([predicted["logistic_hazard"], predicted["tree_hazard"]], axis=0)
    return Fold(origin, judge.contact_id, judge.label, predicted)
