"""What does it cost to weigh 1.3 million messages to a million people, with every reason?

    python benchmarks/orchestration_arbitration.py [--people 1_000_000] [--candidates 1_300_000]

Twelve messages of twelve journeys compete: five caps (rolling and calendar, one of a channel, one of a
topic), hours in eight time zones, a ladder, an exclusion group, a throughput, fatigue, worths, a condition
for handover and one for hygiene; three million past messages, two million consents. Printed: CPU seconds and
wall seconds of collecting the facts and of arbitrating, the same without the reasons (only what goes out), their
ratio, and the most memory the process had.

Rows are made from a fixed seed.
"""

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from mlmarket.orchestration import Playbook, Policy, State
from mlmarket.orchestration.arbitration.arbitrate import arbitrate
from mlmarket.orchestration.arbitration.candidates import Candidates, Offer
from mlmarket.orchestration.arbitration.facts import PeopleFacts
from mlmarket.orchestration.arbitration.reasons import Fate, Reason
from mlmarket.orchestration.arbitration.weighing import facts_of
from mlmarket.orchestration.engine.bench import open_bench
from mlmarket.orchestration.journeys.actions import Worth
from mlmarket.orchestration.tables import SENT

T = TypeVar("T")
NOW = datetime(2026, 3, 11, 12)  # noqa: DTZ001 - tables hold UTC without a zone
ZONES = (
    "Europe/Lisbon",
    "Europe/Madrid",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Los_Angeles",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
)
TOPICS = ("offers", "news", "service")
DAY = np.timedelta64(1, "D").astype("timedelta64[us]")
POLICY = Policy.model_validate(
    {
        "timezone": "Europe/Lisbon",
        "channels": {
            "email": {"window": {"opens": "08:00", "closes": "21:00"}},
            "sms": {
                "window": {"opens": "09:00", "closes": "20:00", "weekdays": ["mon", "tue", "wed"]},
                "throughput": {"most": 50_000, "per": "1h"},
                "cost": 0.05,
            },
        },
        "caps": [
            {"name": "daily", "most": 1, "per": "day"},
            {"name": "weekly", "most": 3, "per": "7D"},
            {"name": "monthly", "most": 8, "per": "month"},
            {"name": "sms", "most": 2, "per": "14D", "channel": "sms"},
            {"name": "offers", "most": 2, "per": "week", "topic": "offers"},
        ],
        "handover": "open_deals > 0",
        "hygiene": "opens_365d = 0",
        "fatigue": {"cost": 0.01, "within": "14D"},
    }
)


class Source:
    """Tables in memory as a source of behaviour."""

    def __init__(self, **tables: pa.Table) -> None:
        self._tables = {name: ibis.memtable(table) for name, table in tables.items()}

    def has(self, table: str) -> bool:
        """Say whether there is a table."""
        return table in self._tables

    def table(self, name: str) -> ir.Table:
        """Return a table."""
        return self._tables[name]

    def activity(self, *types: str) -> ir.Table:
        """Return behaviour of some types."""
        activity = self._tables["activity"]
        return activity.filter(activity["type"].isin(types))


def contact_ids(count: int) -> pa.Array:
    """Return sorted ids."""
    return pa.array([f"c{number:08d}" for number in range(count)])


def people(count: int) -> pa.Table:
    """Return what is known about everybody."""
    draw = np.random.default_rng([7, 0])
    ids = contact_ids(count)
    hour = draw.integers(6, 23, count)
    ahead = draw.integers(-DAY.astype(int), DAY.astype(int), count).astype("m8[us]")
    return pa.table(
        {
            "person": np.arange(count),
            "contact_id": ids,
            "email": pa.array([f"{number}@example.com" for number in range(count)]),
            "phone": pa.array(np.where(draw.random(count) < 0.6, "+351", "").tolist()),
            "timezone": pa.array(np.array(ZONES)[draw.integers(0, len(ZONES), count)].tolist()),
            "send_at_utc": np.datetime64(NOW, "us") + ahead,
            "send_weekday": draw.integers(0, 7, count),
            "send_hour_local": hour,
            "open_deals": (draw.random(count) < 0.02).astype(np.int64),
            "opens_365d": draw.poisson(4, count),
            "purchase_probability_30d": draw.random(count) * 0.2,
            "expected_value_365d": draw.gamma(2.0, 40.0, count),
        }
    )


def consents(count: int) -> pa.Table:
    """Return two words a person."""
    draw = np.random.default_rng([7, 1])
    rows = 2 * count
    who = pa.array(draw.integers(0, count, rows))
    at = np.datetime64(NOW, "us") - draw.integers(1, 900, rows) * DAY
    channel = np.where(draw.random(rows) < 0.7, "email", "sms")
    topic = np.where(draw.random(rows) < 0.7, "", np.array(TOPICS)[draw.integers(0, 3, rows)])
    return pa.table(
        {
            "contact_id": contact_ids(count).take(who),
            "channel": pa.array(channel.tolist()),
            "granted": draw.random(rows) < 0.9,
            "changed_at": at,
            "topic": pa.array(topic.tolist()),
            "legal_basis": pa.nulls(rows, pa.string()),
        }
    )


def sent(count: int) -> pa.Table:
    """Return three past messages a person."""
    draw = np.random.default_rng([7, 2])
    rows = 3 * count
    ids = contact_ids(count).take(pa.array(draw.integers(0, count, rows)))
    at = np.datetime64(NOW, "us") - (draw.random(rows) * 60 * DAY.astype(int)).astype("m8[us]")
    content = {
        "idempotency_key": pa.array([f"{number:064x}" for number in range(rows)]),
        "enrolment_id": pa.nulls(rows, pa.string()),
        "contact_id": ids,
        "journey": pa.repeat("earlier", rows),
        "step": pa.repeat("s", rows),
        "kind": pa.repeat("message", rows),
        "channel": pa.array(np.where(draw.random(rows) < 0.85, "email", "sms").tolist()),
        "topic": pa.array(np.array(TOPICS)[draw.integers(0, 3, rows)].tolist()),
        "transactional": draw.random(rows) < 0.2,
        "not_before": at,
        "status": pa.repeat("sent", rows),
    }
    return pa.table(content, schema=SENT)


def offers() -> tuple[Offer, ...]:
    """Return twelve messages."""
    worth = Worth(probability="purchase_probability_30d", value="expected_value_365d", cost=0.01)
    return tuple(
        Offer(
            journey=f"journey_{number}",
            version=f"version_{number}",
            step="message",
            channels=("email",) if number % 3 else ("email", "sms"),
            topic=TOPICS[number % 3],
            priority=40 + 5 * (number % 4),
            group="sales" if number < 3 else None,
            legal_basis="consent",
            transactional=number == 11,
            best_time=number % 2 == 0,
            within=np.timedelta64(1, "D"),
            worth=worth if number % 2 else None,
            if_blocked="hold",
        )
        for number in range(12)
    )


def candidates(people_count: int, count: int) -> Candidates:
    """Return what could be sent."""
    draw = np.random.default_rng([7, 3])
    chosen = offers()
    entered = np.datetime64(NOW, "us") - draw.integers(0, 20, count) * DAY
    held = draw.random(count)
    against = np.where(held < 0.05, int(Reason.GLOBAL_HOLDOUT), 0)
    against |= np.where(held > 0.99, int(Reason.MISSING_TOKEN), 0)
    return Candidates(
        chosen,
        draw.integers(0, len(chosen), count),
        draw.integers(0, people_count, count),
        entered,
        entered + 30 * DAY,
        against,
        entered,
        draw.integers(0, 2**63, count).astype(np.uint64),
    )


def measured(words: str, work: Callable[[], T]) -> tuple[T, float]:
    """Do something, print what it cost, and return the CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    spent = time.process_time() - cpu
    print(f"{words:<44}{spent:8.2f} s CPU {time.perf_counter() - wall:8.2f} s")
    return answer, spent


def collected(made: Candidates, source: Source, known: pa.Table, state: State) -> PeopleFacts:
    """Return the facts that a whole weighing reads."""
    with open_bench() as bench:
        return facts_of(
            made,
            contact_ids=known["contact_id"].combine_chunks(),
            playbook=Playbook(policy=POLICY),
            state=state,
            events=source,
            people=bench.create_table("people", known),
            bench=bench,
            now=NOW,
        )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--candidates", type=int, default=1_300_000)
    wanted = parser.parse_args()
    known, made = people(wanted.people), candidates(wanted.people, wanted.candidates)
    nothing = pa.table({name: pa.array([], kind) for name, kind in ACTIVITY.items()})
    source = Source(consents=consents(wanted.people), activity=nothing)
    state = State(sent=sent(wanted.people))
    print(f"{wanted.candidates:,} messages, {wanted.people:,} people, {len(POLICY.caps)} caps")
    print(f"memory before: {peak():.2f} GiB")
    facts, reading = measured("facts", lambda: collected(made, source, known, state))
    few = first(made, facts, 10)
    measured("compiling, or reading what is compiled", lambda: arbitrate(*few, POLICY, now=NOW))
    full, slow = measured("every reason", lambda: arbitrate(made, facts, POLICY, now=NOW))
    plain, fast = measured(
        "only what goes out", lambda: arbitrate(made, facts, POLICY, now=NOW, reasons=False)
    )
    same = np.array_equal(full.channel, plain.channel)
    print(f"the same goes out: {same}; ratio {slow / fast:.2f}")
    print(f"with facts: {(reading + slow) / (reading + fast):.2f}; peak {peak():.2f} GiB")
    for fate in Fate:
        print(f"  {fate.name.lower():<10}{int((full.fate == fate).sum()):>10,}")


ACTIVITY = {
    "contact_id": pa.string(),
    "type": pa.string(),
    "occurred_at": pa.timestamp("us"),
    "available_at": pa.timestamp("us"),
    "row_id": pa.string(),
}


def first(made: Candidates, facts: PeopleFacts, count: int) -> tuple[Candidates, PeopleFacts]:
    """Return the first candidates alone."""
    names = ("offer", "person", "entered", "expires", "against", "held_since", "lot")
    few = replace(made, **{name: getattr(made, name)[:count] for name in names})
    parts = {name: getattr(facts, name)[:count] for name in ("closed", "probability", "gain")}
    return few, replace(facts, **parts)


def peak() -> float:
    """Return the most memory so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
