"""How long does it take to decide all segments anew? On simulated people and what they did.

    python benchmarks/orchestration_segments.py --people 1000000 --events 20000000 --folder /data/town

Twenty segments: seven by predictions and attributes (four of them with a band to stay), six by what people
did, three rankings, and four made of other segments. People and events are simulated with a fixed seed into
the folder unless they are there; events are read once from a Parquet file and once from a table of the
database. Decided are a first night, in which everybody enters; a second one, with a tenth of the scores drawn
anew; and a minute in which 1% of the people are looked at. Printed: wall and CPU seconds, and the most memory
used so far by a process that began with nothing but the people (and the table of events).

The shape of the task is that of an open-source marketing suite whose users reported 40 minutes for the
segments of 260,000 contacts, with one query a segment (mautic, report 8113).
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlmarket.orchestration.engine.bench import Bench, open_bench
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.segments.membership import Membership, find_members
from mlmarket.orchestration.segments.rules import Sources
from mlmarket.orchestration.tables import empty

NOW = datetime(2026, 3, 1)  # noqa: DTZ001 - tables hold UTC without a zone
TYPES = ("visit", "open", "click", "cart", "order")
SHARES = (0.45, 0.35, 0.1, 0.05, 0.05)
BATCH = 2_000_000

BUY = "{purchase_probability_30d:percent} chance to order"
RISK = "{churn_probability_90d:percent} risk; from {country}"
RULES: dict[str, dict[str, object]] = {
    "likely": {
        "when": "purchase_probability_30d >= 0.6",
        "stay": "purchase_probability_30d >= 0.5",
        "why": BUY,
    },
    "leaving": {
        "when": "churn_probability_90d >= 0.7",
        "stay": "churn_probability_90d >= 0.6",
        "why": RISK,
    },
    "valuable": {"when": "value_365d >= 200", "stay": "value_365d >= 150", "at_least": "7D"},
    "iberian": {"when": "country in ('PT', 'ES') and value_365d > 20"},
    "loyal": {
        "when": "churn_probability_90d < 0.2 and value_365d > 50",
        "stay": "churn_probability_90d < 0.3",
        "why": RISK,
    },
    "young": {"when": "age_days < 60", "guard": {"least": 10, "change": 0.9}},
    "unknown_country": {"when": "country is null"},
    "buyers": {"when": "count(order, within='90d') >= 1"},
    "often": {"when": "count(order, within='365d') >= 4"},
    "readers": {"when": "count(open, within='30d') >= 1"},
    "left_cart": {
        "when": "count(cart, within='7d') > 0 and count(order, within='7d') = 0",
        "why": BUY,
    },
    "visitors": {"when": "count(visit, within='14d') >= 2"},
    "quiet": {"when": "days_since(order, within='365d') > 180"},
    "best_tenth": {
        "top": {"column": "purchase_probability_30d", "share": 0.1, "stay_share": 0.12},
        "why": BUY,
    },
    "best_customers": {"top": {"column": "value_365d", "most": 5000}},
    "riskiest": {
        "when": "value_365d > 100",
        "top": {"column": "churn_probability_90d", "share": 0.05},
        "why": RISK,
    },
    "win_back": {"all_of": ["leaving", "valuable"], "not_in": ["buyers"], "why": RISK},
    "engaged": {"any_of": ["readers", "visitors"], "not_in": ["quiet"]},
    "upsell": {"when": "in_segment(loyal) and not in_segment(best_customers)"},
    "nobody_wrote": {"all_of": ["likely"], "not_in": ["readers"], "why": BUY},
}


def simulate(folder: Path, people: int, events: int) -> None:
    """Write people and events with a fixed seed unless they are there."""
    if (folder / f"events_{events}.parquet").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20260301)
    pq.write_table(_people(rng, people), folder / f"people_{people}.parquet")
    names = pa.array([f"c{n:07}" for n in range(people)])
    # Few people do much, most do little.
    weight = rng.pareto(1.5, people) + 0.1
    cumulated = np.cumsum(weight) / weight.sum()
    with pq.ParquetWriter(folder / f"events_{events}.parquet", _events_schema()) as writer:
        for begin in range(0, events, BATCH):
            writer.write_table(_events(rng, names, cumulated, begin, events))


def _people(rng: np.random.Generator, count: int) -> pa.Table:
    countries = np.array(["PT", "ES", "FR", "DE", None], dtype=object)
    return pa.table(
        {
            "person": np.arange(count),
            "contact_id": [f"c{n:07}" for n in range(count)],
            "country": countries[rng.integers(0, 5, count)],
            "age_days": rng.integers(0, 2000, count),
            "purchase_probability_30d": rng.beta(1, 4, count),
            "churn_probability_90d": rng.beta(2, 3, count),
            "value_365d": rng.gamma(0.7, 80, count).round(2),
        }
    )


def _events_schema() -> pa.Schema:
    text, moment = pa.string(), pa.timestamp("us")
    return pa.schema(
        {
            "contact_id": text,
            "type": text,
            "occurred_at": moment,
            "available_at": moment,
            "item_id": text,
            "value": pa.decimal128(18, 4),
            "campaign_id": text,
            "source": text,
            "row_id": text,
        }
    )


def _events(
    rng: np.random.Generator, names: pa.Array, cumulated: np.ndarray, begin: int, total: int
) -> pa.Table:
    count = min(BATCH, total - begin)
    whom = np.searchsorted(cumulated, rng.random(count))
    # Events come in the order of time, as a shop writes them down, over two years.
    since = np.sort(rng.uniform(begin, begin + count, count) / total * 730 * 86_400_000_000)
    start = np.datetime64(NOW - timedelta(days=730), "us")
    content = {
        "contact_id": names.take(pa.array(whom)),
        "type": pa.array(TYPES).take(pa.array(rng.choice(len(TYPES), count, p=SHARES))),
        "occurred_at": start + since.astype("timedelta64[us]"),
        "row_id": pc.cast(pa.array(np.arange(begin, begin + count)), pa.string()),
    }
    schema = _events_schema()
    return pa.table(
        {name: content.get(name, pa.nulls(count, schema.field(name).type)) for name in schema.names}
    ).cast(schema)


class Diary:
    """What people did, read from a Parquet file or from a table of the database."""

    def __init__(self, bench: Bench, path: Path, *, is_table: bool) -> None:
        file = bench.read_parquet(path, table_name="file")
        self._events = bench.create_table("events", file, temp=True) if is_table else file

    def has(self, _table: str) -> bool:
        """Say that there are no further tables."""
        return False

    def table(self, name: str) -> ir.Table:
        """Refuse: there is none."""
        raise KeyError(name)

    def activity(self, *types: str) -> ir.Table:
        """Return the events of some types."""
        return self._events.filter(self._events["type"].isin(types))


def moved(people: pa.Table, share: float, seed: int) -> pa.Table:
    """Return the people with a share of the scores drawn anew."""
    rng = np.random.default_rng(seed)
    for name, draw in (("purchase_probability_30d", (1, 4)), ("churn_probability_90d", (2, 3))):
        values = people[name].to_numpy().copy()
        rows = rng.random(len(values)) < share
        values[rows] = rng.beta(*draw, int(rows.sum()))
        people = people.set_column(people.schema.get_field_index(name), name, pa.array(values))
    return people


def timed(title: str, work: Callable[[], Membership]) -> Membership:
    """Do the work and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    came = pc.sum(pc.equal(found.changes["change"], "entered")).as_py() or 0
    print(
        f"{title:34}{wall:8.2f}{cpu:8.2f}{peak:10,.0f}{len(found.memberships):12,}{came:12,}"
        f"{len(found.changes) - came:10,}{len(found.skipped):9}"
    )
    return found


def measure(folder: Path, people: int, events: int, store: str) -> None:
    """Decide the nights in this process."""
    segments = [Segment.model_validate({"name": k, "title": k, **v}) for k, v in RULES.items()]
    plain = [one for one in segments if "(" not in (one.when or "")]
    usable = {one.name for one in plain}
    plain = [one for one in plain if {*one.all_of, *one.any_of, *one.not_in} <= usable]
    everything, without = Playbook(segments=tuple(segments)), Playbook(segments=tuple(plain))
    table = pq.read_table(folder / f"people_{people}.parquet")
    print(f"\n{len(segments)} segments, {people:,} people, {events:,} events in a {store}")
    columns = ("wall s", "CPU s", "peak MB", "members", "entered", "left", "skipped")
    widths = (8, 8, 10, 12, 12, 10, 9)
    print(" " * 34 + "".join(f"{name:>{w}}" for name, w in zip(columns, widths, strict=True)))
    with open_bench() as bench:
        sources = Sources(
            Diary(bench, folder / f"events_{events}.parquet", is_table=store == "table")
        )
        first = bench.create_table("first", table, temp=True)
        second = bench.create_table("second", moved(table, 0.1, 1), temp=True)

        def night(town: ir.Table, book: Playbook, before: pa.Table, day: int, **rest: object):  # noqa: ANN202
            now = NOW + timedelta(days=day)
            return find_members(town, book, before, now=now, bench=bench, **rest)  # type: ignore[arg-type]

        none = empty("memberships")
        timed(f"{len(plain)} that ask no behaviour, first", lambda: night(first, without, none, 0))
        found = timed(
            "all, first night", lambda: night(first, everything, none, 0, sources=sources)
        )
        before = found.memberships
        timed("all, next night", lambda: night(second, everything, before, 1, sources=sources))
        rng = np.random.default_rng(2)
        some = rng.choice(people, max(1, people // 100), replace=False)
        touched = table["contact_id"].take(pa.array(np.sort(some))).combine_chunks()
        timed(
            "all, 1% of the people",
            lambda: night(second, everything, before, 1, sources=sources, touched=touched),
        )
        print(f"memberships hold {before.nbytes / 1e6:,.0f} MB")


def main() -> None:
    """Simulate in one process and measure in another, so that memory is that of the work."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--measure", choices=("file", "table"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.folder, given.people, given.events, given.measure)
        return
    simulate(given.folder, given.people, given.events)
    for store in ("file", "table"):
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--measure", store], check=True)


if __name__ == "__main__":
    main()
