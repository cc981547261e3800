"""Contracts become rows of months, and months become a life table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.churn.subscription.periods import life_table, person_periods
from mlmarket.errors import ConfigurationError

# Freireich et al. (1963), 6-mercaptopurine, as every textbook prints it: weeks, and relapse or not.
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
# Kaplan-Meier of the treated, as printed with them: S(6), S(7), S(10), S(13), S(16), S(22), S(23).
PUBLISHED = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}


def test_the_life_table_is_the_published_kaplan_meier_curve():
    patients = pd.DataFrame({"duration": np.array(WEEKS) * 7, "event": RELAPSED})
    table = life_table(person_periods(patients, period="1W")).set_index("tenure")
    for week, survival in PUBLISHED.items():
        assert table["survival"][(week - 1) * 7.0] == pytest.approx(survival, abs=5e-4)
    assert table["at_risk"].tolist()[:7] == [21] * 6 + [17]


def _counted(durations, ended, period):
    """Count the same one contract and one period after the other."""
    rows = []
    for days, over in zip(durations, ended, strict=True):
        begin = 0
        while begin + period <= days or (over and begin < days):
            rows.append((float(begin), int(over and begin < days <= begin + period)))
            begin += period
    return rows


CONTRACTS = st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=30)


@given(contracts=CONTRACTS, period=st.integers(1, 60))
def test_each_period_at_risk_is_one_row(contracts, period):
    durations, ended = zip(*contracts, strict=True)
    frame = pd.DataFrame({"duration": durations, "event": ended})
    rows = person_periods(frame, period=f"{period}D")
    found = list(rows[["tenure", "ended"]].itertuples(index=False, name=None))
    assert found == _counted(durations, ended, period)
    assert rows["ended"].sum() == sum(ended)


def test_time_spans_count_like_days_and_covariates_stay_with_their_contract():
    frame = pd.DataFrame(
        {"length": pd.to_timedelta([31, 60], "D"), "over": [True, True], "plan": ["a", "b"]},
        index=["x", "y"],
    )
    rows = person_periods(frame, duration="length", event="over")
    assert rows.index.tolist() == ["x", "x", "y", "y"]
    assert rows["plan"].tolist() == ["a", "a", "b", "b"]
    assert rows["ended"].tolist() == [0, 1, 0, 1]


def test_months_before_a_contract_was_watched_are_no_evidence_that_it_lasts():
    frame = pd.DataFrame({"duration": [100, 100], "event": [1, 0], "seen_from": [45, 99]})
    rows = person_periods(frame, entry="seen_from")
    assert rows["tenure"].tolist() == [60.0, 90.0]
    assert rows["ended"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"duration": [10, -3]},
            "1 values that are missing, below zero or beyond 100 years, such as .*-3.* in row 1",
        ),
        ({"duration": [10.0, np.nan]}, "missing, below zero"),
        ({"duration": [10, 0]}, "ended with a 'duration' of 0, such as row 1"),
        ({"duration": ["10", "20"]}, "neither days nor a time span"),
        ({"event": [1, 2]}, "neither 0 nor 1, such as .*2"),
        ({"event": [True, None]}, "neither 0 nor 1"),
        ({"tenure": [1, 2]}, "has a column 'tenure' already"),
        ({"duration": [1, 10**12]}, "beyond 100 years, such as"),
    ],
)
def test_contracts_that_make_no_sense_are_refused(columns, message):
    frame = pd.DataFrame({"duration": [10, 20], "event": [1, 1]} | columns)
    with pytest.raises(ConfigurationError, match=message):
        person_periods(frame)


def test_a_misspelt_column_is_named_with_the_near_one():
    frame = pd.DataFrame({"durations": [10], "event": [1]})
    with pytest.raises(ConfigurationError, match="did you mean 'durations'"):
        person_periods(frame)
    with pytest.raises(ConfigurationError, match="A frame is needed, not list"):
        person_periods([1, 2])


def test_more_rows_than_memory_holds_are_not_begun():
    frame = pd.DataFrame({"duration": [36_000] * 20, "event": 0})
    with pytest.raises(ConfigurationError, match="Periods of 1min would make 1,036,800,000 rows"):
        person_periods(frame, period="1min")
