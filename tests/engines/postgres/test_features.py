"""Every feature, label and eligible contact, computed by DuckDB and by PostgreSQL."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ibis.expr.operations as ops
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.features import (
    Behaviour,
    OpenLabelWindowError,
    SnapshotSpec,
    attribute,
    build,
    count,
    days_active,
    default_features,
    feature_frame,
    first_touch,
    gap_mean,
    gap_std,
    maximum,
    mean,
    ratio,
    recency,
    total,
    trend,
)
from mlmarket.features.ibis_compiler import compile_features
from mlmarket.features.operations import OPERATIONS, refuse_unsupported
from mlmarket.market.settings import MarketSettings, TableSettings

IS_RETURN = "is_return"
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
AS_OF = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # an hour in which clocks jump in Europe
EARLIER = AS_OF - 7 * DAY
END = AS_OF + 60 * DAY
PEOPLE = ("Zoe", "anna", "ä\\'\"", "日本", "silent", "unborn")
TEXT, TIME, MONEY = pa.string(), pa.timestamp("us"), pa.decimal128(18, 4)
SCHEMAS = {
    "orders": {"contact_id": TEXT, "order_id": TEXT, "ordered_at": TIME, "item_id": TEXT}
    | {"amount": MONEY, "available_at": TIME, IS_RETURN: pa.bool_()},
    "events": {"contact_id": TEXT, "event_type": TEXT, "occurred_at": TIME}
    | {"available_at": TIME, "value": MONEY, "event_id": TEXT},
    "messages": {"message_id": TEXT, "contact_id": TEXT, "channel": TEXT, "sent_at": TIME}
    | {"opened_at": TIME, "clicked_at": TIME, "unsubscribed_at": TIME}
    | {"is_machine_open": pa.bool_()},
    "outcomes": {"contact_id": TEXT, "outcome": TEXT, "occurred_at": TIME}
    | {"available_at": TIME, "value": MONEY},
    "contacts": {"contact_id": TEXT, "created_at": TIME, "country": TEXT, "age": pa.float64()}
    | {"vip": pa.bool_(), "score": TEXT, "rank": pa.int64(), "paid": MONEY},
}
BEHAVIOURS = (
    "order",
    "return",
    "order where value > 20 and item_id < 'b'",
    "event visit | cart",
    'event "Page View" where value is not null',
    "send",
    "open",
    "click | unsubscribe",
    "outcome won where value >= 5",
    "cart | order",
)


def _features_of(text: str, place: int) -> list:
    return [
        count(text, name=f"count_{place}"),
        count(text, "7D", name=f"count_7d_{place}"),
        total(text, "7D", name=f"total_7d_{place}"),
        mean(text, name=f"mean_{place}"),
        maximum(text, "30D", name=f"maximum_30d_{place}"),
        recency(text, name=f"recency_{place}"),
        first_touch(text, name=f"first_{place}"),
        days_active(text, name=f"days_{place}"),
        days_active(text, "7D", name=f"days_7d_{place}"),
        gap_mean(text, name=f"gap_mean_{place}"),
        gap_std(text, name=f"gap_std_{place}"),
        trend(text, "7D", name=f"trend_7d_{place}"),
    ]


ALL = count("order", name="all_orders")
OTHERS = (
    ratio(count("order", "30D"), ALL, name="share"),
    ratio(ratio(count("order", "30D"), ALL), gap_mean("order"), name="ratio_of_ratio"),
    ratio(ALL, attribute("age"), name="orders_per_year"),
    attribute("country", categorical=True),
    attribute("age"),
    attribute("age", categorical=True, name="age_group"),
    attribute("vip"),
    attribute("vip", categorical=True, name="is_vip"),
    attribute("score"),
    attribute("rank", categorical=True),
    attribute("paid"),
    attribute("paid", categorical=True, name="paid_group"),
)
SOME_FEATURES = st.lists(
    st.sampled_from(range(len(BEHAVIOURS))), min_size=3, max_size=3, unique=True
).map(lambda places: (*(f for n in places for f in _features_of(BEHAVIOURS[n], n)), *OTHERS))


def _moments() -> st.SearchStrategy[datetime]:
    """Return times that like the borders of windows and of days before as_of."""
    borders = st.builds(
        lambda base, days, ticks: base - days * DAY + ticks * TICK,
        st.sampled_from([AS_OF, EARLIER]),
        st.sampled_from([-30, -7, 0, 0, 1, 2, 6, 7, 8, 14, 15, 30, 31, 400]),
        st.integers(-1, 1),
    )
    return borders | st.integers(-40 * 86_400 * 10**6, 10 * 86_400 * 10**6).map(
        lambda ticks: AS_OF + ticks * TICK
    )


def _rows(**columns: st.SearchStrategy) -> st.SearchStrategy:
    who = st.sampled_from([PEOPLE[0], *PEOPLE[:4]])
    return st.lists(st.fixed_dictionaries({"contact_id": who, **columns}), max_size=25)


LATE = st.none() | _moments()
VALUES = st.none() | st.decimals(-100, 100, places=4)
LOGS = st.fixed_dictionaries(
    {
        "orders": _rows(
            order_id=st.sampled_from(["1", "2"]),
            ordered_at=_moments(),
            item_id=st.sampled_from([None, "a", "B", "b", "ä"]),
            amount=VALUES,
            available_at=LATE,
            **{IS_RETURN: st.sampled_from([False, False, True])},
        ),
        "events": _rows(
            event_type=st.sampled_from(["visit", "cart", "Page View", "won", "other"]),
            occurred_at=_moments(),
            available_at=LATE,
            value=VALUES,
        ),
        "messages": _rows(
            sent_at=_moments(),
            opened_at=LATE,
            clicked_at=LATE,
            unsubscribed_at=LATE,
            is_machine_open=st.sampled_from([None, False, True]),
        ),
        "outcomes": _rows(
            outcome=st.sampled_from(["won", "lost"]),
            occurred_at=_moments(),
            available_at=LATE,
            value=VALUES,
        ),
    }
)
FEW = settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink takes hundreds of round trips
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _contacts() -> list[dict]:
    return [
        {
            "contact_id": name,
            "created_at": AS_OF - 3 * DAY if name == "unborn" else None,
            "country": {"Zoe": "PT", "anna": "ES"}.get(name),
            "age": {"Zoe": 40.0, "anna": math.inf, "silent": 0.5, "unborn": 1e-7}.get(name),
            "vip": {"Zoe": True, "anna": False}.get(name),
            "score": {"Zoe": "1.5", "anna": "x", "silent": " 1e3"}.get(name),
            "rank": {"Zoe": 1, "anna": -(2**62)}.get(name),
            "paid": {"Zoe": Decimal("99999999999999.9999"), "anna": Decimal("-0.5")}.get(name),
        }
        for name in PEOPLE
    ]


@pytest.fixture(scope="module")
def markets(both, load):
    """Return a function from rows by table to the same market twice, without the checks."""
    first = pa.table({"contact_id": ["a"], "order_id": ["1"], "ordered_at": ["2026-01-01"]})
    base = both(orders=first)
    here = base[0].table("contacts").get_backend()
    until = MarketSettings(
        tables={name: TableSettings(complete_until=END) for name in SCHEMAS if name != "contacts"}
    )

    def make(log, settings=until):
        tables = {"contacts": _contacts(), **log}
        frames = {name: _table(rows, SCHEMAS[name]) for name, rows in tables.items()}
        duck = {n: here.create_table(f"t_{n}", f, overwrite=True) for n, f in frames.items()}
        postgres = {n: load(f, f"features_{n}") for n, f in frames.items()}
        found = zip(base, (duck, postgres), strict=True)
        return [replace(market, tables=there, settings=settings) for market, there in found]

    return make


def _table(rows, columns):
    naive = [
        {k: v.replace(tzinfo=None) if isinstance(v, datetime) else v for k, v in row.items()}
        for row in rows
    ]
    return pa.Table.from_pylist(naive, schema=pa.schema(columns))


def _built(market, spec, cutoffs, **options):
    return pa.Table.from_batches(build(market, spec, cutoffs=cutoffs, **options)).to_pandas()


def _assert_same(frames):
    duck, postgres = frames
    pd.testing.assert_frame_equal(
        postgres, duck, check_dtype=False, check_exact=False, rtol=1e-9, atol=1e-9
    )


ASKED = pd.DataFrame(
    {
        "contact_id": [*PEOPLE, *PEOPLE, "Zoe", "nobody"],
        "as_of": [AS_OF] * 6 + [EARLIER] * 6 + [AS_OF, AS_OF],
    }
)


@FEW
@given(log=LOGS, features=SOME_FEATURES)
def test_every_operation_is_the_same_at_instants_and_for_frames(markets, log, features):
    both_of_them = markets(log)
    spec = SnapshotSpec(None, features)
    refuse_unsupported(compile_features(both_of_them[1], features, at=AS_OF))

    at_instants = [_built(market, spec, [AS_OF, EARLIER]) for market in both_of_them]

    _assert_same(at_instants)
    known = ["Zoe", "anna", "silent", "unborn", PEOPLE[2], "日本"]
    assert list(at_instants[1]["contact_id"][:6]) == known
    _assert_same([_built(market, spec, ASKED) for market in both_of_them])


ELIGIBLE = ("order", "order within 7D", "no order within 7D", "no order", "outcome won")
LABELS = ("order", "no order", "event cart where value < 0", "outcome won", "open | click")


@FEW
@given(log=LOGS, question=st.sampled_from(list(zip(ELIGIBLE, LABELS, strict=True))))
def test_the_eligible_and_their_labels_are_the_same(markets, log, question):
    both_of_them = markets(log)
    eligible, asked = map(Behaviour.parse, question)
    spec = SnapshotSpec(eligible, (ALL,), asked, timedelta(days=30))
    for cutoffs in ([EARLIER, AS_OF], ASKED):
        found = [_built(market, spec, cutoffs) for market in both_of_them]
        _assert_same(found)
        assert set(found[1]["label"]) <= {0, 1}
    late = {"cutoffs": [EARLIER - 30 * DAY], "known_at": AS_OF}
    _assert_same([_built(market, spec, **late) for market in both_of_them])


LOG = {
    "orders": [
        {
            "contact_id": name,
            "order_id": str(day),
            "ordered_at": AS_OF - day * DAY,
            "amount": (Decimal(day) / 3).quantize(Decimal("0.0001")),
            IS_RETURN: day == 5,
        }
        for name in PEOPLE[:4]
        for day in (1, 2, 5, 50)
    ],
    "events": [
        {"contact_id": "Zoe", "event_type": kind, "occurred_at": AS_OF - DAY, "event_id": kind}
        for kind in ("B", "a", "Ä", "ä", "_", "b", "A", "c", "d", "e", "f", "g", "h", "z")
    ],
    "messages": [],
}


def test_the_features_of_a_market_are_chosen_and_computed_alike(markets):
    found = markets(LOG)
    chosen = [default_features(market, as_of=AS_OF) for market in found]
    assert chosen[0] == chosen[1]
    assert sum(feature.operation == "recency" for feature in chosen[0]) >= 14
    _assert_same([market.features(as_of=AS_OF) for market in found])
    _assert_same([feature_frame(market, contacts=ASKED) for market in found])


def test_only_some_contacts_are_built(markets):
    only = pa.table({"contact_id": ["日本", PEOPLE[2]]})
    spec = SnapshotSpec(None, (ALL, attribute("country", categorical=True)))
    found = [_built(market, spec, [AS_OF], only=only) for market in markets(LOG)]
    _assert_same(found)
    assert list(found[1]["contact_id"]) == [PEOPLE[2], "日本"]


def test_an_open_label_window_is_refused_alike(markets):
    spec = SnapshotSpec(None, (ALL,), Behaviour.parse("order"), timedelta(days=30))
    words = []
    for market in markets(LOG, settings=MarketSettings()):
        with pytest.raises(OpenLabelWindowError) as refused:
            build(market, spec, cutoffs=[AS_OF])
        words.append(str(refused.value))
    assert words[0] == words[1]


def test_two_results_can_be_read_at_a_time_and_one_left_unfinished(markets):
    _, market = markets(LOG)
    spec = SnapshotSpec(None, (ALL,))
    thrice = [AS_OF + n * TICK for n in range(3)]
    one, other = (build(market, spec, cutoffs=cutoffs) for cutoffs in (thrice, ASKED))
    assert next(one).num_rows == 6
    assert next(other).num_rows == 11
    assert market.complete_until("events", as_of=AS_OF) == AS_OF
    assert sum(batch.num_rows for batch in one) == 12
    other.close()
    assert len(_built(market, spec, [EARLIER])) == 5


def test_a_market_without_a_row_to_build_gives_an_empty_batch(markets):
    _, market = markets(LOG)
    batch = next(build(market, SnapshotSpec(Behaviour.parse("open"), (ALL,)), cutoffs=[AS_OF]))
    assert batch.num_rows == 0
    assert batch.schema.names == ["contact_id", "as_of", "all_orders"]


def test_names_that_the_server_would_cut_to_the_same_are_refused(markets):
    _, market = markets(LOG)
    long = "x" * 63
    one, other = count("order", name=f"{long}_one"), count("order", name=f"{long}_two")
    refuse_unsupported(compile_features(market, (one,), at=AS_OF))
    with pytest.raises(ConfigurationError, match="are one to PostgreSQL") as refused:
        refuse_unsupported(compile_features(market, (one, other), at=AS_OF))
    assert str(refused.value).count("\n") == 2


def test_the_server_knows_every_operation_that_features_are_made_of(connection):
    known = [getattr(ops, name) for name in OPERATIONS - {"ScalarUDF"}]
    values = [kind for kind in known if issubclass(kind, ops.Value)]
    assert [kind.__name__ for kind in values if not connection.has_operation(kind)] == []
