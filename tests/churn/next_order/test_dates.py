"""Chances by day and dates follow from hazards, and agree with each other."""

import itertools
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlmarket.churn.next_order.dates import (
    DAYS,
    HORIZONS,
    calendar_days,
    chance_by_day,
    expected_dates,
)

HAZARDS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 5), st.just(13)), elements=st.floats(1e-6, 1 - 1e-6)
)


@given(HAZARDS)
@settings(deadline=None)
def test_a_longer_horizon_is_never_less_likely(hazard):
    chance = chance_by_day(hazard)
    assert (np.diff(chance, axis=1) >= 0).all()
    assert ((chance > 0) & (chance <= 1)).all()
    short = [chance[:, horizon - 1] for horizon in HORIZONS]
    assert all((one <= other).all() for one, other in itertools.pairwise(short))


@given(HAZARDS)
@settings(deadline=None)
def test_the_band_holds_the_date_and_lies_ahead(hazard):
    dates = expected_dates(chance_by_day(hazard))
    assert (dates.low >= 1).all()
    assert (dates.high <= DAYS).all()
    assert ((dates.low <= dates.middle) & (dates.middle <= dates.high)).all()


@given(HAZARDS)
@settings(deadline=None)
def test_the_chance_of_whole_weeks_is_that_of_their_hazards(hazard):
    chance = chance_by_day(hazard)
    came = 1.0 - np.cumprod(1.0 - hazard, axis=1)
    for week in (0, 1, 3, 11):
        np.testing.assert_allclose(chance[:, 7 * week + 6], came[:, week], rtol=1e-9)


def test_a_constant_hazard_has_the_median_of_a_truncated_exponential():
    rate = 1.0 / 40.0
    chance = chance_by_day(np.full((1, 13), -np.expm1(-7 * rate)))
    within = -np.expm1(-DAYS * rate)
    truth = -np.log1p(-0.5 * within) / rate
    assert expected_dates(chance).middle[0] == pytest.approx(truth, abs=1.0)


def test_a_day_ahead_is_a_calendar_day():
    today = (date(2026, 3, 28) - date(1970, 1, 1)).days
    days = calendar_days(np.array([1, 4]), today=today)
    assert [day.date() for day in days.to_pylist()] == [date(2026, 3, 29), date(2026, 4, 1)]
