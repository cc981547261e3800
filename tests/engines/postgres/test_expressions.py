"""The same expressions over the same rows, computed by DuckDB and by PostgreSQL."""

import ibis
import pyarrow as pa
import pytest

from mlmarket.expressions import parse, schema_of
from mlmarket.expressions.dialects import first_text, in_code_order
from mlmarket.market.postgres import rows_in_query

WORDS = ["a", "B", "b", "ä", "Z", "z", "_", "-", "a_b", "a\\_b", "axb", "50%", "\\", "", "x\ny"]
ROWS = pa.table(
    {
        "n": list(range(len(WORDS))),
        "word": pa.array([*WORDS[:-1], None]),
        "other": pa.array(["b"] * len(WORDS)),
        "x": [0.0, 1.5, -7.0, 7.0, 0.1, 3.0, 1e15 + 1, 9e15, -0.5, 2.0, 5.0, 8.0, 4.0, 6.0, None],
        "k": pa.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 2**62, -1, -2, -3, None, 0], pa.int64()),
        "flag": [True, False, None] * 5,
        "at": pa.array([10**15 + n for n in range(len(WORDS))], pa.timestamp("us")),
    }
)


@pytest.fixture(scope="module")
def answers(connection):
    here = ibis.duckdb.connect().create_table("given", ROWS)
    there = rows_in_query(connection, ROWS)

    def ask(text):
        found = []
        for rows in (here, there):
            value = parse(text, schema=schema_of(rows)).to_ibis(rows)
            found.append(rows.select("n", y=value).order_by("n").to_pyarrow()["y"].to_pylist())
        return found

    return ask


@pytest.mark.parametrize(
    "text",
    [
        "word < 'b'",
        "word >= other",
        "'B' <= word",
        "word between 'A' and 'Z'",
        "word not between 'a' and 'z'",
        "word = 'b' or word <> 'B'",
        "word like 'a_b' is null",
        "word not like '%b'",
        "word || '!' = 'a!'",
        "word in ('a', '\\', null)",
        "not word in ('a', 'b') is null",
        "(word between 'a' and 'b') is not true",
        "(flag = true) in (false)",
        "flag and x > 1 or k is null",
        "not flag",
        "x % 3",
        "k % 1000",
        "x % 2.0 = 1",
        "-7 % x",
        "(k * 0 + 19.99) % 1",
        "x % 0.1",
        "k % 0.3",
        "x / 0",
        "x / k",
        "x * 1.1 + k - 0.3",
        "k > 4611686018427387903",
        "k between 2 and 3",
        "x in (1.5, 7)",
        "at >= timestamp '2001-09-09 01:46:40.000005'",
        "at = '2001-09-09 01:46:40.000003'",
        "date '2001-09-09' < at",
    ],
)
def test_an_expression_has_the_same_answers(answers, text):
    duck, postgres = answers(text)
    assert postgres == duck


def test_texts_have_one_order_whatever_the_language_of_the_database(connection):
    rows = rows_in_query(connection, ROWS.filter(pa.compute.field("word").is_valid()))
    ordered = rows.order_by(in_code_order(rows.word)).to_pyarrow()["word"].to_pylist()
    assert ordered == sorted(ordered)
    assert rows.aggregate(first=first_text(rows.word)).to_pyarrow()["first"][0].as_py() == ""
    by_language = rows.order_by("word").to_pyarrow()["word"].to_pylist()
    assert sorted(by_language) == ordered


def test_no_texts_have_no_first_one(connection):
    rows = rows_in_query(connection, ROWS.slice(0, 0))
    assert rows.aggregate(first=first_text(rows.word)).to_pyarrow()["first"][0].as_py() is None
