import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import Interval, expected_total, relative_total_error


def poisson_binomial(p):
    chances = np.array([1.0])
    for one in p:
        chances = np.convolve(chances, [1.0 - one, one])
    return chances


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 120),
    mean=st.sampled_from([0.005, 0.05, 0.3, 0.7, 0.97]),
    seed=st.integers(0, 10_000),
)
def test_the_interval_holds_the_exact_count_about_as_often_as_it_says(size, mean, seed):
    p = np.random.default_rng(seed).beta(10 * mean, 10 * (1 - mean), size)
    total = expected_total(p, level=0.9)
    chances = poisson_binomial(p)
    counts = np.arange(size + 1)
    held = chances[(counts >= total.low) & (counts <= total.high)].sum()
    assert held >= 0.87


def test_an_error_shared_by_all_widens_the_interval_to_hold_the_truth():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 9, 5000)
    plain, shared = expected_total(p), expected_total(p, relative_error=0.15)
    factors = rng.gamma(1 / 0.15**2, 0.15**2, 2000)
    seen = rng.poisson(p.sum() * factors)
    assert np.mean((seen >= shared.low) & (seen <= shared.high)) == pytest.approx(0.9, abs=0.03)
    assert np.mean((seen >= plain.low) & (seen <= plain.high)) < 0.5


@settings(max_examples=60, deadline=None)
@given(
    p=st.lists(st.floats(0, 1), min_size=1, max_size=40),
    error=st.floats(0, 3),
    level=st.floats(0.01, 0.99),
)
def test_bounds_surround_the_total_and_are_people_that_exist(p, error, level):
    total = expected_total(p, relative_error=error, level=level)
    assert 0.0 <= total.low <= total.value <= total.high <= len(p) + 1e-9


@settings(max_examples=30, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=2, max_size=40), seed=st.integers(0, 100))
def test_the_order_of_people_changes_no_digit(p, seed):
    moved = np.random.default_rng(seed).permutation(p)
    assert expected_total(moved, relative_error=0.1) == expected_total(p, relative_error=0.1)


def test_certainty_has_no_interval():
    assert expected_total([0.0, 1.0, 1.0]) == Interval(2.0, 2.0, 2.0, 0.9)


def test_a_higher_level_is_never_narrower():
    p = np.full(300, 0.1)
    narrow, wide = expected_total(p, level=0.5), expected_total(p, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_shared_error_of_simulated_periods_is_found():
    rng = np.random.default_rng(0)
    expected = np.full(4000, 400.0)
    observed = rng.poisson(expected * rng.gamma(100, 0.01, 4000))
    assert relative_total_error(observed, expected) == pytest.approx(0.1, abs=0.01)


def test_own_chance_alone_is_no_shared_error():
    rng = np.random.default_rng(0)
    observed = rng.binomial(1000, 0.5, 4000)
    expected = np.full(4000, 500.0)
    assert relative_total_error(observed, expected) == 0.0
    exact = relative_total_error(observed, expected, own_chance=np.full(4000, 250.0))
    assert exact < 0.01


def test_an_error_beyond_chance_is_what_remains_of_it():
    error = relative_total_error([110, 90], [100, 100], own_chance=[50, 50])
    assert error == pytest.approx(np.sqrt(0.01 - 0.005))


@pytest.mark.parametrize("wrong", [-0.1, 1e7, float("nan"), float("inf")])
def test_an_impossible_relative_error_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="'relative_error'"):
        expected_total([0.5], relative_error=wrong)


@pytest.mark.parametrize(
    ("observed", "expected", "sentence"),
    [
        ([], [], "'observed' is not a list of totals"),
        ([1, -1], [1, 1], "'observed' is not a list of totals"),
        ([1], [np.nan], "'expected' is not a list of totals"),
        (["many"], [1], "'observed' is not a list of totals"),
        ([1, 2], [1], "2 observed, 1 expected"),
        ([1, 2], [1, 0], "An expected total is zero"),
    ],
)
def test_totals_that_cannot_be_compared_are_refused(observed, expected, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        relative_total_error(observed, expected)
