from datetime import datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from mlmarket.market import Market, MarketSettings, TableSettings
from mlmarket.market.columns import ACTIVITY

MOMENT = datetime(2026, 5, 1)  # noqa: DTZ001


def _hours(count):
    return MOMENT + timedelta(hours=count)


ORDERS = pa.table(
    {
        "contact_id": ["a", "a", "b"],
        "order_id": ["1", "1", "2"],
        "ordered_at": [_hours(1), _hours(1), _hours(2)],
        "item_id": ["i", "j", "i"],
        "amount": [5.0, 2.5, -5.0],
        "available_at": [_hours(9), None, None],
    }
)
EVENTS = pa.table(
    {
        "contact_id": ["a", "b"],
        "event_type": ["page_view", "cart"],
        "occurred_at": [_hours(3), _hours(4)],
        "event_id": ["e1", "e2"],
        "campaign_id": ["k", None],
        "value": [None, 1.0],
    }
)
MESSAGES = pa.table(
    {
        "message_id": ["m1", "m2", "m3"],
        "contact_id": ["a", "b", "b"],
        "channel": ["email"] * 3,
        "sent_at": [_hours(0)] * 3,
        "campaign_id": ["k"] * 3,
        "opened_at": [_hours(1), _hours(1), _hours(1)],
        "clicked_at": pa.array([_hours(2), None, None]),
        "is_machine_open": [False, True, None],
    }
)
RETURNS = MarketSettings(tables={"orders": TableSettings(returns="amount < 0")})


@pytest.fixture(scope="module")
def market():
    return Market.from_tables(orders=ORDERS, events=EVENTS, messages=MESSAGES, settings=RETURNS)


def _types(table):
    return sorted(table.to_pyarrow()["type"].to_pylist())


def test_behaviour_of_all_tables_is_one_table(market):
    activity = market.activity()
    assert tuple(activity.columns) == ACTIVITY
    assert _types(activity) == sorted(
        ["order"] * 2 + ["return"] + ["send"] * 3 + ["open"] * 2 + ["click", "page_view", "cart"]
    )
    schema = activity.to_pyarrow().schema
    assert schema.field("occurred_at").type == pa.timestamp("us")
    assert schema.field("value").type == pa.decimal128(18, 4)


def test_an_order_is_a_row_a_line_with_its_worth(market):
    rows = market.activity("order").order_by("item_id").to_pyarrow().to_pylist()
    assert rows[0] == {
        "contact_id": "a",
        "type": "order",
        "occurred_at": _hours(1),
        "available_at": _hours(9),
        "item_id": "i",
        "value": Decimal("5.0000"),
        "campaign_id": None,
        "source": "orders",
        "row_id": "1",
    }
    assert [row["row_id"] for row in rows] == ["1", "1"]


def test_a_return_is_no_order_and_has_a_negative_worth(market):
    rows = market.activity("return").to_pyarrow().to_pylist()
    assert [(row["type"], row["value"]) for row in rows] == [("return", Decimal("-5.0000"))]


def test_a_row_without_its_arrival_was_available_when_it_happened(market):
    rows = market.activity().to_pyarrow().to_pylist()
    late = [row for row in rows if row["available_at"] != row["occurred_at"]]
    assert [(row["type"], row["available_at"]) for row in late] == [("order", _hours(9))]


def test_an_open_that_a_machine_made_is_left_out_and_an_unknown_one_kept(market):
    opens = market.activity("open").to_pyarrow()
    assert sorted(opens["row_id"].to_pylist()) == ["m1", "m3"]


def test_an_event_brings_what_it_is_about(market):
    row = market.activity("page_view").to_pyarrow().to_pylist()[0]
    assert (row["source"], row["row_id"], row["campaign_id"]) == ("events", "e1", "k")


@pytest.mark.parametrize(
    ("types", "found"),
    [
        (["order"], ["order", "order"]),
        (["order", "return"], ["order", "order", "return"]),
        (["send", "cart"], ["cart", "send", "send", "send"]),
        (["click"], ["click"]),
        (["bounce"], []),
        (["nothing_of_that_name"], []),
    ],
)
def test_only_the_types_asked_for_are_there(market, types, found):
    assert _types(market.activity(*types)) == found


@pytest.mark.parametrize(
    ("type_", "absent"),
    [
        ("order", ["events", "messages"]),
        ("cart", ["orders", "messages"]),
        ("open", ["orders", "events"]),
    ],
)
def test_tables_that_cannot_hold_a_type_are_not_read(market, type_, absent):
    import ibis

    sql = ibis.to_sql(market.activity(type_))
    assert not [name for name in absent if f'"source_{name}"' in sql]


def test_types_that_no_table_of_this_market_can_hold_are_an_empty_table(now):
    market = Market.from_tables(contacts=pa.table({"contact_id": ["a"]}), now=now)
    for types in ((), ("order",), ("page_view",)):
        activity = market.activity(*types)
        assert tuple(activity.columns) == ACTIVITY
        assert activity.to_pyarrow().num_rows == 0
    assert market.activity().to_pyarrow().schema.field("value").type == pa.decimal128(18, 4)


def test_orders_without_further_columns_are_behaviour_too(now):
    market = Market.from_tables(
        orders=ORDERS.select(["contact_id", "order_id", "ordered_at"]), now=now
    )
    row = market.activity().order_by("row_id").to_pyarrow().to_pylist()[0]
    assert (row["item_id"], row["value"], row["available_at"]) == (None, None, _hours(1))
