"""How fast are conditions decided? ``python benchmarks/orchestration_conditions.py``.

Two tables. First, ten rules of which the first that holds decides, over people with predictions and
attributes: our expressions in DuckDB, and three rule engines that look at one person at a time, which
are given fewer people. Second, what people did: five questions of journeys, answered for all
enrolments over all events, cut down to the last 14 days and not cut down at all.

The rule engines are looked for, and left out with a note where they are not installed::

    pip install rule-engine==5.1.0 zen-engine==2.1.3 json-logic-qubit==0.9.1

People and events are simulated with a seed. All are run in this process; processor seconds are of all
threads, memory is the largest the process has had so far.
"""

import argparse
import gc
import platform
import re
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from mlmarket.expressions import schema_of
from mlmarket.orchestration.conditions import Conditions, facts

NOW = datetime(2026, 3, 1)  # noqa: DTZ001 - tables hold UTC without a zone
SEED = 0.42
THREADS = 2
RULES = {
    "call_them": "vip and churn_probability >= 0.8",
    "win_back": "churn_probability >= 0.6 and value >= 200",
    "remind": "days_since_order between 60 and 120 and orders >= 2",
    "second_order": "orders = 1 and days_since_order <= 30",
    "replenish": "stage = 'customer' and purchase_probability >= 0.5",
    "local_event": "country in ('PT', 'ES') and purchase_probability >= 0.3",
    "nurture": "stage = 'lead' and not churn_probability > 0.4",
    "discount": "value < 50 and purchase_probability between 0.1 and 0.3",
    "survey": "orders >= 5 or (vip and value >= 100)",
    "sunset": "days_since_order > 365 and purchase_probability < 0.05",
}
QUESTIONS = {
    "engaged": "count(open, within='14d', since='entry') >= 2",
    "quiet": "count(click, within='14d') = 0 and not received(spring, within='14d')",
    "cold": "not days_since(open, within='14d') <= 3",
    "keen": "count(click, within='14d', where value > 20) >= 1",
}
PEOPLE = """
    select i as person,
        case when random() < 0.9 then random() end as churn_probability,
        case when random() < 0.9 then random() * random() end as purchase_probability,
        case when random() < 0.95 then 500 * random() * random() end as value,
        case when random() < 0.9 then 400 * random() end as days_since_order,
        (random() * random() * 8)::bigint as orders,
        ['PT', 'ES', 'FR', 'DE', 'IT'][1 + (random() * 4.999)::int % 5] as country,
        ['lead', 'customer', 'lapsed'][1 + (random() * 2.999)::int % 3] as stage,
        random() < 0.05 as vip
    from range({people}) as r(i)
"""
EVENTS = """
    select 'c' || lpad(((random() * {contacts})::bigint % {contacts})::varchar, 8, '0') as contact_id,
        ['page_view', 'open', 'click', 'cart', 'order', 'send', 'login', 'form'][
            1 + (random() * 7.999)::int % 8] as type,
        timestamp '2026-03-01' - to_microseconds((random() * 365 * 86400e6)::bigint) as occurred_at,
        null::timestamp as available_at,
        'i' || (random() * 1000)::int as item_id,
        (random() * 100)::decimal(18, 4) as "value",
        ['spring', 'summer', 'autumn'][1 + (random() * 2.999)::int % 3] as campaign_id,
        'events' as "source",
        'r' || i as row_id
    from range({events}) as r(i)
"""
ENROLMENTS = """
    select i as n, 'c' || lpad((i % {contacts})::varchar, 8, '0') as contact_id,
        timestamp '2026-03-01' - to_microseconds((random() * 30 * 86400e6)::bigint) as entered_at,
        timestamp '2026-03-01' - to_microseconds((random() * 5 * 86400e6)::bigint) as arrived_at
    from range({enrolments}) as r(i)
"""


@dataclass
class Cost:
    """What one measured block took."""

    seconds: float = 0.0
    processor: float = 0.0
    megabytes: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure a block: wall and processor seconds, and the peak of memory until its end."""
    cost = Cost()
    gc.collect()
    wall, processor = time.perf_counter(), time.process_time()
    yield cost
    cost.seconds = time.perf_counter() - wall
    cost.processor = time.process_time() - processor
    cost.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def best(run: Callable[[], object], repeats: int) -> Cost:
    """Return the quickest of several runs."""
    costs = []
    for _ in range(repeats):
        with measured() as cost:
            run()
        costs.append(cost)
    return min(costs, key=lambda cost: cost.seconds)


# --------------------------------------------------------------- ten rules

Decide = Callable[[dict[str, Any]], str | None]


def decided(people: ir.Table) -> ir.Table:
    """Return the first rule that holds for each person."""
    rules = Conditions.parse(RULES, schema=schema_of(people))
    branches = [(rules.permits(name, people), name) for name in RULES]
    return people.select("person", action=ibis.cases(*branches, else_=ibis.null("string")))


def by_row() -> Decide:
    """Return our own evaluation of one person, as explanations use it."""
    columns = ibis.duckdb.connect().sql(PEOPLE.format(people=1))
    rules = Conditions.parse(RULES, schema=schema_of(columns))
    return lambda row: next((name for name in RULES if rules.permits_row(name, row)), None)


def rule_engine() -> Decide:
    """Return the same rules in rule-engine."""
    import rule_engine

    context = rule_engine.Context(default_value=None)
    rules = [
        (name, rule_engine.Rule(python_like(text), context=context)) for name, text in RULES.items()
    ]
    return lambda row: next((name for name, rule in rules if rule.matches(row)), None)


def zen_engine() -> Decide:
    """Return the same rules in zen-engine, as one compiled expression: its quickest form."""
    import zen

    chain = "null"
    for name, text in reversed(RULES.items()):
        chain = f'({python_like(text)}) ? "{name}" : ({chain})'
    expression = zen.compile_expression(chain)
    return expression.evaluate


def json_logic() -> Decide:
    """Return the same rules in JsonLogic."""
    from json_logic import jsonLogic

    chain: list[Any] = []
    for name, logic in JSON_RULES.items():
        chain += [logic, name]
    rules = {"if": [*chain, None]}
    return lambda row: jsonLogic(rules, row)


def python_like(text: str) -> str:
    """Return a rule in the language that rule-engine and zen-engine share.

    A comparison with a missing value is false there, so ``not`` needs a look at it first.
    """
    text = re.sub(r"(\w+) between (\S+) and (\S+)", r"(\1 >= \2 and \1 <= \3)", text)
    text = re.sub(r"in \(([^)]*)\)", r"in [\1]", text)
    text = re.sub(r"(?<![<>!])= ", "== ", text)
    text = re.sub(r"not (\w+) > (\S+)", r"(\1 != null and \1 <= \2)", text)
    return re.sub(r"(?<![\w'])(\w+) (<=|<|>=|>) ([\d.]+)", r"(\1 != null and \1 \2 \3)", text)


def _var(name: str) -> dict[str, str]:
    return {"var": name}


def _over(name: str, sign: str, number: float) -> dict[str, Any]:
    known = {"!==": [_var(name), None]}
    return {"and": [known, {sign: [_var(name), number]}]}


JSON_RULES: dict[str, Any] = {
    "call_them": {"and": [_var("vip"), _over("churn_probability", ">=", 0.8)]},
    "win_back": {"and": [_over("churn_probability", ">=", 0.6), _over("value", ">=", 200)]},
    "remind": {
        "and": [
            _over("days_since_order", ">=", 60),
            _over("days_since_order", "<=", 120),
            _over("orders", ">=", 2),
        ]
    },
    "second_order": {"and": [{"==": [_var("orders"), 1]}, _over("days_since_order", "<=", 30)]},
    "replenish": {
        "and": [{"==": [_var("stage"), "customer"]}, _over("purchase_probability", ">=", 0.5)]
    },
    "local_event": {
        "and": [{"in": [_var("country"), ["PT", "ES"]]}, _over("purchase_probability", ">=", 0.3)]
    },
    "nurture": {"and": [{"==": [_var("stage"), "lead"]}, _over("churn_probability", "<=", 0.4)]},
    "discount": {
        "and": [
            _over("value", "<", 50),
            _over("purchase_probability", ">=", 0.1),
            _over("purchase_probability", "<=", 0.3),
        ]
    },
    "survey": {"or": [_over("orders", ">=", 5), {"and": [_var("vip"), _over("value", ">=", 100)]}]},
    "sunset": {
        "and": [_over("days_since_order", ">", 365), _over("purchase_probability", "<", 0.05)]
    },
}
PEERS: dict[str, Callable[[], Decide]] = {
    "mlmarket, one row at a time": by_row,
    "rule-engine": rule_engine,
    "zen-engine": zen_engine,
    "json-logic-qubit": json_logic,
}


def ten_rules(people: int, subset: int, repeats: int) -> None:
    """Print people a second for us and for the rule engines."""
    bench = connect()
    table = simulate(bench, "people", PEOPLE.format(people=people))
    query = decided(table)

    def ours() -> None:
        bench.create_table("decided", query, overwrite=True)

    cost = best(ours, repeats)
    print(f"\nTen rules, the first that holds decides; {people:,} people, {subset:,} for others")
    print(f"{'':30}{'people/s':>14}{'cpu s':>9}{'peak MB':>9}  same answer")
    line("mlmarket, DuckDB", people / cost.seconds, cost, "")
    rows = bench.to_pyarrow(table.order_by("person").limit(subset)).to_pylist()
    answers = bench.table("decided").order_by("person").limit(subset)
    expected = bench.to_pyarrow(answers)["action"].to_pylist()
    for name, make in PEERS.items():
        try:
            decide = make()
        except ModuleNotFoundError as error:
            print(f"{name:30}left out: {error.name} is not installed")
            continue
        found: list[str | None] = []
        with measured() as cost:
            found = [decide(row) for row in rows]
        same = sum(one == other for one, other in zip(found, expected, strict=True)) / len(rows)
        line(name, len(rows) / cost.seconds, cost, f"{same:.2%}")
    bench.disconnect()


def line(name: str, rate: float, cost: Cost, more: str) -> None:
    """Print one line of a table."""
    print(f"{name:30}{rate:>14,.0f}{cost.processor:>9.2f}{cost.megabytes:>9,.0f}  {more}")


# ---------------------------------------------------------- what people did


class Events:
    """Behaviour in a table of the bench."""

    def __init__(self, bench: ibis.BaseBackend) -> None:
        self._activity = bench.table("activity")

    def activity(self, *types: str) -> ir.Table:
        """Return the behaviour of the given types."""
        return self._activity.filter(self._activity["type"].isin(types))


def what_people_did(enrolments: int, events: int, repeats: int) -> None:
    """Print how long the questions of journeys take, cut down and not."""
    bench = connect()
    sizes = {"contacts": max(enrolments // 2, 1), "events": events, "enrolments": enrolments}
    simulate(bench, "activity", EVENTS.format(**sizes))
    subjects = simulate(bench, "enrolments", ENROLMENTS.format(**sizes))
    print(f"\n{len(QUESTIONS)} conditions of {enrolments:,} enrolments over {events:,} events")
    print(f"{'':30}{'seconds':>14}{'cpu s':>9}{'peak MB':>9}")
    endless = {
        key: re.sub(r", (within='14d'|since='entry')", "", text) for key, text in QUESTIONS.items()
    }
    one_type = {"engaged": "count(open, within='14d') >= 2"}
    for name, texts in {
        "one question, last 14 days": one_type,
        "all, last 14 days": QUESTIONS,
        "all, unbounded": endless,
    }.items():
        conditions = Conditions.parse(texts, schema={}, anchors=("entry", "step"))
        cost = best(lambda asked=conditions: ask(asked, subjects, bench), repeats)
        print(f"{name:30}{cost.seconds:>14.2f}{cost.processor:>9.2f}{cost.megabytes:>9,.0f}")
    bench.disconnect()


def ask(conditions: Conditions, subjects: ir.Table, bench: Any) -> None:  # noqa: ANN401
    """Answer all questions once."""
    found = facts(conditions, subjects, Events(bench), now=NOW, bench=bench)
    bench.raw_sql(f'drop table "{found.get_name()}"')


def connect() -> Any:  # noqa: ANN401
    """Return an empty database."""
    return ibis.duckdb.connect(threads=THREADS)


def simulate(bench: Any, name: str, query: str) -> ir.Table:  # noqa: ANN401
    """Return a table of the bench, by one thread: with more, a seed fixes nothing."""
    bench.raw_sql("set threads = 1")
    bench.raw_sql(f"select setseed({SEED})")
    table = bench.create_table(name, bench.sql(query))
    bench.raw_sql(f"set threads = {THREADS}")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--people", type=int, default=2_000_000)
    parser.add_argument("--subset", type=int, default=20_000)
    parser.add_argument("--enrolments", type=int, default=2_000_000)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args(arguments)
    print(f"DuckDB {duckdb.__version__}, Python {platform.python_version()}, {THREADS} threads")
    ten_rules(chosen.people, chosen.subset, chosen.repeats)
    what_people_did(chosen.enrolments, chosen.events, chosen.repeats)


if __name__ == "__main__":
    main()
