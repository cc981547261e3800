"""What do people buy next in a shop? Everything, and what is new to them, beside what people use today.

    python benchmarks/recommend_retail.py --online-retail FOLDER               # UCI Online Retail
    python benchmarks/recommend_retail.py --online-retail FOLDER --dates 2011-06-12 2011-07-12

Protocol. Everything learns from what was bought before T and recommends at T, for customers with a purchase
before T and one in [T, T + 30 days). Right are the distinct products bought in that window: ALL of them, or the
NEW ones, which the customer had never bought (over customers who bought any). All products that were bought
before T are ranked, none is sampled; NDCG@10.

Left out: lines without a customer, cancellations (invoice `C…`, quantity below 1), prices of 0 and stock codes
that are no product (not five digits first: postage, manual corrections, bank charges).

* personal frequency: in how many of the customer's invoices the product stands, ties and the rest by the number
  of customers of the last 30 days. It has nothing to say of new products but that popularity.
* popularity: customers of the last 30 days.
* EASE: binary, λ = 300.  * implicit ALS: binary, 64 factors (where `implicit` is installed).
* mlmarket's generators, each alone, as the standard configuration gives them.
* mlmarket: the ranking model, as the recommender fits it.

Intervals are 95 %, by the bootstrap over customers; of a difference, paired.
"""

import argparse
import importlib.util
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlmarket.evaluation.ranking import mean_difference, mean_interval, ranking_metrics
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.model import RankingModel
from mlmarket.recommend.ranking.standard import standard_blocks, standard_generators

DATES = ("2011-08-11", "2011-09-10", "2011-10-10", "2011-11-09")
HORIZON = 30
K = 10
MODEL = "mlmarket"
PEERS_OF_NEW = ("EASE", "implicit ALS", "popularity")
Scores = npt.NDArray[Any]


def lines(folder: Path) -> pd.DataFrame:
    """Read the order lines that count."""
    frame = pd.read_csv(folder / "online_retail.csv.gz", dtype={"InvoiceNo": str, "StockCode": str})
    known = frame["CustomerID"].notna()
    bought = ~frame["InvoiceNo"].str.startswith("C") & (frame["Quantity"] > 0)
    product = (frame["UnitPrice"] > 0) & frame["StockCode"].str.match(r"\d{5}")
    kept = frame[known & bought & product]
    return pd.DataFrame(
        {
            "contact_id": kept["CustomerID"].astype(int).astype(str),
            "item_id": kept["StockCode"],
            "invoice": kept["InvoiceNo"],
            "occurred_at": pd.to_datetime(kept["InvoiceDate"]),
            "title": kept["Description"],
        }
    )


@dataclass
class Question:
    """Who is asked about at one date, and what they bought."""

    date: pd.Timestamp
    known: Interactions
    facts: ItemFacts
    recipients: Interactions
    relevant: npt.NDArray[np.bool_]
    seen: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.float64]
    """In how many invoices of the customer each product stands."""
    everyone: npt.NDArray[np.int64]
    """Places of the recipients among all customers."""
    found: dict[str, dict[str, npt.NDArray[np.float64]]] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    def judge(self, name: str, lists: tuple[Scores, Scores], seconds: float) -> None:
        """Measure lists of all and of new products."""
        self.cpu[name] = seconds
        self.found[name] = {}
        asked = {"ALL": self.relevant, "NEW": self.relevant & ~self.seen}
        for (part, relevant), chosen in zip(asked.items(), lists, strict=True):
            ends = np.concatenate([[0], np.cumsum(relevant.sum(axis=1))])
            scores = ranking_metrics(chosen, ends, np.nonzero(relevant)[1], K)
            self.found[name][part] = scores.ndcg

    def judge_scores(self, name: str, scores: Scores, seconds: float) -> None:
        """Measure scores of the whole catalogue."""
        new = np.where(self.seen, -np.inf, scores)
        self.judge(name, (best(scores), best(new)), seconds)


def best(scores: Scores) -> npt.NDArray[np.int64]:
    """Return the ten products with the highest scores, of equal ones the first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]


def question(frame: pd.DataFrame, date: pd.Timestamp) -> Question:
    """Return what is known before a date, and what happened after it."""
    before = frame[frame["occurred_at"] < date]
    window = (frame["occurred_at"] >= date) & (
        frame["occurred_at"] < date + pd.Timedelta(days=HORIZON)
    )
    known = Interactions.from_frame(
        before[["contact_id", "item_id", "occurred_at"]],
        as_of=date.tz_localize("UTC").to_pydatetime(),
    )
    titles = before.groupby("item_id")["title"].first().reset_index()
    facts = ItemFacts.from_frame(titles, known.items)
    people = pd.Index(known.contacts.to_pandas())
    items = pd.Index(known.items.to_pandas())
    after = frame[window & frame["contact_id"].isin(people)]
    everyone = np.sort(people.get_indexer(after["contact_id"].unique()))
    asked = people[everyone]
    shape = (len(asked), len(items))
    relevant, counts = np.zeros(shape, np.bool_), np.zeros(shape)
    after = after[after["item_id"].isin(items)]
    relevant[asked.get_indexer(after["contact_id"]), items.get_indexer(after["item_id"])] = True
    own = before.drop_duplicates(["contact_id", "item_id", "invoice"])
    own = own[own["contact_id"].isin(asked)]
    place = (asked.get_indexer(own["contact_id"]), items.get_indexer(own["item_id"]))
    np.add.at(counts, place, 1.0)
    recipients = known.take(everyone)
    return Question(date, known, facts, recipients, relevant, counts > 0, counts, everyone)


def binary(known: Interactions) -> Any:  # noqa: ANN401 - sparse matrices have no type
    """Return who bought what, as a sparse matrix."""
    from scipy import sparse

    pairs = (np.ones(len(known), np.float32), known.item, known.start)
    made = sparse.csr_matrix(pairs, shape=(len(known.contacts), len(known.items)), copy=True)
    made.sum_duplicates()
    made.data[:] = 1.0
    return made


def baselines(ask: Question) -> None:
    """Judge what people use today."""
    begin = time.process_time()
    recent = binary(ask.known.rows(ask.known.age <= HORIZON))
    popular = np.asarray(recent.sum(axis=0)).ravel()
    everybody = np.broadcast_to(popular, ask.relevant.shape)
    cost = time.process_time() - begin
    ask.judge_scores("personal frequency", ask.counts + popular / 1e5, cost)
    ask.judge_scores("popularity", everybody, cost)
    begin = time.process_time()
    had = binary(ask.known)
    gram = (had.T @ had).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += 300.0
    precision = np.linalg.inv(gram)
    weights = precision / -np.diag(precision)
    np.fill_diagonal(weights, 0.0)
    ask.judge_scores("EASE", had[ask.everyone] @ weights, time.process_time() - begin)
    if importlib.util.find_spec("implicit"):
        begin = time.process_time()
        scores = of_implicit(had, ask.everyone)
        ask.judge_scores("implicit ALS", scores, time.process_time() - begin)


def of_implicit(had: Any, everyone: npt.NDArray[np.int64]) -> Scores:  # noqa: ANN401 - sparse
    """Return scores of implicit's ALS."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=64, regularization=0.05, iterations=15, random_state=0, num_threads=1
    )
    model.fit(had, show_progress=False)
    scores: Scores = model.user_factors[everyone] @ model.item_factors.T
    return scores


def ours(ask: Question) -> RankingModel:
    """Judge mlmarket's generators, each alone, and its ranking model."""
    generators = standard_generators(ask.known, ask.facts)
    for name, generator in generators.items():
        begin = time.process_time()
        scores = generator.fit(ask.known).scores(ask.recipients)
        ask.judge_scores(f"· {name}", scores, time.process_time() - begin)
    begin = time.process_time()
    model = RankingModel(
        generators=standard_generators(ask.known, ask.facts),
        blocks=standard_blocks(),
        horizon=float(HORIZON),
    ).fit(ask.known, ask.facts)
    everything = model.rank(ask.recipients, m=K).item
    new = model.rank(ask.recipients, allowed=~ask.seen, m=K).item
    ask.judge(MODEL, (everything, new), time.process_time() - begin)
    return model


def show(ask: Question, reason: str) -> None:
    """Print one table."""
    bought_new = (ask.relevant & ~ask.seen).any(axis=1)
    print(
        f"\nT = {ask.date:%Y-%m-%d}: {len(ask.seen):,} customers, {bought_new.sum():,} of them bought new "
        f"products, {ask.seen.shape[1]:,} products.  {reason}"
    )
    head = f"{'ALL':>8}{'mlmarket is ahead by':>32}{'NEW':>10}{'mlmarket is ahead by':>32}"
    print(f"{'N@10':20}{head}{'CPU s':>9}")
    for name, found in ask.found.items():
        cells = ""
        for part in ("ALL", "NEW"):
            told = ~np.isnan(found[part])
            mean = mean_interval(found[part][told], random_state=0).value
            ahead = ""
            if name != MODEL:
                gain = mean_difference(
                    ask.found[MODEL][part][told], found[part][told], random_state=0
                )
                ahead = (
                    f"{gain.value / mean:+.1%} ({gain.low / mean:+.1%} to {gain.high / mean:+.1%})"
                )
            cells += f"{mean:8.4f}{ahead:>32}  "
        print(f"{name:20}{cells}{ask.cpu[name]:7.1f}")
    peers = [name for name in PEERS_OF_NEW if name in ask.found]
    strongest = max(peers, key=lambda name: float(np.nanmean(ask.found[name]["NEW"])))
    print(f"The best of {', '.join(peers)} in NEW is {strongest}.")


def main() -> None:
    """Read arguments and print a table a date."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--online-retail", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--dates", nargs="+", default=DATES, metavar="DATE")
    arguments = parser.parse_args()
    frame = lines(arguments.online_retail)
    for date in arguments.dates:
        ask = question(frame, pd.Timestamp(date))
        baselines(ask)
        model = ours(ask)
        show(ask, model.choice_.reason)


if __name__ == "__main__":
    main()
