from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.market.casts import Reading, cast_column
from mlmarket.market.columns import Kind

ELSEWHERE = "America/New_York"


@pytest.fixture(scope="module")
def cast_all():
    """Cast values on a connection whose session is in another zone than UTC."""
    connection = ibis.duckdb.connect()
    connection.raw_sql(f"SET TimeZone = '{ELSEWHERE}'")

    def cast_values(values, kind, *, zone=None, time_format=None, float_ids=False, dtype=None):
        table = connection.create_table(
            "given", pa.table({"x": pa.array(values, dtype)}), overwrite=True
        )
        reading = Reading(zone=zone, time_format=time_format, backend="duckdb")
        read = cast_column(table.x, kind, reading, float_ids=float_ids)
        return table.select(y=read).to_pyarrow()["y"].to_pylist()

    return cast_values


def _utc(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-07-01 08:30:00", "2026-07-01T08:30:00"),
        ("2026-07-01T08:30", "2026-07-01T08:30:00"),
        ("2026-07-01 8:30:01.1234567", "2026-07-01T08:30:01.123456"),
        ("2026-07-01T08:30:00Z", "2026-07-01T08:30:00"),
        ("2026-07-01T08:30:00.500Z", "2026-07-01T08:30:00.500000"),
        ("2026-07-01 08:30:00+01:00", "2026-07-01T07:30:00"),
        ("2026-07-01 08:30:00-0530", "2026-07-01T14:00:00"),
        ("2026-07-01T08:30Z", "2026-07-01T08:30:00"),
        ("2026-07-01 08:30+01:00", "2026-07-01T07:30:00"),
        ("2026-07-01 08:30 -0100", "2026-07-01T09:30:00"),
        ("2026-07-01 08:30:00+01", "2026-07-01T07:30:00"),
        ("2026-07-01 08:30:00 +0100", "2026-07-01T07:30:00"),
        ("2026-07-01 08:30:00 UTC", "2026-07-01T08:30:00"),
        ("2026-07-01 08:30:00 Europe/Lisbon", "2026-07-01T07:30:00"),
        ("  2026-07-01 08:30:00  ", "2026-07-01T08:30:00"),
        ("2026-07-01", "2026-07-01T23:59:59.999999"),
        ("2026/7/1", "2026-07-01T23:59:59.999999"),
    ],
)
def test_iso_text_is_read_as_the_instant_it_names(cast_all, written, read):
    assert cast_all([written], Kind.TIME) == [_utc(read)]


@pytest.mark.parametrize("written", ["soon", "01/07/2026", "2026-13-01", "10:00", "20260701", ""])
def test_text_that_is_no_time_is_missing(cast_all, written):
    assert cast_all([written], Kind.TIME) == [None]


@pytest.mark.parametrize(
    ("time_format", "written", "read"),
    [
        ("%d/%m/%Y %H:%M", "01/07/2026 08:30", "2026-07-01T07:30:00"),
        ("%d.%m.%Y", "01.07.2026", "2026-07-01T22:59:59.999999"),
        ("%d/%m/%Y %H:%M %z", "01/07/2026 08:30 +0300", "2026-07-01T05:30:00"),
    ],
)
def test_text_is_read_in_its_declared_format_and_zone(cast_all, time_format, written, read):
    found = cast_all([written, "?"], Kind.TIME, zone="Europe/Lisbon", time_format=time_format)
    assert found == [_utc(read), None]


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-01-15 12:00:00", "2026-01-15T11:00:00"),
        ("2026-07-15 12:00:00", "2026-07-15T10:00:00"),
        # The clocks skip 02:00 to 03:00: read as if they had not been changed yet.
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00"),
        # They repeat 02:00 to 03:00: standard time, the second of the two.
        ("2026-10-25 02:30:00", "2026-10-25T01:30:00"),
    ],
)
def test_local_times_are_read_in_their_zone_in_text_and_in_types(cast_all, local, utc):
    naive = datetime.fromisoformat(local)
    assert cast_all([local], Kind.TIME, zone="Europe/Berlin") == [_utc(utc)]
    assert cast_all([naive], Kind.TIME, zone="Europe/Berlin") == [_utc(utc)]


@pytest.mark.parametrize(
    ("day", "zone", "last"),
    [
        ("2026-07-01", "UTC", "2026-07-01T23:59:59.999999"),
        ("2026-07-01", "Europe/Berlin", "2026-07-01T21:59:59.999999"),
        ("2026-03-29", "Europe/Berlin", "2026-03-29T21:59:59.999999"),  # 23 hours
        ("2026-10-25", "Europe/Berlin", "2026-10-25T22:59:59.999999"),  # 25 hours
        # The last hour of this day is there twice.
        ("2025-04-05", "America/Santiago", "2025-04-06T03:59:59.999999"),
    ],
)
def test_a_day_without_a_time_is_its_last_local_microsecond(cast_all, day, zone, last):
    assert cast_all([day], Kind.TIME, zone=zone) == [_utc(last)]
    assert cast_all([date.fromisoformat(day)], Kind.TIME, zone=zone) == [_utc(last)]


@given(
    st.dates(min_value=date(1990, 1, 1), max_value=date(2030, 1, 1)),
    st.sampled_from(["Europe/Lisbon", "America/Havana", "Asia/Beirut", "Pacific/Apia"]),
)
@settings(max_examples=25, deadline=None)
def test_the_last_microsecond_of_a_day_is_followed_by_the_next_day(cast_all, day, zone):
    (last,) = cast_all([day], Kind.TIME, zone=zone)
    local = last.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    after = (last + timedelta(microseconds=1)).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    assert after.date() > day
    assert local.date() == day or (zone, day) == ("Pacific/Apia", date(2011, 12, 30))  # left out


def test_times_that_carry_a_zone_keep_their_instant_whatever_the_zones(cast_all):
    moment = datetime(2026, 7, 1, 8, 30, tzinfo=UTC)
    for zone in ("UTC", "Asia/Kolkata"):
        found = cast_all([moment], Kind.TIME, zone=ELSEWHERE, dtype=pa.timestamp("us", zone))
        assert found == [moment.replace(tzinfo=None)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_any_resolution_become_microseconds(cast_all, unit):
    found = cast_all([datetime(2026, 7, 1)], Kind.TIME, dtype=pa.timestamp(unit))  # noqa: DTZ001
    assert found == [_utc("2026-07-01T00:00:00")]


def test_numbers_are_no_times(cast_all):
    assert cast_all([1_750_000_000], Kind.TIME) == [None]


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ([17850.0, 17851.0, None], ["17850", "17851", None]),
        ([17850.0, float("nan")], ["17850", None]),
        ([17850.5], ["17850.5"]),
        ([17850, None], ["17850", None]),
        ([Decimal("17850.00"), Decimal("1.50")], ["17850", "1.50"]),
        (["00123", " a ", "", "  ", None], ["00123", "a", None, None, None]),
        (["17850.0"], ["17850.0"]),
    ],
)
def test_ids_are_text_without_a_decimal_point_that_a_type_gave_them(cast_all, values, ids):
    assert cast_all(values, Kind.IDENTIFIER) == ids


def test_ids_that_are_all_written_as_floats_lose_their_point(cast_all):
    found = cast_all(["17850.0", "0012.00", None], Kind.IDENTIFIER, float_ids=True)
    assert found == ["17850", "0012", None]


@pytest.mark.parametrize(
    ("values", "amounts"),
    [
        (["1.5", " 2 ", "-3", "", None], ["1.5000", "2.0000", "-3.0000", None, None]),
        # More than four decimals are rounded, half away from zero.
        (["1.00005", "-1.00005", "1.00004"], ["1.0001", "-1.0001", "1.0000"]),
        ([1.23456, 0.1 + 0.2, float("nan")], ["1.2346", "0.3000", None]),
        (["1,50", "€1.50", "1.234.567"], [None, None, None]),
        ([10.0**14], [None]),
    ],
)
def test_money_has_four_decimals(cast_all, values, amounts):
    expected = [None if amount is None else Decimal(amount) for amount in amounts]
    assert cast_all(values, Kind.MONEY) == expected


def test_numbers_are_finite(cast_all):
    written = ["1.5", "1e3", "nan", "inf", "x", ""]
    assert cast_all(written, Kind.NUMBER) == [1.5, 1000.0, None, None, None, None]
    assert cast_all([float("inf"), 2.0], Kind.NUMBER) == [None, 2.0]


def test_whole_numbers_are_integers(cast_all):
    assert cast_all(["7", "x"], Kind.INTEGER) == [7, None]


@pytest.mark.parametrize("spelling", ["true", "TRUE", "T", "yes", "Y", "1", " 1.0 "])
def test_spellings_of_true(cast_all, spelling):
    assert cast_all([spelling], Kind.BOOLEAN) == [True]


@pytest.mark.parametrize("spelling", ["false", "False", "f", "no", "N", "0", "0.0"])
def test_spellings_of_false(cast_all, spelling):
    assert cast_all([spelling], Kind.BOOLEAN) == [False]


def test_numbers_serve_as_truth_and_other_text_does_not(cast_all):
    assert cast_all([1, 0, 2], Kind.BOOLEAN) == [True, False, None]
    assert cast_all([1.0, float("nan")], Kind.BOOLEAN) == [True, None]
    assert cast_all(["maybe", ""], Kind.BOOLEAN) == [None, None]
    assert cast_all([True, None], Kind.BOOLEAN) == [True, None]


def test_text_is_trimmed_and_empty_text_is_missing(cast_all):
    assert cast_all([" a ", "", "  ", None], Kind.TEXT) == ["a", None, None, None]


def test_lists_of_words_become_one_text(cast_all):
    assert cast_all([["a", "b"], []], Kind.TEXT) == ["a|b", None]


def test_dictionaries_of_words_are_text(cast_all):
    words = pa.array(["a", "b", "a"]).dictionary_encode()
    assert cast_all(words, Kind.TEXT) == ["a", "b", "a"]
    assert cast_all(words, Kind.IDENTIFIER) == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("values", "time_format", "without"),
    [
        (["2026-07-01 08:00", "2026-07-01", "2026-07-01 08:00Z", "x"], None, [1, 1, 0, 0]),
        (["2026-07-01T08:00+01:00", None], None, [0, 0]),
        (["01/07/2026"], "%d/%m/%Y", [1]),
        ([datetime(2026, 7, 1)], None, [1]),  # noqa: DTZ001
        ([date(2026, 7, 1)], None, [1]),
    ],
)
def test_times_without_a_zone_are_told_from_others(values, time_format, without):
    connection = ibis.duckdb.connect()
    table = connection.create_table("given", pa.table({"x": values}))
    reading = Reading(zone=None, time_format=time_format, backend="duckdb")
    flags = reading.without_zone(table.x).fill_null(ibis.literal(value=False))
    assert table.select(y=flags.cast("int8")).to_pyarrow()["y"].to_pylist() == without


def test_types_and_formats_with_a_zone_need_no_look_at_the_values():
    table = ibis.table({"x": 'timestamp("UTC")', "y": "string"}, name="given")
    assert Reading(None, None, "duckdb").without_zone(table.x) is None
    assert Reading(None, "%Y %z", "duckdb").without_zone(table.y) is None


def test_other_databases_are_asked_in_their_own_words():
    table = ibis.table({"x": "timestamp(6)", "z": 'timestamp("UTC")'}, name="given")
    spark = Reading("Europe/Lisbon", None, "pyspark")
    sql = str(ibis.to_sql(table.select(a=spark.to_utc(table.x)), dialect="pyspark"))
    assert "TO_UTC_TIMESTAMP" in sql.upper()
    sql = str(ibis.to_sql(table.select(a=spark.drop_zone(table.z)), dialect="pyspark"))
    assert "TIMEZONE(" not in sql.upper()
    postgres = Reading("Europe/Lisbon", None, "postgres")
    sql = str(ibis.to_sql(table.select(a=postgres.to_utc(table.x)), dialect="postgres"))
    assert sql.upper().count("TIMEZONE(") == 2


@pytest.mark.parametrize(
    ("time_format", "written", "read"),
    [
        (None, "2026-07-01", "2026-07-01T00:00:00"),
        (None, "2026-07-01 10:00", "2026-07-01T10:00:00"),
        (None, "2026-07-01 10:00+01:00", "2026-07-01T09:00:00"),
        ("%d.%m.%Y", "01.07.2026", "2026-07-01T00:00:00"),
        ("%d.%m.%Y %H:%M %z", "01.07.2026 10:00 +0100", "2026-07-01T09:00:00"),
    ],
)
def test_expressions_see_what_the_clock_on_the_wall_showed(time_format, written, read):
    connection = ibis.duckdb.connect()
    connection.raw_sql(f"SET TimeZone = '{ELSEWHERE}'")
    table = connection.create_table("given", pa.table({"x": [written]}))
    reading = Reading("Asia/Kolkata", time_format, "duckdb")
    seen = table.select(y=reading.as_written(table.x)).to_pyarrow()["y"].to_pylist()
    assert seen == [_utc(read)]
