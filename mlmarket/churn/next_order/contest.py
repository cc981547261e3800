"""Does a model of the next order beat the simple rules, and how far off are its dates?

At each of several earlier days every candidate learns from the weeks that were over by then, and says when
each series buys next; then comes what came.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.churn.next_order.dates import DAYS, chance_by_day, expected_dates
from mlmarket.churn.next_order.hazard import (
    BASELINES,
    CHALLENGER,
    hazards,
    learn,
    make,
    scaled,
)
from mlmarket.churn.next_order.rows import WEEKS, Known, Past, Rows, Weeks
from mlmarket.evaluation import (
    Interval,
    bootstrap,
    brier_score,
    expected_calibration_error,
    log_loss,
    paired_difference,
    roc_auc,
)
from mlmarket.prediction.evidence import FoldScore, TotalScore
from mlmarket.prediction.learner import Blend

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "JUDGED_DAYS",
    "WARM_UP",
    "Contest",
    "Fold",
    "Plan",
    "Stand",
    "Study",
    "choose",
    "factor_of",
    "hold_contest",
    "mean_over",
    "open_study",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

JUDGED_DAYS: Final = 28
"""Horizon by which models are ranked."""

STEP: Final = 14
"""Days between the days that are learned from."""
LOOKS: Final = 13
"""How many of them a model learns from at most."""
WARM_UP: Final = 28
"""Days of purchases that the first of them needs."""
LATER: Final = 1 << 40
"""A day on which everything is known."""
_REPEATERS: Final = 0.75
"""Share of the rows to learn from that is kept for series with a gap of their own."""
_METRICS: Final = {
    "log_loss": log_loss,
    "auc": roc_auc,
    "ece": expected_calibration_error,
    "brier": brier_score,
}
_RESAMPLES: Final = 400
_LARGEST_FACTOR: Final = 4.0


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a model stands in the past.

    Parameters
    ----------
    origin : datetime
        The instant.
    day : int
        The day of the log that ends then.
    complete : int
        The last day that was known to be complete then; what comes after it is no "no".
    """

    origin: "datetime"
    day: int
    complete: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Where models stand to be judged, and from where they learn.

    Parameters
    ----------
    stands : tuple of Stand
        Ascending.
    first : int
        The day of the first purchase.
    most_rows, most_judged : int
        Series and days learned from, and series judged at each stand, at most.
    """

    stands: tuple[Stand, ...]
    first: int
    most_rows: int
    most_judged: int

    def looks(self, stand: int) -> Integers:
        """Return the days that a model learns from when it stands on one, ascending."""
        days = stand - STEP * np.arange(LOOKS, 0, -1, dtype=np.int64)
        return days[days >= self.first + WARM_UP]


@dataclass(frozen=True, slots=True)
class Fold:
    """What every candidate said at one stand, and what came.

    Parameters
    ----------
    stand : Stand
        Where they stood.
    place : int
        Its place among the stands.
    rows : Rows
        Who was judged; the last column of ``waits`` is what came.
    hazard : mapping of str to ndarray of float64, shape (rows, 13)
        By candidate.
    """

    stand: Stand
    place: int
    rows: Rows
    hazard: Mapping[str, Floats]

    @property
    def label(self) -> npt.NDArray[np.int8]:
        """Whether the next purchase came within 28 days."""
        wait = self.rows.waits[:, -1]
        return ((wait > 0) & (wait <= JUDGED_DAYS)).astype(np.int8)

    def chance(self, model: str) -> Floats:
        """Return the probability of that by a candidate."""
        return chance_by_day(self.hazard[model])[:, JUDGED_DAYS - 1]


@dataclass(frozen=True, slots=True)
class Contest:
    """How it went.

    Parameters
    ----------
    folds : tuple of Fold
        By stand.
    baseline, chosen : str
        The best simple rule, and what is used.
    gain : Interval
        Log loss that the challenger saves over that rule.
    factor : float
        By which the cumulative hazards of what is used are multiplied; 1 unless that paid.
    """

    folds: tuple[Fold, ...]
    baseline: str
    chosen: str
    gain: Interval
    factor: float

    def pooled(self, model: str) -> tuple[npt.NDArray[np.int8], Floats]:
        """Return labels and probabilities of all stands.

        Parameters
        ----------
        model : str
            Whose probabilities.

        Returns
        -------
        tuple of ndarray of int8 and ndarray of float64
        """
        return (
            np.concatenate([fold.label for fold in self.folds]),
            np.concatenate([fold.chance(model) for fold in self.folds]),
        )

    def scores(self) -> tuple[FoldScore, ...]:
        """Return every metric of every candidate at every stand."""
        return tuple(
            score for fold in self.folds for model in fold.hazard for score in _scores(fold, model)
        )

    def totals(self) -> tuple[TotalScore, ...]:
        """Return expected and observed numbers of what is used."""
        return tuple(
            TotalScore(
                fold.stand.origin,
                float(np.sort(p).sum()),
                float(fold.label.sum()),
                float(np.sort(p * (1.0 - p)).sum()),
            )
            for fold in self.folds
            for p in (fold.chance(self.chosen),)
        )


def _scores(fold: Fold, model: str) -> list[FoldScore]:
    label, chance = fold.label, fold.chance(model)
    groups = _groups(fold.rows.contact_id)
    positives = int(label.sum())

    def score(metric: str, found: Interval, rows: int) -> FoldScore:
        return FoldScore(
            fold.stand.origin, model, metric, found.value, found.low, found.high, rows, positives
        )

    scores = []
    for name, metric in _METRICS.items():
        found = bootstrap(
            metric, label, chance, groups=groups, n_resamples=_RESAMPLES, random_state=0
        )
        scores.append(score(name, found, len(label)))
    wait = fold.rows.waits[:, -1]
    # Only who had a gap of their own, and came back in time to be seen by everybody.
    came = (wait > 0) & (wait <= DAYS) & (fold.rows.days > 1)
    if came.any():
        dates = expected_dates(chance_by_day(fold.hazard[model][came]))
        people = fold.rows.contact_id[came]
        off = np.abs(dates.middle - wait[came]).astype(np.float64)
        inside = (dates.low <= wait[came]) & (wait[came] <= dates.high)
        scores.append(score("mae_days", mean_over(off, people), int(came.sum())))
        covered = mean_over(inside.astype(np.float64), people)
        scores.append(score("band_covers", covered, int(came.sum())))
    return scores


def mean_over(values: Floats, groups: npt.NDArray[np.object_]) -> Interval:
    """Return a mean with its 95 % interval over contacts.

    Parameters
    ----------
    values : ndarray of float64, shape (rows,)
        Of the rows.
    groups : ndarray of str, shape (rows,)
        The contact of each row.

    Returns
    -------
    Interval
        By the bootstrap over contacts.
    """
    place = _groups(groups)
    sums, sizes = np.bincount(place, weights=values), np.bincount(place)
    draw = np.random.default_rng(0)
    means = np.empty(_RESAMPLES)
    for resample in range(_RESAMPLES):
        times = np.bincount(draw.integers(0, len(sums), len(sums)), minlength=len(sums))
        means[resample] = (times * sums).sum() / (times * sizes).sum()
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(sums.sum() / sizes.sum()), float(low), float(high), 0.95)


@dataclass(frozen=True, slots=True)
class Study:
    """What was read of the past to learn from and to judge by.

    Parameters
    ----------
    known : Known
        What is known of each series.
    plan : Plan
        When.
    learned, judged : Rows
        Rows to learn from and to be judged by; ``waits`` has a column a stand, and a last one for what is
        known today.
    """

    known: Known
    plan: Plan
    learned: Rows
    judged: Rows

    def weeks(self, stand: Stand, place: int = -1) -> tuple[Rows, Weeks]:
        """Return what can be learned from at a stand.

        Parameters
        ----------
        stand : Stand
            Where the model stands.
        place : int, default -1
            Its column of ``waits``; by default the last one.

        Returns
        -------
        tuple of Rows and Weeks
            Rows, and those of their weeks that were over then.
        """
        rows = self.learned.where(np.isin(self.learned.at, self.plan.looks(stand.day)))
        return rows, Weeks.seen(rows.waits[:, place], stand.complete - rows.at)


def open_study(past: Past, plan: Plan) -> Study:
    """Read the past.

    Parameters
    ----------
    past : Past
        Purchases.
    plan : Plan
        Where models stand, beside one that stands on day 0 and that nobody judges.

    Returns
    -------
    Study
        With a stable share of the rows where there are too many.
    """
    days = [stand.day for stand in plan.stands]
    looks = np.unique(np.concatenate([plan.looks(day) for day in (*days, 0)]))
    stands = np.array([*days, LATER], dtype=np.int64)
    found = past.count(looks)
    quota = np.array([[1.0 - _REPEATERS], [_REPEATERS]]) * plan.most_rows / LOOKS
    share = quota / np.maximum(found, 1)
    # What one kind leaves free, the other one may have.
    spare = np.maximum(quota - found, 0.0)[::-1] / np.maximum(found, 1)
    learned = past.rows(looks, stands, np.minimum(share + spare, 1.0))
    at = np.array(days, dtype=np.int64)
    many = np.maximum(past.count(at).sum(axis=0, keepdims=True), 1)
    alike = np.minimum(plan.most_judged / many, 1.0).repeat(2, axis=0)
    return Study(past.known, plan, learned, past.rows(at, stands, alike))


def hold_contest(study: Study, *, rules_only: bool = False) -> Contest | None:
    """Let all candidates say from every stand when each series buys next, and choose.

    Parameters
    ----------
    study : Study
        What was read.
    rules_only : bool, default False
        Whether a simple rule is used however well the challenger does.

    Returns
    -------
    Contest or None
        None where no stand has series of both kinds, and weeks of both kinds before it.
    """
    folds = []
    for place, stand in enumerate(study.plan.stands):
        fold = _judge(study, place, stand)
        if fold is not None:
            folds.append(fold)
    return choose(folds, rules_only=rules_only) if folds else None


def _judge(study: Study, place: int, stand: Stand) -> Fold | None:
    rows, weeks = study.weeks(stand, place)
    judged = study.judged.where(study.judged.at == stand.day)
    fold = Fold(stand, place, judged, {})
    if not (_has_both(weeks.label) and _has_both(fold.label)):
        return None
    hazard: dict[str, Floats] = {}
    for name in (*BASELINES, CHALLENGER):
        learner = learn(make(name, study.known), study.known, rows, weeks)
        if isinstance(learner, Blend):
            parts = {one.name: hazards(one, study.known, judged.numbers) for one in learner.parts}
            hazard |= parts | {name: np.mean(list(parts.values()), axis=0)}
        else:
            hazard[name] = hazards(learner, study.known, judged.numbers)
    return replace(fold, hazard=hazard)


def _has_both(label: npt.NDArray[np.int8]) -> bool:
    return 0 < int(label.sum()) < len(label)


def choose(folds: Sequence[Fold], *, rules_only: bool = False) -> Contest:
    """Choose between the challenger and the best rule, and whether to correct what is chosen.

    Parameters
    ----------
    folds : sequence of Fold
        By stand, at least one.
    rules_only : bool, default False
        Whether a simple rule is used however well the challenger does.

    Returns
    -------
    Contest
        A finer rule replaces a coarser one, the challenger a rule, and a correction nothing, only where log
        loss is saved with an interval over contacts that excludes zero.
    """
    baseline = BASELINES[0]
    for name in BASELINES[1:]:
        if _saving(folds, name, baseline).low > 0.0:
            baseline = name
    gain = _saving(folds, CHALLENGER, baseline)
    chosen = CHALLENGER if gain.low > 0.0 and not rules_only else baseline
    corrected = [_corrected(before, fold, chosen) for before, fold in itertools.pairwise(folds)]
    if not corrected or not _saving(corrected, "corrected", chosen).low > 0.0:
        return Contest(tuple(folds), baseline, chosen, gain, 1.0)
    applied = [
        replace(fold, hazard={**fold.hazard, chosen: fold.hazard["corrected"]})
        for fold in corrected
    ]
    kept = [_without(fold, "corrected") for fold in applied]
    factor = factor_of(folds[-1].hazard[chosen], folds[-1].rows.waits[:, -1], 7 * WEEKS)
    return Contest((folds[0], *kept), baseline, chosen, gain, factor)


def _without(fold: Fold, name: str) -> Fold:
    return replace(fold, hazard={key: one for key, one in fold.hazard.items() if key != name})


def _corrected(before: Fold, fold: Fold, chosen: str) -> Fold:
    """Return a fold with hazards corrected by what had come by then of what was said before."""
    wait = before.rows.waits[:, fold.place]
    observed = fold.stand.complete - before.stand.day
    factor = factor_of(before.hazard[chosen], wait, observed)
    hazard = {**fold.hazard, "corrected": scaled(fold.hazard[chosen], factor)}
    return replace(fold, hazard=hazard)


def _saving(folds: Sequence[Fold], model: str, baseline: str) -> Interval:
    """Return the log loss that a model saves over another, with its interval over contacts."""
    return paired_difference(
        log_loss,
        np.concatenate([fold.label for fold in folds]),
        np.concatenate([fold.chance(baseline) for fold in folds]),
        np.concatenate([fold.chance(model) for fold in folds]),
        groups=_groups(np.concatenate([fold.rows.contact_id for fold in folds])),
        n_resamples=1000,
        random_state=0,
    )


def _groups(contact_id: npt.NDArray[np.object_]) -> Integers:
    """Return the contact of each row as a number."""
    import pandas as pd

    return np.asarray(pd.factorize(contact_id)[0], dtype=np.int64)


def factor_of(hazard: Floats, wait: Integers, observed: int) -> float:
    """Return by what cumulative hazards have to be multiplied to fit what came.

    Parameters
    ----------
    hazard : ndarray of float64, shape (rows, 13)
        What was said.
    wait : ndarray of int64, shape (rows,)
        Days until the next purchase, 0 where it had not come.
    observed : int
        Days that were looked at.

    Returns
    -------
    float
        Of the greatest likelihood between 1/4 and 4; see :func:`scaled`.
    """
    from scipy.optimize import minimize_scalar

    weeks = Weeks.seen(wait, np.full(len(wait), observed))
    said, came = hazard[weeks.row, weeks.week], weeks.label.astype(bool)

    def loss(log_factor: float) -> float:
        again = scaled(said, float(np.exp(log_factor)))
        return -float(np.log(np.where(came, again, 1.0 - again)).sum())

    bound = float(np.log(_LARGEST_FACTOR))
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    return float(np.exp(found.x))
