"""How good is each generator of candidates alone, and how much does it cost?

    python benchmarks/recommend_generators.py --ml1m FOLDER --beauty FOLDER

Every generator with its committed arguments. Leave-last-out: fitted on all but the last two items of each
contact, judged on the last with all before it as history, all items ranked that are not in the history. Strong
generalisation: 1,000 contacts outside the fit, 80 % of their items given (drawn at random), the rest ranked. The
cost is that of 50,000 made-up recipients with 20 rows each, in CPU seconds of one thread. Peers run beside where
they are installed (`implicit`, `rectools`). MovieLens-1M (GroupLens, as prepared for SASRec: `train_input.txt.gz`)
and Amazon Beauty 5-core (McAuley, as in S3-Rec: `Beauty.txt.gz`).
"""

import argparse
import gzip
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.linalg  # noqa: F401 - its library must be there before its threads are limited
from threadpoolctl import threadpool_limits

from mlmarket.recommend import (
    Ease,
    Interactions,
    Neighbours,
    Popularity,
    Sequential,
    Transitions,
)

if TYPE_CHECKING:
    from scipy import sparse

GENERATORS = {
    "popularity": Popularity,
    "EASE, no decay": lambda: Ease(power=0.0),
    "EASE": Ease,
    "neighbours": Neighbours,
    "transitions": Transitions,
    "sequential": Sequential,
}
CHUNK = 1_000

Lines = Sequence[Sequence[int]]
Table = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Scorer = Callable[[Interactions], Table]


def histories(lines: Lines, size: int) -> Interactions:
    """Return interactions of lists of items, numbered from 0."""
    lengths = np.array([len(line) for line in lines])
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    item = np.concatenate([np.asarray(line, np.int32) for line in lines])
    return Interactions(
        contacts=pa.array([f"{place:07d}" for place in range(len(lines))]),
        items=pa.array([f"{place:07d}" for place in range(size)]),
        start=start,
        item=item.astype(np.int32),
        at=(np.arange(len(item)) - np.repeat(start[:-1], lengths)).astype(np.float64),
        weight=np.ones(len(item), np.float32),
    )


def read(path: Path, *, skip: int) -> tuple[Lines, int]:
    """Return a list of items a line, numbered from 0, and the number of items."""
    with gzip.open(path, "rt") as lines:
        found = [[int(word) - 1 for word in line.split()[skip:]] for line in lines]
    return found, 1 + max(max(line) for line in found)


def leave_last_out(scores: Scorer, known: Interactions, target: Integers) -> tuple[float, float]:
    """Return HR@10 (= R@10) and N@10; ties count against the target."""
    places = []
    for first in range(0, len(target), CHUNK):
        part = known.chunk(first, min(first + CHUNK, len(target)))
        wanted = target[first : first + CHUNK]
        table = np.array(scores(part))
        own = table[np.arange(len(table)), wanted]
        table[part.contact, part.item] = -np.inf
        table[np.arange(len(table)), wanted] = own
        places.append((table >= own[:, None]).sum(axis=1) - 1)
    place = np.concatenate(places)
    hit = place < 10
    return hit.mean(), np.where(hit, 1 / np.log2(place + 2), 0).mean()


def strong(scores: Scorer, given: Interactions, rest: Lines) -> tuple[float, float, float]:
    """Return R@20, R@50 and N@100; recall is of the most that can be found."""
    table = np.array(scores(given))
    table[given.contact, given.item] = -np.inf
    best = np.argsort(-table, axis=1, kind="stable")[:, :100]
    hits = np.array([np.isin(row, wanted) for row, wanted in zip(best, rest, strict=True)])
    most = np.array([len(wanted) for wanted in rest])
    gain = 1 / np.log2(np.arange(100) + 2)
    ideal = np.cumsum(gain)[np.minimum(most, 100) - 1]
    recalls = [(hits[:, :k].sum(axis=1) / np.minimum(most, k)).mean() for k in (20, 50)]
    return (*recalls, ((hits * gain).sum(axis=1) / ideal).mean())


def _binary(known: Interactions) -> "sparse.csr_array":
    from scipy import sparse

    shape = (len(known.contacts), len(known.items))
    made = sparse.csr_array(
        (np.ones(len(known), np.float32), known.item, known.start), shape=shape, copy=True
    )
    made.sum_duplicates()
    return made


def implicit_als(known: Interactions) -> Scorer:
    """Return scores of implicit's ALS with 64 factors."""
    from implicit.als import AlternatingLeastSquares
    from scipy import sparse

    model = AlternatingLeastSquares(factors=64, random_state=0, num_threads=1, iterations=15)
    model.fit(sparse.csr_matrix(_binary(known)), show_progress=False)

    def scores(recipients: Interactions) -> Table:
        rows = sparse.csr_matrix(_binary(recipients))
        factors = model.recalculate_user(np.arange(rows.shape[0]), rows)
        return factors @ model.item_factors.T

    return scores


def rectools_ease(known: Interactions) -> Scorer:
    """Return scores of RecTools' EASE."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import EASEModel

    frame = pd.DataFrame(
        {
            Columns.User: known.contact,
            Columns.Item: known.item,
            Columns.Weight: 1.0,
            Columns.Datetime: "2020-01-01",
        }
    ).drop_duplicates()
    data = Dataset.construct(frame)
    model = EASEModel(regularization=500.0)
    model.fit(data)
    outside = data.item_id_map.convert_to_external(np.arange(model.weight.shape[0]))
    weight = np.zeros((len(known.items), len(known.items)), np.float32)
    weight[np.ix_(outside, outside)] = model.weight
    return lambda recipients: _binary(recipients) @ weight


PEERS = {"implicit ALS-64": implicit_als, "RecTools EASE": rectools_ease}


def fitted(name: str, known: Interactions) -> tuple[Scorer | None, float | str]:
    """Return scores of a generator or peer and the CPU seconds of its fit; None where it is not to be had."""
    began = time.process_time()
    try:
        make = PEERS.get(name)
        scores = make(known) if make else GENERATORS[name]().fit(known).scores
    except ImportError as error:
        return None, f"not installed: {error.name}"
    except Exception as error:
        # a peer that fails is a row of the table
        return None, f"{type(error).__name__}: {str(error).splitlines()[0][:70]}"
    return scores, time.process_time() - began


def print_leave_last_out(title: str, lines: Lines, size: int) -> None:
    """Print one table, of leave-last-out."""
    known = histories([line[:-2] for line in lines], size)
    history = histories([line[:-1] for line in lines], size)
    target = np.array([line[-1] for line in lines])
    print(f"\n{title}: {len(lines):,} contacts, {size:,} items, leave-last-out")
    print(f"{'':18}{'R@10':>8}{'N@10':>8}{'fit CPU s':>11}")
    for name in (*GENERATORS, *PEERS):
        scores, cost = fitted(name, known)
        if scores is None:
            print(f"{name:18}  {cost}")
            continue
        recall, ndcg = leave_last_out(scores, history, target)
        print(f"{name:18}{recall:8.4f}{ndcg:8.4f}{cost:11.1f}", flush=True)


def print_strong(lines: Lines, size: int) -> None:
    """Print one table, of strong generalisation."""
    draw = np.random.default_rng(7)
    order = draw.permutation(len(lines))
    known = histories([lines[place] for place in order[1_000:]], size)
    given, rest = [], []
    for place in order[:1_000]:
        kept = draw.random(len(lines[place])) < 0.8
        line = np.array(lines[place])
        given.append(line[kept])
        rest.append(line[~kept])
    some = [place for place in range(1_000) if len(rest[place])]
    asked = histories([given[place] for place in some], size)
    print("\nMovieLens-1M: strong generalisation, 1,000 contacts outside the fit")
    print(f"{'':18}{'R@20':>8}{'R@50':>8}{'N@100':>8}")
    for name in ("popularity", "EASE, no decay", "neighbours", *PEERS):
        scores, told = fitted(name, known)
        if scores is None:
            print(f"{name:18}  {told}")
            continue
        numbers = strong(scores, asked, [rest[place] for place in some])
        print(f"{name:18}" + "".join(f"{number:8.4f}" for number in numbers), flush=True)


def print_cost(lines: Lines, size: int) -> None:
    """Print CPU seconds of scores and of candidates."""
    known = histories([line[:-2] for line in lines], size)
    draw = np.random.default_rng(0)
    people = 50_000
    rows = draw.choice(known.item, people * 20).reshape(people, 20)
    asked = histories(rows, size)
    print(f"\n1,000,000 recipients of 20 rows, {size:,} items, from {people:,} of them, CPU s")
    print(f"{'':18}{'scores':>8}{'with the best 100':>19}")
    for name, make in GENERATORS.items():
        model = make().fit(known)
        model.candidates(asked.chunk(0, CHUNK), 100)
        seconds = []
        for once in (model.scores, lambda part, model=model: model.candidates(part, 100)):
            began = time.process_time()
            for first in range(0, people, CHUNK):
                once(asked.chunk(first, first + CHUNK))
            seconds.append((time.process_time() - began) * 1_000_000 / people)
        print(f"{name:18}{seconds[0]:8.1f}{seconds[1]:19.1f}", flush=True)


def main() -> None:
    """Print the tables."""
    asked = argparse.ArgumentParser(description="Generators of candidates, one by one.")
    asked.add_argument("--ml1m", type=Path)
    asked.add_argument("--beauty", type=Path)
    arguments = asked.parse_args()
    # compiled before anything is measured
    small = histories([[0, 1, 2], [1, 2, 3]], 4)
    for make in GENERATORS.values():
        make().fit(small).candidates(small, 2)
    with threadpool_limits(1):
        _print_all(arguments.ml1m, arguments.beauty)


def _print_all(ml1m: Path | None, beauty: Path | None) -> None:
    if ml1m:
        lines, size = read(ml1m / "train_input.txt.gz", skip=0)
        print_leave_last_out("MovieLens-1M", lines, size)
        print_strong(lines, size)
        print_cost(lines, size)
    if beauty:
        lines, size = read(beauty / "Beauty.txt.gz", skip=1)
        print_leave_last_out("Amazon Beauty", lines, size)


if __name__ == "__main__":
    main()
