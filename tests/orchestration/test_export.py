"""CSV for spreadsheets and mailers."""

import codecs
import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.orchestration import write_csv


def written(tmp_path, table):
    path = tmp_path / "out.csv"
    write_csv(table, path)
    return path.read_bytes()


def cells(tmp_path, *texts):
    raw = written(tmp_path, pa.table({"text": pa.array(texts, pa.string())}))
    return [row[0] for row in csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))][1:]


def test_the_file_has_a_byte_order_mark_and_the_line_ends_of_rfc_4180(tmp_path):
    table = pa.table({"a": ["Évora", 'say "hi", now', "two\nlines"], "n": [1, -2, None]})
    expected = 'a,n\r\nÉvora,1\r\n"say ""hi"", now",-2\r\n"two\nlines",\r\n'
    assert written(tmp_path, table) == codecs.BOM_UTF8 + expected.encode()


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://x")',
        "+1+1",
        "+351 910",
        "+",
        "-1",
        "-cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1+1",
        "\uff1d1+1",
        "+٣٥١",
    ],
)
def test_text_that_a_spreadsheet_would_run_is_marked_as_text(tmp_path, text):
    assert cells(tmp_path, text) == [f"'{text}"]


@pytest.mark.parametrize("text", ["+351910000000", "plain", "a=b", "", "3-4", "'x", "user@shop.pt"])
def test_phone_numbers_and_plain_text_are_left_alone(tmp_path, text):
    assert cells(tmp_path, text, "x") == [text, "x"]


def test_the_names_of_columns_are_text_too(tmp_path):
    assert written(tmp_path, pa.table({"=cmd": [1]})).decode("utf-8-sig") == "'=cmd\r\n1\r\n"


def test_values_are_written_so_that_they_can_be_read_again(tmp_path):
    naive, aware = datetime(2026, 3, 1, 5), datetime(2026, 3, 1, 5, 0, 0, 1, tzinfo=UTC)  # noqa: DTZ001
    table = pa.table(
        {
            "money": pa.array([Decimal("-1.5000")], pa.decimal128(18, 4)),
            "share": [0.1 + 0.2],
            "nan": [float("nan")],
            "flag": [True],
            "naive": pa.array([naive], pa.timestamp("us")),
            "aware": pa.array([aware], pa.timestamp("us", tz="UTC")),
            "day": [date(2026, 3, 1)],
            "list": [["=a", "b"]],
            "small": [-1e-9],
        }
    )
    row = written(tmp_path, table).decode("utf-8-sig").split("\r\n")[1]
    assert row == (
        "-1.5000,0.30000000000000004,,true,2026-03-01T05:00:00Z,2026-03-01T05:00:00.000001Z,"
        "2026-03-01,'=a; b,-1e-09"
    )


@settings(max_examples=60)
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=5))
def test_no_cell_ever_starts_like_a_formula_and_no_text_is_lost(tmp_path_factory, texts):
    found = cells(tmp_path_factory.mktemp("csv"), *texts, "end")
    assert found[-1] == "end"
    for cell, text in zip(found, [*texts, "end"], strict=True):
        assert cell in {text, f"'{text}"}
        assert cell[:1] not in set("=-@\t\r\n")


def test_the_same_table_gives_the_same_bytes_however_it_is_chunked(tmp_path):
    table = pa.table({"a": [f"x{n}" for n in range(100)]})
    chunked = pa.concat_tables([table[:3], table[3:]])
    assert written(tmp_path, table) == written(tmp_path, chunked)
