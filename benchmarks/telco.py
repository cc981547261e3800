"""Who leaves? The Telco table beside what people use today, and contracts beside an oracle.

    python benchmarks/telco.py --telco PATH.csv.gz     # IBM's sample of 7,043 customers
    python benchmarks/telco.py                          # only the simulated subscription business

Telco is a cross-section: rows are held back at random (5 stratified folds, seed 7), so nothing printed of
it is validated by time. Of the simulated business every hazard is known: models stand at earlier origins
and are judged on contracts that were running then, next to the probability that made the data.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from mlmarket.churn import CrossSectionChurn, SubscriptionChurnModel
from mlmarket.evaluation import (
    bootstrap,
    expected_calibration_error,
    log_loss,
    paired_difference,
    roc_auc,
)
from mlmarket.market import Market
from mlmarket.prediction.logistic import LogisticModel

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "churn" / "subscription"))
from subscription_business import DAYS, START, Business, chance_of

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]
METRICS: dict[str, Any] = {
    "AUC": roc_auc,
    "log loss": log_loss,
    "ECE": expected_calibration_error,
}
SEED = 7
RESAMPLES = 400


class Peer:
    """A model that people use today, with the columns as it wants them."""

    def __init__(self, make: Callable[[], Any], *, categories: bool) -> None:
        self.make = make
        self.categories = categories

    def predict(self, learn: pd.DataFrame, label: Labels, judge: pd.DataFrame) -> Floats:
        """Fit on some rows and answer for others."""
        if not self.categories:
            return self.make().fit(learn, label).predict(judge)
        model = self.make().fit(_with_categories(learn), label)
        return np.asarray(model.predict_proba(_with_categories(judge)))[:, 1]


class Ours:
    """CrossSectionChurn as it comes; the evidence of its own is not needed here."""

    def predict(self, learn: pd.DataFrame, label: Labels, judge: pd.DataFrame) -> Floats:
        """Fit on some rows and answer for others."""
        return CrossSectionChurn(folds=0).fit(learn, label).predict_proba(judge)[:, 1]


PEERS: dict[str, Any] = {
    "mlmarket": Ours(),
    "LightGBM default": Peer(lambda: lgb.LGBMClassifier(verbose=-1, n_jobs=1), categories=True),
    "LightGBM is_unbalance": Peer(
        lambda: lgb.LGBMClassifier(verbose=-1, n_jobs=1, is_unbalance=True), categories=True
    ),
    "logistic alone": Peer(lambda: LogisticModel(strength=1.0), categories=False),
}


def _with_categories(frame: pd.DataFrame) -> pd.DataFrame:
    texts = frame.select_dtypes(["object", "str"]).columns
    return frame.assign(**{name: frame[name].astype("category") for name in texts})


def read_telco(path: Path) -> tuple[pd.DataFrame, npt.NDArray[np.int8]]:
    """Return the columns of Telco and who left."""
    table = pd.read_csv(path)
    label = (table["Churn"] == "Yes").astype(np.int8).to_numpy()
    charges = pd.to_numeric(table["TotalCharges"], errors="coerce")
    return table.drop(columns=["customerID", "Churn"]).assign(TotalCharges=charges), label


def telco(path: Path) -> None:
    """Print the table of Telco."""
    frame, label = read_telco(path)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=SEED).split(frame, label))
    said: dict[str, Floats] = {}
    print(f"Telco, {len(label):,} rows, {label.mean():.1%} left; 5 stratified folds, seed {SEED}.")
    print("NOT TIME VALIDATED: the table has no dates.\n")
    columns = "".join(f"{name:>26}" for name in METRICS)
    print(f"{'':24}{columns}{'AUC, mean of folds':>20}{'CPU s':>8}")
    for name, peer in PEERS.items():
        begin = time.process_time()
        said[name] = np.empty(len(label))
        for learn, judge in folds:
            said[name][judge] = peer.predict(frame.iloc[learn], label[learn], frame.iloc[judge])
        seconds = time.process_time() - begin
        mean = np.mean([roc_auc(label[judge], said[name][judge]) for _, judge in folds])
        print(f"{name:24}{_scores(label, said[name])}{mean:>20.4f}{seconds:>8.1f}")
    print("\nWhat mlmarket saves (paired bootstrap over rows, 95 %):")
    for name in list(PEERS)[1:]:
        print(f"  against {name:24}{_savings(label, said['mlmarket'], said[name])}")


def _scores(label: Labels, probability: Floats) -> str:
    found = (
        bootstrap(metric, label, probability, n_resamples=RESAMPLES, random_state=0)
        for metric in METRICS.values()
    )
    return "".join(f"{one.value:>9.4f} [{one.low:.4f} {one.high:.4f}]" for one in found)


def _savings(label: Labels, ours: Floats, theirs: Floats) -> str:
    parts = []
    for name, metric in METRICS.items():
        gain = paired_difference(metric, label, theirs, ours, n_resamples=RESAMPLES, random_state=0)
        sign = -1.0 if name == "AUC" else 1.0
        low, high = sorted((sign * gain.low, sign * gain.high))
        parts.append(f"{name} {sign * gain.value:+.4f} [{low:+.4f} {high:+.4f}]")
    return "   ".join(parts)


def business(people: int, horizon: int, seed: int) -> None:
    """Print the table of the simulated business, with what an oracle would say."""
    firm = Business(seed=seed, people=people)
    market = Market.from_tables(**firm.tables(), now=START + timedelta(days=DAYS))
    model = SubscriptionChurnModel(f"{horizon}D")
    last = DAYS - horizon
    origins = [START + timedelta(days=last - 30 * place) for place in (3, 2, 1, 0)]
    begin = time.process_time()
    evidence = model.backtest(market, origins=origins)
    seconds = time.process_time() - begin
    truths = [firm.running(origin) for origin in origins]
    chances = [
        chance_of(*(truth[name].to_numpy() for name in ("tenure", "basic", "habit")), horizon)
        for truth in truths
    ]
    labels = [(truth["left"] <= horizon).astype(int) for truth in truths]
    oracle = {
        name: float(np.mean([metric(y, p) for y, p in zip(labels, chances, strict=True)]))
        for name, metric in METRICS.items()
    }
    print(f"\nSimulated subscriptions, {people:,} people, {horizon} days, {len(origins)} origins")
    print(f"{'':24}{'log loss':>10}{'gap':>10}{'AUC':>10}{'ECE':>10}")
    summary = evidence.summary()
    for name, row in summary.iterrows():
        gap = row["log_loss"] - oracle["log loss"]
        kept = " *" if name == evidence.chosen else ""
        print(
            f"{name + kept:24}{row['log_loss']:>10.4f}{gap:>+10.4f}{row['auc']:>10.4f}{row['ece']:>10.4f}"
        )
    numbers = (oracle["log loss"], 0.0, oracle["AUC"], oracle["ECE"])
    print(
        f"{'oracle':24}{numbers[0]:>10.4f}{numbers[1]:>+10.4f}{numbers[2]:>10.4f}{numbers[3]:>10.4f}"
    )
    print(f"{evidence.verdict}\n{seconds:.1f} CPU seconds for all models at all origins.")


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--telco", type=Path, help="the table, as CSV")
    parser.add_argument("--people", type=int, default=3_000, help="of the simulated business")
    parser.add_argument("--seed", type=int, default=20, help="of the simulated business")
    asked = parser.parse_args()
    if asked.telco is not None:
        telco(asked.telco)
    for horizon in (30, 90):
        business(asked.people, horizon, asked.seed)


if __name__ == "__main__":
    main()
