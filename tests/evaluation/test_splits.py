from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import rolling_origins, training_cutoffs

DAY = timedelta(days=1)
LAST = datetime(2024, 7, 1, tzinfo=UTC)

moments = st.timedeltas(timedelta(days=-9000), timedelta(days=9000)).map(LAST.__add__)
durations = st.timedeltas(timedelta(hours=1), timedelta(days=400))


def test_origins_end_at_the_last_and_ascend_by_the_step():
    origins = rolling_origins(last=LAST, count=3, step=30 * DAY)
    assert origins == (LAST - 60 * DAY, LAST - 30 * DAY, LAST)


def test_the_earliest_origin_itself_is_allowed_and_nothing_before_it():
    origins = rolling_origins(last=LAST, count=9, step=30 * DAY, earliest=LAST - 60 * DAY)
    assert origins[0] == LAST - 60 * DAY
    assert len(origins) == 3


def test_no_room_gives_no_origin():
    assert rolling_origins(last=LAST, count=3, step=DAY, earliest=LAST + DAY) == ()


def test_more_origins_than_the_calendar_has_stop_at_its_beginning():
    origins = rolling_origins(last=LAST, count=10_000, step=365 * DAY)
    assert 2000 < len(origins) < 2050


def test_a_horizon_longer_than_the_calendar_leaves_no_cutoff():
    assert training_cutoffs(origin=LAST, horizon=800_000 * DAY, step=DAY, count=3) == ()


def test_steps_are_durations_across_a_change_of_clocks():
    berlin = datetime(2024, 4, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    before, after = rolling_origins(last=berlin, count=2, step=2 * DAY)
    assert after - before == 2 * DAY
    assert after.utcoffset() == timedelta(0)
    assert before.astimezone(ZoneInfo("Europe/Berlin")).hour == 23


def test_the_latest_cutoff_is_one_horizon_before_the_origin():
    cutoffs = training_cutoffs(origin=LAST, horizon=90 * DAY, step=7 * DAY, count=2)
    assert cutoffs == (LAST - 97 * DAY, LAST - 90 * DAY)


@settings(max_examples=50, deadline=None)
@given(origin=moments, horizon=durations, step=durations, count=st.integers(1, 12))
def test_no_label_window_is_open_at_the_origin(origin, horizon, step, count):
    cutoffs = training_cutoffs(origin=origin, horizon=horizon, step=step, count=count)
    assert all(cutoff + horizon <= origin for cutoff in cutoffs)
    assert list(cutoffs) == sorted(set(cutoffs))
    assert cutoffs[-1] + horizon == origin


@settings(max_examples=50, deadline=None)
@given(last=moments, step=durations, count=st.integers(1, 12), earliest=moments)
def test_an_earliest_time_only_takes_away(last, step, count, earliest):
    free = rolling_origins(last=last, count=count, step=step)
    bounded = rolling_origins(last=last, count=count, step=step, earliest=earliest)
    assert bounded == tuple(origin for origin in free if origin >= earliest)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"last": datetime(2024, 7, 1)}, "'last' is 2024-07-01 00:00:00, without a time zone"),  # noqa: DTZ001
        ({"earliest": datetime(2024, 1, 1)}, "'earliest'"),  # noqa: DTZ001
        ({"step": timedelta(0)}, "'step' is 0:00:00"),
        ({"step": -DAY}, "'step'"),
        ({"count": 0}, "'count' is 0"),
        ({"count": 2.5}, "'count' is 2.5"),
    ],
)
def test_a_wrong_origin_is_named_with_its_fix(change, word):
    arguments = {"last": LAST, "count": 3, "step": DAY, **change}
    with pytest.raises(ConfigurationError, match="Fix: ") as caught:
        rolling_origins(**arguments)
    assert word in str(caught.value)


def test_a_horizon_without_length_is_refused():
    with pytest.raises(ConfigurationError, match="'horizon'"):
        training_cutoffs(origin=LAST, horizon=timedelta(0), step=DAY, count=1)


def test_a_zone_that_is_not_utc_gives_the_same_instants():
    other = LAST.astimezone(timezone(timedelta(hours=-7)))
    assert rolling_origins(last=other, count=3, step=DAY) == rolling_origins(
        last=LAST, count=3, step=DAY
    )
