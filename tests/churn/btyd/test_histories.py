"""Summaries are read by name from any frame, refused where impossible, and counted."""

from datetime import timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.churn.btyd.histories import count_histories, read_history, read_values
from mlmarket.errors import ConfigurationError, DataContractError

WEEK = timedelta(days=7)
GOOD = {"frequency": [2, 0, 1], "recency": [3.0, 0.0, 5.0], "T": [6.0, 6.0, 5.0]}


def _with(**columns):
    return pd.DataFrame({**GOOD, **columns})


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_columns_are_read_by_name_from_any_frame(frame):
    turned = {name: GOOD[name] for name in ("T", "recency", "frequency")}
    history = read_history(frame(turned), unit=WEEK)
    np.testing.assert_array_equal(history.frequency, [2, 0, 1])
    np.testing.assert_array_equal(history.recency, [3, 0, 5])
    np.testing.assert_array_equal(history.length, [6, 6, 5])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"recency": [3.0, 0.0, 5.5]}, "a recency after T in 1 of 3 rows, first in row 2: 5.5"),
        ({"recency": [0.0, 0.0, 5.0]}, "a frequency above 0 with a recency of 0 in 1 of 3 rows"),
        ({"frequency": [2, 0, 0]}, "a frequency of 0 with a recency above 0 in 1 of 3 rows"),
        ({"frequency": [2, -1, 1]}, "a frequency that is no whole number from 0 up"),
        ({"frequency": [2, 0.5, 1]}, "a frequency that is no whole number from 0 up"),
        ({"recency": [-3.0, 0.0, 5.0]}, "a recency or a T below 0"),
        ({"recency": [3.0, np.nan, 5.0]}, "no finite 'recency' in 1 of 3 rows, first in row 1"),
        ({"T": [6.0, np.inf, 5.0]}, "no finite 'T'"),
    ],
)
def test_a_summary_that_no_contact_can_have_is_refused(columns, said):
    with pytest.raises(DataContractError) as told:
        read_history(_with(**columns), unit=WEEK)
    assert said in str(told.value)
    assert "\nFix: " in str(told.value)


@pytest.mark.parametrize(
    "missing",
    [
        pd.array([2, None, 1], dtype="Int64"),
        pd.array([2, None, 1], dtype=pd.ArrowDtype(pa.int64())),
    ],
)
def test_whole_numbers_with_missing_values_are_refused(missing):
    with pytest.raises(DataContractError, match="no finite 'frequency' in 1 of 3 rows"):
        read_history(_with(frequency=missing), unit=WEEK)


@pytest.mark.parametrize("frame", [pl.DataFrame, pa.table])
def test_missing_whole_numbers_of_other_frames_are_refused_too(frame):
    with pytest.raises(DataContractError, match="no finite 'frequency'"):
        read_history(frame({**GOOD, "frequency": [2, None, 1]}), unit=WEEK)


def test_a_missing_column_names_the_near_one():
    with pytest.raises(
        ConfigurationError, match=r"no column 'recency'[\s\S]*did you mean 'Recency'"
    ):
        read_history(pd.DataFrame(GOOD).rename(columns={"recency": "Recency"}), unit=WEEK)


def test_what_is_no_frame_has_no_columns():
    with pytest.raises(ConfigurationError, match="no column 'frequency'"):
        read_history([1, 2, 3], unit=WEEK)


def test_text_is_no_number():
    with pytest.raises(ConfigurationError, match="'T' of the summary holds something that is no"):
        read_history(_with(T=["a", "b", "c"]), unit=WEEK)


def test_nobody_is_refused():
    with pytest.raises(DataContractError, match="no rows"):
        read_history(pd.DataFrame(GOOD).iloc[:0], unit=WEEK)


def test_a_summary_in_another_unit_is_refused():
    summary = pd.DataFrame(GOOD)
    summary.attrs["unit"] = "1D"
    with pytest.raises(ConfigurationError, match=r"units of 1D, the model counts in units of 7D"):
        read_history(summary, unit=WEEK)
    read_history(summary, unit=timedelta(days=1))


@pytest.mark.parametrize("bad", [0.0, -4.0, np.nan, np.inf])
def test_values_that_are_not_above_0_are_refused_of_contacts_that_bought_again(bad):
    with pytest.raises(DataContractError, match=r"no monetary_value above 0 .* in 1 of 3 rows"):
        read_values(_with(monetary_value=[bad, 5.0, 5.0]))
    _, value = read_values(_with(monetary_value=[5.0, bad, 5.0]))
    np.testing.assert_array_equal(value, [5, 0, 5])


DAYS = st.tuples(st.integers(0, 4), st.integers(1, 60), st.integers(0, 60))


def _history(rows, day=1 / 7):
    frequency = np.array([x for x, _, _ in rows])
    recency = np.array([t * day if x else 0.0 for x, t, _ in rows])
    length = recency + np.array([more * day for _, _, more in rows])
    summary = {"frequency": frequency, "recency": recency, "T": length}
    return read_history(pd.DataFrame(summary), unit=WEEK)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(DAYS, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_equal_histories_are_counted_in_any_order(rows, chance):
    counted = count_histories(_history(rows), unit=WEEK)
    assert counted.contacts == len(rows)
    every = [
        tuple(row)
        for *row, count in zip(
            counted.frequency,
            counted.recency,
            counted.length,
            counted.count.astype(int),
            strict=True,
        )
        for _ in range(count)
    ]
    given_rows = _history(rows)
    wanted = sorted(zip(given_rows.frequency, given_rows.recency, given_rows.length, strict=True))
    np.testing.assert_allclose(every, wanted, atol=1e-12)
    assert len(counted.count) == len(set(every))
    mixed = list(rows)
    chance.shuffle(mixed)
    again = count_histories(_history(mixed), unit=WEEK)
    np.testing.assert_array_equal(again.recency, counted.recency)
    np.testing.assert_array_equal(again.count, counted.count)


def test_times_that_are_no_whole_days_are_rounded_to_minutes_of_a_week():
    history = _history([(1, 3, 4), (2, 5, 6)], day=0.123456789)
    counted = count_histories(history, unit=WEEK)
    np.testing.assert_allclose(counted.recency, history.recency, atol=1 / 10_080)
    np.testing.assert_allclose(counted.length, history.length, atol=1 / 10_080)


def test_a_purchase_right_after_the_first_is_not_at_its_time():
    summary = pd.DataFrame({"frequency": [1, 1], "recency": [1e-7, 0.31], "T": [1e-7, 9.2]})
    counted = count_histories(read_history(summary, unit=WEEK), unit=WEEK)
    assert (counted.recency > 0).all()
    assert (counted.recency <= counted.length).all()


def test_extreme_counts_and_times_still_fit_into_one_number():
    summary = pd.DataFrame({"frequency": [10**6, 0], "recency": [5000.3, 0], "T": [5200.1, 0.2]})
    history = read_history(summary, unit=WEEK)
    counted = count_histories(history, unit=WEEK)
    np.testing.assert_allclose(counted.length[::-1], history.length, rtol=1e-3, atol=0.1)
    np.testing.assert_array_equal(counted.frequency, [0, 10**6])
