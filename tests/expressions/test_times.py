from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.expressions import Type, parse
from mlmarket.expressions.times import parse_time, written_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31 10:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00:01Z", datetime(2024, 1, 31, 10, 0, 1, tzinfo=UTC)),
        ("2024-01-31 10:00:00.25+01:00", datetime(2024, 1, 31, 9, 0, 0, 250000, tzinfo=UTC)),
        ("2024-02-30", None),
        ("2024-1-31", None),
        ("20240131", None),
        ("2024-W05-3", None),
        ("2024-01-31 10", None),
        ("2024-01-31 24:00", None),
        (" 2024-01-31", None),
        ("٢٠٢٤-01-31", None),
        ("9999-12-31 23:59-01:00", None),
        ("", None),
    ],
)
def test_a_time_is_read_in_few_forms_only(text, expected):
    assert parse_time(text) == expected


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_printed_time_is_read_as_the_same_instant(time):
    schema = {"at": Type.TIME}
    assert parse(f"at = {written_time(time)}", schema=schema).evaluate({"at": time}) is True
