from datetime import datetime

import ibis
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import Market

ORDERS = pa.table(
    {
        "contact_id": ["a", "b"],
        "order_id": ["1", "2"],
        "ordered_at": [datetime(2026, 5, 1), datetime(2026, 5, 2)],  # noqa: DTZ001
    }
)


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.duckdb"
    connection = ibis.duckdb.connect(path)
    connection.create_table("orders", ORDERS)
    connection.create_database("crm")
    connection.create_table("sales", ORDERS, database="crm")
    connection.create_table("people", pa.table({"contact_id": ["a", "b"]}))
    connection.disconnect()
    return path


def _toml(source, address, more=""):
    return (
        f'[tables.orders]\nsource = "{source}"\nconnection = "{address}"\ntimezone = "UTC"\n{more}'
    )


@pytest.mark.parametrize("source", ["orders", "main.orders", "crm.sales", "shop.crm.sales"])
def test_a_table_of_a_database_is_opened_by_its_name(shop, database, now, source):
    market = Market.open(shop(_toml(source, f"duckdb://{database}")), now=now)
    assert market.table("orders").to_pyarrow()["contact_id"].to_pylist() == ["a", "b"]
    assert market.report.counts[0].source == source


def test_the_path_of_a_database_may_be_relative_to_the_configuration(shop, database, now):
    market = Market.open(shop(_toml("orders", f"duckdb://{database.name}")), now=now)
    assert market.report.counts[0].kept == 2


def test_an_address_may_hold_a_secret(shop, database, now, monkeypatch):
    monkeypatch.setenv("SHOP_FILE", str(database))
    market = Market.open(shop(_toml("orders", "duckdb://${SHOP_FILE}")), now=now)
    assert market.report.counts[0].kept == 2


def test_tables_of_one_database_and_of_files_can_be_joined(shop, database, now):
    address = f"duckdb://{database}"
    more = f'[tables.contacts]\nsource = "people"\nconnection = "{address}"\n'
    both = Market.open(shop(_toml("orders", address, more)), now=now)
    assert both.contacts(as_of=now).count().to_pyarrow().as_py() == 2
    more = '[tables.contacts]\nsource = "people.csv"\n'
    mixed = Market.open(shop(_toml("orders", address, more), {"people.csv": "contact_id\na\nb\n"}))
    assert mixed.contacts(as_of=now).count().to_pyarrow().as_py() == 2


def test_nothing_is_written_into_a_database(shop, database, now):
    before = database.read_bytes()
    market = Market.open(shop(_toml("orders", f"duckdb://{database}")), now=now)
    market.activity().to_pyarrow()
    assert database.read_bytes() == before
    assert {path.name for path in database.parent.iterdir()} == {"shop.duckdb", "mlmarket.toml"}


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_wrong_address_is_refused_and_no_empty_database_is_made(shop, tmp_path, now, kind):
    with pytest.raises(ConfigurationError) as caught:
        Market.open(shop(_toml("orders", f"{kind}://{tmp_path}/shoop.db")), now=now)
    assert str(caught.value) == (
        "Table 'orders' has no database at its `connection`: there is no file 'shoop.db'.\n"
        "Its rows are read from there.\n"
        "Fix: check the address, the rights and the network of `connection` in [tables.orders]."
    )
    assert not (tmp_path / "shoop.db").exists()


def test_an_address_of_an_unknown_kind_is_refused_without_its_secret(shop, now):
    with pytest.raises(ConfigurationError) as caught:
        Market.open(shop(_toml("orders", "nonsense://me:hidden@host/db")), now=now)
    assert str(caught.value) == (
        "Table 'orders' has no database at its `connection`: the driver raised ValueError.\n"
        "Its rows are read from there.\n"
        "Fix: check the address, the rights and the network of `connection` in [tables.orders]."
    )


# Ibis lists tables by a method that DuckDB deprecates.
@pytest.mark.filterwarnings("ignore:fetch_arrow_table")
def test_a_wrong_table_is_refused_with_the_near_one(shop, database, now):
    with pytest.raises(ConfigurationError) as caught:
        Market.open(shop(_toml("ordrs", f"duckdb://{database}")), now=now)
    assert str(caught.value) == (
        "Table 'orders' has no 'ordrs' in its database: TableNotFound.\n"
        "Its rows are read from there.\n"
        "Fix: did you mean 'orders'?"
    )


def test_a_wrong_schema_is_refused(shop, database, now):
    with pytest.raises(ConfigurationError) as caught:
        Market.open(shop(_toml("crn.sales", f"duckdb://{database}")), now=now)
    assert caught.value.fix == "check `source` in [tables.orders]."


# Ibis reads SQLite through pandas, by an option that pandas 3 deprecates.
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")
def test_tables_of_a_small_database_are_copied_where_windows_can_be_computed(shop, tmp_path, now):
    path = tmp_path / "shop.sqlite"
    connection = ibis.sqlite.connect(path)
    connection.create_table("orders", ORDERS)
    connection.disconnect()
    market = Market.open(shop(_toml("orders", f"sqlite://{path}")), now=now)
    assert market.table("orders").get_backend().name == "duckdb"
    assert market.complete_until("orders").isoformat() == "2026-05-02T00:00:00+00:00"
