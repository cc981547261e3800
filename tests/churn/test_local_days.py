"""Local days, beside the calendar of Python."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pandas as pd
import pytest

from mlmarket.churn.local_days import day_number, local_day

ZONES = ("UTC", "Europe/Lisbon", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


@pytest.mark.parametrize("zone", [ZoneInfo(name) for name in ZONES], ids=str)
def test_a_time_is_on_the_day_that_the_calendar_says(zone):
    first, last = datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)
    seconds = np.random.default_rng(0).integers(0, (last - first) // timedelta(seconds=1), 800)
    moments = [first, last, *(first + timedelta(seconds=int(second)) for second in seconds)]
    # Around the changes of the clocks, to the second.
    for hour in (datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 11, 3, 6, tzinfo=UTC)):
        moments += [hour + timedelta(seconds=second) for second in (-1, 0, 1)]
    frame = pd.DataFrame({"at": [moment.replace(tzinfo=None) for moment in moments]})
    table = ibis.memtable(frame).mutate(at=lambda rows: rows["at"].cast("timestamp(6)"))
    day = local_day(table["at"], zone, first=first, last=last)
    found = ibis.duckdb.connect().to_pyarrow(table.select(day=day)).column("day").to_pylist()
    assert found == [day_number(moment, zone) for moment in moments]


def test_days_are_counted_from_1970():
    assert day_number(datetime(1997, 1, 1, tzinfo=UTC), ZoneInfo("UTC")) == 9862
