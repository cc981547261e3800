"""Every feature, label and eligibility is the same number on Spark as on DuckDB."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.features import (
    Behaviour,
    Feature,
    Operation,
    SnapshotSpec,
    attribute,
    build,
    choose_attributes,
    count,
    days_active,
    default_features,
    first_touch,
    gap_mean,
    gap_std,
    last,
    maximum,
    mean,
    minimum,
    ratio,
    recency,
    total,
    trend,
)
from mlmarket.market import Market
from mlmarket.market.settings import MarketSettings
from mlmarket.prediction.training import Snapshots

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
AS_OF = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # an hour in which clocks jump in Europe
EARLIER = AS_OF - 7 * DAY
PEOPLE = [*(f"c{n:02d}" for n in range(30)), "ä ö|日本", "O'Brien\\n", "silent", "unborn"]
BEHAVIOURS = (
    "order",
    "return",
    "order where value > 20 and item_category = 'Schuhe|ß'",
    "event visit | cart",
    'event "Page View" where value is not null',
    'event "it\'s" where value / 0 > 1 or value % 3 = 1',
    "send",
    "open",
    "click | unsubscribe",
    "outcome won",
    "outcome won where value >= 5",
    "cart | order",
)


def _features_of(text: str, place: int) -> list[Feature]:
    return [
        count(text, name=f"count_{place}"),
        count(text, "7D", name=f"count_7d_{place}"),
        total(text, "7D", name=f"total_7d_{place}"),
        mean(text, name=f"mean_{place}"),
        minimum(text, "30D", name=f"minimum_30d_{place}"),
        maximum(text, "30D", name=f"maximum_30d_{place}"),
        last(text, name=f"last_{place}"),
        recency(text, name=f"recency_{place}"),
        first_touch(text, name=f"first_{place}"),
        days_active(text, name=f"days_{place}"),
        days_active(text, "7D", name=f"days_7d_{place}"),
        gap_mean(text, name=f"gap_mean_{place}"),
        gap_std(text, name=f"gap_std_{place}"),
        trend(text, "7D", name=f"trend_7d_{place}"),
    ]


RECENT, ALL = count("order", "30D"), count("order", name="all_orders")
FEATURES = (
    *(feature for place, text in enumerate(BEHAVIOURS) for feature in _features_of(text, place)),
    ratio(RECENT, ALL, name="share"),
    ratio(ratio(RECENT, ALL), gap_mean("order"), name="ratio_of_ratio"),
    ratio(ALL, attribute("age"), name="orders_per_year"),
    attribute("country", categorical=True),
    attribute("age"),
    attribute("code", name="code_as_number"),
)


class Log:
    """Rows that like the borders of windows and of days, ties, late arrivals and gaps."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def pick(self, choices: list[Any]) -> Any:
        return choices[int(self.random.integers(len(choices)))]

    def moment(self) -> datetime:
        base = self.pick([AS_OF, EARLIER])
        days = self.pick([0, 0, 1, 2, 6, 7, 8, 14, 15, 30, 31, 400])
        if self.random.random() < 0.6:
            return base - days * DAY + int(self.random.integers(-1, 2)) * TICK
        return base + int(self.random.integers(-40 * 86_400 * 10**6, 10 * 86_400 * 10**6)) * TICK

    def late(self) -> datetime | None:
        return self.moment() if self.random.random() < 0.4 else None

    def value(self) -> Decimal | None:
        if self.random.random() < 0.2:
            return None
        return Decimal(int(self.random.integers(-1_000_000, 1_000_000))) / 10_000

    def rows(self, number: int, **columns: Callable[[], Any]) -> list[dict[str, Any]]:
        everybody = [name for name in PEOPLE if name not in {"silent"}]
        return [
            {"contact_id": self.pick(everybody), **{k: make() for k, make in columns.items()}}
            for _ in range(number)
        ]


TEXT, TIME, MONEY = pa.string(), pa.timestamp("us"), pa.decimal128(18, 4)


def _tables(seed: int) -> dict[str, pa.Table]:
    log = Log(seed)
    types = ["visit", "cart", "Page View", "won", "it's", "other"]
    orders = log.rows(
        500,
        order_id=lambda: log.pick(["1", "2"]),
        ordered_at=log.moment,
        item_id=lambda: log.pick([None, "i1", "i2", "gone"]),
        amount=log.value,
        available_at=log.late,
        is_return=lambda: log.pick([False, False, True]),
    )
    # The same instant several times, and sums that floats would not add exactly.
    orders += [{**orders[0], "amount": Decimal("0.1")} for _ in range(3)]
    orders.append({**orders[0], "amount": Decimal("99999999999999.9999")})
    events = log.rows(
        600,
        event_type=lambda: log.pick(types),
        occurred_at=log.moment,
        available_at=log.late,
        value=log.value,
    )
    messages = log.rows(
        400,
        message_id=lambda: "m",
        channel=lambda: "email",
        sent_at=log.moment,
        opened_at=log.late,
        clicked_at=log.late,
        unsubscribed_at=log.late,
        is_machine_open=lambda: log.pick([None, False, True]),
    )
    outcomes = log.rows(
        150,
        outcome=lambda: log.pick(["won", "lost"]),
        occurred_at=log.moment,
        available_at=log.late,
        value=log.value,
    )
    contacts = [
        {
            "contact_id": name,
            "created_at": AS_OF - 3 * DAY if name == "unborn" else None,
            "country": [None, "PT", "ES", "日本"][place % 4],
            "age": [40.0, float("inf"), 0.0, float("nan"), None, 1 / 3][place % 6],
            "code": ["1.5", "x", None, "1e3", "12d"][place % 5],
        }
        for place, name in enumerate(PEOPLE)
    ]
    times = {"created_at", "ordered_at", "occurred_at", "available_at", "sent_at"}
    times |= {"opened_at", "clicked_at", "unsubscribed_at"}
    kinds = {
        "amount": MONEY,
        "price": MONEY,
        "value": MONEY,
        "is_return": pa.bool_(),
        "age": pa.float64(),
    }
    kinds |= {"is_machine_open": pa.bool_()} | dict.fromkeys(times, TIME)
    given = {
        "items": [
            {"item_id": "i1", "category": "Schuhe|ß", "price": Decimal("9.99")},
            {"item_id": "i2", "category": None, "price": None},
        ],
        "contacts": contacts,
        "orders": orders,
        "events": events,
        "messages": messages,
        "outcomes": outcomes,
    }
    return {
        name: pa.table(
            {
                column: pa.array([_naive(row[column]) for row in rows], kinds.get(column, TEXT))
                for column in rows[0]
            }
        )
        for name, rows in given.items()
    }


def _naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _bare(connection: Any, tables: dict[str, pa.Table], put: Callable[[str, pa.Table], Any]):
    base = Market.from_tables(
        orders=pa.table({"contact_id": ["a"], "order_id": ["1"], "ordered_at": ["2026-01-01"]})
    )
    named = {name: put(name, rows) for name, rows in tables.items()}
    return replace(base, tables=named, settings=MarketSettings())


@pytest.fixture(scope="module")
def markets(spark) -> tuple[Market, Market]:
    """Return the same rows as a market on Spark and as one on DuckDB, without the checks."""
    import ibis

    from mlmarket.market.spark import SparkBench

    tables = _tables(20260329)
    there, here = SparkBench(spark).connection, ibis.duckdb.connect()
    return (
        _bare(there, tables, lambda name, rows: there.from_arrow(rows, name)),
        _bare(here, tables, here.create_table),
    )


def _built(market: Market, spec: SnapshotSpec, cutoffs: Any, **options: Any) -> pd.DataFrame:
    return pa.Table.from_batches(build(market, spec, cutoffs=cutoffs, **options)).to_pandas()


def assert_same(there: pd.DataFrame, here: pd.DataFrame) -> None:
    """Compare frames of both engines: the same rows and types, numbers to a part in a billion."""
    assert len(here) > 0
    pd.testing.assert_frame_equal(there, here, rtol=1e-9, atol=1e-9)


@pytest.fixture
def without_ansi(spark):
    before = spark.conf.get("spark.sql.ansi.enabled")
    assert before == "true"
    spark.conf.set("spark.sql.ansi.enabled", "false")
    yield
    spark.conf.set("spark.sql.ansi.enabled", before)


def test_the_features_of_these_tests_use_every_operation():
    assert {feature.operation for feature in FEATURES} == set(Operation)


def test_every_operation_at_an_instant(markets):
    spec = SnapshotSpec(None, FEATURES)
    there, here = (_built(market, spec, [AS_OF]) for market in markets)
    assert_same(there, here)


def test_operations_that_ansi_rules_could_change(markets, without_ansi):
    spec = SnapshotSpec(None, (*_features_of(BEHAVIOURS[5], 5), *FEATURES[-6:]))
    there, here = (_built(market, spec, [AS_OF]) for market in markets)
    assert_same(there, here)


def test_every_operation_for_a_frame_of_contacts_and_instants(markets):
    asked = pd.DataFrame(
        {
            "contact_id": [*PEOPLE, *PEOPLE, "nobody"],
            "as_of": [AS_OF] * len(PEOPLE) + [EARLIER] * len(PEOPLE) + [AS_OF],
        }
    )
    spec = SnapshotSpec(None, FEATURES)
    there, here = (_built(market, spec, asked) for market in markets)
    assert_same(there, here)
    assert set(here["as_of"].dt.tz_localize(UTC)) == {AS_OF, EARLIER}


@pytest.mark.parametrize(
    "gate", ["order", "order within 7D", "no order within 7D", "no order", "outcome won"]
)
def test_the_eligible_and_their_labels(markets, gate):
    label = Behaviour.parse("no order" if gate == "order" else "cart | order where value > 1")
    spec = SnapshotSpec(Behaviour.parse(gate), (count("order"),), label, 3 * DAY)
    known = AS_OF - DAY
    there, here = (_built(market, spec, [EARLIER], known_at=known) for market in markets)
    assert_same(there, here)
    assert set(here["label"]) == {0, 1} or "no order" in gate


def test_only_some_contacts(markets):
    only = pa.table({"contact_id": ["c01", "ä ö|日本", "O'Brien\\n", "nobody"]})
    spec = SnapshotSpec(None, (count("order"), recency("order")))
    there, here = (_built(market, spec, [AS_OF], only=only) for market in markets)
    assert_same(there, here)
    assert set(here["contact_id"]) == {"c01", "ä ö|日本", "O'Brien\\n"}


def test_a_frame_without_rows_has_its_columns(markets):
    gate = Behaviour.parse("event nobody_ever")
    spec = SnapshotSpec(gate, (count("order"), attribute("country", categorical=True)))
    there, here = (pa.Table.from_batches(build(m, spec, cutoffs=[AS_OF])) for m in markets)
    assert there.num_rows == here.num_rows == 0
    assert there.schema == here.schema


def test_the_features_that_a_market_allows_are_chosen_alike(markets):
    there, here = markets
    assert default_features(there, as_of=AS_OF) == default_features(here, as_of=AS_OF)
    assert choose_attributes(there, as_of=AS_OF) == choose_attributes(here, as_of=AS_OF)


def test_the_end_of_a_table_is_the_same(markets):
    there, here = markets
    for name in ("orders", "events", "messages", "outcomes"):
        for as_of in (AS_OF, EARLIER, None, AS_OF - 5000 * DAY):
            assert there.complete_until(name, as_of=as_of) == here.complete_until(name, as_of=as_of)


def test_a_stable_sample_of_contacts_is_the_same(markets):
    spec = SnapshotSpec(None, (count("order"),), Behaviour.parse("order"), DAY)
    drawn = [
        Snapshots(market, spec, known_at=None, most_rows=10, cutoffs=1, latest=EARLIER).at(
            [EARLIER - DAY]
        )
        for market in markets
    ]
    assert list(drawn[0].contact_id) == list(drawn[1].contact_id)
    assert 0 < len(drawn[0]) < len(PEOPLE) // 2
