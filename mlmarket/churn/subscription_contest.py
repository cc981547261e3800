"""Which model of contracts is best where it counts: on those who came after it?

At each origin every candidate learns from contracts as they were known by then, and says who ends
within the horizon. Hazards know the months up to the origin, a classifier of the horizon only those
whose horizon was over: each is judged with what it would have had.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from mlmarket.churn.subscription_contracts import ContractRows
from mlmarket.churn.subscription_models import BASELINES, CHALLENGERS, ContractModel, teaches
from mlmarket.evaluation import (
    Calibrator,
    IdentityCalibrator,
    Interval,
    SigmoidCalibrator,
    log_loss,
    paired_difference,
)
from mlmarket.prediction.contest import Contest, Fold
from mlmarket.prediction.learner import Floats
from mlmarket.prediction.training import TrainingPlan

__all__ = ["hold_contract_contest"]


def hold_contract_contest(contracts: ContractRows) -> Contest | None:
    """Let all candidates predict from every origin, and choose.

    Parameters
    ----------
    contracts : ContractRows
        Where rows come from, and the plan.

    Returns
    -------
    Contest or None
        The model with the smallest log loss against the best rule; it is used where it saves log
        loss with an interval that excludes zero. None where no origin has contracts that ended and
        contracts that lasted before and after it.
    """
    plan = contracts.plan
    judged = (_judge(contracts, origin) for origin in plan.origins)
    folds = [fold for fold in judged if fold is not None]
    if not folds:
        return None
    baseline = _best_baseline(folds)
    challenger = min(CHALLENGERS, key=lambda name: log_loss(*_pooled(folds, name)))
    gain = _saving(folds, challenger, baseline)
    chosen = challenger if gain.low > 0.0 else baseline
    folds, calibrator, calibrated = _calibrate(folds, plan, chosen)
    return Contest(
        tuple(folds), challenger, baseline, chosen, gain, calibrator, calibrated=calibrated
    )


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


def _pooled(folds: Sequence[Fold], name: str) -> tuple[Floats, Floats]:
    label = np.concatenate([fold.label for fold in folds]).astype(np.float64)
    return label, np.concatenate([fold.predicted[name] for fold in folds])


def _saving(folds: Sequence[Fold], model: str, baseline: str) -> Interval:
    """Return the log loss that a model saves over another, with its interval over contacts."""
    label, ours = _pooled(folds, model)
    _, theirs = _pooled(folds, baseline)
    groups = np.concatenate([fold.contact_id for fold in folds])
    return paired_difference(
        log_loss, label, theirs, ours, groups=groups, n_resamples=1000, random_state=0
    )


def _best_baseline(folds: Sequence[Fold]) -> str:
    """Return the rule to beat: a finer one replaces a coarser one only where it wins."""
    best, *finer = BASELINES
    for name in finer:
        if _saving(folds, name, best).low > 0.0:
            best = name
    return best


def _calibrate(
    folds: list[Fold], plan: TrainingPlan, chosen: str
) -> tuple[list[Fold], Calibrator, bool]:
    """Correct the chosen model where that paid at later origins.

    At each origin the correction is learned from the latest origin whose window was closed by then:
    predictions that the model made without having seen their outcome.
    """
    corrected = {}
    for fold in folds:
        closed = [past for past in folds if past.origin + plan.horizon <= fold.origin]
        if closed:
            last = closed[-1]
            calibrator = SigmoidCalibrator().fit(last.predicted[chosen], last.label)
            corrected[fold.origin] = calibrator.predict(fold.predicted[chosen])
    tried = [
        _replaced(fold, {"raw": fold.predicted[chosen], "corrected": corrected[fold.origin]})
        for fold in folds
        if fold.origin in corrected
    ]
    if not tried or not _saving(tried, "corrected", "raw").low > 0.0:
        return folds, IdentityCalibrator().fit([0.5], [1]), False
    applied = [
        _replaced(
            fold,
            {**fold.predicted, chosen: corrected.get(fold.origin, fold.predicted[chosen])},
        )
        for fold in folds
    ]
    last = folds[-1]
    return applied, SigmoidCalibrator().fit(last.predicted[chosen], last.label), True


def _replaced(fold: Fold, predicted: Mapping[str, Floats]) -> Fold:
    return Fold(fold.origin, fold.contact_id, fold.label, predicted)
