import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.evaluation import roc_auc
from mlmarket.evaluation.resampling import Draws, calibration_misses, placements


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_placement_is_the_share_of_the_other_class_that_is_beaten(seed):
    rng = np.random.default_rng(seed)
    y, p = np.repeat([0.0, 1.0], 12), np.round(rng.random(24), 1)
    placed = placements(y, p)
    for row in range(y.size):
        others = p[y != y[row]]
        ahead = (p[row] - others) * (1 if y[row] else -1)
        assert placed[row] == pytest.approx(np.mean((ahead > 0) + 0.5 * (ahead == 0)))
    assert placed[y == 1].mean() == pytest.approx(roc_auc(y, p))
    assert placed[y == 0].mean() == pytest.approx(roc_auc(y, p))


def test_draws_in_batches_are_the_draws_one_by_one(monkeypatch):
    values, groups = np.arange(40.0), np.arange(40) // 4
    together = Draws(groups, 40, 0.9, 25, 3).means(values)
    monkeypatch.setattr("mlmarket.evaluation.resampling._CELLS_AT_ONCE", 1)
    assert Draws(groups, 40, 0.9, 25, 3).means(values) == pytest.approx(together, rel=1e-12)


def test_drawn_means_scatter_as_means_do():
    values = np.random.default_rng(0).normal(size=400)
    means = Draws(None, 400, 0.9, 2000, 0).means(values)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.1)


def test_percentiles_leave_out_the_undefined_and_are_undefined_where_most_are():
    draws = Draws(None, 4, 0.5, 4, 0)
    assert draws.percentiles(np.array([1.0, 2.0, 3.0, np.nan])) == (1.5, 2.5)
    assert np.isnan(draws.percentiles(np.array([1.0, np.nan, np.nan, np.nan]))).all()


def test_gaps_of_pure_noise_are_not_taken_for_the_truth():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, (500, 15))
    small, large = calibration_misses(noise[0] - noise.mean(axis=0), noise)
    assert small.mean() == pytest.approx(np.abs(noise).sum(axis=1).mean())
    assert large.mean() < small.mean()


def test_gaps_far_above_the_noise_are_missed_on_both_sides_alike():
    noise = np.random.default_rng(0).normal(0, 0.001, (500, 15))
    for misses in calibration_misses(np.full(15, 0.05), noise):
        assert misses.mean() == pytest.approx(0.0, abs=0.001)


def test_no_gap_at_all_leaves_only_the_noise():
    noise = np.array([[0.1, -0.2], [0.0, 0.1]])
    (misses,) = calibration_misses(np.zeros(2), noise)
    assert misses == pytest.approx([0.3, 0.1])
