"""The same texts and numbers, read by DuckDB and by PostgreSQL."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.market.casts import Reading, cast_column
from mlmarket.market.columns import Kind
from mlmarket.market.postgres import plain, rows_in_query

FEW = settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink takes hundreds of round trips
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def read(connection):
    """Read values on both; return the two results."""
    duck = ibis.duckdb.connect()
    duck.raw_sql("SET TimeZone = 'America/New_York'")

    def read_values(values, kind, *, zone=None, time_format=None, float_ids=False, dtype=None):
        numbers = pa.array(range(len(values)), pa.int64())
        table = pa.table({"x": pa.array(values, dtype), "n": numbers})
        here = duck.create_table("given", table, overwrite=True)
        there = plain(rows_in_query(connection, table))
        found = []
        for rows in (here, there):
            reading = Reading(zone=zone, time_format=time_format, backend=rows.get_backend().name)
            value = cast_column(rows.x, kind, reading, float_ids=float_ids)
            naive = reading.without_zone(rows.x) if kind is Kind.TIME else None
            flag = ibis.literal(value=False) if naive is None else naive.fill_null(False)
            seen = rows.select("n", y=value, naive=flag).order_by("n").to_pyarrow()
            found.append(list(zip(seen["y"].to_pylist(), seen["naive"].to_pylist(), strict=True)))
        return found

    return read_values


def _same(read, values, kind, **options):
    values = [*values, None]
    duck, postgres = read(values, kind, **options)
    different = [
        (value, here, there)
        for value, here, there in zip(values, duck, postgres, strict=True)
        if here != there
    ]
    assert different == []


NUMBERS = [
    "1", "+1", "-1", ".5", "5.", "+.5", "-.5e3", "1e3", "1E3", "1e+3", "1e-3", " 1 ",
    "1e", "e3", "1e400", "1e-400", "4.9e-324", "2e-324", "nan", "NaN", "inf", "-inf", "Infinity",
    "1,5", "1.234,5", "--1", "1.2.3", "\u0661", "1d", "1f", "1e308", "1.7976931348623159e308", "00012",
    "-0", "..", ".", "", "  ", "1e999", "123456789012345678901234567890", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "7.5", "-7.5", "6.5", "7.49999", "0.5", "-0.5",
    "1e18", "1e19", "99999999999999.99995", "99999999999999.99994", "-99999999999999.99995",
    "0.00005", "0.000049999", "1.5e-5", "5e-5", "1e14", "1e13", "1.00005", "-1.00005", "true",
    "€1", "1 000", "'1'", "1;2", "\\1", None,
]  # fmt: skip


@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.INTEGER, Kind.MONEY, Kind.BOOLEAN])
def test_texts_are_the_same_numbers_or_none(read, kind):
    _same(read, NUMBERS, kind)


@FEW
@given(
    st.lists(
        st.from_regex(r"[+-]?[0-9]{0,16}(\.[0-9]{0,8})?(e[+-]?[0-9]{1,2})?", fullmatch=True)
        | st.text("0123456789+-.eE ,", max_size=8).filter(lambda text: "+-" not in text)
    )
)
def test_whatever_looks_like_a_number_is_read_alike(read, texts):
    for kind in (Kind.NUMBER, Kind.INTEGER):
        _same(read, texts, kind, dtype=pa.string())
    # DuckDB rounds 5e-6 up to 0.0001, PostgreSQL to 0.
    plain = [text for text in texts if "e-" not in text.lower()]
    _same(read, plain, Kind.MONEY, dtype=pa.string())


@FEW
@given(
    st.lists(
        st.floats(width=32)
        | st.floats()
        | st.decimals(-(10**14), 10**14, places=5).map(float)
        | st.integers(-(10**6), 10**6).map(lambda n: (n + 0.5) / 10**4)
    )
)
def test_floats_become_the_same_money_ids_and_numbers(read, values):
    for kind in (Kind.MONEY, Kind.NUMBER, Kind.INTEGER):
        _same(read, values, kind, dtype=pa.float64())
    ids = [value for value in values if value != value or abs(value) < 1e15]
    _same(read, ids, Kind.IDENTIFIER, dtype=pa.float64())


def test_whole_numbers_and_decimals_become_the_same_money_ids_and_truth(read):
    integers = [0, 1, -1, 10**14 - 1, 10**14, -(10**14), 2**63 - 1, None]
    decimals = [Decimal(text) for text in ("0.00005", "-0.00005", "1.50", "17850.00000", "1e14")]
    for kind in (Kind.MONEY, Kind.NUMBER, Kind.IDENTIFIER, Kind.BOOLEAN):
        _same(read, integers, kind, dtype=pa.int64())
        _same(read, [*decimals, None], kind, dtype=pa.decimal128(30, 5))
    for kind in (Kind.NUMBER, Kind.BOOLEAN, Kind.TEXT, Kind.INTEGER):
        _same(read, [True, False, None], kind)


def test_ids_and_texts_are_the_same(read):
    texts = ["00123", " a ", "", "  ", "\t", "\va", "\u2003a", "\u00a0", "17850.0", "ß'\"\\", None]
    for kind in (Kind.IDENTIFIER, Kind.TEXT):
        _same(read, texts, kind)
    _same(read, ["17850.0", "0012.00"], Kind.IDENTIFIER, float_ids=True)
    _same(read, [["a", "b"], [], None], Kind.TEXT)


TIMES = [
    "2026-07-01", "2026-7-1", "2026/07/01", "2026/7/1", "2026/7-1", "2026-07-01T", "2026-07-01 8",
    "2026-07-01 8:3", "2026-07-01 8:30", "2026-07-01T08:30:1", "2026-07-01 08:30:01.",
    "2026-07-01 08:30:01.1", "2026-07-01 08:30:01.1234567", "2026-07-01 08:30:01.9999999",
    "2026-07-01 08:30:01,5", "2026-07-01 23:59:60", "2026-07-01 24:01", "2026-02-29",
    "2024-02-29", "1900-02-29", "2000-02-29", "2026-04-31", "2026-00-01", "2026-13-01",
    "2026-01-00", "2026-01-32", "2026-1-001", "2026-07-01  08:30", "2026-07-01t08:30",
    "2026-07-01T08:30:00Z", "2026-07-01T08:30Z", "2026-07-01 08:30:00z", "2026-07-01 08:30:00+01",
    "2026-07-01 08:30:00 +01", "2026-07-01 08:30+0130", "2026-07-01 08:30:00-05:30",
    "2026-07-01 08:30:00+1", "2026-07-01 08:30:00 UTC", "2026-07-01 08:30:00UTC",
    "2026-07-01 08:30 UTC", "2026-07-01 08:30:00 Europe/Lisbon", "2026-01-01 08:30:00 CET",
    "2026-07-01 08:30:00 CET", "2026-07-01 08:30:00 europe/lisbon", "2026-07-01 08:30:00 Nowhere",
    "2026-07-01 08:30:00 Etc/GMT+3", "2026-03-29 02:30:00 Europe/Berlin",
    "2026-10-25 02:30:00 Europe/Berlin", "2026-07-01 08:30 PM", "2026-07-01Z", "20260701", "now",
    "today", "soon", "01/07/2026", "10:00", "2026-W27", "2026-07-01T08:30:00.1234567Z",
    "2026-07-01 08:30:01.5+01", "9998-12-31 23:59:59.999999", "0002-01-01", " 2026-07-01 ", "",
    "2026-07-01 08:30:00\n", None,
]  # fmt: skip


@pytest.mark.parametrize("zone", [None, "Europe/Berlin", "CET", "America/Havana"])
def test_texts_are_the_same_times_or_none(read, zone):
    _same(read, TIMES, Kind.TIME, zone=zone)


@FEW
@given(
    st.lists(
        st.from_regex(
            r"(19|20)[0-9]{2}-[01]?[0-9]-[0-3]?[0-9]([T ][0-2]?[0-9]:[0-6][0-9]"
            r"(:[0-6][0-9](\.[0-9]{1,8})?)?(Z| ?[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)?)?",
            fullmatch=True,
        ).filter(lambda text: " 24:" not in text and "T24:" not in text)
    )
)
def test_whatever_looks_like_a_time_is_read_alike(read, texts):
    _same(read, texts, Kind.TIME, zone="Europe/Lisbon", dtype=pa.string())


ZONES = ["UTC", "Europe/Lisbon", "Europe/Dublin", "America/Havana", "Australia/Lord_Howe", "EET"]


@FEW
@given(
    st.lists(st.datetimes(datetime(1980, 1, 2), datetime(2037, 1, 1))),  # noqa: DTZ001
    st.lists(st.sampled_from([date(2025, 10, 26), date(2026, 3, 29), date(2026, 4, 5)])),
    st.sampled_from(ZONES),
)
def test_times_of_every_type_are_the_same_instants(read, moments, days, zone):
    _same(read, moments, Kind.TIME, zone=zone, dtype=pa.timestamp("us"))
    _same(read, days, Kind.TIME, zone=zone, dtype=pa.date32())
    aware = [moment.replace(tzinfo=timezone(timedelta(hours=-3))) for moment in moments]
    _same(read, aware, Kind.TIME, zone=zone, dtype=pa.timestamp("us", "UTC"))


def test_hours_around_every_change_of_the_clocks_are_the_same_instants(read):
    start = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    hours = [start + timedelta(minutes=30 * n) for n in range(2 * 24 * 366)]
    for zone in ZONES[1:]:
        _same(read, hours, Kind.TIME, zone=zone, dtype=pa.timestamp("us"))


FORMATS = {
    "%d/%m/%Y %H:%M": [
        "1/7/2026 8:30", "01/07/2026 08:30", "01/07/2026 8:3", "31/02/2026 08:30", "?", "",
        "01/07/2026  08:30", "01/13/2026 08:30", "01/07/2026T08:30", "00/07/2026 08:00",
        "01/07/2026 24:01",
    ],
    "%d.%m.%Y": ["1.7.2026", "01.07.2026", "1x7x2026", "29.2.2024", "29.2.2026"],
    "%d/%m/%y": ["1/7/26", "1/7/69", "1/7/68", "1/7/2026", "1/7/6", "1/7/99", "1/7/00", "1/7/05"],
    "%m/%d/%Y %I:%M %p": [
        "7/1/2026 8:30 AM", "7/1/2026 12:30 am", "7/1/2026 12:30 PM", "7/1/2026 13:30 PM",
        "7/1/2026 0:30 PM", "7/1/2026 8:30 pM", "7/1/2026 8:30PM",
    ],
    "%Y-%m-%d %H:%M:%S.%f": [
        "2026-07-01 08:30:01.5", "2026-07-01 08:30:01.123456", "2026-07-01 08:30:01.1234567",
        "2026-07-01 08:30:01.", "2026-07-01 08:30:1.05",
    ],
    "%d %b %Y": ["1 Jul 2026", "01 jul 2026", "01 MAY 2026", "01 July 2026"],
    "%A %d %B %Y": ["Wednesday 1 July 2026", "monday 01 may 2026", "Wed 1 July 2026"],
    "%Y%m%d%H%M%S": ["20260701083001", "2026070108300"],
    "%-d-%-m-%Y %X": ["1-7-2026 8:30:00", "01-07-2026 08:30"],
    "%c": ["2026-07-01 08:30:00"],
    "%d/%m/%Y %H:%M %z": ["1/7/2026 8:30 +0300", "1/7/2026 8:30 -05:30", "1/7/2026 8:30"],
    "%d/%m/%Y %H:%M:%S %Z": ["1/7/2026 8:30:00 UTC", "1/7/2026 8:30:00 Europe/Lisbon"],
}  # fmt: skip


@pytest.mark.parametrize("time_format", FORMATS)
def test_a_declared_format_reads_the_same_times(read, time_format):
    _same(read, FORMATS[time_format], Kind.TIME, zone="Europe/Lisbon", time_format=time_format)


def test_a_format_of_weeks_is_refused_where_it_cannot_be_read(read):
    with pytest.raises(ConfigurationError, match="which only DuckDB reads") as refused:
        read(["2026-W27"], Kind.TIME, time_format="%G-W%V")
    assert str(refused.value).count("\n") == 2
