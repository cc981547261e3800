import ibis
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market.time_formats import TimeFormat


@pytest.fixture(scope="module")
def written():
    """Write a time of a format as ISO 8601 would."""
    connection = ibis.duckdb.connect()

    def write(time_format, text):
        table = connection.create_table("given", pa.table({"x": [text]}), overwrite=True)
        iso = TimeFormat.parse(time_format).to_iso(table.x)
        return table.select(y=iso).to_pyarrow()["y"].to_pylist()[0]

    return write


@pytest.mark.parametrize(
    ("time_format", "text", "iso"),
    [
        ("%d/%m/%Y %H:%M", "1/7/2026 8:30", "2026-7-1 8:30:00"),
        ("%d/%m/%Y", "01/07/2026", "2026-07-01 0:00:00"),
        ("%d.%m.%y", "1.7.26", "2026-7-1 0:00:00"),
        ("%d.%m.%y", "1.7.69", "1969-7-1 0:00:00"),
        ("%d.%m.%y", "1.7.5", "2005-7-1 0:00:00"),
        ("%A %d %B %Y", "Wednesday 1 JULY 2026", "2026-7-1 0:00:00"),
        ("%b %-d %Y %I:%M %p", "May 1 2026 12:30 AM", "2026-5-1 0:30:00"),
        ("%Y-%m-%dT%X.%f%z", "2026-07-01T08:30:01.05+0100", "2026-07-01 08:30:01.05+0100"),
        ("%c %Z", "2026-07-01 08:30:01 Europe/Lisbon", "2026-07-01 08:30:01 europe/lisbon"),
        ("(%Y) 100%%", "(2026) 100%", "2026-1-1 0:00:00"),
        ("%d/%m/%Y", "1-7-2026", None),
        ("%d/%m/%Y", "1/7/26", None),
        ("%d/%m/%Y", "1/7/2026 8:30", None),
    ],
)
def test_the_parts_of_a_time_are_put_in_the_order_of_iso(written, time_format, text, iso):
    assert written(time_format, text) == iso


def test_a_format_says_whether_a_zone_is_written():
    assert TimeFormat.parse("%d/%m/%Y %z").has_zone
    assert not TimeFormat.parse("%d/%m/%Y").has_zone


@pytest.mark.parametrize("sign", ["j", "U", "W", "u", "w", "V", "G"])
def test_days_and_weeks_of_a_year_are_refused(sign):
    with pytest.raises(ConfigurationError, match=f"has the sign '%{sign}'"):
        TimeFormat.parse(f"%Y %{sign}")
