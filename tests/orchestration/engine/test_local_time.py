"""Times of day where people are, on the nights when clocks change."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.orchestration.engine.local_time import day_moments, next_time, to_local, to_utc

ZONES = (
    "Europe/Lisbon",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kolkata",
)
EARLY, LATE = datetime(2015, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001
ONE = np.zeros(1, dtype=np.int64)


def _next(zone, after, clock, weekdays=None):
    moments = np.array([after], dtype="datetime64[us]")
    return next_time(moments, ONE, [zone], clock, weekdays)[0].item()


def test_a_time_that_clocks_leave_out_is_the_first_moment_behind_the_gap():
    # In Lisbon clocks went from 01:00 to 02:00 on 29 March 2026.
    found = _next("Europe/Lisbon", datetime(2026, 3, 28, 12), time(1, 30))  # noqa: DTZ001
    assert found == datetime(2026, 3, 29, 1)  # noqa: DTZ001


def test_a_time_that_comes_twice_is_the_first_and_only_once():
    # In Lisbon clocks go from 02:00 back to 01:00 on 25 October 2026.
    first = _next("Europe/Lisbon", datetime(2026, 10, 24, 12), time(1, 30))  # noqa: DTZ001
    assert first == datetime(2026, 10, 25, 0, 30)  # noqa: DTZ001
    again = _next("Europe/Lisbon", first, time(1, 30))
    assert again == datetime(2026, 10, 26, 1, 30)  # noqa: DTZ001


def test_the_very_moment_does_not_count_as_the_next_one():
    noon = datetime(2026, 6, 1, 12)  # noqa: DTZ001
    assert _next("UTC", noon, time(12)) == noon + timedelta(days=1)
    assert _next("UTC", noon - timedelta(microseconds=1), time(12)) == noon


def test_only_the_named_weekdays_count():
    found = _next("UTC", datetime(2026, 6, 1, 12), time(9), ("mon",))  # noqa: DTZ001
    assert found == datetime(2026, 6, 8, 9)  # noqa: DTZ001


def test_a_calendar_day_is_the_same_day_everywhere():
    born = np.array(["2026-06-01"], dtype="datetime64[us]")
    found = day_moments(born, ONE, ["America/New_York"], time(9), timedelta(0))
    assert found[0].item() == datetime(2026, 6, 1, 13)  # noqa: DTZ001


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    after=st.datetimes(EARLY, LATE),
    hour=st.integers(0, 23),
    minute=st.sampled_from([0, 15, 30, 59]),
)
def test_the_next_time_lies_ahead_within_two_days_and_shows_the_hour(zone, after, hour, minute):
    found = _next(zone, after, time(hour, minute))
    assert after < found <= after + timedelta(days=2)
    shown = found.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    if (shown.hour, shown.minute) != (hour, minute):
        before = (found - timedelta(microseconds=1)).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        assert shown.utcoffset() > before.utcoffset()
    assert shown.fold == 0


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    moments=st.lists(st.datetimes(EARLY, LATE), min_size=1, max_size=5),
)
def test_there_and_back_is_the_same_moment_but_for_the_hour_that_comes_twice(zone, moments):
    codes = np.zeros(len(moments), dtype=np.int64)
    asked = np.array(moments, dtype="datetime64[us]")
    back = to_utc(to_local(asked, codes, [zone]), codes, [zone])
    assert ((asked - back) >= np.timedelta64(0)).all()
    assert ((asked - back) <= np.timedelta64(1, "h")).all()


@pytest.mark.parametrize("zone", ZONES)
def test_a_time_of_day_comes_once_a_day_all_year(zone):
    moment, count = datetime(2026, 1, 1), 0  # noqa: DTZ001
    while moment < datetime(2027, 1, 1):  # noqa: DTZ001
        moment = _next(zone, moment, time(2, 15))
        count += 1
    assert count in {365, 366}
