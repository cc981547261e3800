"""Which model expects amounts best, and is it better than a simple rule?

At each origin every candidate learns from what was closed by then and predicts what came after. The
rule, in this order:

1. Candidates are ranked by the Tweedie deviance, pooled over the origins: it judges the order of
   contacts and the level of each at once.
2. The baseline to beat is the coarsest simple rule, unless a finer one saves deviance with an
   interval, paired over contacts, that excludes zero.
3. The challenger is the default model, unless another one saves deviance in that way.
4. The challenger is used where it saves deviance over the baseline in that way, and its normalised
   Gini is not lower than the baseline's; else the baseline is.

Normalised Gini, decile error, total bias and mean absolute error are shown, of all candidates.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.churn.value.learners import AmountLearner, Lesson, MeanOf
from mlmarket.errors import DataContractError
from mlmarket.evaluation import (
    Interval,
    bootstrap,
    decile_error,
    mean_absolute_error,
    normalised_gini,
    paired_difference,
    total_bias,
    tweedie_deviance,
    value_dispersion,
    value_own_chance,
)
from mlmarket.prediction import FoldScore, TotalScore

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AmountCandidates",
    "AmountContest",
    "AmountFold",
    "Exam",
    "Season",
    "hold_amount_contest",
]

Floats = npt.NDArray[np.float64]

METRIC: Final = "deviance"
_METRICS: Final = {
    METRIC: tweedie_deviance,
    "gini": normalised_gini,
    "decile_error": decile_error,
    "total_bias": total_bias,
    "mae": mean_absolute_error,
}
_RESAMPLES: Final = 200
_STRONGEST: Final = 2.0
_FEWEST_SEASONS: Final = 2


@dataclass(frozen=True, slots=True)
class AmountCandidates:
    """Who takes part.

    Parameters
    ----------
    challengers : mapping of str to callable returning AmountLearner
        Models; the first is the default.
    baselines : mapping of str to callable returning AmountLearner
        Simple rules, the coarsest first.
    """

    challengers: Mapping[str, Callable[[], AmountLearner]]
    baselines: Mapping[str, Callable[[], AmountLearner]]

    def make(self, name: str) -> AmountLearner:
        """Return a new learner.

        Parameters
        ----------
        name : str
            As in the evidence.

        Returns
        -------
        AmountLearner
            Not fitted.
        """
        return {**self.baselines, **self.challengers}[name]()


@dataclass(frozen=True, slots=True)
class Season:
    """What was known a year before an origin, and what came then.

    Parameters
    ----------
    features : pandas.DataFrame
        Rows of that day.
    amount : ndarray of float64, shape (rows,)
        What came after it.
    """

    features: "pd.DataFrame"
    amount: Floats

    def factor(self, learner: AmountLearner) -> float:
        """Return by what a learner that knows all seasons alike missed this one.

        Parameters
        ----------
        learner : AmountLearner
            Fitted.

        Returns
        -------
        float
            Observed total over predicted total, kept between a half and two.
        """
        predicted = float(np.sort(learner.predict(self.features)).sum())
        observed = float(np.sort(self.amount).sum())
        if predicted <= 0.0 or observed <= 0.0:
            return 1.0
        return float(np.clip(observed / predicted, 1.0 / _STRONGEST, _STRONGEST))


@dataclass(frozen=True, slots=True)
class Exam:
    """What candidates learn from at an origin, and what they are judged on.

    Parameters
    ----------
    origin : datetime
        Where they stand.
    lesson : Lesson
        What they knew.
    contact_id : ndarray of str, shape (rows,)
        Whose rows they are judged on; their features are the lesson's present.
    amount : ndarray of float64, shape (rows,)
        What came.
    season : Season or None
        The same window a year earlier, where the history reaches that far.
    """

    origin: datetime
    lesson: Lesson
    contact_id: npt.NDArray[np.object_]
    amount: Floats
    season: Season | None


@dataclass(frozen=True, slots=True)
class AmountFold:
    """What every candidate said at one origin, and what came.

    Parameters
    ----------
    origin : datetime
        Where they stood.
    contact_id : ndarray of str, shape (rows,)
        Who was judged.
    actual : ndarray of float64, shape (rows,)
        What came.
    predicted : mapping of str to ndarray
        What was expected, by model.
    seasons : mapping of str to float
        The seasonal factor of each model; empty where the history is too short.
    """

    origin: datetime
    contact_id: npt.NDArray[np.object_]
    actual: Floats
    predicted: Mapping[str, Floats]
    seasons: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AmountContest:
    """How it went.

    Parameters
    ----------
    folds : tuple of AmountFold
        By origin; of the model that is used, corrected by the season where that is done.
    challenger, baseline, chosen : str
        The model, the best simple rule, and which of the two is used.
    gain : Interval
        Deviance the challenger saves over the baseline.
    gini_gain : float
        Normalised Gini of the challenger less that of the baseline, mean over origins.
    seasonal : bool
        Whether the model that is used is corrected by a seasonal factor.
    absent : tuple of (str, str)
        Models that could not take part, and why.
    """

    folds: tuple[AmountFold, ...]
    challenger: str
    baseline: str
    chosen: str
    gain: Interval
    gini_gain: float
    seasonal: bool
    absent: tuple[tuple[str, str], ...]

    @property
    def dispersion(self) -> float:
        """How much single contacts differ from what is expected of them."""
        return value_dispersion(*self.pooled(self.chosen))

    def scores(self) -> tuple[FoldScore, ...]:
        """Return every metric of every model at every origin."""
        return tuple(
            _score(fold, model, metric)
            for fold in self.folds
            for model in fold.predicted
            for metric in _METRICS
        )

    def totals(self) -> tuple[TotalScore, ...]:
        """Return expected and observed totals of the model that is used."""
        spread = self.dispersion
        return tuple(
            TotalScore(
                fold.origin,
                float(np.sort(predicted).sum()),
                float(np.sort(fold.actual).sum()),
                value_own_chance(predicted, dispersion=spread),
            )
            for fold in self.folds
            for predicted in (fold.predicted[self.chosen],)
        )

    def pooled(self, model: str) -> tuple[Floats, Floats]:
        """Return what came and what was expected, of all origins.

        Parameters
        ----------
        model : str
            Whose expectation.

        Returns
        -------
        tuple of two ndarrays of float64
            Of the same length.
        """
        return _pooled(self.folds, model)


def hold_amount_contest(
    exams: Sequence[Exam], candidates: AmountCandidates
) -> AmountContest | None:
    """Let all candidates predict from every origin, and choose.

    Parameters
    ----------
    exams : sequence of Exam
        By origin.
    candidates : AmountCandidates
        Who takes part; one that cannot learn at every origin is left out.

    Returns
    -------
    AmountContest or None
        None where at no origin something was bought before and after it.
    """
    asked = [exam for exam in exams if exam.lesson.amount.any() and exam.amount.any()]
    if not asked:
        return None
    absent: dict[str, str] = {}
    folds = tuple(_judge(exam, candidates, absent) for exam in asked)
    folds = tuple(_without(fold, absent) for fold in folds)
    taking_part = [name for name in candidates.challengers if name not in absent]
    baseline = _best(folds, [name for name in candidates.baselines if name not in absent])
    challenger = _best(folds, taking_part) if taking_part else baseline
    gain = _saving(folds, challenger, baseline)
    gini_gain = _mean_gini(folds, challenger) - _mean_gini(folds, baseline)
    chosen = challenger if gain.low > 0.0 and gini_gain >= 0.0 else baseline
    seasonal = _season_helps(folds, chosen)
    if seasonal:
        folds = tuple(_corrected(fold, chosen) for fold in folds)
    return AmountContest(
        folds,
        challenger,
        baseline,
        chosen,
        gain,
        gini_gain,
        seasonal=seasonal,
        absent=tuple(absent.items()),
    )


def _judge(exam: Exam, candidates: AmountCandidates, absent: dict[str, str]) -> AmountFold:
    predicted: dict[str, Floats] = {}
    seasons: dict[str, float] = {}
    fitted: dict[str, AmountLearner] = {}
    for name in (*candidates.baselines, *candidates.challengers):
        try:
            learner = fitted.get(name) or candidates.make(name).fit(exam.lesson)
        except DataContractError as error:
            if name in candidates.baselines:
                raise
            absent.setdefault(name, error.what)
            continue
        if isinstance(learner, MeanOf):
            # Its parts have learned from the same rows, and need not do so again.
            fitted.update(learner.parts)
        predicted[name] = learner.predict(exam.lesson.present)
        if exam.season is not None:
            seasons[name] = exam.season.factor(learner)
    return AmountFold(exam.origin, exam.contact_id, exam.amount, predicted, seasons)


def _without(fold: AmountFold, absent: Mapping[str, str]) -> AmountFold:
    predicted = {name: one for name, one in fold.predicted.items() if name not in absent}
    return replace(fold, predicted=predicted)


def _pooled(folds: Sequence[AmountFold], model: str) -> tuple[Floats, Floats]:
    return (
        np.concatenate([fold.actual for fold in folds]),
        np.concatenate([fold.predicted[model] for fold in folds]),
    )


def _saving(folds: Sequence[AmountFold], model: str, other: str) -> Interval:
    """Return the deviance that a model saves over another, with its interval over contacts."""
    actual, ours = _pooled(folds, model)
    _, theirs = _pooled(folds, other)
    groups = np.concatenate([fold.contact_id for fold in folds])
    return paired_difference(
        tweedie_deviance, actual, theirs, ours, groups=groups, n_resamples=1000, random_state=0
    )


def _best(folds: Sequence[AmountFold], names: Sequence[str]) -> str:
    """Return the first, unless a later one is better beyond doubt."""
    best = names[0]
    for name in names[1:]:
        if _saving(folds, name, best).low > 0.0:
            best = name
    return best


def _mean_gini(folds: Sequence[AmountFold], model: str) -> float:
    return float(np.mean([normalised_gini(fold.actual, fold.predicted[model]) for fold in folds]))


def _season_helps(folds: Sequence[AmountFold], chosen: str) -> bool:
    """Say whether the factor of a year ago brought totals nearer, wherever it could be known."""
    tried = [fold for fold in folds if chosen in fold.seasons]
    if len(tried) < _FEWEST_SEASONS:
        return False
    misses = [
        np.log([float(one.predicted[chosen].sum() / one.actual.sum()) for one in tried]),
        np.log([one.seasons[chosen] for one in tried]),
    ]
    if not np.isfinite(misses).all():
        return False
    as_it_is, corrected = np.abs(misses[0]).mean(), np.abs(misses[0] + misses[1]).mean()
    return bool(corrected < as_it_is)


def _corrected(fold: AmountFold, chosen: str) -> AmountFold:
    corrected = fold.predicted[chosen] * fold.seasons.get(chosen, 1.0)
    return replace(fold, predicted={**fold.predicted, chosen: corrected})


def _score(fold: AmountFold, model: str, metric: str) -> FoldScore:
    interval = bootstrap(
        _METRICS[metric],
        fold.actual,
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
        rows=len(fold.actual),
        positives=int((fold.actual > 0.0).sum()),
    )
