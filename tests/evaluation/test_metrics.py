import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlmarket.evaluation import (
    average_precision,
    brier_score,
    expected_calibration_error,
    lift,
    log_loss,
    roc_auc,
)

ALL = [log_loss, brier_score, roc_auc, average_precision, expected_calibration_error, lift]
REFERENCES = {
    log_loss: sk.log_loss,
    brier_score: sk.brier_score_loss,
    roc_auc: sk.roc_auc_score,
    average_precision: sk.average_precision_score,
}


def sample(seed, size=500, *, ties=False):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, size)
    if ties:
        p = np.round(p, 1).clip(0.05, 0.95)
    return (rng.random(size) < p).astype(int), p, rng.integers(1, 5, size)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("metric", REFERENCES, ids=lambda metric: metric.__name__)
def test_the_measure_agrees_with_scikit_learn(metric, ties):
    y, p, weights = sample(0, ties=ties)
    assert metric(y, p) == pytest.approx(REFERENCES[metric](y, p), rel=1e-12)
    assert metric(y, p, sample_weight=weights) == pytest.approx(
        REFERENCES[metric](y, p, sample_weight=weights), rel=1e-12
    )


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.__name__)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.booleans())
def test_the_order_of_rows_does_not_matter(metric, seed, ties):
    y, p, _ = sample(seed, 40, ties=ties)
    order = np.random.default_rng(seed).permutation(y.size)
    assert metric(y[order], p[order]) == pytest.approx(metric(y, p), rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.__name__)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_whole_weight_is_that_many_rows(metric, seed):
    y, p, weights = sample(seed, 40, ties=True)
    repeated = metric(np.repeat(y, weights), np.repeat(p, weights))
    assert metric(y, p, sample_weight=weights) == pytest.approx(repeated, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("metric", [roc_auc, average_precision, lift], ids=lambda m: m.__name__)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_measure_of_order_ignores_a_rising_map(metric, seed):
    y, p, _ = sample(seed, 40, ties=True)
    assert metric(y, p**2) == pytest.approx(metric(y, p), rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("label", [0, 1])
def test_the_auc_of_one_class_is_undefined(label):
    assert np.isnan(roc_auc([label, label], [0.1, 0.2]))


def test_measures_of_found_positives_are_undefined_without_one():
    assert np.isnan(average_precision([0, 0], [0.1, 0.2]))
    assert np.isnan(lift([0, 0], [0.1, 0.2]))


def test_a_certain_mistake_costs_much_but_not_infinitely_much():
    assert log_loss([1, 0], [0.0, 1.0]) == pytest.approx(-np.log(1e-15), rel=1e-3)
    assert log_loss([1, 0], [1.0, 0.0]) == pytest.approx(0.0, abs=1e-12)


def test_a_row_of_weight_zero_is_not_there():
    y, p = [1, 0, 1, 0], [0.9, 0.8, 0.3, 0.2]
    for metric in ALL:
        kept = metric(y, p, sample_weight=[0, 1, 1, 1])
        assert kept == pytest.approx(metric(y[1:], p[1:]), rel=1e-12)


def test_the_calibration_error_is_the_mean_distance_of_the_bins():
    y = [0, 0, 1, 1, 1, 0]
    p = [0.1, 0.1, 0.5, 0.5, 0.8, 0.8]
    assert expected_calibration_error(y, p, n_bins=3) == pytest.approx((0.1 + 0.5 + 0.3) / 3)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_bins=st.integers(1, 30))
def test_the_calibration_error_is_never_below_the_error_of_the_mean(seed, n_bins):
    y, p, _ = sample(seed, 60, ties=True)
    error = expected_calibration_error(y, p, n_bins)
    assert abs(p.mean() - y.mean()) - 1e-12 <= error <= 1.0


def test_a_constant_prediction_has_the_calibration_error_of_its_mean():
    assert expected_calibration_error([0, 0, 0, 1], [0.5] * 4) == 0.25
