"""Does the model beat the simple rules, and is it calibrated?

At each origin every candidate learns from what was closed by then and predicts what came after. The
challenger is used only where it saves log loss with an interval that excludes zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import (
    Calibrator,
    IdentityCalibrator,
    Interval,
    SigmoidCalibrator,
    bootstrap,
    brier_score,
    expected_calibration_error,
    log_loss,
    paired_difference,
    roc_auc,
)
from mlmarket.prediction.evidence import FoldScore, TotalScore
from mlmarket.prediction.learner import Blend, Learner
from mlmarket.prediction.training import Rows, Snapshots, TrainingPlan

__all__ = ["Candidates", "Contest", "Fold", "run_contest"]

Floats = npt.NDArray[np.float64]

_METRICS: Final = {
    "log_loss": log_loss,
    "auc": roc_auc,
    "ece": expected_calibration_error,
    "brier": brier_score,
}
_RESAMPLES: Final = 400


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who takes part.

    Parameters
    ----------
    challenger : callable returning Learner
        Makes the model, unfitted.
    baselines : mapping of str to callable returning Learner
        Make the simple rules.
    """

    challenger: Callable[[], Learner]
    baselines: Mapping[str, Callable[[], Learner]]

    def make(self, name: str) -> Learner:
        """Return a new learner.

        Parameters
        ----------
        name : str
            As in the evidence.

        Returns
        -------
        Learner
            Not fitted.
        """
        return self.baselines[name]() if name in self.baselines else self.challenger()


@dataclass(frozen=True, slots=True)
class Fold:
    """What every candidate said at one origin, and what happened.

    Parameters
    ----------
    origin : datetime
        Where they stood.
    contact_id : ndarray of str
        Who was judged.
    label : ndarray of int8
        What they did.
    predicted : mapping of str to ndarray
        Probability by model.
    """

    origin: datetime
    contact_id: npt.NDArray[np.object_]
    label: npt.NDArray[np.int8]
    predicted: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Contest:
    """How it went.

    Parameters
    ----------
    folds : tuple of Fold
        By origin.
    challenger, baseline, chosen : str
        The model, the best simple rule, and which of the two is used.
    gain : Interval
        Log loss the challenger saves over the baseline.
    calibrator : Calibrator
        Applied to the chosen model; the identity unless correcting it paid.
    calibrated : bool
        Whether correcting it paid.
    """

    folds: tuple[Fold, ...]
    challenger: str
    baseline: str
    chosen: str
    gain: Interval
    calibrator: Calibrator
    calibrated: bool

    def scores(self) -> tuple[FoldScore, ...]:
        """Return every metric of every model at every origin."""
        return tuple(
            _score(fold, model, metric)
            for fold in self.folds
            for model in fold.predicted
            for metric in _METRICS
        )

    def totals(self) -> tuple[TotalScore, ...]:
        """Return expected and observed numbers of the chosen model."""
        return tuple(
            TotalScore(
                fold.origin,
                float(np.sort(p).sum()),
                float(fold.label.sum()),
                float(np.sort(p * (1.0 - p)).sum()),
            )
            for fold in self.folds
            for p in (fold.predicted[self.chosen],)
        )

    def pooled(self, model: str) -> tuple[npt.NDArray[np.int8], Floats]:
        """Return labels and probabilities of all origins.

        Parameters
        ----------
        model : str
            Whose probabilities.

        Returns
        -------
        tuple of ndarray of int8 and ndarray of float64
            Of the same length.
        """
        return (
            np.concatenate([fold.label for fold in self.folds]),
            np.concatenate([fold.predicted[model] for fold in self.folds]),
        )


def _score(fold: Fold, model: str, metric: str) -> FoldScore:
    interval = bootstrap(
        _METRICS[metric],
        fold.label,
        fold.predicted[model],
        n_resamples=_RESAMPLES,
        random_state=0,
    )
    return FoldScore(
        origin=fold.origin,
        model=model,
        metric=metric,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        rows=len(fold.label),
        positives=int(fold.label.sum()),
    )


def run_contest(snapshots: Snapshots, plan: TrainingPlan, candidates: Candidates) -> Contest | None:
    """Let all candidates predict from every origin, and choose.

    Parameters
    ----------
    snapshots : Snapshots
        Where rows come from.
    plan : TrainingPlan
        The origins.
    candidates : Candidates
        Who takes part.

    Returns
    -------
    Contest or None
        None where no origin has rows of both labels before and after it.
    """
    folds = []
    for origin in plan.origins:
        fold = _judge(snapshots, plan, candidates, origin)
        if fold is not None:
            folds.append(fold)
    if not folds:
        return None
    challenger = candidates.challenger().name
    baseline = _best_baseline(folds, list(candidates.baselines))
    gain = _saving(folds, challenger, baseline)
    chosen = challenger if gain.low > 0.0 else baseline
    folds, calibrator, calibrated = _calibrate(folds, plan, chosen)
    return Contest(
        tuple(folds), challenger, baseline, chosen, gain, calibrator, calibrated=calibrated
    )


def _judge(
    snapshots: Snapshots, plan: TrainingPlan, candidates: Candidates, origin: datetime
) -> Fold | None:
    # A model that stood there knew of a window what had arrived by then; the judge knows all.
    learn = snapshots.at(plan.closed_at(origin), known_at=origin)
    judge = snapshots.at([origin])
    if not (_has_both(learn) and _has_both(judge)):
        return None
    predicted: dict[str, Floats] = {}
    for make in candidates.baselines.values():
        baseline = make().fit(learn.features, learn.label)
        predicted[baseline.name] = baseline.predict(judge.features)
    challenger = candidates.challenger().fit(learn.features, learn.label)
    if isinstance(challenger, Blend):
        for part in challenger.parts:
            predicted[part.name] = part.predict(judge.features)
    predicted[challenger.name] = challenger.predict(judge.features)
    return Fold(origin, judge.contact_id, judge.label, predicted)


def _has_both(rows: Rows) -> bool:
    return 0 < int(rows.label.sum()) < len(rows)


def _saving(folds: Sequence[Fold], model: str, baseline: str) -> Interval:
    """Return the log loss that a model saves over another, with its interval over contacts."""
    label = np.concatenate([fold.label for fold in folds])
    groups = np.concatenate([fold.contact_id for fold in folds])
    ours = np.concatenate([fold.predicted[model] for fold in folds])
    theirs = np.concatenate([fold.predicted[baseline] for fold in folds])
    return paired_difference(
        log_loss, label, theirs, ours, groups=groups, n_resamples=1000, random_state=0
    )


def _best_baseline(folds: Sequence[Fold], names: list[str]) -> str:
    """Return the baseline to beat: a finer rule replaces a coarser one only where it wins."""
    best = names[0]
    for name in names[1:]:
        if _saving(folds, name, best).low > 0.0:
            best = name
    return best


def _calibrate(
    folds: list[Fold], plan: TrainingPlan, chosen: str
) -> tuple[list[Fold], Calibrator, bool]:
    """Correct the chosen model where that paid at later origins.

    At each origin the correction is learned from the latest origin whose window was closed by
    then: predictions the model made without having seen their outcome.
    """
    corrected = {}
    for fold in folds:
        closed = [past for past in folds if past.origin + plan.horizon <= fold.origin]
        if closed:
            last = closed[-1]
            calibrator = SigmoidCalibrator().fit(last.predicted[chosen], last.label)
            corrected[fold.origin] = calibrator.predict(fold.predicted[chosen])
    tried = [
        Fold(
            fold.origin,
            fold.contact_id,
            fold.label,
            {"raw": fold.predicted[chosen], "corrected": corrected[fold.origin]},
        )
        for fold in folds
        if fold.origin in corrected
    ]
    if not tried or not _saving(tried, "corrected", "raw").low > 0.0:
        return folds, IdentityCalibrator().fit([0.5], [1]), False
    applied = [
        Fold(
            fold.origin,
            fold.contact_id,
            fold.label,
            {**fold.predicted, chosen: corrected.get(fold.origin, fold.predicted[chosen])},
        )
        for fold in folds
    ]
    last = folds[-1]
    return applied, SigmoidCalibrator().fit(last.predicted[chosen], last.label), True
