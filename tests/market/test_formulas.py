import ibis
import pyarrow as pa
import pytest

from mlmarket.expressions import ExpressionError, Type
from mlmarket.market.casts import Reading
from mlmarket.market.connect import Source
from mlmarket.market.formulas import SourceColumns, TextLook

READING = Reading(zone="UTC", time_format=None, backend="duckdb")
CSV = {
    "number": ["1", "2.5", None],
    "code": ["00123", "7", None],
    "word": ["C1", "x", None],
    "time": ["2026-07-01", "2026-07-02 10:00", None],
    "truth": ["true", "False", None],
    "nearly": ["1", "1,5", "2"],
    "empty": pa.nulls(3, pa.string()),
}


@pytest.fixture
def columns():
    table = ibis.duckdb.connect().create_table("csv", pa.table(CSV))
    return SourceColumns.look(Source("orders", table, "o.csv", all_text=True), READING, ids=())


def _read(columns, text, **options):
    table = columns.source.table
    value = columns.read(text, table, key="[tables.orders] where", **options)
    return table.select(x=value).to_pyarrow()["x"].to_pylist()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("number", (Type.NUMBER, Type.TEXT)),
        ("code", (Type.TEXT, Type.NUMBER)),
        ("word", (Type.TEXT,)),
        ("time", (Type.TIME, Type.TEXT)),
        ("truth", (Type.TEXT, Type.BOOLEAN)),
        ("nearly", (Type.TEXT,)),
        ("empty", (Type.TEXT, Type.NUMBER, Type.TIME, Type.BOOLEAN)),
    ],
)
def test_a_column_serves_as_what_all_its_values_are(columns, name, kinds):
    assert columns.looks[name].kinds == kinds


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("number * 2", [2.0, 5.0, None]),
        ("number like '1%'", [True, False, None]),
        ("number like '1%' or number > 2", None),
        ("code = '00123'", [True, False, None]),
        ("code * 1", [123.0, 7.0, None]),
        ("word like 'C%' and number > 0", [True, False, None]),
        ("number like '1%' and code > 5", [True, False, None]),
        ("time >= '2026-07-02'", [False, True, None]),
        ("not truth", [False, True, None]),
        ("truth = 'true'", [True, False, None]),
        ("empty > 3", [None, None, None]),
        ("empty = 'x' or word = 'x'", [None, True, None]),
        ("'x'", ["x", "x", "x"]),
    ],
)
def test_an_expression_reads_a_column_as_what_fits(columns, text, values):
    if values is None:
        with pytest.raises(ExpressionError):
            _read(columns, text)
    else:
        assert _read(columns, text) == values


def test_a_column_that_stays_as_it_is_becomes_a_number_or_a_time_where_it_is_one(columns):
    table = columns.source.table
    natural = {name: columns.natural(table, name).type() for name in CSV}
    assert natural["number"].is_floating()
    assert natural["time"].is_timestamp()
    assert all(natural[name].is_string() for name in ("code", "word", "truth", "nearly", "empty"))


def test_a_formula_over_a_nearly_numeric_column_names_the_value_in_its_way(columns):
    with pytest.raises(ExpressionError) as caught:
        _read(columns, "nearly * 2")
    assert str(caught.value) == (
        "[tables.orders] where: '*' needs a number, but nearly is text.\n"
        "    nearly * 2\n"
        "    ^\n"
        "Values are never turned from one kind into another unasked.\n"
        "Fix: use a number here, or change how the column is read. 'nearly' holds text because "
        "1 of its 3 values are no numbers, for example '1,5'."
    )


@pytest.mark.parametrize(
    "text", ["length(word) > 1", "(select 1) = 1", "number > 0; drop table x", "nmber > 0", ""]
)
def test_a_refused_expression_says_where_it_stands(columns, text):
    with pytest.raises(ExpressionError) as caught:
        _read(columns, text, condition=True)
    assert str(caught.value).startswith("[tables.orders] where: ")
    assert "\nFix: " in str(caught.value)


def test_a_condition_that_is_a_number_is_refused(columns):
    with pytest.raises(ExpressionError, match="A condition is true or false, but this is a number"):
        _read(columns, "number + 1", condition=True)


def test_a_source_with_types_keeps_them():
    table = ibis.duckdb.connect().create_table("typed", pa.table({"a": [1, 2], "b": ["1", "2"]}))
    typed = SourceColumns.look(Source("orders", table, "o.parquet"), READING, ids=())
    assert typed.looks == {}
    assert _read(typed, "a * 2") == [2.0, 4.0]
    assert _read(typed, "b = '1'") == [True, False]
    with pytest.raises(ExpressionError):
        _read(typed, "b * 2")


def test_only_id_columns_of_a_source_with_types_are_looked_at():
    frame = pa.table({"Customer": ["17850.0", None], "Order": ["1.0", "A2"], "c": ["1.0", "2.0"]})
    table = ibis.duckdb.connect().create_table("typed", frame)
    source = Source("orders", table, "o.parquet")
    looks = SourceColumns.look(source, READING, ids={"Customer", "Order"}).looks
    assert looks["Customer"] == TextLook(filled=1, float_ids=1)
    assert not looks["Order"].has_float_ids
    assert "c" not in looks


def test_one_odd_value_behind_many_others_is_seen():
    values = ["1"] * 5_000 + ["x"]
    table = ibis.duckdb.connect().create_table("csv", pa.table({"a": values}))
    late = SourceColumns.look(Source("orders", table, "o.csv", all_text=True), READING, ids=())
    assert late.looks["a"].kinds == (Type.TEXT,)


def test_many_columns_in_one_formula_are_read_in_reasonable_time(columns):
    names = [f"e{place}" for place in range(30)]
    table = ibis.duckdb.connect().create_table(
        "wide", pa.table({name: pa.nulls(1, pa.string()) for name in names})
    )
    wide = SourceColumns.look(Source("orders", table, "o.csv", all_text=True), READING, ids=())
    with pytest.raises(ExpressionError):
        _read(wide, " + ".join(names) + " like 'x'")
