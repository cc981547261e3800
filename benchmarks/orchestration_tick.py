"""How long does one tick over a million people take, and what does it hold in memory?

Simulates contacts, consents and behaviour as Parquet files and measures, each in a process of its own:

- a first tick in which people come into three journeys, two million enrolments in all;
- the tick two days later, in which most of them have come to a message;
- a tick a second after that one, with nothing to do, and one a minute later for 1% of the people;
- the same two nights with a state file: loading, deciding and committing; how many bytes an enrolment
  takes there, how long the 1% takes, and how long it takes to explain one person.

Printed are wall and CPU seconds (of all threads), the memory held before, the most that was held, and the
load of the machine, in which other processes count as well. Run:

    python benchmarks/orchestration_tick.py --folder FOLDER [--small]
"""

import argparse
import gc
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlmarket.orchestration import (
    Decisions,
    Journey,
    Playbook,
    Policy,
    Segment,
    State,
    StateStore,
    decide,
    explain,
    tick,
)

START = datetime(2026, 3, 2, 2, tzinfo=UTC)
ZONES = ("Europe/Lisbon", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Tokyo")
SEGMENTS = (
    Segment(name="leaving", title="About to leave", when="churn_probability_90d >= 0.3"),
    Segment(name="likely", title="Likely to buy", when="purchase_probability_30d >= 0.4"),
    Segment(name="active", title="Active", when="count(page_view, within='32d') >= 1"),
)


class Files:
    """A source of behaviour from Parquet files, read by one DuckDB connection."""

    def __init__(self, folder: Path) -> None:
        self._connection = ibis.duckdb.connect(":memory:", memory_limit="500MB")
        self._connection.raw_sql("SET enable_progress_bar = false")
        self._tables = {
            name: self._connection.read_parquet(folder / f"{name}.parquet", table_name=name)
            for name in ("contacts", "consents", "activity")
        }

    def has(self, table: str) -> bool:
        """Say whether there is a table of that name."""
        return table in {"contacts", "consents"}

    def table(self, name: str) -> ibis.expr.types.Table:
        """Return one of the tables."""
        return self._tables[name]

    def activity(self, *types: str) -> ibis.expr.types.Table:
        """Return the behaviour of the given types."""
        activity = self._tables["activity"]
        return activity.filter(activity["type"].isin(types))


def journey(name: str, segment: str, priority: int, steps: list[object]) -> Journey:
    """Return a journey whose people come from a segment."""
    return Journey.model_validate(
        {
            "journey": name,
            "title": name,
            "entry": {"segment": segment},
            "reentry": "90D",
            "steps": steps,
            "goal": "order",
            "expires_after": "60D",
            "holdout": 0.05,
            "priority": priority,
        }
    )


def message(name: str) -> dict[str, object]:
    """Return a message with a slot, by e-mail or SMS."""
    slots = {"item": "{rec_1_title|our best}"}
    content = {"name": name, "channel": ["email", "sms"], "topic": "offers", "template": name}
    return {"message": {**content, "slots": slots}}


def playbook() -> Playbook:
    """Return three segments, three journeys and a policy with caps and windows."""
    branch = {
        "branch": {
            "paths": [
                {
                    "name": "clicked",
                    "when": "count(click, within='14d', since='entry') >= 1",
                    "steps": [message("warm")],
                }
            ],
            "otherwise": [message("cold")],
        }
    }
    split = {
        "split": {
            "name": "words",
            "arms": [
                {"name": "a", "weight": 50.0, "steps": [message("one")]},
                {"name": "b", "weight": 50.0, "steps": [message("two")]},
            ],
        }
    }
    journeys = (
        journey("win_back", "leaving", 60, [{"wait": "1D"}, branch, {"wait": "7D"}]),
        journey("cross_sell", "likely", 50, [{"wait": "1D"}, split, {"wait": "7D"}]),
        journey("news", "active", 40, [{"wait": "9D"}, message("news"), {"wait": "7D"}]),
    )
    policy = Policy.model_validate(
        {
            "timezone": "Europe/Lisbon",
            "channels": {"email": {"window": {"opens": "08:00", "closes": "20:00"}}},
            "caps": [
                {"name": "daily", "most": 1, "per": "1D"},
                {"name": "weekly", "most": 3, "per": "7D"},
            ],
        }
    )
    return Playbook(segments=SEGMENTS, journeys=journeys, policy=policy)


def simulate(folder: Path, people: int, events: int) -> None:
    """Write contacts, consents and behaviour, the same for the same numbers."""
    draw = np.random.default_rng(7)
    ids = _ids(np.arange(people))
    contacts = {
        "contact_id": ids,
        "email": pa.array([f"p{n}@example.com" for n in range(people)]),
        "phone": pa.array([f"+3519{n:08d}" for n in range(people)]),
        "timezone": pa.array(ZONES).take(pa.array(draw.integers(0, len(ZONES), people))),
    }
    pq.write_table(pa.table(contacts), folder / "contacts.parquet")
    agreed = _ids(np.flatnonzero(draw.random(people) < 0.9))
    consents = {
        "contact_id": agreed,
        "channel": pa.repeat("email", len(agreed)),
        "granted": pa.repeat(True, len(agreed)),  # noqa: FBT003
        "changed_at": pa.repeat(pa.scalar(_naive(-400), pa.timestamp("us")), len(agreed)),
    }
    pq.write_table(pa.table(consents), folder / "consents.parquet")
    types = pa.array(["page_view", "open", "click", "cart", "order"])
    pieces = 20
    with pq.ParquetWriter(folder / "activity.parquet", _ACTIVITY) as writer:
        for piece in range(pieces):
            count = events // pieces
            kind = draw.choice(5, count, p=[0.7, 0.15, 0.07, 0.04, 0.04])
            # Each piece is a stretch of a year, as files written day by day are.
            days = np.sort(draw.random(count)) * 365 / pieces + 365 * piece / pieces - 362
            moments = np.datetime64(_naive(0), "us") + (days * 86_400e6).astype("timedelta64[us]")
            rows = {
                "contact_id": _ids(draw.integers(0, people, count)),
                "type": types.take(pa.array(kind)),
                "occurred_at": moments,
                "available_at": moments,
                "value": np.round(draw.random(count) * 80, 2),
            }
            absent = {name: pa.nulls(count) for name in _ACTIVITY.names if name not in rows}
            table = pa.table({**rows, **absent}).select(_ACTIVITY.names).cast(_ACTIVITY)
            writer.write_table(table, row_group_size=250_000)


_ACTIVITY = pa.schema(
    {
        "contact_id": pa.string(),
        "type": pa.string(),
        "occurred_at": pa.timestamp("us"),
        "available_at": pa.timestamp("us"),
        "item_id": pa.string(),
        "value": pa.float64(),
        "campaign_id": pa.string(),
        "source": pa.string(),
        "row_id": pa.string(),
    }
)


def _naive(days: float) -> datetime:
    return START.replace(tzinfo=None) + timedelta(days=days)


def _ids(numbers: np.ndarray) -> pa.Array:
    digits = np.char.add("c", np.char.zfill(numbers.astype("U8"), 8))
    return pa.array(digits, pa.string())


def predictions(people: int) -> pa.Table:
    """Return predictions of everybody."""
    draw = np.random.default_rng(8)
    titles = pa.array([f"Item {n}" for n in range(500)])
    return pa.table(
        {
            "contact_id": _ids(np.arange(people)),
            "churn_probability_90d": draw.random(people),
            "purchase_probability_30d": draw.random(people),
            "send_hour_local": draw.integers(8, 20, people),
            "rec_1_title": titles.take(pa.array(draw.integers(0, 500, people))),
        }
    )


def peak() -> float:
    """Return the largest memory the process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def held() -> float:
    """Return the memory the process holds now, in GB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e9


def measured(name: str, action):  # noqa: ANN001, ANN201
    """Run an action and print what it took."""
    gc.collect()
    wall, cpu, before = time.perf_counter(), time.process_time(), held()
    result = action()
    took, used = time.perf_counter() - wall, time.process_time() - cpu
    load = os.getloadavg()[0]
    print(
        f"| {name} | {took:.2f} | {used:.2f} | {before:.2f} | {peak():.2f} | {load:.1f} |",
        flush=True,
    )
    return result


STATE = ("members", "enrolments", "passes", "sent")
SECOND = START + timedelta(days=2)


def told(decided: Decisions) -> None:
    """Print what was decided."""
    print(f"  {decided.counts()}", file=sys.stderr, flush=True)


def beginning() -> State:
    """Return the state in which nobody has come in."""
    return State().under(playbook()).approving(by="bench", at=START - timedelta(days=1))


def keep(state: State, folder: Path) -> None:
    """Write down where everybody stands."""
    folder.mkdir(exist_ok=True)
    for name in STATE:
        pq.write_table(getattr(state, name), folder / f"{name}.parquet")


def standing(folder: Path, at: datetime) -> State:
    """Return where everybody stands after a tick."""
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in STATE}
    return replace(beginning(), last_now=at, last_tick_id=folder.name, **tables)


def come_in(folder: Path, people: int) -> None:
    """Measure the first tick, in which all come in."""
    state, scores, source = beginning(), predictions(people), Files(folder)
    first = measured("first tick: all come in", lambda: tick(state, scores, source, now=START))
    told(first)
    keep(state.after(first), folder / "first")


def move_on(folder: Path, people: int) -> None:
    """Measure the tick in which most have come to a message."""
    state, scores, source = standing(folder / "first", START), predictions(people), Files(folder)
    second = measured("two days later", lambda: tick(state, scores, source, now=SECOND))
    told(second)
    keep(state.after(second), folder / "second")


def ask_again(folder: Path, people: int) -> None:
    """Measure a tick with nothing to do."""
    state, scores, source = standing(folder / "second", SECOND), predictions(people), Files(folder)
    now = SECOND + timedelta(seconds=1)
    told(measured("a second later, nothing new", lambda: tick(state, scores, source, now=now)))


def some_of(people: int) -> pa.Array:
    """Return one per cent of the people."""
    draw = np.random.default_rng(9)
    return _ids(np.sort(draw.choice(people, people // 100, replace=False)))


def look_at_some(folder: Path, people: int) -> None:
    """Measure a tick about one per cent of the people."""
    state, source, touched = standing(folder / "second", SECOND), Files(folder), some_of(people)
    state, scores = _only(state, touched), _only_some(predictions(people), touched)
    now = SECOND + timedelta(minutes=1)

    def some() -> Decisions:
        return tick(state, scores, source, now=now, touched=touched)

    told(measured("1% of the people", some))


def nights(folder: Path, people: int) -> None:
    """Measure the first night with a state file."""
    scores, source, book = predictions(people), Files(folder), playbook()
    path = folder / "state.duckdb"
    path.unlink(missing_ok=True)
    with StateStore.open(path) as store:
        for journey in book.journeys:
            store.approve(journey, by="bench", at=START - timedelta(days=1))
        measured(
            "first night with a state file", lambda: decide(store, book, scores, source, now=START)
        )


def second_night(folder: Path, people: int) -> None:
    """Measure the second night with a state file."""
    scores, source, book = predictions(people), Files(folder), playbook()
    with StateStore.open(folder / "state.duckdb") as store:
        decided = measured(
            "second night with a state file",
            lambda: decide(store, book, scores, source, now=SECOND),
        )
    told(decided)


def minute(folder: Path, people: int) -> None:
    """Measure a minute with a state file, what an enrolment takes there, and explanations."""
    touched, source, book = some_of(people), Files(folder), playbook()
    path, now = folder / "state.duckdb", SECOND + timedelta(minutes=1)
    with StateStore.open(path) as store:
        # Who is due is looked at as well, and has predictions too.
        looked_at = pa.chunked_array([touched, store.due(now)]).unique()
        scores = _only_some(predictions(people), looked_at)
        print(f"  {len(looked_at):,} people touched or due", file=sys.stderr, flush=True)

        def some() -> Decisions:
            return decide(store, book, scores, source, now=now, touched=touched)

        told(measured("1% of the people with a state file", some))
        whom = touched.take(pa.array(np.arange(0, len(touched), max(1, len(touched) // 50))))
        took = []
        for contact in whom.to_pylist():
            begin = time.perf_counter()
            state = store.load(touched=pa.array([contact]))
            explain(state, contact, decisions=store.decisions_about(contact))
            took.append((time.perf_counter() - begin) * 1e3)
    # Closed, all that was written lies in the file itself.
    enrolments = len(standing(folder / "second", SECOND).enrolments)
    size = path.stat().st_size / enrolments
    print(f"\n{enrolments:,} enrolments, {size:.0f} bytes each with decisions and outbox")
    print(f"explain one person: {np.median(took):.1f} ms, at most {max(took):.1f} ms")


def _only_some(scores: pa.Table, touched: pa.Array) -> pa.Table:
    return scores.filter(pc.is_in(scores["contact_id"], value_set=touched))


def _only(state: State, touched: pa.Array) -> State:
    """Return the state as a store loads it for some people."""
    tables = {name: _only_some(getattr(state, name), touched) for name in STATE}
    return replace(state, **tables)


STEPS: tuple[Callable[[Path, int], None], ...] = (
    come_in,
    move_on,
    ask_again,
    look_at_some,
    nights,
    second_night,
    minute,
)


def main() -> None:
    """Simulate, tick, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for the simulated files")
    parser.add_argument("--small", action="store_true", help="a twentieth of everything")
    parser.add_argument("--people", type=int, default=1_000_000, help="with 20 events each")
    parser.add_argument("--steps", nargs="*", help=", ".join(step.__name__ for step in STEPS))
    options = parser.parse_args()
    people = options.people // (20 if options.small else 1)
    folder = options.folder / str(people)
    if not (folder / "activity.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        simulate(folder, people, 20 * people)
    print("| step | wall s | CPU s | held before GB | peak GB | load |\n|---|---|---|---|---|---|")
    sys.stdout.flush()
    context = multiprocessing.get_context("spawn")
    for step in STEPS:
        if options.steps is None or step.__name__ in options.steps:
            # Each in a process of its own, so that no memory is taken for that of another.
            process = context.Process(target=step, args=(folder, people))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(process.exitcode)


if __name__ == "__main__":
    main()
