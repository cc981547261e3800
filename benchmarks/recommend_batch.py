"""What does it cost to recommend ten of 3,400 items to a million people?

    python benchmarks/recommend_batch.py [--contacts 1_000_000] [--items 3_400] [--ranker blend]

People of forty tastes buy from a catalogue whose popularity falls off as a power law; about twenty rows each over a
year, some items again and again. Printed: CPU seconds and wall seconds of reading, fitting and recommending (every
core is used), the most memory the process had, and what a recipient costs.

Rows are made from a fixed seed; nothing is claimed about quality here.
"""

import argparse
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
import pyarrow as pa

from mlmarket.recommend import Recommender

T = TypeVar("T")
NIGHT = datetime(2026, 6, 1, tzinfo=UTC)
TASTES = 40
ROWS = 20
BLOCK = 50_000


def people(block: int, contacts: int, items: int) -> dict[str, np.ndarray]:
    """Return a block of contacts' rows."""
    draw = np.random.default_rng([11, block])
    rows = np.minimum(1 + draw.negative_binomial(2, 2 / (ROWS + 1), contacts), 400)
    contact = np.repeat(np.arange(contacts) + block * BLOCK, rows)
    taste = np.repeat(draw.integers(0, TASTES, contacts), rows)
    rank = np.minimum((draw.pareto(0.9, len(contact)) * 4).astype(np.int64), items - 1)
    own = draw.random(len(contact)) < 0.7
    item = np.where(own, (rank * TASTES + taste) % items, rank)
    again = draw.random(len(contact)) < 0.25
    item[1:] = np.where(again[1:] & (np.diff(contact) == 0), item[:-1], item[1:])
    day = draw.integers(0, 365, len(contact))
    return {"contact": contact, "item": item, "day": day}


def interactions(contacts: int, items: int) -> pa.Table:
    """Return everybody's rows as one Arrow table."""
    parts = []
    for block in range(-(-contacts // BLOCK)):
        made = people(block, min(BLOCK, contacts - block * BLOCK), items)
        at = np.datetime64(NIGHT.replace(tzinfo=None), "us") - made["day"].astype("m8[D]")
        columns = {"contact_id": made["contact"], "item_id": made["item"], "occurred_at": at}
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def measured(words: str, work: Callable[[], T]) -> T:
    """Do something, and print what it cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    spent, passed = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{words:<34}{spent:>9.1f} CPU s{passed:>9.1f} s{peak:>8.2f} GiB", flush=True)
    return answer


def main() -> None:
    """Make the rows, fit, recommend."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--contacts", type=int, default=1_000_000)
    arguments.add_argument("--items", type=int, default=3_400)
    arguments.add_argument("--ranker", default="auto", choices=("auto", "lambdarank", "blend"))
    arguments.add_argument("--k", type=int, default=10)
    arguments.add_argument("--check-reasons", action="store_true")
    asked = arguments.parse_args()
    print(f"{asked.contacts:,} contacts, {asked.items:,} items, k = {asked.k}, {asked.ranker}")
    warm = Recommender(ranker=asked.ranker).fit(interactions(2_000, 200), as_of=NIGHT)
    warm.recommend(k=asked.k)  # compiled before the clock starts
    table = measured("making the rows", lambda: interactions(asked.contacts, asked.items))
    model = Recommender(ranker=asked.ranker)
    measured("fit", lambda: model.fit(table, as_of=NIGHT))

    def everybody() -> int:
        parts = model.recommend_batches(k=asked.k, check_reasons=asked.check_reasons)
        return sum(len(part) for part in parts)

    slots = measured("recommend", everybody)
    print(f"{slots:,} of {asked.contacts * asked.k:,} slots filled; {model.choice_}")


if __name__ == "__main__":
    main()
