"""Will they buy? Rolling origin, beside the rules and models that people use today.

    python benchmarks/purchase.py                                   # the sample shop, with its oracle
    python benchmarks/purchase.py --online-retail PATH.csv.gz       # UCI Online Retail

Each model stands at each origin, learns from snapshots whose label windows ended by then, and predicts
the next H days of everybody who has ordered. Printed: the mean over origins of log loss, AUC and ECE (15
equal-count bins), with a 95 % interval over contacts, and CPU seconds of all its trainings.
"""

import argparse
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from mlmarket.churn import RecencyRule, RfmCells
from mlmarket.evaluation import (
    Metric,
    bootstrap,
    expected_calibration_error,
    log_loss,
    roc_auc,
    rolling_origins,
)
from mlmarket.features import Behaviour, SnapshotSpec, default_features
from mlmarket.market import Market
from mlmarket.market.samples import sample_folder
from mlmarket.prediction.estimator import EstimatorLearner
from mlmarket.prediction.learner import BaseRate
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.target import blend
from mlmarket.prediction.training import Snapshots, plan_training
from mlmarket.prediction.trees import BoostedTrees

RESAMPLES = 400
PEERS: dict[str, Any] = {
    "base rate": BaseRate,
    "recency rule": RecencyRule,
    "RFM cells": RfmCells,
    "logistic alone": lambda: LogisticModel(strength=30.0),
    "LightGBM default": lambda: EstimatorLearner(lgb.LGBMClassifier(verbose=-1, n_jobs=2)),
    "small trees alone": BoostedTrees,
    "mlmarket": blend,
}


def online_retail(path: Path) -> Market:
    """Open Online Retail with the configuration of the example."""
    os.environ["ONLINE_RETAIL"] = str(path.absolute())
    example = Path(__file__).parents[1] / "examples" / "online_retail"
    return Market.open(example / "mlmarket.toml")


def run(market: Market, *, horizon: timedelta, last: datetime, count: int) -> pd.DataFrame:
    """Return one row a contact, origin and model."""
    origins = rolling_origins(last=last, count=count, step=timedelta(days=30))
    label = Behaviour.parse("order")
    features = default_features(market, as_of=origins[0])
    spec = SnapshotSpec(label, features, label, horizon)
    until = origins[-1] + horizon
    plan = plan_training(
        market, spec, as_of=until, folds=count, warm_up=timedelta(days=28), most_cutoffs=12
    )
    if plan is None:
        message = "No label window is closed."
        raise SystemExit(message)
    snapshots = Snapshots(market, spec, known_at=until, most_rows=10**9, cutoffs=1, latest=until)
    rows = []
    for origin in origins:
        learn, judge = snapshots.at(plan.closed_at(origin)), snapshots.at([origin])
        for name, make in PEERS.items():
            begin = time.process_time()
            predicted = make().fit(learn.features, learn.label).predict(judge.features)
            rows.append(
                pd.DataFrame(
                    {
                        "origin": origin,
                        "model": name,
                        "contact_id": judge.contact_id,
                        "label": judge.label,
                        "predicted": predicted,
                        "cpu": time.process_time() - begin,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def with_oracle(frame: pd.DataFrame, horizon: timedelta) -> pd.DataFrame:
    """Add what the sample shop's oracle says of the same contacts and origins."""
    truth = pq.read_table(sample_folder() / "truth" / "purchase_oracle.parquet").to_pandas()
    truth = truth[truth["horizon_days"] == horizon.days]
    truth = truth.assign(origin=pd.to_datetime(truth["as_of"], utc=True))
    asked = frame[frame["model"] == "mlmarket"].drop(columns=["predicted", "cpu"])
    asked = asked.assign(origin=pd.to_datetime(asked["origin"], utc=True))
    known = asked.merge(truth[["contact_id", "origin", "probability"]], on=["contact_id", "origin"])
    known = known.assign(model="oracle", predicted=known["probability"], cpu=0.0)
    return pd.concat([frame, known[frame.columns]], ignore_index=True)


def mean_of(frame: pd.DataFrame, metric: Metric, seed: int) -> tuple[float, float]:
    """Return the mean of a metric over origins, and the half-width of its interval."""
    values, errors = [], []
    for _, fold in frame.groupby("origin"):
        label: npt.NDArray[np.int8] = fold["label"].to_numpy()
        one = bootstrap(metric, label, fold["predicted"], n_resamples=RESAMPLES, random_state=seed)
        values.append(one.value)
        errors.append((one.high - one.low) / 2)
    # The same contacts are judged at every origin, so their errors are taken as fully shared.
    return float(np.mean(values)), float(np.mean(errors))


def show(frame: pd.DataFrame, title: str) -> None:
    """Print one table."""
    origins = frame["origin"].nunique()
    rate = frame.loc[frame["model"] == "mlmarket", "label"].mean()
    rows = len(frame[frame["model"] == "mlmarket"])
    print(f"\n{title}: {origins} origins, {rows:,} rows, {rate:.1%} bought")
    print(f"{'':20}{'log loss':>18}{'AUC':>18}{'ECE':>18}{'CPU s':>8}")
    for name in frame["model"].unique():
        part = frame[frame["model"] == name]
        cells = []
        for metric in (log_loss, roc_auc, expected_calibration_error):
            value, reach = mean_of(part, metric, seed=0)
            cells.append(f"{value:8.4f} ± {reach:.4f}".rjust(18))
        cpu = part.groupby("origin")["cpu"].first().sum()
        print(f"{name:20}{''.join(cells)}{cpu:8.1f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--online-retail", type=Path)
    given = parser.parse_args()
    if given.online_retail:
        market = online_retail(given.online_retail)
        for days, count in ((30, 4), (90, 3)):
            last = datetime(2011, 12, 9, tzinfo=UTC) - timedelta(days=days)
            frame = run(market, horizon=timedelta(days=days), last=last, count=count)
            show(frame, f"Online Retail, order within {days} days")
        return
    market = Market.open(sample_folder() / "mlmarket.toml")
    for days, last, count in (
        (30, datetime(2026, 5, 31, 23, tzinfo=UTC), 5),
        (90, datetime(2026, 3, 31, 23, tzinfo=UTC), 4),
    ):
        horizon = timedelta(days=days)
        frame = run_at_months(market, horizon=horizon, last=last, count=count)
        show(with_oracle(frame, horizon), f"Sample shop, order within {days} days")


def run_at_months(
    market: Market, *, horizon: timedelta, last: datetime, count: int
) -> pd.DataFrame:
    """Run at the first of each month, where the oracle was asked."""
    frames = []
    month = pd.Timestamp(last).tz_convert("Europe/Lisbon")
    for back in reversed(range(count)):
        origin = (month - pd.DateOffset(months=back)).tz_convert("UTC").to_pydatetime()
        frames.append(run(market, horizon=horizon, last=origin, count=1))
    return pd.concat(frames, ignore_index=True)


if __name__ == "__main__":
    main()
