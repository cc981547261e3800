import gc
from datetime import datetime

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.market import ContractViolationError, EngineSettings, TableSettings
from mlmarket.market.connect import (
    Source,
    Workbench,
    find_files,
    fingerprint,
    on_one_connection,
    to_arrow,
)
from mlmarket.market.machine import memory_of_machine


def test_a_file_is_found_relative_to_the_configuration(tmp_path):
    (tmp_path / "orders.csv").touch()
    assert find_files("orders.csv", tmp_path, name="orders") == [tmp_path / "orders.csv"]
    absolute = str(tmp_path / "orders.csv")
    assert find_files(absolute, tmp_path / "x", name="orders") == [tmp_path / "orders.csv"]


def test_a_star_finds_all_files_in_order_and_no_folders(tmp_path):
    for name in ("o-2.csv", "o-1.csv", "x.csv"):
        (tmp_path / name).touch()
    (tmp_path / "o-3.csv").mkdir()
    found = find_files("o-*.csv", tmp_path, name="orders")
    assert [path.name for path in found] == ["o-1.csv", "o-2.csv"]


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(tmp_path):
    (tmp_path / "orders[1].csv").touch()
    assert find_files("orders[1].csv", tmp_path, name="orders") == [tmp_path / "orders[1].csv"]


@pytest.mark.parametrize("source", ["orders.csv", "o*.csv", "."])
def test_a_source_without_a_file_is_refused(tmp_path, source):
    with pytest.raises(ConfigurationError) as caught:
        find_files(source, tmp_path, name="orders")
    assert str(caught.value) == (
        f"Table 'orders' has no file at '{source}' (looked in {tmp_path}).\n"
        "Its rows are read from there.\n"
        "Fix: correct `source` in [tables.orders]; paths are relative to the configuration."
    )


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_a_fingerprint_depends_on_content_only(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("prints")
    prints = []
    for copy in range(2):
        paths = []
        for place, content in enumerate(contents):
            path = folder / f"{copy}-{place}"
            path.write_bytes(content)
            paths.append(path)
        prints.append(fingerprint(paths))
    assert prints[0] == prints[1]
    paths[0].write_bytes(contents[0] + b"!")
    assert fingerprint(paths) != prints[0]


def test_a_fingerprint_knows_where_one_file_ends(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"ab")
    two.write_bytes(b"c")
    first = fingerprint([one, two])
    one.write_bytes(b"a")
    two.write_bytes(b"bc")
    assert fingerprint([one, two]) != first


def test_the_folder_of_a_workbench_goes_when_nothing_uses_it(tmp_path):
    workbench = Workbench(tmp_path)
    folder = workbench.folder
    table = workbench.open_frame("orders", pd.DataFrame({"a": [1]})).table
    del workbench
    gc.collect()
    assert folder.is_dir()  # the table still needs its connection
    assert table.count().to_pyarrow().as_py() == 1
    del table
    gc.collect()
    assert not folder.exists()


def test_closing_a_workbench_removes_its_folder_at_once(tmp_path):
    workbench = Workbench(tmp_path)
    workbench.close()
    workbench.close()
    assert list(tmp_path.iterdir()) == []


def test_the_session_of_a_workbench_is_in_utc(tmp_path):
    rows = Workbench(tmp_path).connection.raw_sql("SELECT current_setting('TimeZone')")
    assert rows.fetchall() == [("UTC",)]


def test_a_workbench_takes_no_more_of_the_machine_than_it_may(tmp_path):
    engine = EngineSettings(memory="300MB", threads=1)
    connection = Workbench(tmp_path, engine=engine).connection
    query = "SELECT current_setting('memory_limit'), current_setting('threads')"
    assert connection.raw_sql(query).fetchall() == [("286.1 MiB", 1)]
    half = Workbench(tmp_path).connection.raw_sql(query).fetchall()[0][0]
    assert half.endswith("iB")
    assert EngineSettings().memory_bytes == memory_of_machine() // 2


def test_a_frame_is_described_by_its_kind(tmp_path):
    source = Workbench(tmp_path).open_frame("orders", pa.table({"a": [1]}))
    assert source.described == "the Table given"
    assert not source.all_text


def test_several_parquet_files_are_one_table(tmp_path):
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "o1.parquet")
    pq.write_table(pa.table({"b": ["y"]}), tmp_path / "o2.parquet")
    workbench = Workbench(tmp_path)
    source = workbench.open_settings("orders", TableSettings(source="o*.parquet"), tmp_path)
    assert source.described == "o1.parquet and 1 more"
    assert source.table.order_by("b").to_pyarrow().to_pylist() == [
        {"a": 1, "b": "x"},
        {"a": None, "b": "y"},
    ]


@pytest.mark.parametrize("content", [b"", b"contact_id\n1\n", b"PAR1 cut off"])
def test_a_file_that_is_no_parquet_is_refused(tmp_path, content):
    (tmp_path / "o.parquet").write_bytes(content)
    with pytest.raises(ContractViolationError) as caught:
        Workbench(tmp_path).open_settings("orders", TableSettings(source="o.parquet"), tmp_path)
    what, why, fix = str(caught.value).split("\n")
    assert what == "Table 'orders' cannot be read: o.parquet is no readable Parquet file."
    assert why.startswith("The reader said: ")
    assert fix == "Fix: write the file again, or correct `source`."


def test_a_table_without_a_source_is_refused(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        Workbench(tmp_path).open_settings("orders", TableSettings(), tmp_path)
    assert str(caught.value) == (
        "[tables.orders] has no `source`.\n"
        "Without it there are no rows to read.\n"
        'Fix: write source = "orders.parquet", or a table name with `connection`.'
    )


def _sources(connections):
    return {
        name: Source(name, connection.create_table(f"t_{name}", pa.table({"a": [1]})), "given")
        for name, connection in connections.items()
    }


def test_sources_on_one_connection_stay_there(tmp_path):
    own = ibis.duckdb.connect()
    sources = _sources({"orders": own, "contacts": own})
    together = on_one_connection(sources, Workbench(tmp_path))
    assert {source.table.get_backend() for source in together.values()} == {own}


def test_sources_on_several_connections_are_brought_together(tmp_path):
    workbench = Workbench(tmp_path)
    sources = _sources({"orders": ibis.duckdb.connect(), "contacts": workbench.connection})
    together = on_one_connection(sources, workbench)
    assert {source.table.get_backend() for source in together.values()} == {workbench.connection}
    assert {source.described for source in together.values()} == {"given"}
    assert together["orders"].table.to_pyarrow().to_pylist() == [{"a": 1}]


def test_the_door_for_frames_is_here_too():
    moment = datetime(2026, 7, 1)  # noqa: DTZ001
    assert to_arrow(pd.DataFrame({"a": [moment]}), name="orders")["a"].to_pylist() == [moment]
