from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.orchestration import write_csv
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.mailer import mailer_schema, mailer_table

FACTS = ItemFacts.from_frame(
    pa.table(
        {
            "item_id": ["i1", "i2", "i3"],
            "title": ["Teapot", "=cmd|' /C calc'!A0", "Cup\r\nand saucer\u202e"],
            "url": ["https://shop.example/i1", "javascript:alert(1)", None],
            "image_url": ["https://shop.example/i1.png", 'https://x.example/"onerror="', None],
            "price": [12.345, 3.0, None],
        }
    ),
    pa.array(["i1", "i2", "i3"]),
)
LONG = pa.table(
    {
        "contact_id": ["b", "b", "a", "a", "a"],
        "item_id": ["i1", "i3", "i2", "i1", "i3"],
        "rank": [1, 2, 1, 2, 3],
        "reason": ["because you bought Cup", None, "popular", "new", "new"],
    }
)


def test_each_recipient_has_one_row_with_all_slots():
    table = mailer_table(LONG, FACTS, k=2)
    assert table.schema.equals(mailer_schema(2))
    first, second = table.to_pylist()
    assert first["contact_id"] == "a"
    assert [first["rec_1_id"], first["rec_2_id"]] == ["i2", "i1"]
    assert second == {
        "contact_id": "b",
        "rec_1_id": "i1",
        "rec_1_title": "Teapot",
        "rec_1_url": "https://shop.example/i1",
        "rec_1_image": "https://shop.example/i1.png",
        "rec_1_price": Decimal("12.34"),
        "rec_1_reason": "because you bought Cup",
        "rec_2_id": "i3",
        "rec_2_title": "Cup and saucer",
        "rec_2_url": None,
        "rec_2_image": None,
        "rec_2_price": None,
        "rec_2_reason": None,
    }


def test_the_columns_depend_on_the_number_of_slots_alone():
    nobody = mailer_table(LONG.slice(0, 0), FACTS, k=4)
    assert nobody.schema.equals(mailer_schema(4))
    assert nobody.num_rows == 0
    assert len(mailer_schema(10)) == 61


def test_who_got_nothing_has_a_row_where_asked_for():
    table = mailer_table(LONG, FACTS, k=3, contacts=pa.array(["z", "b"]))
    assert table.column("contact_id").to_pylist() == ["z", "b"]
    assert table.column("rec_1_id").to_pylist() == [None, "i1"]
    assert table.column("rec_3_id").to_pylist() == [None, None]
    nothing = mailer_table(LONG.slice(0, 0), FACTS, k=1, contacts=pa.array(["z"]))
    assert nothing.to_pylist() == [
        {name: "z" if name == "contact_id" else None for name in mailer_schema(1).names}
    ]


def test_addresses_that_are_none_of_the_web_are_left_out():
    row = mailer_table(LONG, FACTS, k=1).to_pylist()[0]
    assert row["rec_1_id"] == "i2"
    assert row["rec_1_url"] is None
    assert row["rec_1_image"] is None


def test_the_file_has_one_line_a_recipient_and_no_formula(tmp_path):
    write_csv(mailer_table(LONG, FACTS, k=3), tmp_path / "mailer.csv")
    lines = (tmp_path / "mailer.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 3
    assert "'=cmd" in lines[1]


def test_frames_of_all_kinds_and_any_order_of_rows_give_the_same_table():
    expected = mailer_table(LONG, FACTS, k=3)
    frame = LONG.to_pandas().sample(frac=1, random_state=0)
    assert mailer_table(frame, FACTS, k=3).equals(expected)
    assert mailer_table(pl.DataFrame(frame), FACTS, k=3).equals(expected)
    encoded = LONG.set_column(3, "reason", LONG.column("reason").dictionary_encode())
    assert mailer_table(encoded, FACTS, k=3).equals(expected)


def test_without_reasons_their_columns_are_empty():
    table = mailer_table(LONG.drop_columns(["reason"]), FACTS, k=1)
    assert table.column("rec_1_reason").null_count == 2


@pytest.mark.parametrize(
    ("frame", "error", "told"),
    [
        (LONG.drop_columns(["rank"]), ConfigurationError, "no column 'rank'"),
        (LONG.to_pandas().assign(rank=0), ConfigurationError, "no whole number from 1"),
        (LONG.to_pandas().assign(rank="1"), ConfigurationError, "no whole number from 1"),
        (LONG.to_pandas().assign(rank=1), DataContractError, "3 rows more than slots"),
        (
            pd.DataFrame({"contact_id": ["a"], "item_id": ["i9"], "rank": [1]}),
            DataContractError,
            "'i9'",
        ),
    ],
)
def test_recommendations_that_cannot_be_written_are_refused(frame, error, told):
    with pytest.raises(error, match=told):
        mailer_table(frame, FACTS, k=2)


def test_no_slot_is_refused():
    with pytest.raises(ConfigurationError, match="'k' is 0"):
        mailer_schema(0)
