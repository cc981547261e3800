"""What is read from the past, when, and what does it show?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import calibration_curve, gain_table, relative_total_error
from mlmarket.features import Feature, FeatureChoice, SnapshotSpec, choose_features
from mlmarket.market import Market
from mlmarket.market.time import duration_text, to_utc
from mlmarket.prediction.contest import Contest, run_contest
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.learner import one_thread
from mlmarket.prediction.predictor import DeclinedError
from mlmarket.prediction.question import Question
from mlmarket.prediction.training import Rows, Snapshots, TrainingPlan
from mlmarket.prediction.words import gain_in_words, limits_in_words

__all__ = [
    "Study",
    "declined",
    "declined_to_judge",
    "features_of_plan",
    "hold_contest",
    "open_study",
    "ordered_origins",
    "require_market",
    "sum_up",
]


@dataclass(frozen=True, slots=True)
class Study:
    """What is read, when, and what was left out.

    Parameters
    ----------
    question : Question
        What is asked.
    spec : SnapshotSpec
        What is read.
    plan : TrainingPlan
        When.
    snapshots : Snapshots
        Where from.
    left_out : tuple of (str, str)
        Attributes that are not used, and why.
    """

    question: Question
    spec: SnapshotSpec
    plan: TrainingPlan
    snapshots: Snapshots
    left_out: tuple[tuple[str, str], ...]


def declined(predictor: str, reason: str, needed: str) -> DeclinedError:
    """Return the error of a predictor that cannot answer.

    Parameters
    ----------
    predictor : str
        Its name.
    reason : str
        Why it cannot be answered.
    needed : str
        What would be needed.

    Returns
    -------
    DeclinedError
        To be raised.
    """
    return DeclinedError(
        f"'{predictor}' declines: {reason}.",
        "A number without anything behind it would be worse than none.",
        f"it needs {needed}.",
    )


def declined_to_judge(predictor: str, horizon: timedelta) -> DeclinedError:
    """Return the error of a predictor that nobody could judge.

    Parameters
    ----------
    predictor : str
        Its name.
    horizon : timedelta
        How far its labels look.

    Returns
    -------
    DeclinedError
        To be raised.
    """
    return declined(
        predictor,
        "there is no origin at which it could be judged",
        f"at least two windows of {duration_text(horizon)}, one to learn from and one to "
        "be judged on, with contacts who did it and contacts who did not in each",
    )


def require_market(market: object) -> None:
    """Refuse what is no market, such as a bare frame.

    Parameters
    ----------
    market : object
        What somebody passed.

    Raises
    ------
    ConfigurationError
        With how to make one.
    """
    if not isinstance(market, Market):
        raise ConfigurationError(
            f"This is a {type(market).__name__}, not a Market.",
            "A predictor asks tables that were checked, as of an instant.",
            "make one of your frame: Market.from_tables(orders=frame).",
        )


def ordered_origins(origins: Iterable[datetime] | datetime) -> tuple[datetime, ...]:
    """Return the origins of a backtest, ascending and each once.

    Parameters
    ----------
    origins : iterable of datetime, or datetime
        Aware instants, in any order.

    Returns
    -------
    tuple of datetime
        In UTC.

    Raises
    ------
    ConfigurationError
        Where there is none, or one has no zone.
    """
    asked = origins if isinstance(origins, Iterable) else [origins]
    ordered = tuple(sorted({to_utc(origin).replace(tzinfo=UTC) for origin in asked}))
    if not ordered:
        raise ConfigurationError(
            "There is no origin to stand at.",
            "A backtest judges what would have been said then.",
            "pass at least one instant, such as [datetime(2026, 1, 1, tzinfo=UTC)].",
        )
    return ordered


def open_study(
    market: "Market",
    question: Question,
    plan: TrainingPlan,
    *,
    features: Sequence[Feature | str] | None,
    known_at: datetime | None,
    most_rows: int,
) -> Study:
    """Choose features as they could have been chosen at the first origin, and open the past.

    Parameters
    ----------
    market : Market
        The tables.
    question : Question
        What is asked.
    plan : TrainingPlan
        When to look.
    features : sequence of Feature or str, or None
        What is known of each contact, see :func:`mlmarket.features.choose_features`.
    known_at : datetime or None
        Labels that became available later are not seen; None sees all there are.
    most_rows : int
        Rows to learn from at most.

    Returns
    -------
    Study
        Nothing of the snapshots is read yet.

    Raises
    ------
    DeclinedError
        Where the plan has no origin.
    """
    if not plan.origins:
        raise declined_to_judge(question.name, question.horizon)
    chosen = features_of_plan(market, plan, features)
    spec = SnapshotSpec(question.eligible, chosen.features, question.label, question.horizon)
    snapshots = Snapshots(
        market,
        spec,
        known_at=known_at,
        most_rows=most_rows,
        cutoffs=len(plan.cutoffs),
        latest=max(plan.cutoffs[-1], plan.origins[-1]),
        planned=plan.instants,
    )
    return Study(question, spec, plan, snapshots, chosen.left_out)


def features_of_plan(
    market: "Market", plan: TrainingPlan, features: Sequence[Feature | str] | None
) -> FeatureChoice:
    """Return the features that a training reads.

    Parameters
    ----------
    market : Market
        The tables.
    plan : TrainingPlan
        With at least one origin.
    features : sequence of Feature or str, or None
        What was asked for.

    Returns
    -------
    FeatureChoice
        As they could have been chosen at the first origin.
    """
    first = plan.origins[0]
    earliest = min(*plan.closed_at(first), first, plan.cutoffs[0])
    return choose_features(market, features, as_of=first, earliest=earliest)


def hold_contest(study: Study) -> Contest:
    """Let all candidates predict from every origin, and choose.

    Parameters
    ----------
    study : Study
        What they read.

    Returns
    -------
    Contest
        How it went.

    Raises
    ------
    DeclinedError
        Where no origin has rows of both labels before and after it.
    """
    with one_thread():
        contest = run_contest(study.snapshots, study.plan, study.question.candidates)
    if contest is None:
        raise declined_to_judge(study.question.name, study.question.horizon)
    return contest


def sum_up(study: Study, contest: Contest, rows: Rows) -> Evidence:
    """Return the evidence of a contest.

    Parameters
    ----------
    study : Study
        What was read.
    contest : Contest
        How it went.
    rows : Rows
        What the final model learned from.

    Returns
    -------
    Evidence
        Numbers and words.
    """
    plan = study.plan
    with one_thread():
        folds = contest.scores()
    label, probability = contest.pooled(contest.chosen)
    totals = contest.totals()
    error = relative_total_error(
        [total.observed for total in totals],
        [total.expected for total in totals],
        own_chance=[total.own_chance for total in totals],
    )
    return Evidence(
        predictor=study.question.name,
        question=study.question.text,
        folds=folds,
        baseline=contest.baseline,
        chosen=contest.chosen,
        challenger=contest.challenger,
        gain=contest.gain,
        verdict=gain_in_words(contest),
        calibration=calibration_curve(label, probability),
        gains=gain_table(label, probability),
        totals=totals,
        relative_error=error,
        first_cutoff=plan.cutoffs[0],
        last_cutoff=plan.cutoffs[-1],
        rows=len(rows),
        contacts=len(set(rows.contact_id)),
        positives=int(rows.label.sum()),
        features=tuple(feature.name for feature in study.spec.features),
        left_out=study.left_out,
        limits=limits_in_words(contest, plan, error, study.left_out),
    )
