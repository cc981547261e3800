"""The level of the latest window, believed as far as it may last."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from mlmarket.prediction.level import level_belief, level_shift


def test_the_shift_of_a_window_is_found_again():
    draw = np.random.default_rng(0)
    said = draw.uniform(0.05, 0.6, 40_000)
    label = (draw.random(40_000) < expit(logit(said) + 0.4)).astype(np.int8)
    assert level_shift(said, label, belief=1.0) == pytest.approx(0.4, abs=0.03)
    assert level_shift(said, label, belief=0.5) == pytest.approx(0.2, abs=0.015)


@given(st.integers(1, 60), st.integers(0, 60), st.floats(1e-6, 1 - 1e-6))
def test_few_rows_move_little_and_none_is_certain(rows, positives, said):
    label = (np.arange(rows) < positives).astype(np.int8)
    shift = level_shift(np.full(rows, said), label, belief=1.0)
    wanted = (label.sum() + 20.0 * said) / (rows + 20.0)
    assert abs(shift) <= 5.0
    if abs(shift) < 5.0:
        assert expit(logit(said) + shift) == pytest.approx(wanted, rel=1e-6)


def test_a_shift_is_believed_less_the_longer_ago_it_was():
    assert level_belief(timedelta(days=30)) == 0.5
    assert level_belief(timedelta(days=90)) == 0.125
