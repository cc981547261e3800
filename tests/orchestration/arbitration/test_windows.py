"""When may a channel next be used? Compared, minute by minute, with the clocks that Python knows."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.windows import next_open, opening_hours
from mlmarket.orchestration.arbitration.zones import local_time, local_times, utc_time, zones
from mlmarket.orchestration.documents import WEEKDAYS
from mlmarket.orchestration.policy import Policy, Window

MINUTE = 60_000_000
CHANGES = [
    ("Europe/Lisbon", (2026, 3, 29)),
    ("Europe/Lisbon", (2026, 10, 25)),
    ("America/New_York", (2026, 3, 8)),
    ("America/New_York", (2026, 11, 1)),
    ("Australia/Lord_Howe", (2026, 4, 5)),
    ("Australia/Lord_Howe", (2026, 10, 4)),
    ("America/Sao_Paulo", (2018, 11, 4)),
    ("America/Sao_Paulo", (2019, 2, 17)),
    ("Asia/Kathmandu", (2026, 3, 29)),
]
WINDOWS = [
    {"opens": "08:00", "closes": "21:00"},
    {"opens": "01:30", "closes": "02:15"},
    {"opens": "02:10", "closes": "02:20"},
    {"opens": "22:00", "closes": "06:00", "weekdays": ["sat"]},
    {"opens": "00:00", "closes": "00:45", "weekdays": ["sun"]},
    {"opens": "23:15", "closes": "00:00"},
]


def microseconds(moment):
    return int(moment.timestamp()) * 1_000_000


def stretch(name, day):
    """Return zone and moments around a day, a minute apart from 36 hours before it."""
    first = datetime(*day, tzinfo=UTC) - timedelta(hours=36)
    moments = np.arange(microseconds(first), microseconds(first + timedelta(hours=84)), MINUTE)
    return zones([name], int(moments[0]), int(moments[-1]) + 20 * 1440 * MINUTE), moments


def shown(name, moment):
    return datetime.fromtimestamp(int(moment) // 1_000_000, ZoneInfo(name))


def permitted(window, clock):
    """Say what a window means in plain Python."""
    days = window.weekdays or WEEKDAYS
    today, yesterday = WEEKDAYS[clock.weekday()], WEEKDAYS[clock.weekday() - 1]
    time = clock.time()
    if window.opens < window.closes:
        return today in days and window.opens <= time < window.closes
    return (today in days and time >= window.opens) or (yesterday in days and time < window.closes)


@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_local_time_is_what_the_clocks_show(name, day):
    known, moments = stretch(name, day)
    found = local_times(known, np.zeros_like(moments), moments)
    expected = [
        microseconds(shown(name, moment).replace(tzinfo=UTC)) for moment in moments.tolist()
    ]
    assert found.tolist() == expected


@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_the_first_moment_of_a_local_time_comes_before_its_repetition_and_behind_a_gap(name, day):
    known, moments = stretch(name, day)
    local = local_times(known, np.zeros_like(moments), moments)
    for wall in np.arange(local[300], local[-300], 10 * MINUTE):
        found = utc_time(known, 0, wall)
        first = moments[np.flatnonzero(local >= wall)[0]]
        assert found == first


@pytest.mark.parametrize("window", WINDOWS, ids=lambda one: f"{one['opens']}-{one['closes']}")
@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_the_next_open_moment_is_the_first_that_is_permitted(name, day, window):
    known, moments = stretch(name, day)
    policy = Policy.model_validate({"channels": {"email": {"window": window}}})
    last = int(moments[-1]) + 20 * 1440 * MINUTE
    hours = opening_hours(policy, known, int(moments[0]) - 2 * 1440 * MINUTE, last)
    rule = Window.model_validate(window)
    opened = [permitted(rule, shown(name, moment)) for moment in moments.tolist()]
    following = None
    for moment, is_open in zip(moments[::-1].tolist(), opened[::-1], strict=True):
        following = moment if is_open else following
        if following is not None:
            assert next_open(hours, CHANNELS.index("email"), moment) == following
    assert next_open(hours, CHANNELS.index("sms"), int(moments[5])) == moments[5]


def test_a_window_in_a_gap_opens_on_another_day():
    name, day = "Europe/Lisbon", (2026, 3, 29)
    known, moments = stretch(name, day)
    window = {"opens": "01:10", "closes": "01:20"}
    policy = Policy.model_validate({"channels": {"email": {"window": window}}})
    hours = opening_hours(policy, known, int(moments[0]), int(moments[-1]))
    midnight = microseconds(datetime(*day, tzinfo=UTC))
    assert shown(name, next_open(hours, 0, midnight)).day == 30


def test_before_and_after_what_was_read_the_nearest_offset_is_used():
    known = zones(["Europe/Lisbon"], 0, 10)
    assert local_time(known, 0, -(10**15)) == -(10**15) + 3600 * 10**6
