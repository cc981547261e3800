"""Which numbers of a row are the largest."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mlmarket.recommend.generators.selection import largest

_NUMBERS = st.sampled_from(np.array([-np.inf, -1, 0, 0.5, 1, 1.5, 2, np.nan], np.float32).tolist())


@settings(derandomize=True, deadline=None)
@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=_NUMBERS),
    st.integers(0, 15),
)
def test_they_are_those_of_a_stable_sort(scores, k):
    items, found = largest(scores, k)
    for row, numbers in enumerate(scores):
        order = [item for item in np.argsort(-numbers, kind="stable") if numbers[item] > 0][:k]
        assert items[row].tolist() == order + [-1] * (k - len(order))
        np.testing.assert_array_equal(found[row, : len(order)], numbers[order])
        assert np.isneginf(found[row, len(order) :]).all()
