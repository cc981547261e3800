import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import ContractViolationError, Market
from mlmarket.market.opening import settings_at

ORDERS = {
    "contact_id": ["a"],
    "order_id": ["1"],
    "ordered_at": [pd.Timestamp("2026-05-01", tz="UTC")],
}


def test_a_folder_of_parquet_files_is_a_market(tmp_path, now):
    pq.write_table(pa.table(ORDERS), tmp_path / "orders.parquet")
    pq.write_table(pa.table({"contact_id": ["a"]}), tmp_path / "contacts.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "truth.parquet")
    market = Market.open(tmp_path, now=now)
    assert sorted(market.tables) == ["contacts", "orders"]
    assert market.report.counts[0].source == "contacts.parquet"


def test_negative_amounts_in_a_folder_are_returns(tmp_path, now):
    pq.write_table(pa.table(ORDERS | {"amount": [-2.5]}), tmp_path / "orders.parquet")
    assert Market.open(tmp_path, now=now).table("orders").to_pyarrow()["is_return"].to_pylist() == [
        True
    ]


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        settings_at(tmp_path)
    assert str(caught.value) == (
        f"The folder '{tmp_path}' holds no table.\n"
        "Its files are named after the tables of the contract: contacts, events, messages, "
        "orders, items, consents, outcomes.\n"
        "Fix: put orders.parquet there, or write an mlmarket.toml and open that."
    )


def test_a_folder_with_a_broken_file_is_refused_as_data(tmp_path, now):
    (tmp_path / "orders.parquet").write_bytes(b"PAR1")
    with pytest.raises(ContractViolationError, match="is no readable Parquet file"):
        Market.open(tmp_path, now=now)


@pytest.mark.parametrize(("key", "meant"), [("table", "tables"), ("bussiness", "business")])
def test_a_misspelt_section_is_refused_with_the_near_one(shop, key, meant):
    with pytest.raises(ConfigurationError) as caught:
        settings_at(shop(f"[{key}]\n"))
    assert str(caught.value) == (
        f"The top level of mlmarket.toml has no key '{key}'.\n"
        "A key that is not known would be a setting that silently does nothing.\n"
        f"Fix: did you mean '{meant}'?"
    )


def test_sections_of_other_readers_are_left_to_them(shop):
    names = ("predict", "models", "segments", "journeys", "publish", "nightly", "outbox")
    path = shop("".join(f"[{name}]\n" for name in names))
    assert settings_at(path).tables == {}


def test_an_unknown_table_of_frames_is_refused_with_the_near_one():
    with pytest.raises(ConfigurationError) as caught:
        Market.from_tables(order=pa.table(ORDERS))
    assert str(caught.value) == (
        "There is no table 'order' in the data contract.\n"
        "Only the tables of the contract are read.\n"
        "Fix: did you mean 'orders'?"
    )


def test_an_ibis_table_without_a_connection_is_refused():
    with pytest.raises(ConfigurationError) as caught:
        Market.from_tables(orders=ibis.table({"contact_id": "string"}, name="orders"))
    assert str(caught.value) == (
        "Table 'orders' is an Ibis table without a connection.\n"
        "There are no rows behind it.\n"
        "Fix: pass a table of a connection, such as connection.table('orders')."
    )


def test_what_cannot_be_read_is_reported_with_what_is_wrong_elsewhere(now):
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(
            orders=pd.DataFrame([["a", "a"]], columns=["x", "x"]),
            contacts=pa.table({"contact_id": ["a", "a"]}),
            now=now,
        )
    assert [violation.table for violation in caught.value.violations] == ["orders", "contacts"]


def test_a_market_of_nothing_but_broken_files_is_refused_as_data(shop, now):
    path = shop('[tables.orders]\nsource = "o.csv"', {"o.csv": ""})
    with pytest.raises(ContractViolationError, match="is empty"):
        Market.open(path, now=now)
