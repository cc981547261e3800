"""What would these recommendations have been worth in the past, beside simple rules?

At each origin every model learns from what was known by then and recommends; what was taken afterwards is the answer. All items
of the catalogue compete. Everything taken counts (``all``), and apart from that what the recipient never had before
(``new``): a rule that repeats the past is hard to beat in the first and knows nothing of the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import (
    catalogue_coverage,
    intra_list_diversity,
    mean_intervals,
    novelty,
    ranking_metrics,
)
from mlmarket.evaluation.checks import require_count
from mlmarket.market.time import duration_text, parse_duration
from mlmarket.recommend.baselines import simple_rules
from mlmarket.recommend.contestants import Answer, contestant_of
from mlmarket.recommend.generators.ease import LargeCatalogueError
from mlmarket.recommend.generators.generator import Generator
from mlmarket.recommend.questions import Fold, questions
from mlmarket.recommend.ranking_report import FallbackShare, Gain, RankingReport, RankingScore

__all__ = ["backtest"]

Codes = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_METRIC: Final = "ndcg"
_CHANCE: Final = 0.05
"""That an interval misses the truth."""
_RESAMPLES: Final = 1000
_TARGETS: Final = ("all", "new")
_MEASURES: Final = {
    "recall": "recall",
    "ndcg": "ndcg",
    "map": "average_precision",
    "hit_rate": "hit",
    "mrr": "reciprocal_rank",
}
_LENGTHS: Final = ("1", "2", "3 or more")


def backtest(  # noqa: PLR0913 - tables, models and the question that is asked of them
    interactions: object,
    models: Mapping[str, object],
    *,
    origins: Sequence[datetime] = (),
    horizon: str | timedelta | None = None,
    k: int = 10,
    baselines: Mapping[str, object] | None = None,
    items: object | None = None,
    contacts: object | None = None,
    recipients: int | None = None,
    random_state: int = 0,
) -> RankingReport:
    """Let models recommend in the past, and compare them with what was taken afterwards.

    With times, models stand at each of `origins`, know the rows at or before it, and what was taken within `horizon`
    after it is the answer. Where only an order is known, the latest occasion of each contact is the answer, and everything before
    it is known.

    Parameters
    ----------
    interactions : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        ``contact_id``, ``item_id``, and ``occurred_at`` or ``order``; ``weight`` where rows do not count alike.
    models : mapping of str to object
        Generators, ranking models or recommenders by name, unfitted; may be empty, to see the baselines alone. They are
        not changed.
    origins : sequence of datetime
        Where to stand, with a zone; needed where there are times.
    horizon : str or timedelta, optional
        Such as ``"30D"``; needed where there are times.
    k : int, default 10
        Length of the lists.
    baselines : mapping of str to object, optional
        Simple rules; by default :func:`~mlmarket.recommend.baselines.simple_rules`. The first, if it is a generator, also fills the places that generators
        and ranking models leave empty, so that all lists have the same length.
    items, contacts : frames, optional
        Facts for models that use them.
    recipients : int, optional
        Judge at most so many contacts an origin, drawn by chance; by default all.
    random_state : int, default 0
        Seed of all draws.

    Returns
    -------
    RankingReport
        With intervals over contacts; a contact that is judged at several origins is drawn with all of them.

    Raises
    ------
    ConfigurationError
        Where an argument cannot be used, a window is not over, or nobody can be judged.
    DataContractError
        Where rows cannot be used.

    References
    ----------
    Ji, Sun, Zhang and Li (2023), A critical study on data leakage in recommender system offline evaluation, ACM TOIS
    41(3), for the cut in time.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"contact_id": list("aabbcc"), "item_id": list("xyxyxz"), "order": [1, 2] * 3})
    >>> backtest(rows, {}, k=1).best_baseline["all"]
    'popularity'
    """
    require_count(k, "k")
    simple = simple_rules() if baselines is None else dict(baselines)
    _refuse_names(models, simple)
    length = None if horizon is None else parse_duration(horizon)
    folds = questions(
        interactions,
        origins=origins,
        horizon=length,
        items=items,
        contacts=contacts,
        most=recipients,
        random_state=random_state,
    )
    filler = next(iter(simple.values()))
    played: dict[str, _Played] = {}
    left_out: dict[str, str] = {}
    for name, model in {**models, **simple}.items():
        try:
            played[name] = _play(name, model, filler, folds, k)
        except LargeCatalogueError as error:
            left_out[name] = error.what
    contest = _Contest(
        folds=folds,
        played=played,
        models=tuple(name for name in models if name in played),
        baselines=tuple(name for name in simple if name in played),
        random_state=random_state,
    )
    baseline = {target: contest.best_baseline(target) for target in _TARGETS}
    gains = [gain for target in _TARGETS for gain in contest.gains(target)]
    return RankingReport(
        k=k,
        horizon=length,
        scores=tuple(score for target in _TARGETS for score in contest.scores(target)),
        gains=tuple(gains),
        fallbacks=tuple(share for target in _TARGETS for share in contest.fallbacks(target)),
        models=contest.models,
        baselines=contest.baselines,
        best_baseline=baseline,
        chosen={target: _chosen(gains, target, baseline[target]) for target in _TARGETS},
        metric=_METRIC,
        limits=_limits(folds, length, left_out, next(iter(simple))),
    )


@dataclass(frozen=True, slots=True)
class _Lists:
    """What a model showed at an origin, and how good it was, one number a recipient."""

    values: Mapping[str, Floats]
    coverage: float
    shown: Integers
    by_fallback: Integers


_Played = dict[str, list[_Lists]]
"""Of one model: by target, one for each origin."""


@dataclass(frozen=True, slots=True)
class _Contest:
    """All models at all origins."""

    folds: Sequence[Fold]
    played: Mapping[str, _Played]
    models: tuple[str, ...]
    baselines: tuple[str, ...]
    random_state: int

    def together(self, model: str, target: str, metric: str) -> Floats:
        """Return a measure of all recipients at all origins."""
        return np.concatenate([one.values[metric] for one in self.played[model][target]])

    def scores(self, target: str) -> list[RankingScore]:
        """Return every measure of every model, at each origin and over all."""
        whole = tuple(range(len(self.folds)))
        parts = [(self.folds[place].question.origin, (place,)) for place in whole]
        timed = [part for part in parts if part[0] is not None]
        return [
            score
            for origin, places in [*timed, (None, whole)]
            for score in self._scores_at(origin, places, target)
        ]

    def _scores_at(
        self, origin: datetime | None, places: tuple[int, ...], target: str
    ) -> list[RankingScore]:
        groups = np.concatenate([self.folds[place].group for place in places])
        lists = {
            name: [played[target][place] for place in places]
            for name, played in self.played.items()
        }
        columns = {
            (name, metric): np.concatenate([one.values[metric] for one in mine])
            for name, mine in lists.items()
            for metric in mine[0].values
        }
        drawn = mean_intervals(
            {f"{name} {metric}": values for (name, metric), values in columns.items()},
            groups=groups,
            n_resamples=_RESAMPLES,
            random_state=self.random_state,
        )
        unknown = float("nan")
        scores = []
        for (name, metric), values in columns.items():
            one = drawn[f"{name} {metric}"]
            judged = int(np.count_nonzero(~np.isnan(values)))
            scores.append(
                RankingScore(origin, name, target, metric, one.value, one.low, one.high, judged)
            )
        for name, mine in lists.items():
            share = float(np.mean([one.coverage for one in mine]))
            scores.append(
                RankingScore(origin, name, target, "coverage", share, unknown, unknown, len(groups))
            )
        return scores

    def best_baseline(self, target: str) -> str:
        """Return the simple rule with the best lists over all origins; of equal ones the first."""
        means = {
            name: np.nan_to_num(_mean(self.together(name, target, _METRIC)))
            for name in self.baselines
        }
        return max(means, key=lambda name: means[name])

    def gains(self, target: str) -> list[Gain]:
        """Return every model against every baseline.

        With each model more there is one more chance to be better by luck, so intervals are wider (Bonferroni).
        """
        pairs = [
            (metric, model, rule)
            for metric in _MEASURES
            for model in self.models
            for rule in self.baselines
        ]
        found = mean_intervals(
            {
                " ".join(pair): self.together(pair[1], target, pair[0])
                - self.together(pair[2], target, pair[0])
                for pair in pairs
            },
            groups=np.concatenate([fold.group for fold in self.folds]),
            level=1.0 - _CHANCE / max(len(self.models), 1),
            n_resamples=_RESAMPLES,
            random_state=self.random_state,
        )
        return [
            Gain(
                model=model,
                baseline=rule,
                target=target,
                metric=metric,
                difference=found[f"{metric} {model} {rule}"],
                baseline_value=_mean(self.together(rule, target, metric)),
            )
            for metric, model, rule in pairs
        ]

    def fallbacks(self, target: str) -> list[FallbackShare]:
        """Return how often each model was helped, by length of history."""
        length = np.concatenate([_length_class(fold) for fold in self.folds])
        shares = []
        for name, played in self.played.items():
            shown = np.concatenate([one.shown for one in played[target]])
            helped = np.concatenate([one.by_fallback for one in played[target]])
            for place, words in enumerate(_LENGTHS):
                mine = length == place
                slots = int(shown[mine].sum())
                share = int(helped[mine].sum()) / slots if slots else float("nan")
                shares.append(FallbackShare(name, target, words, int(mine.sum()), slots, share))
        return shares


def _play(name: str, model: object, filler: object, folds: Sequence[Fold], k: int) -> _Played:
    """Let a model learn and answer at every origin."""
    contestant = contestant_of(
        model, name=name, filler=filler if isinstance(filler, Generator) else None
    )
    played: _Played = {target: [] for target in _TARGETS}
    for fold in folds:
        contestant.learn(fold.question)
        for target in _TARGETS:
            answer = contestant.answer(fold.question, k=k, new=target == "new")
            played[target].append(_judge(fold, answer, k, new=target == "new"))
    return played


def _judge(fold: Fold, answer: Answer, k: int, *, new: bool) -> _Lists:
    question = fold.question
    lists = answer.item.astype(np.int64)
    size = len(question.known.items)
    start, item = fold.relevant(new=new)
    scores = ranking_metrics(lists, start, item, k)
    values = {name: scores.values(metric) for name, metric in _MEASURES.items()}
    known = question.known
    pairs = np.unique(known.contact.astype(np.int64) * size + known.item)
    people = int(np.count_nonzero(np.diff(known.start)))
    values["novelty"] = novelty(lists, np.bincount(pairs % size, minlength=size), people)
    category = question.facts.category
    if (category >= 0).any():
        values["diversity"] = intra_list_diversity(lists, categories=category)
    shown = (lists >= 0).sum(axis=1)
    values["filled"] = shown / k
    there = max(int(np.count_nonzero(question.available)), 1)
    coverage = catalogue_coverage(lists, size) * size / there
    return _Lists(values, coverage, shown, answer.by_fallback)


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _length_class(fold: Fold) -> Integers:
    """Return the place of each recipient's length of history in the list of lengths."""
    people = fold.question.recipients
    occasions = people.occasions_back[people.start[:-1]] + 1
    return np.minimum(occasions, len(_LENGTHS)).astype(np.int64) - 1


def _chosen(gains: Sequence[Gain], target: str, baseline: str) -> str:
    """Return the best of the models that beat the best simple rule, or the rule."""
    clear = [
        gain
        for gain in gains
        if (gain.target, gain.metric, gain.baseline) == (target, _METRIC, baseline)
        and gain.difference.low > 0.0
    ]
    return max(clear, key=lambda gain: gain.difference.value).model if clear else baseline


def _refuse_names(models: Mapping[str, object], baselines: Mapping[str, object]) -> None:
    both = sorted(set(models) & set(baselines))
    if both:
        raise ConfigurationError(
            f"'{both[0]}' is the name of a model and of a baseline.",
            "Their measures could not be told apart.",
            "rename the model.",
        )
    if not baselines:
        raise ConfigurationError(
            "There is no baseline.",
            "A number without a simple rule beside it says little.",
            "leave baselines= out to take the usual ones.",
        )


def _limits(
    folds: Sequence[Fold], horizon: timedelta | None, left_out: Mapping[str, str], filler: str
) -> tuple[str, ...]:
    limits = [f"'{name}' took no part: {why}" for name, why in left_out.items()]
    origins = [fold.question.origin for fold in folds if fold.question.origin is not None]
    if horizon is None:
        limits.append(
            "Only the order of rows is known: each history is cut by itself, so models know what others did later."
        )
    elif any(later - earlier < horizon for earlier, later in pairwise(origins)):
        limits.append(
            f"Windows of {duration_text(horizon)} overlap: the origins are fewer than they look."
        )
    if len(origins) == 1:
        limits.append("It was judged at one origin only: another season may say something else.")
    limits.append(
        f"Places that generators and ranking models leave empty are filled by '{filler}'."
    )
    limits.append(
        "Judged are contacts who had a history and took something; a list that is not seen causes nothing."
    )
    return tuple(limits)
