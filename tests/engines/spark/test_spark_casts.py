"""Spark reads columns of any source as DuckDB does, with ANSI rules and without."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from mlmarket.market.casts import Reading, cast_column
from mlmarket.market.columns import Kind
from mlmarket.market.spark import SparkBench

TIMES = [
    "2026-07-01 08:30:00",
    "2026-07-01T08:30",
    "2026-07-01 8:30:01.1234567",
    "2026-07-01T08:30:00Z",
    "2026-07-01T08:30:00.500Z",
    "2026-07-01 08:30:00+01:00",
    "2026-07-01 08:30:00-0530",
    "2026-07-01T08:30Z",
    "2026-07-01 08:30+01:00",
    "2026-07-01 08:30 -0100",
    "2026-07-01 08:30:00+01",
    "2026-07-01 08:30:00 +0100",
    "2026-07-01 08:30:00 UTC",
    "2026-07-01 08:30:00 Europe/Lisbon",
    "  2026-07-01 08:30:00  ",
    "2026-07-01",
    "2026/7/1",
    "2026-07-01 23:59:59.999999",
    "2026-03-29 02:30:00",
    "2026-10-25 02:30:00",
    "2026-10-25 01:30:00",
    "2026-10-25 03:30:00",
    "2025-04-05 23:30:00",
    "soon",
    "01/07/2026",
    "2026-13-01",
    "2026-02-30",
    "10:00",
    "20260701",
    "2026",
    "now",
    "",
    "  ",
    None,
]
NAIVE = [
    datetime.fromisoformat(text)
    for text in (
        "2026-01-15 12:00:00",
        "2026-07-15 12:00:00.000001",
        "2026-03-29 01:59:59.999999",
        "2026-03-29 02:30:00",
        "2026-03-29 03:00:00",
        "2026-10-25 00:59:59.999999",
        "2026-10-25 01:30:00",
        "2026-10-25 02:00:00",
        "2026-10-25 02:59:59.999999",
        "2026-10-25 03:00:00",
        "2026-04-05 01:45:00",
        "1999-12-31 23:59:59.999999",
    )
]
NUMBERS = ["1.5", " 2 ", "-3", "1e3", "12d", "12f", "1.", "nan", "inf", "x", "1,5", "", None]
AMOUNTS = ["1.00005", "-1.00005", "1.00004", "€1.50", "1.234.567", "99999999999999.9999", "1e14"]
FLOATS = [
    1.23456,
    0.1 + 0.2,
    0.00015,
    0.00025,
    -0.00025,
    1.00005,
    2.00005,
    123456789.12345,
    -7.0,
    1e14,
    math.nan,
    math.inf,
    None,
]
# Ibis and sqlglot write the end of a page as a letter that Spark would take away.
WORDS = ["few ", " five", "staff", "\fform\v", " vivaf\n", "\tava\r", "a\vb", "\\f", "f"]
IDS = [*WORDS, "00123", " a ", "", "  ", "ä|b", "日本", "tab\tinside", "17850.0", None]
TRUTHS = ["true", "TRUE", "T", "yes", "Y", "1", " 1.0 ", "false", "No", "0", "maybe", "", None]
ZONES = [None, "UTC", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata"]

CASES = [
    *((TIMES, None, Kind.TIME, {"zone": zone}) for zone in ZONES),
    *((NAIVE, pa.timestamp("us"), Kind.TIME, {"zone": zone}) for zone in ZONES),
    ([t.replace(tzinfo=UTC) for t in NAIVE], pa.timestamp("us", "UTC"), Kind.TIME, {}),
    ([t.replace(tzinfo=UTC) for t in NAIVE], pa.timestamp("us", "Asia/Tokyo"), Kind.TIME, {}),
    ([date(2026, 3, 29), date(2026, 10, 25), None], None, Kind.TIME, {"zone": "Europe/Berlin"}),
    ([1_750_000_000], None, Kind.TIME, {}),
    ([*NUMBERS, *AMOUNTS], None, Kind.MONEY, {}),
    (FLOATS, pa.float64(), Kind.MONEY, {}),
    ([Decimal("1.23456"), Decimal("-0.00005"), None], None, Kind.MONEY, {}),
    ([7, -3, None], pa.int64(), Kind.MONEY, {}),
    ([*NUMBERS, *AMOUNTS], None, Kind.NUMBER, {}),
    (FLOATS, pa.float64(), Kind.NUMBER, {}),
    (["7", " 8 ", "x", None], None, Kind.INTEGER, {}),
    (IDS, None, Kind.IDENTIFIER, {}),
    (["17850.0", "0012.00", None], None, Kind.IDENTIFIER, {"float_ids": True}),
    ([17850.0, 17850.5, math.nan, None], pa.float64(), Kind.IDENTIFIER, {}),
    ([17850, None], pa.int32(), Kind.IDENTIFIER, {}),
    ([Decimal("17850.00"), Decimal("1.50")], None, Kind.IDENTIFIER, {}),
    (IDS, None, Kind.TEXT, {}),
    ([["a", "b"], [], None], None, Kind.TEXT, {}),
    (TRUTHS, None, Kind.BOOLEAN, {}),
    ([1, 0, 2, None], pa.int64(), Kind.BOOLEAN, {}),
    ([1.0, math.nan], pa.float64(), Kind.BOOLEAN, {}),
    ([True, None], None, Kind.BOOLEAN, {}),
]
FORMATS = [
    ("%d/%m/%Y %H:%M", ["01/07/2026 08:30", "1/7/2026 8:30", "31/02/2026 08:30", "?", None]),
    ("%d.%m.%Y", ["01.07.2026", "25.10.2026", "x"]),
    ("%d/%m/%Y %H:%M %z", ["01/07/2026 08:30 +0300", "01/07/2026 08:30 +03:00"]),
    ("%Y%m%d %H%M%S", ["20260701 083015"]),
    ("%b %d %Y %I:%M:%S.%f %p", ["Jul 01 2026 08:30:01.000250 PM"]),
]


@pytest.fixture(scope="module")
def duck():
    return ibis.duckdb.connect()


def _read(connection, backend, rows, casts):
    table = (
        connection.create_table("given", rows, overwrite=True)
        if backend == "duckdb"
        else connection.from_arrow(rows, "given")
    )
    columns = {
        name: cast_column(
            table[name],
            kind,
            Reading(options.get("zone"), options.get("time_format"), backend),
            float_ids=options.get("float_ids", False),
        )
        for name, (kind, options) in casts.items()
    }
    return table.select(**columns).to_pyarrow()


def _same(spark, duck, cases):
    """Cast all columns of all cases at once on both engines."""
    longest = max(len(values) for values, *_ in cases)
    columns, casts = {}, {}
    for place, (values, dtype, kind, options) in enumerate(cases):
        padded = [*values, *[None] * (longest - len(values))]
        columns[f"x{place}"] = pa.array(padded, dtype)
        casts[f"x{place}"] = kind, options
    rows = pa.table(columns)
    there = _read(SparkBench(spark).connection, "pyspark", rows, casts)
    here = _read(duck, "duckdb", rows, casts)
    for place, (values, _, kind, options) in enumerate(cases):
        found, wanted = (one[f"x{place}"].to_pylist()[: len(values)] for one in (there, here))
        for value, on_spark, on_duckdb in zip(values, found, wanted, strict=True):
            assert on_spark == on_duckdb, (kind, options, value)


@pytest.fixture(params=["true", "false"])
def ansi(spark, request):
    before = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", request.param)
    yield request.param
    spark.conf.set("spark.sql.ansi.enabled", before)


def test_columns_of_every_type_are_read_as_duckdb_reads_them(spark, duck, ansi):
    _same(spark, duck, CASES)


def test_times_in_a_declared_format_are_read_as_duckdb_reads_them(spark, duck, ansi):
    cases = [
        (texts, pa.string(), Kind.TIME, {"time_format": time_format, "zone": zone})
        for time_format, texts in FORMATS
        for zone in ("UTC", "Europe/Berlin")
    ]
    _same(spark, duck, cases)
