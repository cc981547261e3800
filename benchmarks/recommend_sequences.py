"""What comes next in a sequence: how good is the whole ranking, and what does it cost?

    python benchmarks/recommend_sequences.py --ml1m FOLDER --beauty FOLDER

One committed configuration, chosen on the second-last items. Leave-last-out, all items ranked that are not in the
history; "strict" is fitted on all but the last two items of each contact, "refitted" on all but the last; both rank
for the last with all before it as history. "Published targets" are the 512 contacts of gSASRec's files, fitted on
`train_input` alone. CPU seconds are of fit and ranking together, on one thread; memory is the peak of the process
so far. MovieLens-1M (GroupLens, as prepared for gSASRec) and Amazon Beauty 5-core (McAuley, as in S3-Rec).
"""

import argparse
import gzip
import resource
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.linalg  # noqa: F401 - its library must be there before its threads are limited
from recommend_generators import Lines, histories, leave_last_out, read
from threadpoolctl import threadpool_limits

from mlmarket.recommend import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.model import RankingModel
from mlmarket.recommend.ranking.standard import standard_blocks, standard_generators

Integers = npt.NDArray[np.int64]


def model_of(known: Interactions) -> tuple[RankingModel, ItemFacts]:
    """Return the committed configuration, not yet fitted."""
    facts = ItemFacts.from_frame(None, known.items)
    generators = standard_generators(known, facts)
    return RankingModel(generators=generators, blocks=standard_blocks()), facts


def print_row(
    name: str, known: Interactions, asked: Interactions, target: Integers
) -> RankingModel:
    """Print one row: recall and discounted gain at ten, CPU seconds, memory."""
    began = time.process_time()
    model, facts = model_of(known)
    model.fit(known, facts)
    ranked = model.rank(asked, m=10)
    cost = time.process_time() - began
    hits = ranked.item == target[:, None]
    gain = (hits / np.log2(np.arange(10) + 2)).sum(axis=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:24}{hits.any(axis=1).mean():8.4f}{gain.mean():8.4f}{cost:9.1f}{peak:9.0f}",
        flush=True,
    )
    print(f"{'':24}  {model.choice_.reason}")
    return model


def print_table(title: str, lines: Lines, size: int) -> None:
    """Print leave-last-out of one data set, generators of the strict fit below it."""
    two, one = ([line[:-cut] for line in lines] for cut in (2, 1))
    target = np.array([line[-1] for line in lines])
    asked = histories(one, size)
    print(f"\n{title}: {len(lines):,} contacts, {size:,} items, leave-last-out")
    print(f"{'':24}{'R@10':>8}{'N@10':>8}{'CPU s':>9}{'MB':>9}")
    strict = print_row("ranking, strict", histories(two, size), asked, target)
    print_row("ranking, refitted", asked, asked, target)
    for name, generator in strict.fitted_generators.items():
        recall, ndcg = leave_last_out(generator.scores, asked, target)
        print(f"{name:24}{recall:8.4f}{ndcg:8.4f}", flush=True)


def print_published(folder: Path) -> None:
    """Print the 512 published targets of MovieLens-1M."""
    lines, size = read(folder / "train_input.txt.gz", skip=0)
    given, _ = read(folder / "val_input.txt.gz", skip=0)
    last, _ = read(folder / "val_output.txt.gz", skip=0)
    with gzip.open(folder / "test_output.txt.gz", "rt") as text:
        answers = [int(line) - 1 for line in text]
    whose = {tuple(line): place for place, line in enumerate(lines)}
    target = np.array([answers[whose[tuple(line[:-1])]] for line in given])
    asked = histories([[*line, *end] for line, end in zip(given, last, strict=True)], size)
    print(f"\nMovieLens-1M: {len(target)} published targets")
    print(f"{'':24}{'R@10':>8}{'N@10':>8}{'CPU s':>9}{'MB':>9}")
    model = print_row("ranking", histories(lines, size), asked, target)
    for name, generator in model.fitted_generators.items():
        recall, ndcg = leave_last_out(generator.scores, asked, target)
        print(f"{name:24}{recall:8.4f}{ndcg:8.4f}", flush=True)


def main() -> None:
    """Print the tables."""
    asked = argparse.ArgumentParser(description="The whole ranking, on sequences.")
    asked.add_argument("--ml1m", type=Path)
    asked.add_argument("--beauty", type=Path)
    folders = asked.parse_args()
    # compiled before anything is measured
    draw = np.random.default_rng(0)
    small = histories([list(draw.permutation(60)[:12]) for _ in range(1_000)], 60)
    model, facts = model_of(small)
    model.ranker = "lambdarank"
    model.fit(small, facts).rank(small)
    with threadpool_limits(1):
        if folders.ml1m:
            print_published(folders.ml1m)
            print_table("MovieLens-1M", *read(folders.ml1m / "train_input.txt.gz", skip=0))
        if folders.beauty:
            print_table("Amazon Beauty", *read(folders.beauty / "Beauty.txt.gz", skip=1))


if __name__ == "__main__":
    main()
