from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import ContractViolationError
from mlmarket.market.frames import to_arrow, without_nulls


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_every_kind_of_frame_becomes_the_same_arrow_table(make):
    table = to_arrow(make({"a": [1, 2], "b": ["x", None]}), name="orders")
    assert table.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_the_index_of_a_pandas_frame_is_left_out():
    frame = pd.DataFrame({"a": [1]}, index=pd.Index([7], name="row"))
    assert to_arrow(frame, name="orders").column_names == ["a"]


@pytest.mark.parametrize("thing", [[{"a": 1}], "orders.csv", 7, pd.Series([1])])
def test_what_is_no_frame_is_refused(thing):
    with pytest.raises(ConfigurationError) as caught:
        to_arrow(thing, name="orders")
    assert str(caught.value) == (
        f"Table 'orders' is a {type(thing).__name__}, which is no table.\n"
        "A Market is made of frames or Ibis tables.\n"
        "Fix: pass a pandas, polars or Arrow table, or a table of an Ibis connection."
    )


def test_mixed_types_in_a_pandas_column_are_refused_with_the_column():
    frame = pd.DataFrame({"id": pd.Series([1, "x"], dtype=object)})
    with pytest.raises(ContractViolationError) as caught:
        to_arrow(frame, name="orders")
    assert str(caught.value) == (
        "Table 'orders' cannot be read: a column mixes types. Conversion failed for column id "
        "with type object. Could not convert 'x' with type str: tried to convert to int64.\n"
        "A column has one type, so that every row is read alike.\n"
        "Fix: convert the column before passing it, such as frame['id'].astype(str)."
    )


@pytest.mark.parametrize(
    "values",
    [
        [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)],  # noqa: DTZ001
        [date(2026, 1, 1), datetime(2026, 1, 1, 5)],  # noqa: DTZ001
    ],
)
def test_dates_among_times_and_zones_among_none_are_refused_not_dropped(values):
    frame = pd.DataFrame({"at": pd.Series(values, dtype=object)})
    with pytest.raises(ContractViolationError, match="Column at holds dates and times"):
        to_arrow(frame, name="orders")


def test_times_of_several_zones_in_one_column_stay_the_same_instants():
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    frame = pd.DataFrame({"at": pd.Series([elsewhere, moment, None], dtype=object)})
    assert to_arrow(frame, name="orders")["at"].to_pylist() == [moment, moment, None]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({"a": [1], "A": [2]}),
        pl.DataFrame({"a": [1], "A": [2]}),
        pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]),
    ],
)
def test_a_column_that_is_there_twice_is_refused(frame):
    with pytest.raises(ContractViolationError) as caught:
        to_arrow(frame, name="orders")
    assert str(caught.value) == (
        "Table 'orders' cannot be read: it has the column 'a' twice "
        "(upper and lower case count as one).\n"
        "It would be chance which of the two is read.\n"
        "Fix: rename one of them."
    )


def test_a_column_that_was_never_filled_becomes_text():
    table = without_nulls(pa.table({"a": pa.nulls(2), "b": [1, 2]}))
    assert table.schema.field("a").type == pa.string()
    assert table["a"].to_pylist() == [None, None]
