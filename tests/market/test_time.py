from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.market.time import (
    day_start,
    duration_text,
    instant,
    parse_duration,
    time_zone,
    to_utc,
    within,
)

LISBON = ZoneInfo("Europe/Lisbon")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30D", timedelta(days=30)),
        (" 2w ", timedelta(days=14)),
        ("12H", timedelta(hours=12)),
        ("45 min", timedelta(minutes=45)),
        (timedelta(days=3), timedelta(days=3)),
    ],
)
def test_a_duration_is_a_number_and_its_unit(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["30", "D", "0D", "-1D", "1.5D", "", "99999999999D", "36501D", timedelta(0), "1Y"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_duration(text)
    assert str(caught.value) == (
        f"{text!r} is not a duration.\n"
        "Windows and horizons carry their unit, so that nobody has to guess it.\n"
        "Fix: write a number from 1 up and a unit, such as '30D', '12H', '45min' or '2W'."
    )


@given(st.integers(min_value=1, max_value=60 * 24 * 400))
@settings(max_examples=100)
def test_the_text_of_a_duration_reads_back_as_the_same_duration(minutes):
    duration = timedelta(minutes=minutes)
    assert parse_duration(duration_text(duration)) == duration


def test_a_time_zone_that_does_not_exist_is_refused_with_a_near_one():
    with pytest.raises(ConfigurationError) as caught:
        time_zone("Europe/Lisbonn")
    assert str(caught.value) == (
        "There is no time zone 'Europe/Lisbonn'.\n"
        "Local midnights and naive times are read in it.\n"
        "Fix: did you mean 'Europe/Lisbon'?"
    )


def test_a_time_zone_unlike_any_other_is_refused_with_an_example():
    with pytest.raises(ConfigurationError, match="Fix: use an IANA name such as 'Europe/Lisbon'"):
        time_zone("~~~~")


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ConfigurationError) as caught:
        to_utc(datetime(2026, 7, 1))  # noqa: DTZ001
    assert str(caught.value) == (
        "The time 2026-07-01T00:00:00 has no zone.\n"
        "An instant without a zone may be hours away from what was meant.\n"
        "Fix: pass an aware datetime, such as datetime(2026, 7, 1, tzinfo=UTC)."
    )


@pytest.mark.parametrize(
    ("day", "zone", "start"),
    [
        (date(2026, 7, 1), "Europe/Lisbon", "2026-06-30T23:00:00+00:00"),
        (date(2026, 1, 1), "Europe/Lisbon", "2026-01-01T00:00:00+00:00"),
        # The clocks skip midnight: the day begins when they have.
        (date(2026, 3, 29), "Asia/Beirut", "2026-03-28T22:00:00+00:00"),
        # They repeat it: the day begins with the first of the two.
        (date(2026, 11, 1), "America/Havana", "2026-11-01T04:00:00+00:00"),
        (datetime(2026, 7, 1, 23, 30, tzinfo=UTC), "Europe/Lisbon", "2026-07-01T23:00:00+00:00"),
    ],
)
def test_a_day_starts_at_local_midnight(day, zone, start):
    assert day_start(day, ZoneInfo(zone)).isoformat() == start


def test_the_day_of_a_naive_datetime_is_not_guessed():
    with pytest.raises(ConfigurationError, match="has no zone"):
        day_start(datetime(2026, 7, 1, 12), LISBON)  # noqa: DTZ001


def test_an_instant_is_utc_to_the_microsecond_in_the_tables_form():
    moment = datetime(2026, 7, 1, 1, 0, 0, 123456, tzinfo=LISBON)
    assert ibis.duckdb.connect().to_pyarrow(instant(moment)).as_py().isoformat() == (
        "2026-07-01T00:00:00.123456"
    )


def _inside(times, **window):
    table = ibis.memtable(pa.table({"t": pa.array(times, pa.timestamp("us"))}))
    found = ibis.duckdb.connect().to_pyarrow(table.select(t=table.t, x=within(table.t, **window)))
    return dict(zip(found["t"].to_pylist(), found["x"].to_pylist(), strict=True))


def test_a_window_leaves_out_its_beginning_and_holds_its_end():
    ten, eleven = datetime(2026, 7, 1, 10), datetime(2026, 7, 1, 11)  # noqa: DTZ001
    inside = _inside(
        [ten, eleven, None], after=ten.replace(tzinfo=UTC), until=eleven.replace(tzinfo=UTC)
    )
    assert inside == {ten: False, eleven: True, None: None}


def test_a_window_without_a_beginning_holds_everything_before_its_end():
    early, late = datetime(1999, 1, 1), datetime(2026, 7, 2)  # noqa: DTZ001
    inside = _inside([early, late], until=datetime(2026, 7, 1, tzinfo=UTC))
    assert inside == {early: True, late: False}


_MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001
    max_value=datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, LISBON, ZoneInfo("Asia/Kolkata")]),
)


@given(st.lists(_MOMENTS, min_size=2, max_size=5, unique_by=lambda m: m.timestamp()), _MOMENTS)
@settings(max_examples=25, deadline=None)
def test_every_instant_lies_in_exactly_one_of_adjacent_windows(borders, moment):
    borders = sorted(borders, key=lambda border: border.timestamp())
    table = ibis.memtable(
        pa.table({"t": pa.array([to_utc(m) for m in [*borders, moment]], pa.timestamp("us"))})
    )
    windows = zip([None, *borders], borders, strict=False)
    inside = {
        f"w{place}": within(table.t, after=after, until=until).cast("int8")
        for place, (after, until) in enumerate(windows)
    }
    counted = table.select(
        "t",
        windows=sum(inside.values(), ibis.literal(0)),
        covered=within(table.t, until=borders[-1]),
    )
    for row in ibis.duckdb.connect().to_pyarrow(counted).to_pylist():
        assert row["windows"] == (1 if row["covered"] else 0)
