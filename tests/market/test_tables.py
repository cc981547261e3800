from datetime import datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.expressions import ExpressionError
from mlmarket.market import ContractViolationError, Market

MOMENT = datetime(2026, 5, 1)  # noqa: DTZ001
CSV = "Customer ID,InvoiceNo,Date,Qty,Price,Country\n17850.0,1,2026-05-01 10:00,2,1.25,PT\n"
MAPPED = """timezone = "UTC"
[tables.orders.columns]
contact_id = "Customer ID"
order_id = "InvoiceNo"
ordered_at = "Date"
quantity = "Qty"
amount = "Qty * Price"
"""


def _frame(**columns):
    return pd.DataFrame({"contact_id": ["a"], "order_id": ["1"], "ordered_at": [MOMENT]} | columns)


def test_columns_are_mapped_by_name_and_by_formula_and_others_kept(open_orders):
    table = open_orders(CSV, MAPPED).table("orders").to_pyarrow()
    assert table.to_pylist() == [
        {
            "contact_id": "17850",
            "order_id": "1",
            "ordered_at": datetime(2026, 5, 1, 10),  # noqa: DTZ001
            "quantity": 2.0,
            "amount": Decimal("2.5000"),
            "is_return": False,
            "Price": 1.25,
            "Country": "PT",
        }
    ]
    assert table.schema.field("ordered_at").type == pa.timestamp("us")
    assert table.schema.field("amount").type == pa.decimal128(18, 4)


def test_a_name_with_spaces_may_be_written_with_or_without_quotes(open_orders):
    quoted = MAPPED.replace('"Customer ID"', "'\"Customer ID\"'")
    for declared in (MAPPED, quoted):
        orders = open_orders(CSV, declared).table("orders").to_pyarrow()
        assert orders["contact_id"].to_pylist() == ["17850"]
        assert "Customer ID" not in orders.column_names


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (["17850.0", "17851.0", ""], ["17850", "17851"]),
        (["17850.0", "A1"], ["17850.0", "A1"]),
        (["00123", "124"], ["00123", "124"]),
    ],
)
def test_ids_in_a_csv_keep_zeros_and_lose_a_float_s_point(open_orders, given, ids):
    content = "contact_id,order_id,ordered_at\n" + "".join(f"{i},1,2026-05-01\n" for i in given)
    market = open_orders(content, 'timezone = "UTC"\nwhere = "contact_id is not null"')
    assert market.table("orders").to_pyarrow()["contact_id"].to_pylist() == ids


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([17850.0, float("nan")]),
        pd.Series([17850, None], dtype="Int64"),
        pd.Series([17850, None], dtype=object),
        pd.Series(["17850.0", None]),
        pd.Series(["17850", None], dtype="category"),
        pd.Series([17850.0, None], dtype="double[pyarrow]"),
        pd.Series([17850, None], dtype="int64[pyarrow]"),
    ],
)
def test_ids_of_every_pandas_type_become_the_same_text(values):
    frame = pd.DataFrame(
        {"contact_id": ["a", "b"], "order_id": values, "ordered_at": MOMENT, "item_id": values}
    )
    with pytest.raises(ContractViolationError, match="order_id is missing in 1 row"):
        Market.from_tables(orders=frame)
    orders = Market.from_tables(orders=frame.iloc[:1]).table("orders").to_pyarrow()
    assert orders["order_id"].to_pylist() == ["17850"]
    assert orders["item_id"].to_pylist() == ["17850"]


def test_text_ids_of_a_mapped_column_lose_a_float_s_point_whatever_its_name():
    from mlmarket.market import MarketSettings, TableSettings

    settings = MarketSettings(tables={"orders": TableSettings(columns={"contact_id": "Kunde"})})
    frame = _frame(Kunde=["17850.0"]).drop(columns="contact_id")
    orders = Market.from_tables(orders=frame, settings=settings).table("orders")
    assert orders.to_pyarrow()["contact_id"].to_pylist() == ["17850"]


def test_a_column_may_be_the_same_for_all_rows(shop, now):
    path = shop(
        '[tables.consents]\nsource = "c.csv"\ntimezone = "UTC"\n[tables.consents.columns]\n'
        "channel = \"'email'\"\ngranted = 'true'\nchanged_at = \"TIMESTAMP '2026-01-01 10:00'\"",
        {"c.csv": "contact_id\na\nb\n"},
    )
    rows = Market.open(path, now=now).table("consents").to_pyarrow().to_pylist()
    assert rows[0] == {
        "contact_id": "a",
        "channel": "email",
        "granted": True,
        "changed_at": datetime(2026, 1, 1, 10),  # noqa: DTZ001
    }


def test_rows_are_filtered_before_everything_else(open_orders):
    content = "contact_id,order_id,ordered_at,amount\na,1,2026-05-01,1\n,2,rubbish,x\n"
    market = open_orders(content, 'timezone = "UTC"\nwhere = "contact_id is not null"')
    count = market.report.counts[0]
    assert (count.read, count.left_out, count.kept) == (2, 1, 1)


def test_a_condition_that_is_missing_leaves_its_row_out(open_orders):
    content = "contact_id,order_id,ordered_at,test\na,1,2026-05-01,0\nb,2,2026-05-01,\n"
    market = open_orders(content, 'timezone = "UTC"\nwhere = "test = 0"')
    assert market.report.counts[0].left_out == 1


@pytest.mark.parametrize(
    ("declared", "place"),
    [
        ('where = "length(note) > 1"', "[tables.orders] where: "),
        ('returns = "amount < (select 0)"', "[tables.orders] returns: "),
        ('[tables.orders.columns]\namount = "1; drop"', "[tables.orders.columns] amount: "),
    ],
)
def test_a_refused_expression_names_its_table_and_key(open_orders, declared, place):
    with pytest.raises(ExpressionError) as caught:
        open_orders("contact_id,order_id,ordered_at,amount,note\na,1,2026-05-01,1,n\n", declared)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(place)


def test_a_function_call_is_refused_with_its_place_and_a_remedy(open_orders):
    with pytest.raises(ExpressionError) as caught:
        open_orders("contact_id,order_id,ordered_at\na,1,2026-05-01\n", 'where = "lower(a) = 1"')
    first, text, caret, *_ = str(caught.value).split("\n")
    assert first.startswith("[tables.orders] where: ")
    assert text == "    lower(a) = 1"
    assert caret.strip() == "^"


def test_a_mapping_to_a_column_that_is_not_there_is_refused_with_the_near_one(open_orders):
    with pytest.raises(ExpressionError) as caught:
        open_orders(CSV, MAPPED.replace('"Qty"', '"Qtty"'))
    assert str(caught.value).startswith("[tables.orders.columns] quantity: ")
    assert "Qty" in caught.value.fix


def test_a_missing_column_is_a_violation_with_the_near_name():
    frame = _frame().rename(columns={"ordered_at": "orderd_at"})
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(orders=frame)
    assert str(caught.value) == (
        "Table 'orders' has no column 'ordered_at'.\n"
        "It is when it was placed; purchase, churn, value, recommendation cannot do without it.\n"
        "Fix: rename 'orderd_at' to 'ordered_at', or map it: "
        'ordered_at = "orderd_at" in [tables.orders.columns].'
    )


def test_a_missing_column_unlike_any_other_is_a_violation_with_those_there_are():
    frame = pd.DataFrame({"contact_id": ["a"], "channel": ["email"], "changed_at": [MOMENT]})
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(consents=frame)
    assert str(caught.value) == (
        "Table 'consents' has no column 'granted'.\n"
        "It is true where granted, false where refused or withdrawn; any message: without it "
        "nobody is contacted cannot do without it.\n"
        'Fix: map it: granted = "…" in [tables.consents.columns]; it has contact_id, channel, '
        "changed_at."
    )


@pytest.mark.parametrize("name", ["Amount", "AMOUNT", "item id", "ItemID"])
def test_an_optional_column_that_is_nearly_named_right_is_pointed_out(name):
    notes = Market.from_tables(orders=_frame(**{name: ["1"]})).report.notes
    meant = "amount" if name.casefold() == "amount" else "item_id"
    assert [note.text for note in notes] == [
        f"orders.{name} looks like '{meant}'; to use it as such, write "
        f'{meant} = "{name}" in [tables.orders.columns].'
    ]


def test_a_further_column_does_not_hide_a_mapped_one_of_the_same_name(open_orders):
    content = "contact_id,order_id,ordered_at,Amount,net\na,1,2026-05-01,9,2\n"
    market = open_orders(content, 'timezone = "UTC"\n[tables.orders.columns]\namount = "net * 1"')
    row = market.table("orders").to_pyarrow().to_pylist()[0]
    assert row["amount"] == Decimal("2.0000")
    assert "Amount" not in row
    assert market.report.notes[0].text == (
        "orders.Amount is not used: another column of that name is mapped."
    )


def test_declared_returns_become_negative_whatever_their_sign(open_orders, rows):
    content = (
        "contact_id,order_id,ordered_at,quantity,amount\n"
        "a,C1,2026-05-01,2,5\na,C2,2026-05-02,-3,-7\na,3,2026-05-03,1,2\n"
    )
    market = open_orders(content, 'timezone = "UTC"\nreturns = "order_id like \'C%\'"')
    orders = rows(market.table("orders").select("order_id", "quantity", "amount", "is_return"))
    assert [tuple(row.values()) for row in orders] == [
        ("3", 1.0, Decimal("2.0000"), False),
        ("C1", -2.0, Decimal("-5.0000"), True),
        ("C2", -3.0, Decimal("-7.0000"), True),
    ]
    assert market.table("orders").amount.type().scale == 4


def test_a_return_whose_condition_is_missing_is_none(open_orders):
    content = "contact_id,order_id,ordered_at,kind\na,1,2026-05-01,\na,2,2026-05-02,back\n"
    market = open_orders(content, 'timezone = "UTC"\nreturns = "kind = \'back\'"')
    assert market.table("orders").to_pyarrow()["is_return"].to_pylist() == [False, True]


def test_a_time_zone_of_a_contact_that_does_not_exist_counts_as_missing(now):
    contacts = pa.table(
        {"contact_id": list("abcd"), "timezone": ["Europe/Lisbon", "Lisbon time", "", "GMT+25"]}
    )
    market = Market.from_tables(contacts=contacts, now=now)
    zones = market.table("contacts").order_by("contact_id").to_pyarrow()["timezone"].to_pylist()
    assert zones == ["Europe/Lisbon", None, None, None]
    assert [note.text for note in market.report.notes] == [
        "contacts.timezone names no existing zone in 2 rows, for example 'GMT+25' "
        "(contact_id 'd'); there it counts as missing."
    ]


def test_an_attribute_declared_but_not_there_is_a_violation(shop, now):
    path = shop(
        '[tables.contacts]\nsource = "c.csv"\nattributes = { indstry = "categorical" }',
        {"c.csv": "contact_id,industry\na,shoes\n"},
    )
    with pytest.raises(ContractViolationError) as caught:
        Market.open(path, now=now)
    assert str(caught.value) == (
        "Table 'contacts' has no column 'indstry', which is declared as categorical.\n"
        "A declaration of a column that is not there would silently do nothing.\n"
        "Fix: did you mean 'industry'?"
    )


def test_only_what_has_to_be_parsed_or_shifted_is_copied(tmp_path, now):
    frame = pa.table(_frame())
    own = Market.from_tables(orders=frame, now=now)
    assert "orders" not in own.workbench.connection.con.sql("SHOW TABLES").fetchall()[0]
    shifted = Market.from_tables(orders=frame, timezone="Europe/Lisbon", now=now)
    names = {row[0] for row in shifted.workbench.connection.con.sql("SHOW TABLES").fetchall()}
    assert "orders" in names


def test_a_column_of_the_contract_is_never_proposed_for_another():
    orders = pa.table({"contact_id": ["a"], "ordered_at": [datetime(2026, 5, 1, 12)]})  # noqa: DTZ001
    with pytest.raises(ContractViolationError, match="has no column 'order_id'") as refused:
        Market.from_tables(orders=orders)
    assert "ordered_at" not in refused.value.fix.partition("; it has")[0]
