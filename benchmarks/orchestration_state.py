"""How many bytes does an enrolment take in the state file, and how long does a tick take to keep?

    python benchmarks/orchestration_state.py                    # two million enrolments
    python benchmarks/orchestration_state.py --enrolments 200000

People come into two journeys in a first tick (two decisions each: entered and wait); in a second one
all go on: half of them through a branch that keeps the value it saw, the other half to a message,
which puts a row with filled-in slots into the outbox. So each enrolment stands there twice and has
three decisions. The outbox is counted apart, for its size is that of the messages.
"""

# ruff: noqa: S608 - the names are those of the tables of the file.

import argparse
import hashlib
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import duckdb
import pyarrow as pa

from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.state.claims import RESULTS, Worker
from mlmarket.orchestration.state.standing import Decisions
from mlmarket.orchestration.state.store import StateStore
from mlmarket.orchestration.tables import SCHEMAS, canonical, empty

FIRST, SECOND = datetime(2026, 3, 1, 3, tzinfo=UTC), datetime(2026, 3, 2, 3, tzinfo=UTC)
STEPS = [
    {"wait": "1D"},
    {"message": {"name": "first", "channel": "email", "topic": "offers", "template": "t1"}},
    {"wait": "7D"},
]
SEGMENT = Segment(name="leaving", title="Leaving", when="risk > 0.5", why="Risk", action="Win back")
JOURNEYS = tuple(
    Journey.model_validate(
        {
            "journey": name,
            "title": name,
            "entry": {"segment": "leaving"},
            "reentry": "never",
            "steps": STEPS,
            "expires_after": "60D",
        }
    )
    for name in ("win_back", "welcome")
)
BOOK = Playbook(segments=(SEGMENT,), journeys=JOURNEYS)
ENROLLED = """
    CREATE TABLE enrolled AS
    SELECT substr(sha256(journey || '|' || contact_id), 1, 32) AS enrolment_id, *,
        TIMESTAMP '2026-03-01 03:00:00' AS entered_at,
        TIMESTAMP '2026-04-30 03:00:00' AS expires_at, CAST(NULL AS VARCHAR) AS holdout,
        CAST(NULL AS VARCHAR) AS held_for, CAST(NULL AS TIMESTAMP) AS ended_at,
        CAST(NULL AS TIMESTAMP) AS goal_at, 'active' AS status,
        'e' || lpad(CAST(number AS VARCHAR), 10, '0') AS trigger_id,
        CAST(NULL AS VARCHAR) AS trigger_item
    FROM (
        SELECT range AS number, 'C-' || lpad(CAST(range // 2 AS VARCHAR), 9, '0') AS contact_id,
            CASE range % 2 WHEN 0 THEN 'win_back' ELSE 'welcome' END AS journey,
            CASE range % 2 WHEN 0 THEN $first ELSE $second END AS version
        FROM range($count))"""
DECIDED = """
    SELECT sha256($tick || '|' || enrolment_id || '|' || step || '|' || outcome) AS decision_id,
        $tick AS tick_id, CAST($at AS TIMESTAMP) AS decided_at, enrolment_id, contact_id, journey,
        version, step, outcome, CAST([] AS VARCHAR[]) AS reasons, CAST(NULL AS VARCHAR) AS fate,
        way, channel, due_at, CAST(NULL AS VARCHAR) AS winner, seen"""
STAND = "SELECT *, {place} AS position, TIMESTAMP '{at}' AS arrived_at, TIMESTAMP '{due}' AS due_at"
CAME = """
    FROM (SELECT *, 'entry' AS step, 'entered' AS outcome, NULL AS way, NULL AS channel,
            CAST(NULL AS TIMESTAMP) AS due_at, NULL AS seen FROM enrolled
        UNION ALL SELECT *, 'wait_1', 'wait', NULL, NULL, TIMESTAMP '2026-03-02 03:00:00', NULL
        FROM enrolled)"""
WENT = """
    FROM (SELECT *, 'first' AS step, 'send' AS outcome, NULL AS way, 'email' AS channel,
            TIMESTAMP '2026-03-02 09:00:00' AS due_at, NULL AS seen FROM enrolled
        WHERE number % 4 < 2
        UNION ALL SELECT *, 'branch_2', 'branch', 'likely', NULL, NULL,
            '{"purchase_probability_30d": ' || round((hash(number) % 100000) / 1e5, 4) || '}'
        FROM enrolled WHERE number % 4 >= 2)"""
HANDED = """
    SELECT sha256(enrolment_id || '|first|1') AS idempotency_key, 'message' AS kind, contact_id,
        'x' || number AS external_id, contact_id || '@example.com' AS email,
        CAST(NULL AS VARCHAR) AS phone, journey, version, enrolment_id, 'first' AS step,
        'email' AS channel, 'offers' AS topic, 'consent' AS legal_basis, FALSE AS transactional,
        't1' AS template, '{"rec_1_title":"Shoe ' || hash(number) % 5000
        || '","rec_1_url":"https://shop.example/p/' || hash(number) % 5000 || '"}' AS payload,
        50 AS priority, TIMESTAMP '2026-03-02 09:00:00' AS not_before, expires_at
    FROM enrolled WHERE number % 4 < 2"""


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something takes."""
    start = time.perf_counter()
    yield
    print(f"{what:44s} {time.perf_counter() - start:8.2f} s", flush=True)


def tick_id(now: datetime) -> str:
    """Return a name for a tick."""
    return hashlib.sha256(now.isoformat().encode()).hexdigest()


def made(bench: duckdb.DuckDBPyConnection, count: int) -> tuple[Decisions, Decisions]:
    """Return the two ticks."""
    names = {"first": JOURNEYS[0].version, "second": JOURNEYS[1].version, "count": count}
    bench.execute(ENROLLED, names)

    def table(name: str, query: str, **values: object) -> pa.Table:
        found = bench.execute(query, values or None).to_arrow_table()
        return canonical(name, found.select(SCHEMAS[name].names))

    def decided(now: datetime, rows: str) -> pa.Table:
        return table("decisions", DECIDED + rows, tick=tick_id(now), at=now.replace(tzinfo=None))

    members = """
        SELECT 'leaving' AS segment, contact_id, TIMESTAMP '2026-03-01 03:00:00' AS entered_at,
            'Risk' AS why FROM enrolled WHERE number % 4 = 0"""
    first = STAND.format(place=1, at="2026-03-01 03:00:00", due="2026-03-02 03:00:00")
    second = STAND.format(place=2, at="2026-03-02 03:00:00", due="2026-03-09 03:00:00")
    came = _decisions(FIRST, None, table, members, first, decided(FIRST, CAME), empty("outbox"))
    rows = table("outbox", HANDED)
    went = _decisions(SECOND, came, table, members, second, decided(SECOND, WENT), rows)
    return came, went


def _decisions(
    now: datetime,
    previous: Decisions | None,
    table: Callable[..., pa.Table],
    members: str,
    standing: str,
    decided: pa.Table,
    outbox: pa.Table,
) -> Decisions:
    return Decisions(
        tick_id=tick_id(now),
        now=now,
        fingerprint="f" * 64,
        previous=None if previous is None else previous.tick_id,
        playbook=BOOK,
        versions=MappingProxyType({one.version: one for one in JOURNEYS}),
        memberships=table("memberships", members),
        changes=empty("changes"),
        skipped=empty("skipped"),
        enrolments=table("enrolments", f"{standing} FROM enrolled"),
        decisions=decided,
        outbox=outbox,
    )


def bytes_of(path: Path) -> dict[str, int]:
    """Return the bytes of the blocks that each table of the file has to itself."""
    found = {}
    with duckdb.connect(str(path)) as connection:
        block = connection.execute("SELECT block_size FROM pragma_database_size()").fetchall()[0][0]
        for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            query = f"""
                SELECT count(DISTINCT one) FROM (
                    SELECT block_id AS one FROM pragma_storage_info('{name}') UNION ALL
                    SELECT unnest(additional_block_ids) FROM pragma_storage_info('{name}'))
                WHERE one >= 0"""
            found[name] = block * connection.execute(query).fetchall()[0][0]
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enrolments", type=int, default=2_000_000)
    count = parser.parse_args().enrolments
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as bench:
        path = Path(folder) / "state.duckdb"
        ticks = made(bench, count)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        _run(path, ticks)
        rows = {name: size for name, size in bytes_of(path).items() if size}
        whole = path.stat().st_size
    apart = rows.get("outbox", 0)
    print(f"{count:,} enrolments, {sum(len(one.decisions) for one in ticks):,} decisions,")
    print(f"{len(ticks[1].outbox):,} rows of the outbox: {whole / 1e6:.0f} MB")
    for name, size in sorted(rows.items(), key=lambda item: -item[1]):
        print(f"  {name:20s} {size / 1e6:8.1f} MB")
    print(f"bytes an enrolment with its decisions: {(whole - apart) / count:.0f}")
    print(f"bytes an enrolment with its outbox:    {whole / count:.0f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory: {peak / 1e3:.0f} MB, of which the made ticks {before / 1e3:.0f} MB")


def _run(path: Path, ticks: tuple[Decisions, Decisions]) -> None:
    with StateStore.open(path) as store:
        for number, decided in enumerate(ticks, start=1):
            with timed(f"commit tick {number}"):
                store.commit(decided)
        with timed("load for a night"):
            store.load(now=SECOND)
        touched = pa.array([f"C-{number:09d}" for number in range(100)])
        with timed("load for a minute, 100 people"):
            store.load(now=SECOND, touched=touched)
        with timed("tell tick 2 again"):
            again = store.decisions_of(ticks[1].tick_id)
        if not again.decisions.equals(ticks[1].decisions):
            message = "the tick came back as another one"
            raise RuntimeError(message)
        noon = SECOND.replace(hour=12)
        with timed("claim 10,000 rows"):
            rows = store.claim(Worker("bench"), now=noon, limit=10_000)
        said = [{"idempotency_key": key, "status": "sent"} for key in rows[0].to_pylist()]
        with timed("settle 10,000 rows"):
            store.settle(pa.Table.from_pylist(said, schema=RESULTS), now=noon)
    with timed("open"), StateStore.open(path) as store, timed("forget one person"):
        store.forget("C-000000007", key=b"k" * 32, at=noon)


if __name__ == "__main__":
    main()
