"""Which groups of features pay? Each is shuffled, and what the model loses is measured.

    python benchmarks/ablation.py                                    # the sample shop
    python benchmarks/ablation.py --online-retail PATH.csv.gz        # and UCI Online Retail
    python benchmarks/ablation.py … --output docs/ablation.md        # as the page of the docs

For each question the model of mlmarket stands at rolling origins, learns from snapshots whose label windows
ended by then, and predicts what came after. Then the columns of one group are shuffled together among the
contacts of an origin, several times: the increase of log loss is what the group is worth to the model beside
all others. Groups whose 95 % interval over contacts includes zero pay nothing there. Those that pay for no
question are taken away, and the model learns again without them.

Each set has questions of its own (shop: purchase and churn; messaging: click; subscription: usage; leads:
lead), and each model knows all sets.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import Interval, log_loss, paired_difference, rolling_origins
from mlmarket.evaluation.metrics import row_log_loss
from mlmarket.evaluation.resampling import Draws
from mlmarket.features import FEATURE_SETS, Behaviour, Feature, SnapshotSpec
from mlmarket.features.sets import Ground
from mlmarket.market import Market
from mlmarket.market.samples import sample_folder
from mlmarket.prediction.learner import one_thread
from mlmarket.prediction.target import blend
from mlmarket.prediction.training import Rows, Snapshots, plan_training

METHOD = (__doc__ or "")[(__doc__ or "").index("For each question") :].strip()
REPEATS = 5
RESAMPLES = 1000
SEED = 7
STEP = timedelta(days=30)
Groups = dict[str, list[Feature]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of whom, and at how many origins."""

    title: str
    label: str
    horizon: int
    eligible: str
    last: datetime
    origins: int

    @property
    def text(self) -> str:
        """What it says in the table."""
        first = self.last - (self.origins - 1) * STEP
        return (
            f"`{self.label}` within {self.horizon} days, of `{self.eligible}`; {self.origins} "
            f"origins from {first:%Y-%m-%d} to {self.last:%Y-%m-%d}, 30 days apart"
        )


MAY = datetime(2026, 5, 31, 23, tzinfo=UTC)
MARCH = datetime(2026, 3, 31, 23, tzinfo=UTC)
SAMPLE = (
    Question("Purchase", "order", 30, "order", MAY, 3),
    Question("Churn", "no order", 90, "order within 365D", MARCH, 2),
    Question("Click", "click", 30, "send within 30D", MAY, 3),
    Question("Usage", "event log_in", 30, "event log_in within 90D", MAY, 3),
    Question(
        "Lead",
        "outcome sql",
        60,
        "event form_submit",
        datetime(2026, 4, 20, 23, tzinfo=UTC),
        3,
    ),
)
RETAIL = (
    Question("Purchase, Online Retail", "order", 30, "order", datetime(2011, 11, 9, tzinfo=UTC), 4),
    Question("Churn, Online Retail", "no order", 90, "order", datetime(2011, 9, 10, tzinfo=UTC), 3),
)


@dataclass(frozen=True, slots=True)
class Fold:
    """A fitted model at an origin, and whom it is judged on."""

    learn: Rows
    judge: Rows
    predicted: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Result:
    """What a question showed."""

    question: Question
    rows: int
    rate: float
    loss: float
    worth: dict[str, Interval]
    sizes: dict[str, int]
    folds: tuple[Fold, ...]
    groups: Groups


def online_retail(path: Path) -> Market:
    """Open Online Retail with the configuration of the example."""
    os.environ["ONLINE_RETAIL"] = str(path.absolute())
    example = Path(__file__).parents[1] / "examples" / "online_retail"
    return Market.open(example / "mlmarket.toml")


def groups_of(market: Market, as_of: datetime) -> Groups:
    """Return the features of all sets by group, each feature in the first that has it."""
    ground = Ground(market, as_of=as_of)
    found: Groups = {}
    seen: set[Feature] = set()
    for make in FEATURE_SETS.values():
        for group, features in make(ground).items():
            new = [one for one in features if one not in seen]
            seen.update(new)
            found.setdefault(group, []).extend(new)
    return {group: features for group, features in found.items() if features}


def study(market: Market, question: Question) -> Result:
    """Fit at each origin, and shuffle each group."""
    print(question.title, "…", file=sys.stderr, flush=True)
    origins = rolling_origins(last=question.last, count=question.origins, step=STEP)
    horizon = timedelta(days=question.horizon)
    groups = groups_of(market, origins[0])
    features = tuple(one for group in groups.values() for one in group)
    label, gate = Behaviour.parse(question.label), Behaviour.parse(question.eligible)
    spec = SnapshotSpec(gate, features, label, horizon)
    until = origins[-1] + horizon
    plan = plan_training(
        market,
        spec,
        as_of=until,
        folds=question.origins,
        warm_up=timedelta(days=28),
        most_cutoffs=12,
    )
    if plan is None:
        message = f"No label window of '{question.label}' is closed."
        raise SystemExit(message)
    snapshots = Snapshots(market, spec, known_at=until, most_rows=10**9, cutoffs=1, latest=until)
    folds = []
    for origin in origins:
        learn, judge = snapshots.at(plan.closed_at(origin), known_at=origin), snapshots.at([origin])
        folds.append(Fold(learn, judge, np.empty(0)))
    return judged(question, groups, folds)


def judged(question: Question, groups: Groups, folds: Sequence[Fold]) -> Result:
    """Return what each group is worth."""
    random = np.random.default_rng(SEED)
    losses: list[npt.NDArray[np.float64]] = []
    increases: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in groups}
    fitted = []
    for fold in folds:
        label = fold.judge.label.astype(np.float64)
        model = blend().fit(fold.learn.features, fold.learn.label)
        predicted = model.predict(fold.judge.features)
        base = row_log_loss(label, predicted)
        losses.append(base)
        fitted.append(Fold(fold.learn, fold.judge, predicted))
        for name, features in groups.items():
            columns = [feature.name for feature in features]
            shuffled = np.zeros(len(label))
            for _ in range(REPEATS):
                frame = fold.judge.features.copy()
                drawn = random.permutation(len(label))
                for column in columns:
                    frame[column] = frame[column].to_numpy()[drawn]
                shuffled += row_log_loss(label, model.predict(frame))
            increases[name].append(shuffled / REPEATS - base)
    contacts = np.concatenate([fold.judge.contact_id for fold in folds])
    labels = np.concatenate([fold.judge.label for fold in folds])
    return Result(
        question=question,
        rows=len(labels),
        rate=float(labels.mean()),
        loss=float(np.concatenate(losses).mean()),
        worth={name: interval(np.concatenate(part), contacts) for name, part in increases.items()},
        sizes={name: len(features) for name, features in groups.items()},
        folds=tuple(fitted),
        groups=groups,
    )


def interval(values: npt.NDArray[np.float64], contacts: npt.NDArray[np.object_]) -> Interval:
    """Return a mean with its 95 % interval over contacts."""
    draw = Draws(contacts, values.size, 0.95, RESAMPLES, SEED)
    return Interval(float(values.mean()), *draw.percentiles(draw.means(values)), 0.95)


def without(result: Result, groups: Sequence[str]) -> Interval:
    """Return the log loss that the model saves when it never knew some groups."""
    gone = [one.name for name in groups for one in result.groups.get(name, ())]
    again = []
    for fold in result.folds:
        model = blend().fit(fold.learn.features.drop(columns=gone), fold.learn.label)
        again.append(model.predict(fold.judge.features.drop(columns=gone)))
    return paired_difference(
        log_loss,
        np.concatenate([fold.judge.label for fold in result.folds]),
        np.concatenate([fold.predicted for fold in result.folds]),
        np.concatenate(again),
        groups=np.concatenate([fold.judge.contact_id for fold in result.folds]),
        n_resamples=RESAMPLES,
        random_state=SEED,
    )


def pays(found: Interval) -> bool:
    """Return whether a group is worth something beyond chance."""
    return found.low > 0.0


def table(results: Sequence[Result]) -> str:
    """Return the worth of every group for every question, in thousandths of log loss."""
    names = list(dict.fromkeys(name for result in results for name in result.worth))
    heads = [result.question.title for result in results]
    lines = [f"| group | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name in names:
        cells = []
        for result in results:
            found = result.worth.get(name)
            if found is None:
                cells.append("")
                continue
            text = f"{found.value * 1000:.1f} ({found.low * 1000:.1f} to {found.high * 1000:.1f})"
            cells.append(f"**{text}**" if pays(found) else text)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page(results: Sequence[Result], command: str) -> str:
    """Return the page of the docs."""
    names = list(dict.fromkeys(name for result in results for name in result.worth))
    idle = [n for n in names if not any(pays(r.worth[n]) for r in results if n in r.worth)]
    questions = "\n".join(
        f"- **{one.question.title}**: {one.question.text}; {one.rows:,} rows, {one.rate:.1%} "
        f"yes, log loss {one.loss:.4f}"
        for one in results
    )
    lines = []
    for result in results:
        mine = [name for name in idle if name in result.worth]
        if not mine:
            continue
        saved = without(result, mine)
        lines.append(
            f"| {result.question.title} | {saved.value * 1000:+.2f} | {saved.low * 1000:+.2f} to "
            f"{saved.high * 1000:+.2f} |"
        )
    return f"""\
# Which groups of features pay

Written by `{command}`.

{METHOD}

Rows are contacts at origins; a contact is drawn with all its rows. Seed {SEED}, {REPEATS} shuffles a group,
{RESAMPLES:,} resamples. The model is mlmarket's default, which knows all sets of features.

{questions}

## Worth of each group, in thousandths of log loss

Bold: the interval excludes zero. Empty: the tables do not allow the group. What two groups both know
(how often somebody orders, and how often in 90 days) is lost by shuffling neither alone, so a small
number says that a group can be spared beside the others, not that it knows nothing. Of so many intervals
a few exclude zero by chance: one bold number below 1 proves little. The shop of the first five is simulated.

{table(results)}

## What can go

Pay for no question: {", ".join(idle) or "none"}.

Log loss that the model saves when it learns without them, in thousandths (above 0: better without):

| question | saved | 95 % interval |
|---|---:|---:|
{chr(10).join(lines)}
"""


def main() -> None:
    """Print or write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--online-retail", type=Path)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    command = "python benchmarks/ablation.py"
    results = []
    with one_thread():
        market = Market.open(sample_folder() / "mlmarket.toml")
        results += [study(market, question) for question in SAMPLE]
        if given.online_retail:
            command += " --online-retail online_retail.csv.gz"
            retail = online_retail(given.online_retail)
            results += [study(retail, question) for question in RETAIL]
        text = page(results, command)
    if given.output:
        given.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
