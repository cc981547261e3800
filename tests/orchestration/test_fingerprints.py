"""The hash of predictions sees what they say and nothing else."""

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import DataContractError
from mlmarket.orchestration import fingerprint

TABLE = pa.table(
    {
        "contact_id": ["a", "b", "c"],
        "risk": [0.1, None, 0.3],
        "grade": ["x", None, "yz"],
        "when": pa.array([datetime(2026, 1, 1), None, datetime(2026, 1, 2)], pa.timestamp("us")),  # noqa: DTZ001
        "is_new": [True, None, False],
        "worth": pa.array([Decimal("1.5"), None, Decimal(2)], pa.decimal128(18, 4)),
        "reasons": pa.array([["p", "q"], None, []], pa.list_(pa.string())),
        "empty": pa.nulls(3),
    }
)


@settings(max_examples=30)
@given(
    order=st.permutations(range(3)),
    cut=st.integers(0, 3),
    columns=st.permutations(TABLE.column_names),
)
def test_order_and_chunks_do_not_matter(order, cut, columns):
    mixed = TABLE.take(order).select(columns)
    chunked = pa.concat_tables([mixed[:cut], mixed[cut:]])
    assert fingerprint(chunked) == fingerprint(TABLE)


def test_how_text_is_stored_does_not_matter():
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        stored = TABLE.set_column(2, "grade", TABLE["grade"].cast(kind))
        assert fingerprint(stored) == fingerprint(TABLE)


def test_a_slice_of_a_longer_table_is_no_other_table():
    longer = pa.concat_tables([TABLE[:1], TABLE, TABLE[1:]])
    assert fingerprint(longer[1:4]) == fingerprint(TABLE)
    assert fingerprint(longer.combine_chunks()[1:4]) == fingerprint(TABLE)


def test_what_lies_under_a_missing_value_does_not_matter():
    values = pa.array([0.1, 77.0, 0.3])
    hidden = pa.Array.from_buffers(
        pa.float64(), 3, [TABLE["risk"].chunk(0).buffers()[0], values.buffers()[1]]
    )
    assert fingerprint(TABLE.set_column(1, "risk", hidden)) == fingerprint(TABLE)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("risk", pa.array([0.1, None, 0.30000000000000004])),
        ("risk", pa.array([0.1, 0.0, 0.3])),
        ("risk", pa.array([0.1, None, 0.3], pa.float32())),
        ("grade", pa.array(["xy", None, "z"])),
        ("grade", pa.array(["x", "", "yz"])),
        ("is_new", pa.array([True, False, False])),
        ("worth", pa.array([Decimal("1.5001"), None, Decimal(2)], pa.decimal128(18, 4))),
        ("reasons", pa.array([["p, q"], None, []], pa.list_(pa.string()))),
        ("reasons", pa.array([["p", None], None, []], pa.list_(pa.string()))),
        ("reasons", pa.array([["p", "q"], [], []], pa.list_(pa.string()))),
        ("reasons", pa.array([["p"], None, ["q"]], pa.list_(pa.string()))),
        ("contact_id", pa.array(["a", "b", "d"])),
    ],
)
def test_any_other_value_gives_another_hash(column, values):
    place = TABLE.schema.get_field_index(column)
    assert fingerprint(TABLE.set_column(place, column, values)) != fingerprint(TABLE)


def test_a_renamed_or_missing_column_or_row_gives_another_hash():
    others = {
        fingerprint(TABLE.rename_columns(["contact_id", "risks", *TABLE.column_names[2:]])),
        fingerprint(TABLE.drop_columns(["risk"])),
        fingerprint(TABLE[:2]),
        fingerprint(TABLE[:0]),
        fingerprint(TABLE),
    }
    assert len(others) == 5


@pytest.mark.parametrize("ids", [["a", "a"], ["a", None]])
def test_one_row_a_contact_is_required(ids):
    with pytest.raises(DataContractError):
        fingerprint(pa.table({"contact_id": ids}))
    with pytest.raises(DataContractError, match="no column 'contact_id'"):
        fingerprint(pa.table({"contact": ids}))
