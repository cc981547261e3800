from datetime import datetime

import ibis
import pandas as pd
import pytest

from mlmarket.market import ContractViolationError, Market
from mlmarket.market.checks import check_contacts

MOMENT = datetime(2026, 5, 1)  # noqa: DTZ001
HEADER = "contact_id,order_id,ordered_at\n"


def _refused(**tables):
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(**tables)
    return caught.value


def _orders(contacts):
    count = len(contacts)
    return pd.DataFrame(
        {
            "contact_id": contacts,
            "order_id": [str(place) for place in range(count)],
            "ordered_at": [MOMENT] * count,
        }
    )


def test_duplicate_ids_are_refused_with_their_number_and_an_example():
    error = _refused(contacts=pd.DataFrame({"contact_id": ["b", "a", "a", "b", "b", "c"]}))
    assert str(error) == (
        "contacts.contact_id occurs more than once (2 ids) in 5 rows, for example 'a'.\n"
        "Rows would be counted twice, and it would be chance which one is used.\n"
        "Fix: keep one row for each, or map the column that identifies a row."
    )


def test_ids_that_become_equal_are_duplicates_too():
    error = _refused(contacts=pd.DataFrame({"contact_id": ["17850.0", "17850.00"]}))
    assert error.violations[0].rule == "occurs more than once (1 id)"


def test_a_missing_event_id_is_no_duplicate():
    events = pd.DataFrame(
        {
            "contact_id": ["a", "a"],
            "event_type": "view",
            "occurred_at": MOMENT,
            "event_id": pd.Series([None, None], dtype="string"),
        }
    )
    assert Market.from_tables(events=events).report.violations == ()


def test_contacts_may_occur_again_with_another_valid_from():
    contacts = pd.DataFrame(
        {"contact_id": ["a", "a"], "valid_from": [MOMENT, datetime(2026, 6, 1)]}  # noqa: DTZ001
    )
    assert Market.from_tables(contacts=contacts).report.counts[0].kept == 2
    error = _refused(contacts=contacts.assign(valid_from=MOMENT))
    assert error.violations[0].what == (
        "contacts.contact_id + valid_from occurs more than once (1 id) in 2 rows, for example 'a'."
    )


def test_an_empty_table_is_refused(open_orders):
    with pytest.raises(ContractViolationError) as caught:
        open_orders(HEADER)
    assert str(caught.value) == (
        "Table 'orders' has no row.\n"
        "An empty table is nearly always an export that failed.\n"
        "Fix: write it again, or take [tables.orders] out if there is nothing to read."
    )


def test_an_empty_frame_is_refused():
    assert _refused(orders=_orders(["a"]).iloc[:0]).violations[0].rule == "has no row"


def test_a_where_that_leaves_nothing_is_refused(open_orders):
    content = HEADER + "a,1,2026-05-01\n" * 1_200
    with pytest.raises(ContractViolationError) as caught:
        open_orders(content, 'timezone = "UTC"\nwhere = "order_id > 1"')
    assert str(caught.value) == (
        "Table 'orders' has no row left: `where` leaves out all 1,200.\n"
        "An empty table is nearly always an export that failed.\n"
        "Fix: correct `where` in [tables.orders]."
    )


def test_a_column_without_any_value_is_a_note(open_orders):
    content = "contact_id,order_id,ordered_at,item_id,colour\na,1,2026-05-01,,\n"
    notes = open_orders(content).report.notes
    assert [(note.table, note.column, note.text) for note in notes] == [
        ("orders", name, f"orders.{name} has no value in any row and is not used.")
        for name in ("item_id", "colour")
    ]


def test_a_frame_s_column_without_any_value_is_a_note_whatever_its_type():
    frame = _orders(["a"]).assign(amount=float("nan"), item_id=None, shop=pd.NaT)
    notes = Market.from_tables(orders=frame).report.notes
    assert [note.column for note in notes] == ["item_id", "amount", "shop"]


def test_the_example_is_the_smallest_and_the_same_each_time(open_orders):
    lines = "".join(f"a,{place},2026-05-01,x{place % 7}\n" for place in range(500))
    for _ in range(2):
        with pytest.raises(ContractViolationError, match="'x0' \\(order_id '0'\\)"):
            open_orders("contact_id,order_id,ordered_at,quantity\n" + lines)


def test_a_long_example_is_cut(open_orders):
    with pytest.raises(ContractViolationError) as caught:
        open_orders(f"contact_id,order_id,ordered_at,quantity\na,1,2026-05-01,{'x' * 500}\n")
    assert f"'{'x' * 60}'" in str(caught.value)


def test_rows_of_contacts_that_do_not_exist_are_counted():
    connection = ibis.duckdb.connect()
    rows = connection.create_table("o", schema={"contact_id": "string"})
    connection.raw_sql("INSERT INTO o VALUES ('c'), ('b'), ('b'), ('a'), (NULL)")
    contacts = connection.create_table("c", schema={"contact_id": "string"})
    connection.raw_sql("INSERT INTO c VALUES ('a')")
    assert check_contacts(rows, contacts) == (3, "'b'")


def test_all_violations_of_several_tables_are_reported_in_one_go(shop, now):
    path = shop(
        """
        [tables.contacts]
        source = "contacts.csv"
        [tables.orders]
        source = "orders.csv"
        [tables.events]
        source = "events.csv"
        [tables.messages]
        source = "messages.csv"
        [tables.items]
        source = "items.csv"
        """,
        {
            "contacts.csv": "contact_id\na\na\n",
            "orders.csv": "contact_id,order_id,ordered_at,amount\nx,1,1900-01-01,y\n",
            "events.csv": "contact_id,occurred_at\na,2026-05-01\n",
            "messages.csv": "",
            "items.csv": "item_id\n",
        },
    )
    with pytest.raises(ContractViolationError) as caught:
        Market.open(path, now=now)
    assert [violation.what for violation in caught.value.violations] == [
        "Table 'messages' cannot be read: messages.csv is empty.",
        "contacts.contact_id occurs more than once (1 id) in 2 rows, for example 'a'.",
        "orders.ordered_at carries no time zone in 1 row, for example '1900-01-01' (order_id '1').",
        "orders.ordered_at lies before 1980 in 1 row, for example '1900-01-01' (order_id '1').",
        "orders.amount cannot be read as an amount of money in 1 row, for example 'y' "
        "(order_id '1').",
        "Table 'events' has no column 'event_type'.",
        "events.occurred_at carries no time zone in 1 row, for example '2026-05-01' "
        "(contact_id 'a').",
        "Table 'items' has no row.",
        "orders.contact_id names contacts that are not in 'contacts' in 1 row, for example 'x'.",
    ]
    assert str(caught.value).startswith("The tables break the data contract in 9 places.\n\n")


def test_nothing_is_written_where_the_tables_are(shop, tmp_path, now):
    path = shop(
        '[tables.orders]\nsource = "o.csv"\ntimezone = "UTC"',
        {"o.csv": HEADER + "a,1,2026-05-01\n"},
    )
    Market.open(path, now=now).activity().to_pyarrow()
    path.write_text('[tables.orders]\nsource = "o.csv"', encoding="utf-8")
    with pytest.raises(ContractViolationError):
        Market.open(path, now=now)
    assert {entry.name for entry in tmp_path.iterdir()} == {"mlmarket.toml", "o.csv"}
