from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import Interval
from mlmarket.reporting.number_text import (
    UNKNOWN,
    change,
    count,
    day,
    decimals,
    local_day,
    percent,
    range_of,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (1, "1"),
        (3.42, "3.4"),
        (9.96, "10"),
        (10.4, "10"),
        (1204551, "1,204,551"),
        (-3.2, "\N{MINUS SIGN}3.2"),
        (-0.01, "0"),
        (None, UNKNOWN),
        (float("nan"), UNKNOWN),
        (float("inf"), UNKNOWN),
    ],
)
def test_people_are_counted_with_separators_and_few_decimals(number, text):
    assert count(number) == text


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [(1420, 1300, "+120"), (5, 1005, "\N{MINUS SIGN}1,000"), (5, 5, "±0"), (5, None, UNKNOWN)],
)
def test_a_change_carries_its_sign(now, before, text):
    assert change(now, before) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0 %"),
        (0.0004, "<0.1 %"),
        (0.0834, "8.3 %"),
        (0.32, "32 %"),
        (0.9999, "99.9 %"),
        (1.0, "100 %"),
        (None, UNKNOWN),
        (float("nan"), UNKNOWN),
    ],
)
def test_percents_are_as_fine_as_a_reader_needs(share, text):
    assert percent(share).replace("\N{NO-BREAK SPACE}", " ") == text


@given(st.floats(0.0, 1.0, exclude_max=True))
@settings(max_examples=100)
def test_less_than_all_is_never_printed_as_all(share):
    assert not percent(share).startswith("100")


@given(st.floats(0.0, 1.0, exclude_min=True))
@settings(max_examples=100)
def test_more_than_nobody_is_never_printed_as_nobody(share):
    assert not percent(share).startswith("0.0")


@given(st.floats())
@settings(max_examples=200)
def test_no_number_is_printed_with_seventeen_digits(number):
    assert len(count(number).rpartition(".")[2]) <= 3 or "." not in count(number)
    assert len(decimals(number, 4).rpartition(".")[2]) <= 4 or "." not in decimals(number, 4)


def test_a_measure_has_a_fixed_number_of_decimals():
    assert decimals(0.5) == "0.500"
    assert decimals(-0.00001) == "0.000"
    assert decimals(float("nan")) == UNKNOWN


def test_a_range_is_read_in_words():
    assert range_of(Interval(410.2, 350.0, 1470.0, 0.9)) == "350 to 1,470"


def test_a_day_is_named_in_the_same_words_everywhere():
    assert day(date(2026, 12, 31)) == "31 December 2026"


def test_an_instant_belongs_to_the_day_of_the_business():
    late = datetime(2026, 6, 30, 23, 30, tzinfo=UTC)
    assert local_day(late, ZoneInfo("Europe/Lisbon")) == "1 July 2026"


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ConfigurationError, match="has no zone"):
        local_day(datetime(2026, 6, 30), ZoneInfo("UTC"))  # noqa: DTZ001  the case in question
