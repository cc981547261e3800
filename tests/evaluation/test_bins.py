import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.bins import equal_count_bins, rank

coarse = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.integers(0, 8).map(lambda number: number / 8)
)


def test_distinct_predictions_fill_bins_of_equal_size():
    p = np.random.default_rng(0).permutation(np.linspace(0, 1, 150))
    assert np.bincount(equal_count_bins(p, 15)).tolist() == [10] * 15


@settings(max_examples=100, deadline=None)
@given(p=coarse, n_bins=st.integers(1, 20))
def test_equal_predictions_share_a_bin_and_larger_ones_never_lie_below(p, n_bins):
    bins = equal_count_bins(p, n_bins)
    order = np.argsort(p, kind="stable")
    rises = np.diff(bins[order])
    assert (rises >= 0).all()
    assert (rises[np.diff(p[order]) == 0] == 0).all()
    assert bins.min() >= 0
    assert bins.max() < n_bins


@settings(max_examples=100, deadline=None)
@given(p=coarse, n_bins=st.integers(1, 20))
def test_a_weight_of_two_is_the_row_twice(p, n_bins):
    twice = np.concatenate([p, p])
    weights = np.full(p.size, 2.0)
    assert (equal_count_bins(twice, n_bins)[: p.size] == equal_count_bins(p, n_bins)).all()
    assert (equal_count_bins(p, n_bins, weights) == equal_count_bins(p, n_bins, weights / 2)).all()


def test_a_ranking_gathers_the_weights_of_equal_predictions():
    y, p, w = np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.2, 0.5]), np.array([1.0, 2.0, 4.0])
    ranking = rank(y, p, w)
    assert ranking.value.tolist() == [0.2, 0.5]
    assert ranking.positive.tolist() == [0.0, 5.0]
    assert ranking.negative.tolist() == [2.0, 0.0]
    assert ranking.position.tolist() == [1, 0, 1]


def test_a_number_of_bins_below_one_is_refused():
    with pytest.raises(ConfigurationError, match="'n_bins' is 0"):
        equal_count_bins(np.array([0.5]), 0)
