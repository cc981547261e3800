from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import ContractViolationError, Market

ORDERS = "contact_id,order_id,ordered_at\na,1,2026-05-01\nx,2,2026-05-02\ny,3,2026-05-03\n"
TOML = """
[tables.contacts]
source = "contacts.csv"
[tables.orders]
source = "orders.csv"
timezone = "UTC"
"""
FILES = {"contacts.csv": "contact_id\na\nb\n", "orders.csv": ORDERS}


def _time(day, hour=0):
    return datetime(2026, 5, day, hour)  # noqa: DTZ001


def test_orders_of_unknown_contacts_are_refused(shop, now):
    with pytest.raises(ContractViolationError) as caught:
        Market.open(shop(TOML, FILES), now=now)
    assert str(caught.value) == (
        "orders.contact_id names contacts that are not in 'contacts' in 2 rows, for example 'x'.\n"
        "Their behaviour would be lost, or belong to nobody.\n"
        "Fix: add them to contacts, or leave such rows out: "
        'unknown_contacts = "leave_out" in [tables.orders].'
    )


def test_orders_of_unknown_contacts_are_left_out_and_counted_where_that_is_declared(shop, now):
    market = Market.open(shop(TOML + 'unknown_contacts = "leave_out"', FILES), now=now)
    count = market.report.counts[1]
    assert (count.read, count.left_out, count.unknown_contacts, count.kept) == (3, 0, 2, 1)
    assert market.table("orders").to_pyarrow()["order_id"].to_pylist() == ["1"]
    assert market.activity().to_pyarrow()["contact_id"].to_pylist() == ["a"]


def test_contacts_are_derived_from_everything_people_did(now, rows):
    orders = pd.DataFrame(
        {"contact_id": ["a", "a"], "order_id": ["1", "2"], "ordered_at": [_time(3), _time(2)]}
    )
    events = pd.DataFrame(
        {"contact_id": ["a", "b"], "event_type": "view", "occurred_at": [_time(1), _time(4)]}
    )
    market = Market.from_tables(orders=orders, events=events, now=now)
    assert market.contacts_derived
    assert rows(market.table("contacts")) == [
        {"contact_id": "a", "created_at": _time(1)},
        {"contact_id": "b", "created_at": _time(4)},
    ]
    assert [count.table for count in market.report.counts] == ["orders", "events"]


def test_a_derived_contact_is_known_when_the_first_row_about_it_was_there(now, rows):
    orders = pd.DataFrame(
        {
            "contact_id": ["a", "b", "b"],
            "order_id": ["1", "2", "3"],
            "ordered_at": [_time(1), _time(1), _time(2)],
            "available_at": [_time(5), None, _time(1)],
        }
    )
    market = Market.from_tables(orders=orders, now=now)
    assert [row["created_at"].day for row in rows(market.table("contacts"))] == [5, 1]


@pytest.mark.parametrize("tables", [{}, {"items": pa.table({"item_id": ["1"]})}])
def test_a_market_without_anybody_is_refused(tables):
    with pytest.raises(ConfigurationError) as caught:
        Market.from_tables(**tables)
    assert str(caught.value) == (
        "This market has neither contacts nor a table they could be derived from.\n"
        "Every prediction is about a contact.\n"
        "Fix: give contacts, or orders, events or messages."
    )


def test_a_table_that_lacks_a_column_does_not_hide_strangers_in_another(now):
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(
            contacts=pa.table({"contact_id": ["a"]}),
            events=pa.table({"contact_id": ["a"]}),
            orders=pa.table({"contact_id": ["x"], "order_id": ["1"], "ordered_at": [_time(1)]}),
            now=now,
        )
    assert [violation.table for violation in caught.value.violations] == [
        "events",
        "events",
        "orders",
    ]


def test_a_table_that_lacks_its_contacts_is_a_violation_and_no_crash(now):
    with pytest.raises(ContractViolationError, match="has no column 'contact_id'"):
        Market.from_tables(
            items=pa.table({"item_id": ["1"]}),
            orders=pa.table({"order_id": ["1"], "ordered_at": [_time(1)]}),
            now=now,
        )


def test_an_item_s_own_contact_is_an_attribute(now):
    market = Market.from_tables(
        items=pa.table({"item_id": ["1"], "contact_id": ["seller"]}),
        contacts=pa.table({"contact_id": ["a"]}),
        now=now,
    )
    assert market.report.violations == ()


def test_the_present_is_the_limit_where_no_other_is_given():
    orders = pa.table({"contact_id": ["a"], "order_id": ["1"], "ordered_at": [datetime.now(UTC)]})
    assert Market.from_tables(orders=orders).has("orders")
