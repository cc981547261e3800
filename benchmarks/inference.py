"""How fast are contacts scored, and in how much memory? From Arrow batches of features to Parquet.

    python benchmarks/inference.py --rows 2_000_000

A hundred trees of 31 leaves are trained on 39 simulated features of a shop (counts, days since, sums;
some missing, two of them categories). Then the same rows are scored in four ways, each in a process of
its own:

* *LightGBM alone*: on a float32 matrix that is there already, and nothing is written;
* *Arrow*: batches are answered as the night does it, and written as Parquet;
* *pandas*: each batch becomes a frame, the same model answers it, the answers are written likewise;
* *Arrow, blend*: as the second, with the logistic half and the facts of a real night.

Batches are made while the clock stands. Printed: rows per CPU second, the most memory the process had,
and whether all ways gave the same probabilities.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlmarket.churn import PurchaseModel
from mlmarket.evaluation import IdentityCalibrator
from mlmarket.prediction.buckets import BUCKET
from mlmarket.prediction.fitted import Fitted
from mlmarket.prediction.learner import Blend, Learner, kept_from_certainty
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.trees import BoostedTrees

FEATURES = 39
TAUGHT = 60_000
WAYS = ("LightGBM alone", "Arrow", "pandas", "Arrow, blend")
COUNTRIES = np.array(["DE", "ES", "FR", "IT", "NL", "PT", "UK", ""], dtype=object)


def batch(number: int, rows: int) -> tuple[pa.RecordBatch, np.ndarray]:
    """Return a batch of features of people drawn from a seed, and how keen each of them is."""
    draw = np.random.default_rng([7, number])
    keen = draw.gamma(0.6, 1.0, rows)
    columns: dict[str, Any] = {
        "contact_id": pa.array([f"C{number * BUCKET + n:010}" for n in range(rows)]),
        "as_of": pa.repeat(pa.scalar(0, pa.timestamp("us")), rows),
    }
    for place in range(FEATURES - 2):
        window = 1.0 + place / 4.0
        if place % 3 == 0:
            values = draw.poisson(keen * window).astype(float)
            mask = None
        elif place % 3 == 1:
            values = np.round(draw.exponential(20.0 * window / (keen + 0.1), rows), 3)
            mask = draw.random(rows) > 1.0 - np.exp(-keen * window)
        else:
            values = np.round(draw.gamma(2.0, 15.0 * keen * window + 1e-3), 2)
            mask = keen * window < 0.2
        columns[f"feature_{place}"] = pa.array(values, mask=mask)
    columns["order_recency"] = columns.pop("feature_1")
    for name in ("country", "plan"):
        words = COUNTRIES[draw.integers(0, len(COUNTRIES), rows)]
        columns[name] = pa.array(words, pa.string(), mask=words == "")
    return pa.RecordBatch.from_pydict(columns), keen


def train(learner: Learner) -> Fitted:
    """Teach a learner who buys, from the first batch's people."""
    features, keen = batch(0, TAUGHT)
    chance = 1.0 / (1.0 + np.exp(2.0 - keen))
    label = (np.random.default_rng(8).random(TAUGHT) < chance).astype(np.int8)
    frame = features.drop_columns(["contact_id", "as_of"]).to_pandas()
    learner.fit(frame, label)
    unknown: Any = None
    return Fitted(learner, IdentityCalibrator(), (), unknown, unknown, version="2026-07-01-trees")


def trees() -> BoostedTrees:
    """Return the model of the comparison."""
    return BoostedTrees(trees=100, leaves=31)


class Clock:
    """Adds up the CPU seconds of the work alone, and a digest of the probabilities."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.digest = hashlib.sha256()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let it run for a while."""
        start = time.process_time()
        yield
        self.seconds += time.process_time() - start

    def remember(self, probability: np.ndarray) -> None:
        """Take probabilities into the digest."""
        self.digest.update(np.ascontiguousarray(probability).tobytes())


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches as an engine would."""
    for number, start in enumerate(range(0, rows, BUCKET), 1):
        yield batch(number, min(BUCKET, rows - start))[0]


def alone(rows: int, clock: Clock) -> None:
    """Score matrices that are there already."""
    model = trees()
    train(model)
    booster = model._trained()
    for features in batches(rows):
        matrix = model._matrix(features)
        with clock.running():
            probability = booster.predict(matrix, num_threads=1)
        clock.remember(kept_from_certainty(probability))


def to_parquet(
    rows: int, clock: Clock, schema: pa.Schema, answer: Callable[[pa.RecordBatch], pa.Table]
) -> None:
    """Score batches and write the answers, a row group a batch."""
    column = PurchaseModel().question.answer.probability
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "contacts.parquet"
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for features in batches(rows):
                with clock.running():
                    table = answer(features)
                    writer.write_table(table)
                clock.remember(table.column(column).to_numpy())


def by_arrow(rows: int, clock: Clock, learner: Learner) -> None:
    """Answer batches as the night does."""
    fitted, question = train(learner), PurchaseModel().question
    schema = fitted.answer(batch(0, 0)[0], question).schema
    to_parquet(rows, clock, schema, lambda features: fitted.answer(features, question))


def by_pandas(rows: int, clock: Clock) -> None:
    """Answer frames made of the batches."""
    import pandas as pd

    fitted, question = train(trees()), PurchaseModel().question
    schema = fitted.answer(batch(0, 0)[0], question).schema

    def through_frames(features: pa.RecordBatch) -> pa.Table:
        frame = features.to_pandas()
        known = frame.drop(columns=["contact_id", "as_of"])
        columns = {
            "contact_id": frame["contact_id"],
            question.answer.probability: fitted.probability(known),
            "purchase_model_version": fitted.version,
        }
        for fact in question.answer.facts:
            columns[fact.column] = frame.get(fact.feature, np.full(len(frame), np.nan))
        return pa.Table.from_pandas(pd.DataFrame(columns), schema=schema, preserve_index=False)

    to_parquet(rows, clock, schema, through_frames)


def measure(way: str, rows: int) -> None:
    """Score all rows in one way and print what it took, as JSON."""
    clock = Clock()
    {
        "LightGBM alone": lambda: alone(rows, clock),
        "Arrow": lambda: by_arrow(rows, clock, trees()),
        "pandas": lambda: by_pandas(rows, clock),
        "Arrow, blend": lambda: by_arrow(rows, clock, Blend([trees(), LogisticModel()])),
    }[way]()
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(
        json.dumps({"rate": rows / clock.seconds, "peak": peak, "digest": clock.digest.hexdigest()})
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--way", choices=WAYS, help="only this one, as JSON")
    given = parser.parse_args()
    if given.way is not None:
        measure(given.way, given.rows)
        return
    print(f"{given.rows:,} rows, {FEATURES} features, 100 trees of 31 leaves, one thread")
    print(f"{'way':16}{'rows per CPU s':>16}{'peak MB':>10}  same probabilities")
    digest = ""
    for way in WAYS:
        command = [sys.executable, __file__, "--rows", str(given.rows), "--way", way]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        digest = digest or found["digest"]
        same = "another model" if "blend" in way else "yes" if found["digest"] == digest else "NO"
        print(f"{way:16}{found['rate']:16,.0f}{found['peak']:10,.0f}  {same}", flush=True)


if __name__ == "__main__":
    main()
