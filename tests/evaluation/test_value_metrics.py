import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import (
    bootstrap,
    decile_error,
    mean_absolute_error,
    normalised_gini,
    paired_difference,
    total_bias,
    tweedie_deviance,
)

ALL = [normalised_gini, mean_absolute_error, total_bias, decile_error, tweedie_deviance]
by_name = pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.__name__)


def sample(seed, size=500, *, ties=False):
    """Return compound Poisson-Gamma amounts and what is known of them, with zeros and a tail."""
    rng = np.random.default_rng(seed)
    expected = rng.gamma(0.5, 40.0, size) + 0.5
    actual = np.array([rng.gamma(2.0, 15.0, n).sum() for n in rng.poisson(expected / 30.0)])
    predicted = np.round(expected, -1) if ties else expected
    return actual, predicted, rng.integers(1, 5, size)


def gini_by_pairs(actual, predicted):
    """Return the normalised Gini from all pairs of contacts, as its definition by ranks says."""

    def area(by):
        above = (by[:, None] > by[None, :]).astype(float) + 0.5 * (by[:, None] == by[None, :])
        rank_share = above.mean(axis=0)  # share of contacts that stand before this one
        return 0.5 - np.average(rank_share, weights=actual)

    return area(predicted) / area(actual)


@pytest.mark.parametrize("ties", [False, True])
def test_the_gini_agrees_with_its_definition_over_all_pairs(ties):
    actual, predicted, _ = sample(1, ties=ties)
    assert normalised_gini(actual, predicted) == pytest.approx(gini_by_pairs(actual, predicted))


def test_the_gini_agrees_with_a_count_by_hand():
    # From the best down: 10, 30, 0, 0; the perfect order has 30, 10, 0, 0. Areas 0.1875 and 0.3125.
    assert normalised_gini([0, 0, 10, 30], [1, 2, 9, 3]) == pytest.approx(0.1875 / 0.3125)


def test_the_perfect_order_has_one_the_reversed_order_minus_one_and_chance_none():
    actual = np.arange(10.0)
    assert normalised_gini(actual, actual**2) == pytest.approx(1.0)
    assert normalised_gini(actual, 9 - actual) == pytest.approx(-1.0)
    assert normalised_gini(actual, np.ones(10)) == pytest.approx(0.0)


def test_for_labels_the_gini_is_twice_the_auc_less_one():
    rng = np.random.default_rng(4)
    p = np.round(rng.random(300), 2)
    label = (rng.random(300) < p).astype(int)
    assert normalised_gini(label, p) == pytest.approx(2 * sk.roc_auc_score(label, p) - 1)


@pytest.mark.parametrize("actual", [[0, 0, 0], [5, 5, 5]])
def test_the_gini_is_undefined_where_all_are_worth_the_same(actual):
    assert np.isnan(normalised_gini(actual, [1, 2, 3]))


@pytest.mark.parametrize("weighted", [False, True])
def test_deviance_and_absolute_error_agree_with_scikit_learn(weighted):
    actual, predicted, weights = sample(2)
    chosen = weights if weighted else None
    assert tweedie_deviance(actual, predicted, sample_weight=chosen) == pytest.approx(
        sk.mean_tweedie_deviance(actual, predicted, power=1.5, sample_weight=chosen)
    )
    assert mean_absolute_error(actual, predicted, sample_weight=chosen) == pytest.approx(
        sk.mean_absolute_error(actual, predicted, sample_weight=chosen)
    )


def test_the_deviance_of_nothing_expected_is_large_but_finite():
    assert 100 < tweedie_deviance([0.0, 40.0], [0.0, 0.0]) < 1e4
    assert tweedie_deviance([0.0, 0.0], [0.0, 0.0]) == 0.0


def test_half_of_the_total_is_a_bias_of_minus_a_half():
    actual, _, _ = sample(3)
    assert total_bias(actual, actual / 2) == pytest.approx(-0.5)
    assert decile_error(actual, actual / 2) == pytest.approx(0.5)
    assert np.isnan(total_bias([0.0], [1.0]))
    assert np.isnan(decile_error([0.0], [1.0]))


@by_name
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.booleans())
def test_the_order_of_rows_does_not_matter(metric, seed, ties):
    actual, predicted, _ = sample(seed, 40, ties=ties)
    order = np.random.default_rng(seed).permutation(40)
    assert metric(actual[order], predicted[order]) == pytest.approx(
        metric(actual, predicted), rel=1e-9, abs=1e-12, nan_ok=True
    )


@pytest.mark.parametrize(
    "metric", [one for one in ALL if one is not tweedie_deviance], ids=lambda one: one.__name__
)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_whole_weight_is_that_many_rows(metric, seed):
    actual, predicted, weights = sample(seed, 40, ties=True)
    repeated = metric(np.repeat(actual, weights), np.repeat(predicted, weights))
    assert metric(actual, predicted, sample_weight=weights) == pytest.approx(
        repeated, rel=1e-9, abs=1e-12, nan_ok=True
    )


@by_name
@pytest.mark.parametrize(
    ("actual", "predicted", "problem"),
    [
        ([1.0, np.nan], [1.0, 1.0], "'actual' is not finite in 1 of 2 rows, first in row 1"),
        ([1.0, -2.0], [1.0, 1.0], "'actual' is below zero in 1 of 2 rows"),
        ([1.0, 2.0], [1.0, -1.0], "'predicted' is below zero"),
        ([1.0, 2.0], [1.0], "'predicted' has 1 rows, 2 are expected"),
        ([], [], "'actual' is empty"),
    ],
)
def test_an_unusable_amount_stops_with_a_sentence(metric, actual, predicted, problem):
    with pytest.raises(ConfigurationError, match=problem):
        metric(actual, predicted)


@by_name
def test_every_measure_has_an_interval_around_it(metric):
    actual, predicted, _ = sample(5)
    interval = bootstrap(metric, actual, predicted, n_resamples=200, random_state=0)
    assert interval.low < interval.value < interval.high
    assert interval.value == metric(actual, predicted)


def test_the_interval_of_the_gini_is_that_of_drawing_the_rows():
    actual, predicted, _ = sample(6, 300, ties=True)
    interval = bootstrap(normalised_gini, actual, predicted, n_resamples=300, random_state=1)
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(300):
        rows = rng.integers(300, size=300)
        drawn.append(normalised_gini(actual[rows], predicted[rows]))
    assert (interval.low, interval.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


def test_a_better_order_has_a_difference_above_zero():
    actual, predicted, _ = sample(7, 2000)
    noisy = predicted * np.random.default_rng(0).gamma(1.0, 1.0, 2000)
    gain = paired_difference(
        normalised_gini, actual, predicted, noisy, n_resamples=200, random_state=0
    )
    assert gain.low > 0
    same = paired_difference(normalised_gini, actual, noisy, noisy, random_state=0)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_rows_of_a_contact_are_drawn_together():
    actual, predicted, _ = sample(8, 300)
    twice = [np.repeat(one, 2) for one in (actual, predicted, np.arange(300))]
    apart = bootstrap(normalised_gini, actual, predicted, n_resamples=200, random_state=0)
    together = bootstrap(
        normalised_gini, twice[0], twice[1], groups=twice[2], n_resamples=200, random_state=0
    )
    assert (together.low, together.high) == pytest.approx((apart.low, apart.high))
