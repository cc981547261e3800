"""Which model is used: does one beat the simple rules, and is it calibrated?

At each origin every candidate learns from what was closed by then and predicts what came after. A
challenger is used only where it saves log loss over the best simple rule with an interval that excludes
zero. Of several challengers the first is the one that is tried, unless another beats it as clearly: the
smallest of many losses is partly luck.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import (
    Calibrator,
    IdentityCalibrator,
    Interval,
    SigmoidCalibrator,
)
from mlmarket.evaluation.side_by_side import LossDraws, measures_of
from mlmarket.prediction.evidence import FoldScore, TotalScore
from mlmarket.prediction.learner import Blend, Learner
from mlmarket.prediction.training import Rows, Snapshots, TrainingPlan, learn_from

__all__ = ["Candidates", "Contest", "Fold", "Preference", "decide", "run_contest"]

Floats = npt.NDArray[np.float64]
Maker = Callable[[], Learner]

_RESAMPLES: Final = 400
_LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who takes part.

    Parameters
    ----------
    challengers : mapping of str to callable returning Learner
        Make the models, unfitted, by the names they have in evidence. The first is the default.
        A part of the default that is a challenger of its own is fitted once, with it.
    baselines : mapping of str to callable returning Learner
        Make the simple rules, the coarsest first.
    """

    challengers: Mapping[str, Maker]
    baselines: Mapping[str, Maker]

    def limited_to(self, names: Collection[str]) -> "Candidates":
        """Return the same contest with fewer challengers.

        Parameters
        ----------
        names : collection of str
            Those that may stand in it; without one the best simple rule is used.

        Returns
        -------
        Candidates
            With all the simple rules.
        """
        kept = {name: make for name, make in self.challengers.items() if name in names}
        return replace(self, challengers=kept)

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
        return {**self.challengers, **self.baselines}[name]()


@dataclass(frozen=True, slots=True)
class Preference:
    """Another challenger than the default, and what it saves.

    Parameters
    ----------
    over : str
        The default.
    gain : Interval
        Log loss that is saved over it, at a level that allows for the number of challengers.
    """

    over: str
    gain: Interval


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
        The model, the best simple rule, and which of the two is used. Where no model was allowed
        to stand, the first is the second.
    gain : Interval
        Log loss the challenger saves over the baseline.
    calibrator : Calibrator
        Applied to the chosen model; the identity unless correcting it paid.
    calibrated : bool
        Whether correcting it paid.
    preference : Preference or None
        Where the challenger is not the default one: what speaks for it.
    """

    folds: tuple[Fold, ...]
    challenger: str
    baseline: str
    chosen: str
    gain: Interval
    calibrator: Calibrator
    calibrated: bool
    preference: Preference | None = None

    def scores(self) -> tuple[FoldScore, ...]:
        """Return every metric of every model at every origin."""
        return tuple(score for fold in self.folds for score in _scores(fold))

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


def _scores(fold: Fold) -> list[FoldScore]:
    measured = measures_of(fold.label, fold.predicted, n_resamples=_RESAMPLES, random_state=0)
    return [
        FoldScore(
            origin=fold.origin,
            model=model,
            metric=metric,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            rows=len(fold.label),
            positives=int(fold.label.sum()),
        )
        for model, intervals in measured.items()
        for metric, interval in intervals.items()
    ]


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
    return decide(folds, plan, candidates) if folds else None


def decide(folds: Sequence[Fold], plan: TrainingPlan, candidates: Candidates) -> Contest:
    """Choose by what candidates said at every origin.

    Parameters
    ----------
    folds : sequence of Fold
        At least one, ascending by origin; each with a probability of every candidate.
    plan : TrainingPlan
        The origins.
    candidates : Candidates
        Who took part.

    Returns
    -------
    Contest
        How it went.
    """
    draws = _draws(folds)
    baseline = _best_baseline(draws, list(candidates.baselines))
    challenger, preference = _best_challenger(draws, candidates, otherwise=baseline)
    gain = draws.saving(challenger, over=baseline)
    chosen = challenger if gain.low > 0.0 else baseline
    folds, calibrator, calibrated = _calibrate(list(folds), plan, chosen)
    return Contest(
        folds=tuple(folds),
        challenger=challenger,
        baseline=baseline,
        chosen=chosen,
        gain=gain,
        calibrator=calibrator,
        calibrated=calibrated,
        preference=preference,
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
        baseline = learn_from(make(), learn)
        predicted[baseline.name] = baseline.predict(judge.features)
    for name, make in candidates.challengers.items():
        if name not in predicted:
            challenger = learn_from(make(), learn)
            if isinstance(challenger, Blend):
                # Of two models with a part of the same name, the first one's is meant.
                predicted = challenger.predict_parts(judge.features) | predicted
            predicted[name] = challenger.predict(judge.features)
    return Fold(origin, judge.contact_id, judge.label, predicted)


def _has_both(rows: Rows) -> bool:
    return 0 < int(rows.label.sum()) < len(rows)


def _draws(folds: Sequence[Fold]) -> LossDraws:
    """Return the log losses of all models over all origins, of contacts drawn with their rows."""
    return LossDraws(
        np.concatenate([fold.label for fold in folds]),
        {
            name: np.concatenate([fold.predicted[name] for fold in folds])
            for name in folds[0].predicted
        },
        groups=np.concatenate([fold.contact_id for fold in folds]),
        random_state=0,
    )


def _best_challenger(
    draws: LossDraws, candidates: Candidates, *, otherwise: str
) -> tuple[str, Preference | None]:
    """Return the default challenger, or the one that beats it most clearly.

    With each challenger more there is one more chance to be better by luck, so each has to be
    better at a level that leaves the same chance to all of them together (Bonferroni).
    """
    if not candidates.challengers:
        return otherwise, None
    default, *others = candidates.challengers
    level = 1.0 - (1.0 - _LEVEL) / max(len(others), 1)
    gains = {name: draws.saving(name, over=default, level=level) for name in others}
    clear = [name for name, gain in gains.items() if gain.low > 0.0]
    if not clear:
        return default, None
    best = max(clear, key=lambda name: gains[name].value)
    return best, Preference(default, gains[best])


def _best_baseline(draws: LossDraws, names: Sequence[str]) -> str:
    """Return the baseline to beat: a finer rule replaces a coarser one only where it wins."""
    best = names[0]
    for name in names[1:]:
        if draws.saving(name, over=best).low > 0.0:
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
    if not tried or not _draws(tried).saving("corrected", over="raw").low > 0.0:
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
