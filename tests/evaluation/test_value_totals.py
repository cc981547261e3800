import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import (
    expected_value_total,
    relative_total_error,
    value_dispersion,
    value_own_chance,
)


def _world(rng, people):
    """Return expected values, and a function that draws a compound Poisson-Gamma outcome."""
    expected = rng.gamma(0.7, 60.0, people) + 0.1
    # A Tweedie world of power 1.5: of mean mu and variance phi mu^1.5, here with phi = 12.
    rate, size = expected**0.5 / 6.0, 6.0 * expected**0.5

    def draw():
        orders = rng.poisson(rate)
        return np.where(orders > 0, rng.gamma(np.maximum(orders, 1), size), 0.0)

    return expected, draw


def test_the_dispersion_of_a_known_world_is_found():
    expected, draw = _world(np.random.default_rng(0), 60_000)
    assert value_dispersion(draw(), expected) == pytest.approx(12.0, rel=0.05)


def test_the_interval_holds_as_many_totals_as_it_says():
    expected, draw = _world(np.random.default_rng(1), 150)
    interval = expected_value_total(expected, dispersion=12.0, level=0.8)
    inside = np.mean([interval.low <= draw().sum() <= interval.high for _ in range(2000)])
    assert inside == pytest.approx(0.8, abs=0.03)


def test_what_a_period_shares_widens_the_interval_and_is_found_from_past_totals():
    rng = np.random.default_rng(2)
    expected, draw = _world(rng, 2000)
    own = value_own_chance(expected, dispersion=12.0)
    periods = [draw().sum() * shared for shared in rng.normal(1.0, 0.15, 200)]
    error = relative_total_error(
        periods, np.full(200, expected.sum()), own_chance=np.full(200, own)
    )
    assert error == pytest.approx(0.15, abs=0.03)
    narrow = expected_value_total(expected, dispersion=12.0)
    wide = expected_value_total(expected, dispersion=12.0, relative_error=error)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.floats(0, 1e9), min_size=1, max_size=30),
    dispersion=st.floats(0, 1e4),
    error=st.floats(0, 10),
)
def test_a_total_is_never_below_zero_and_inside_its_interval(values, dispersion, error):
    interval = expected_value_total(values, dispersion=dispersion, relative_error=error)
    assert 0 <= interval.low <= interval.value <= interval.high < np.inf
    shuffled = expected_value_total(values[::-1], dispersion=dispersion, relative_error=error)
    assert interval == shuffled


def test_nothing_expected_is_nothing_for_certain():
    interval = expected_value_total([0.0, 0.0], dispersion=3.0)
    assert (interval.low, interval.value, interval.high) == (0.0, 0.0, 0.0)
    assert np.isnan(value_dispersion([1.0], [0.0]))


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_spread_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="'dispersion' is"):
        expected_value_total([1.0], dispersion=wrong)
    with pytest.raises(ConfigurationError, match="'relative_error' is"):
        expected_value_total([1.0], dispersion=1.0, relative_error=wrong)
