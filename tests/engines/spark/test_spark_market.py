"""A market on Spark holds the rows that one on DuckDB holds, and refuses what it cannot read rightly."""

import shutil
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import ContractViolationError, Market, record_contacts
from mlmarket.market.spark import check_workers

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
TABLES = {
    "contacts": ["contact_id"],
    "orders": ["order_id", "item_id"],
    "events": ["event_id"],
    "messages": ["message_id"],
    "items": ["item_id"],
    "consents": ["contact_id", "channel", "topic", "changed_at"],
    "outcomes": ["contact_id", "outcome", "occurred_at"],
}


def _frame(table: Any, keys: list[str]) -> pd.DataFrame:
    frame = table.to_pyarrow().to_pandas()
    return frame.sort_values(
        [*keys, *frame.columns], ignore_index=True, key=lambda c: c.astype(str)
    )


def _assert_same(there: Market, here: Market) -> None:
    assert there.tables.keys() == here.tables.keys()
    assert there.report.counts == here.report.counts
    assert there.report.notes == here.report.notes
    for name, table in here.tables.items():
        keys = [key for key in TABLES[name] if key in table.columns]
        assert there.table(name).schema() == table.schema(), name
        pd.testing.assert_frame_equal(_frame(there.table(name), keys), _frame(table, keys))


def test_a_folder_of_parquet_files_is_the_same_market(spark: Any, shop: Path) -> None:
    there, here = Market.open(shop / "tables", spark=spark), Market.open(shop / "tables")
    assert here.tables.keys() == TABLES.keys()
    _assert_same(there, here)
    keys = ["contact_id", "type", "occurred_at"]
    pd.testing.assert_frame_equal(_frame(there.activity(), keys), _frame(here.activity(), keys))


MESSY = """\
[business]
timezone = "Europe/Lisbon"

[tables.orders]
source = "part-*.parquet"
timezone = "Europe/Lisbon"
where = "state <> 'test'"
returns = "kind = 'R'"

[tables.orders.columns]
contact_id = "customer"
order_id = "no"
ordered_at = "at"
amount = "pieces * price"
quantity = "pieces"
"""


def _messy(folder: Path) -> Path:
    """Write orders as an old system would: text times, floats for ids, a column that came later."""
    rows = {
        "customer": [17850.0, 17851.0, 17850.0, 13.0],
        "no": ["A1", "A2", " A3 ", "T1"],
        "at": ["2026-03-29 01:30", "2026-05-01T10:00:00Z", "2026-05-02", "2026-05-03 10:00"],
        "pieces": [2.0, 1.0, 3.0, 1.0],
        "price": [9.99, 0.1, 1.00005, 1.0],
        "kind": ["S", "R", None, "S"],
        "state": ["ok", "ok", "ok", "test"],
    }
    table = pa.table(rows)
    pq.write_table(table, folder / "part-1.parquet")
    later = table.slice(1, 1).set_column(1, "no", pa.array(["A4"]))
    pq.write_table(later.append_column("shop", pa.array(["ä"])), folder / "part-2.parquet")
    (folder / "mlmarket.toml").write_text(MESSY, encoding="utf-8")
    return folder / "mlmarket.toml"


def test_text_times_mappings_filters_and_returns_are_read_alike(spark: Any, tmp_path: Path) -> None:
    config = _messy(tmp_path)
    there, here = Market.open(config, spark=spark), Market.open(config)
    assert here.contacts_derived
    _assert_same(there, here)


def test_what_breaks_the_contract_is_told_in_the_same_words(spark: Any, tmp_path: Path) -> None:
    config = _messy(tmp_path)
    rows = pq.read_table(tmp_path / "part-1.parquet").to_pydict()
    rows["customer"][0], rows["at"][1], rows["pieces"][2] = None, "soon", -1.0
    pq.write_table(pa.table(rows), tmp_path / "part-1.parquet")
    told = []
    for session in (spark, None):
        with pytest.raises(ContractViolationError) as raised:
            Market.open(config, spark=session)
        told.append(str(raised.value))
    assert told[0] == told[1]
    assert "orders.ordered_at cannot be read as a time in 1 row" in told[0]


def test_attributes_are_those_that_were_recorded_then(
    spark: Any, shop: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    shutil.copy(shop / "tables" / "contacts.parquet", folder)
    first = Market.open(folder, spark=spark)
    assert record_contacts(first, tmp_path / "history", as_of=AS_OF) > 0
    contacts = pq.read_table(folder / "contacts.parquet")
    place = contacts.schema.get_field_index("country")
    abroad = pa.array(["ZZ"] * contacts.num_rows)
    pq.write_table(contacts.set_column(place, "country", abroad), folder / "contacts.parquet")
    changed = Market.open(folder, spark=spark, history=tmp_path / "history")
    assert record_contacts(changed, tmp_path / "history", as_of=AS_OF.replace(month=7)) > 0
    there = Market.open(folder, spark=spark, history=tmp_path / "history")
    here = Market.open(folder, history=tmp_path / "history")
    for as_of in (AS_OF, AS_OF.replace(month=7)):
        found, wanted = (_frame(m.contacts(as_of=as_of), ["contact_id"]) for m in (there, here))
        pd.testing.assert_frame_equal(found, wanted)
    asked = ibis.memtable({"contact_id": ["C000001"], "as_of": [AS_OF.replace(tzinfo=None)]})
    asked = asked.mutate(as_of=asked.as_of.cast("timestamp(6)"))
    found, wanted = (_frame(m.contacts(as_of=asked), ["contact_id"]) for m in (there, here))
    pd.testing.assert_frame_equal(found, wanted)


ORDERS = pa.table(
    {
        "contact_id": ["a", "b"],
        "order_id": ["1", "2"],
        "ordered_at": pa.array([datetime(2026, 5, 1), datetime(2026, 5, 2, 1, 2, 3, 4)]),  # noqa: DTZ001
        "amount": [Decimal("1.10"), Decimal("2.20")],
    }
)


def test_spark_frames_ibis_tables_and_frames_of_the_driver_make_one_market(spark: Any) -> None:
    contacts = pd.DataFrame({"contact_id": ["a", "b"], "kind": pd.Categorical(["x", None])})
    instants = ORDERS.set_column(
        2, "ordered_at", ORDERS["ordered_at"].cast(pa.timestamp("us", "UTC"))
    )
    frame = spark.createDataFrame(instants)
    frame.createOrReplaceTempView("orders_of_the_user")
    table = ibis.pyspark.connect(spark).table("orders_of_the_user")
    before = spark.conf.get("spark.sql.mapKeyDedupPolicy")
    here = Market.from_tables(orders=instants, contacts=contacts)
    for orders in (frame, table):
        there = Market.from_tables(orders=orders, contacts=contacts)
        for name in ("orders", "contacts"):
            found, wanted = (_frame(m.table(name), TABLES[name][:1]) for m in (there, here))
            pd.testing.assert_frame_equal(found, wanted)
    assert spark.conf.get("spark.sql.mapKeyDedupPolicy") == before


def _views(spark: Any) -> set[str]:
    return {row.viewName for row in spark.sql("SHOW VIEWS").collect()}


def test_the_views_of_a_market_go_with_it(spark: Any) -> None:
    before = _views(spark)
    market = Market.from_tables(orders=spark.createDataFrame(ORDERS), timezone="Europe/Lisbon")
    named = _views(spark) - before
    assert named
    assert market.workbench is not None
    market.workbench.close()
    assert not named & _views(spark)


def _config(folder: Path, lines: str) -> Path:
    (folder / "mlmarket.toml").write_text(f"[tables.orders]\n{lines}\n", encoding="utf-8")
    return folder / "mlmarket.toml"


def test_tables_of_the_catalog_and_of_databases_are_read(spark: Any, tmp_path: Path) -> None:
    spark.createDataFrame(ORDERS).createOrReplaceTempView("orders_in_the_catalog")
    ibis.duckdb.connect(tmp_path / "shop.duckdb").create_table("orders", ORDERS)
    utc = 'timezone = "UTC"'
    for source in (
        'connection = "pyspark://"\nsource = "orders_in_the_catalog"',
        'connection = "duckdb://shop.duckdb"\nsource = "orders"',
    ):
        market = Market.open(_config(tmp_path, f"{source}\n{utc}"), spark=spark)
        assert market.table("orders").count().to_pyarrow().as_py() == 2


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ('source = "orders.csv"', "is read from orders.csv, which is no Parquet"),
        ('source = "nothing.parquet"', "has no file at 'nothing.parquet'"),
        ('source = "broken.parquet"', "broken.parquet is no readable Parquet file"),
        ('connection = "pyspark://"\nsource = "nowhere"', "has no 'nowhere' in Spark's catalog"),
        ("", "has no `source`"),
    ],
)
def test_what_spark_cannot_read_is_refused_in_three_lines(
    spark: Any, tmp_path: Path, lines: str, what: str
) -> None:
    (tmp_path / "orders.csv").write_text("contact_id,order_id,ordered_at\na,1,2026-05-01\n")
    (tmp_path / "broken.parquet").write_text("PAR1 no more")
    with pytest.raises((ConfigurationError, ContractViolationError), match=what) as raised:
        Market.open(_config(tmp_path, lines), spark=spark)
    assert str(raised.value).count("\n") == 2


# --- sessions and workers that would answer otherwise ---------------------------------------------


def test_a_session_in_another_zone_is_refused_before_anything_runs(
    spark: Any, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmarket.market.spark.SparkBench.open_settings", None)
    spark.conf.set("spark.sql.session.timeZone", "Europe/Lisbon")
    try:
        with pytest.raises(ConfigurationError, match="'Europe/Lisbon', not in UTC") as raised:
            Market.open(shop / "tables", spark=spark)
        with pytest.raises(ConfigurationError, match="'Europe/Lisbon', not in UTC"):
            Market.from_tables(orders=spark.createDataFrame(ORDERS))
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert str(raised.value).count("\n") == 2
    assert "spark.sql.session.timeZone" in raised.value.fix


def test_workers_with_another_python_are_refused_and_both_are_named(spark: Any) -> None:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    context = spark.sparkContext
    context.pythonVer = "3.8"
    try:
        with pytest.raises(ConfigurationError) as raised:
            check_workers(spark)
    finally:
        context.pythonVer = here
    # The driver says it is 3.8: to the workers, that is the other one.
    assert f"run Python {here}; the driver runs Python 3.8" in raised.value.what
    assert "PYSPARK_PYTHON" in raised.value.fix
    check_workers(spark)


def test_workers_with_other_versions_are_refused(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmarket.market.spark._versions", lambda: "mlmarket 99.0")
    with pytest.raises(ConfigurationError, match=r"the driver has mlmarket 99\.0") as raised:
        check_workers(spark)
    assert str(raised.value).count("\n") == 2
