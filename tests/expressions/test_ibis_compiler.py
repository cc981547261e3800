import re
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from mlmarket.expressions import ExpressionError, parse, schema_of

COLUMNS = {
    "x": "float64",
    "n": "int64",
    "price": "decimal(18, 4)",
    "t": "string",
    "f": "boolean",
    "at": "timestamp(6)",
    "zoned": "timestamp('UTC')",
    "day": "date",
    "tags": "array<string>",
}
TABLE = ibis.table(COLUMNS, name="orders")


def compiled(text, table=TABLE):
    return parse(text, schema=schema_of(TABLE)).to_ibis(table)


@pytest.fixture(scope="module")
def connection():
    opened = ibis.duckdb.connect()
    yield opened
    opened.disconnect()


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("n", "int64"),
        ("x", "float64"),
        ("price", "decimal(18, 4)"),
        ("n * price", "float64"),
        ("n + 1", "float64"),
        ("-n", "float64"),
        ("at", "timestamp(6)"),
        ("zoned", "timestamp(6)"),
        ("day", "timestamp(6)"),
        ("date '2024-01-31'", "timestamp(6)"),
        ("t || 'x'", "string"),
        ("f and x > 1", "boolean"),
        ("x in (null)", "boolean"),
    ],
)
def test_a_column_alone_keeps_its_type_and_formulas_are_float64(text, dtype):
    assert compiled(text).type() == ibis.dtype(dtype)


def test_money_alone_keeps_its_digits(connection):
    column = pa.array([Decimal("12345678901234.5678")], pa.decimal128(18, 4))
    prices = ibis.memtable(pa.table({"price": column}))
    price = parse("price", schema=schema_of(prices)).to_ibis(prices)
    assert connection.to_pyarrow(price).to_pylist() == [Decimal("12345678901234.5678")]


def test_a_table_without_the_column_is_refused_with_the_near_name():
    other = ibis.table({"X": "float64"}, name="other")
    with pytest.raises(ExpressionError, match="did you mean 'X'") as caught:
        compiled("1 < x", other)
    assert caught.value.at == 4


def test_a_table_with_another_kind_of_column_is_refused():
    other = ibis.table({"x": "string"}, name="other")
    with pytest.raises(ExpressionError, match="Column 'x' of the table is text"):
        compiled("x > 1", other)


def test_another_number_type_of_the_same_column_is_fine():
    other = ibis.table({"x": "decimal(9, 2)"}, name="other")
    assert compiled("x > 1", other).type().is_boolean()


@pytest.mark.parametrize("ieee", ["true", "false"])
def test_no_arithmetic_raises_in_duckdb(ieee):
    texts = [
        "x * 10",
        "x + x",
        "0 - x - x",
        "x / 0",
        "x % 0",
        "1 / (x * 10)",
        "x % (x * 10)",
        "x / (x - x)",
        "n * n * n * x * x",
    ]
    connection = ibis.duckdb.connect()
    connection.raw_sql(f"set ieee_floating_point_ops = {ieee}")
    table = ibis.memtable(pa.table({"x": [1e308], "n": [2**62]}))
    columns = {text: parse(text, schema=schema_of(table)).to_ibis(table) for text in texts}
    answers = connection.to_pyarrow(table.select(**columns)).to_pylist()
    assert answers == [dict.fromkeys(texts)]
    connection.disconnect()


@pytest.mark.parametrize(
    ("text", "f", "g", "expected"),
    [
        ("(f < g) in (false)", True, True, True),
        ("(f and g) in (false)", False, True, True),
        ("(not f) < g", False, False, False),
        ("(not f) is null", False, None, False),
        ("(f not in (true)) is null", False, None, False),
        ("(f between g and f) between g and f", True, False, True),
        ("f = null", None, None, None),
        ("null <> f", True, None, None),
    ],
)
def test_a_condition_inside_a_condition_stays_whole(connection, text, f, g, expected):
    """Ibis 12 leaves out brackets that change the answer, and reads ``= null`` as ``is null``."""
    table = ibis.memtable(
        pa.table({"f": pa.array([f], pa.bool_()), "g": pa.array([g], pa.bool_())})
    )
    expression = parse(text, schema=schema_of(table))
    answer = connection.to_pyarrow(table.select(r=expression.to_ibis(table)))["r"].to_pylist()
    assert answer == [expression.evaluate({"f": f, "g": g})] == [expected]


def test_a_condition_without_columns_filters_too(connection):
    table = ibis.memtable(pa.table({"f": [True, False]}))
    for text, rows in [("1 = 1", 2), ("1 = 2", 0), ("1 = null", 0)]:
        condition = parse(text, schema=schema_of(table)).to_ibis(table)
        assert connection.to_pyarrow(table.filter(condition)).num_rows == rows


@pytest.mark.parametrize(
    "text",
    [
        "n * price / (x + 1) - -x > 0.1",
        "t || 'x' like 'C%' and t not in ('PT', 'it''s')",
        "at >= date '2024-01-31' or zoned between '2024-01-31' and day",
        "f is not true and not (f = (x is null))",
    ],
)
def test_another_database_gets_plain_sql(text):
    sql = ibis.to_sql(TABLE.filter(compiled(text)), dialect="postgres")
    called = set(re.findall(r"(\w+)\(", sql))
    assert called <= {"ABS", "CAST", "COALESCE", "DECIMAL", "TIMESTAMP"}


@pytest.mark.parametrize("sign", ["/", "%"])
def test_no_database_is_asked_to_divide_by_zero(sign):
    """DuckDB would answer with infinity or null, but others raise an error."""
    sql = ibis.to_sql(TABLE.select(r=compiled(f"1 {sign} x")), dialect="postgres")
    guard = r"CASE\s+WHEN ABS\(\"t0\".\"x\"\) BETWEEN CAST\('5e-324' AS DOUBLE PRECISION\)"
    assert len(re.findall(sign + r"\s+(?:CAST\(\s*)?" + guard, sql)) == sql.count(f" {sign} ") > 0


def test_a_filter_of_many_alternatives_runs(connection):
    table = ibis.memtable(pa.table({"x": [1.0, 5.0]}))
    text = " or ".join(f"x = {number}" for number in range(2, 900))
    condition = parse(text, schema=schema_of(table)).to_ibis(table)
    assert connection.to_pyarrow(table.filter(condition))["x"].to_pylist() == [5.0]
