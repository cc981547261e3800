"""Will they buy? Rolling origin, beside the rules and models that people use today.

    python benchmarks/purchase.py                                   # the sample shop, with its oracle
    python benchmarks/purchase.py --online-retail PATH.csv.gz       # UCI Online Retail
    python benchmarks/purchase.py --cdnow PATH.csv.gz               # CDNOW, all 23,570 customers
    python benchmarks/purchase.py … --tuned                         # with the tuned blend as well
    python benchmarks/purchase.py … --earlier 4                     # origins four steps further back

Each model stands at each origin, learns from snapshots whose label windows ended by then, and predicts
the next H days of everybody who has ordered. BG/NBD is fitted as it is meant to be: on all orders until the
origin, once by mlmarket and, where it is installed, once by lifetimes. Printed: the mean over origins of
log loss, AUC and ECE (15 equal-count bins), with a 95 % interval over contacts, and CPU seconds of all its
trainings; then what the model saves over each of the others, on the same resampled contacts.

Origins are 30 days apart, those of CDNOW 90: its label windows do not overlap.
"""

import argparse
import importlib.util
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from mlmarket.churn import BetaGeoModel, summarize_transactions
from mlmarket.churn.purchase.candidates import candidates
from mlmarket.evaluation import rolling_origins
from mlmarket.evaluation.side_by_side import LossDraws, measures_of
from mlmarket.features import Behaviour, SnapshotSpec, default_features
from mlmarket.market import Market
from mlmarket.market.samples import sample_folder
from mlmarket.market.time import duration_text
from mlmarket.prediction.estimator import EstimatorLearner
from mlmarket.prediction.learner import Blend
from mlmarket.prediction.target import blend
from mlmarket.prediction.training import Rows, Snapshots, learn_from, plan_training

RESAMPLES = 400
MODEL = "mlmarket"
NAMES = {
    "base_rate": "base rate",
    "recency_rule": "recency rule",
    "rfm_cells": "RFM cells",
    "blend": MODEL,
    "boosted_trees": "· its trees alone",
    "logistic": "· its line alone",
    "beta_geo": "· its BG/NBD alone",
    "tuned_blend": "tuned blend",
}
"""What the table calls the candidates of the contest."""

PEERS: dict[str, Callable[[], Any]] = {
    "LightGBM default": lambda: EstimatorLearner(lgb.LGBMClassifier(verbose=-1, n_jobs=1)),
    "plain blend": blend,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the models stand, what they learn from, and whom they are judged on."""

    moment: datetime
    horizon: timedelta
    learn: Rows
    judge: Rows
    market: Market


def online_retail(path: Path) -> Market:
    """Open Online Retail with the configuration of the example."""
    os.environ["ONLINE_RETAIL"] = str(path.absolute())
    example = Path(__file__).parents[1] / "examples" / "online_retail"
    return Market.open(example / "mlmarket.toml")


def cdnow(path: Path) -> Market:
    """Open CDNOW: a line an order."""
    orders = pd.read_csv(path, dtype={"id": str})
    orders = orders.rename(columns={"id": "contact_id", "date": "ordered_at", "value": "amount"})
    orders = orders.assign(order_id=np.arange(len(orders)).astype(str))
    return Market.from_tables(orders=orders.drop(columns="n_cds"))


def origins_of(
    market: Market, *, horizon: timedelta, moments: tuple[datetime, ...]
) -> Iterator[Origin]:
    """Read what is known at each origin."""
    label = Behaviour.parse("order")
    features = default_features(market, as_of=moments[0])
    spec = SnapshotSpec(label, features, label, horizon)
    until = moments[-1] + horizon
    plan = plan_training(
        market, spec, as_of=until, folds=1, warm_up=timedelta(days=28), most_cutoffs=12
    )
    if plan is None:
        message = "No label window is closed."
        raise SystemExit(message)
    snapshots = Snapshots(
        market,
        spec,
        known_at=until,
        most_rows=10**9,
        cutoffs=1,
        latest=until,
        planned={*moments, *(cutoff for one in moments for cutoff in plan.closed_at(one))},
    )
    for moment in moments:
        if not plan.closed_at(moment):
            continue
        learn = snapshots.at(plan.closed_at(moment), known_at=moment)
        yield Origin(moment, horizon, learn, snapshots.at([moment]), market)


def run(
    market: Market, horizon: timedelta, moments: tuple[datetime, ...], *, tuned: bool
) -> pd.DataFrame:
    """Return one row a contact, origin and model."""
    frames = []
    for origin in origins_of(market, horizon=horizon, moments=moments):
        judge = origin.judge
        known = {"origin": origin.moment, "contact_id": judge.contact_id, "label": judge.label}
        for name, predicted, seconds in answers(origin, tuned=tuned):
            frames.append(
                pd.DataFrame({**known, "model": name, "predicted": predicted, "cpu": seconds})
            )
    return pd.concat(frames, ignore_index=True)


def answers(origin: Origin, *, tuned: bool) -> Iterator[tuple[str, npt.NDArray[np.float64], float]]:
    """Yield the name of each model, its probabilities and its CPU seconds."""
    learn, judge = origin.learn, origin.judge
    taking_part = candidates(origin.horizon, negated=False, tuned=tuned)
    entrants = {**taking_part.baselines, **PEERS, **taking_part.challengers}
    parts: dict[str, npt.NDArray[np.float64]] = {}
    for name, make in entrants.items():
        if name not in parts:
            begin = time.process_time()
            learner = learn_from(make(), learn)
            predicted = learner.predict(judge.features)
            yield NAMES.get(name, name), predicted, time.process_time() - begin
            if isinstance(learner, Blend) and name in taking_part.challengers:
                parts = learner.predict_parts(judge.features) | parts
    for name, predicted in parts.items():
        yield NAMES[name], predicted, 0.0
    yield from buy_till_you_die(origin)


def buy_till_you_die(origin: Origin) -> Iterator[tuple[str, npt.NDArray[np.float64], float]]:
    """Yield what BG/NBD says that was fitted on all orders until the origin."""
    days = duration_text(origin.horizon)
    summary = summarize_transactions(origin.market, as_of=origin.moment, unit="1D")
    asked = summary.set_index("contact_id").loc[origin.judge.contact_id]
    begin = time.process_time()
    model = BetaGeoModel(unit="1D").fit(summary)
    predicted = model.probability_purchase(asked, horizon=days)
    yield "BG/NBD, all orders", predicted, time.process_time() - begin
    if importlib.util.find_spec("lifetimes") is None:
        return
    begin = time.process_time()
    predicted = of_lifetimes(summary, asked, origin.horizon / timedelta(days=1))
    yield "BG/NBD, lifetimes", predicted, time.process_time() - begin


def of_lifetimes(
    summary: pd.DataFrame, asked: pd.DataFrame, days: float
) -> npt.NDArray[np.float64]:
    """Return the probability of an order by lifetimes: P(alive), and one less that of none."""
    import lifetimes

    columns = ["frequency", "recency", "T"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        week = summary[columns].to_numpy() / [1.0, 7.0, 7.0]
        fitter = lifetimes.BetaGeoFitter(penalizer_coef=1e-4).fit(*week.T)
        x, t_x, length = (asked[columns].to_numpy() / [1.0, 7.0, 7.0]).T
        alive = np.asarray(fitter.conditional_probability_alive(x, t_x, length))
    shape, rate = fitter.params_["r"] + x, fitter.params_["alpha"] + length
    return alive * (1.0 - (rate / (rate + days / 7.0)) ** shape)


def with_oracle(frame: pd.DataFrame, horizon: timedelta) -> pd.DataFrame:
    """Add what the sample shop's oracle says of the same contacts and origins."""
    truth = pq.read_table(sample_folder() / "truth" / "purchase_oracle.parquet").to_pandas()
    truth = truth[truth["horizon_days"] == horizon.days]
    truth = truth.assign(origin=pd.to_datetime(truth["as_of"], utc=True))
    asked = frame[frame["model"] == MODEL].drop(columns=["predicted", "cpu"])
    asked = asked.assign(origin=pd.to_datetime(asked["origin"], utc=True))
    known = asked.merge(truth[["contact_id", "origin", "probability"]], on=["contact_id", "origin"])
    known = known.assign(model="oracle", predicted=known["probability"], cpu=0.0)
    return pd.concat([frame, known[frame.columns]], ignore_index=True)


def show(frame: pd.DataFrame, title: str) -> None:
    """Print one table."""
    wide = frame.pivot_table(
        index=["origin", "contact_id", "label"], columns="model", values="predicted", sort=False
    )
    wide = wide[frame["model"].unique()].reset_index()
    names = list(wide.columns[3:])
    by_origin = [
        measures_of(fold["label"], fold[names], n_resamples=RESAMPLES, random_state=0)
        for _, fold in wide.groupby("origin")
    ]
    draws = LossDraws(wide["label"], wide[names], groups=wide["contact_id"], random_state=0)
    seconds = frame.groupby(["model", "origin"])["cpu"].first().groupby("model").sum()
    print(
        f"\n{title}: {len(by_origin)} origins to {wide['origin'].max():%Y-%m-%d}, "
        f"{len(wide):,} rows, {wide['label'].mean():.1%} bought"
    )
    heads = ("log loss", "AUC", "ECE")
    print(
        f"{'':20}" + "".join(f"{head:>18}" for head in heads) + f"{'CPU s':>8}   mlmarket saves, ‰"
    )
    for name in names:
        cells = [
            mean_of([one[name][key] for one in by_origin]) for key in ("log_loss", "auc", "ece")
        ]
        saved = draws.saving(MODEL, over=name)
        against = f"{1e3 * saved.value:+7.1f} ({1e3 * saved.low:+.1f} to {1e3 * saved.high:+.1f})"
        print(
            f"{name:20}{''.join(cells)}{seconds[name]:8.1f}{'' if name == MODEL else against:>26}"
        )


def mean_of(intervals: list[Any]) -> str:
    """Return the mean of a measure over origins, with the half-width of its interval.

    The same contacts are judged at every origin, so their errors are taken as fully shared.
    """
    value = np.mean([one.value for one in intervals])
    reach = np.mean([(one.high - one.low) / 2.0 for one in intervals])
    return f"{value:8.4f} ± {reach:.4f}".rjust(18)


def at_months(last: datetime, count: int) -> tuple[datetime, ...]:
    """Return first days of months, when the oracle of the sample shop was asked."""
    month = pd.Timestamp(last).tz_convert("Europe/Lisbon")
    months = [month - pd.DateOffset(months=back) for back in reversed(range(count))]
    return tuple(one.tz_convert("UTC").to_pydatetime() for one in months)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--online-retail", type=Path)
    parser.add_argument("--cdnow", type=Path)
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--earlier", type=int, default=0)
    given = parser.parse_args()
    day = timedelta(days=1)
    back = given.earlier * 30 * day
    if given.online_retail:
        market = online_retail(given.online_retail)
        for days, count in ((30, 4), (90, 3)):
            last = datetime(2011, 12, 9, tzinfo=UTC) - days * day - back
            moments = rolling_origins(last=last, count=count, step=30 * day)
            frame = run(market, days * day, moments, tuned=given.tuned)
            show(frame, f"Online Retail, order within {days} days")
    if given.cdnow:
        last = datetime(1998, 6, 30, tzinfo=UTC) - 90 * day - back
        moments = rolling_origins(last=last, count=3, step=90 * day)
        frame = run(cdnow(given.cdnow), 90 * day, moments, tuned=given.tuned)
        show(frame, "CDNOW, order within 90 days")
    if given.online_retail or given.cdnow:
        return
    market = Market.open(sample_folder() / "mlmarket.toml")
    for days, last, count in (
        (30, datetime(2026, 5, 31, 23, tzinfo=UTC), 5),
        (90, datetime(2026, 3, 31, 23, tzinfo=UTC), 4),
    ):
        frame = run(market, days * day, at_months(last, count), tuned=given.tuned)
        show(with_oracle(frame, days * day), f"Sample shop, order within {days} days")


if __name__ == "__main__":
    main()
