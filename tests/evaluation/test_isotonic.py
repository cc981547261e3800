import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import IsotonicCalibrator


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), decimals=st.integers(1, 8))
def test_without_a_prior_it_is_the_isotonic_regression_of_scikit_learn(seed, decimals):
    rng = np.random.default_rng(seed)
    p, weights = np.round(rng.random(60), decimals), rng.random(60) + 0.1
    y = rng.random(60) < p
    asked = np.linspace(0, 1, 31)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(p, y, weights).predict(asked)
    ours = IsotonicCalibrator(prior=0).fit(p, y, weights).predict(asked)
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_a_stretch_without_a_positive_does_not_become_impossible():
    p = np.linspace(0.01, 0.5, 100)
    y = p > 0.4
    assert IsotonicCalibrator(prior=0).fit(p, y).predict([0.2])[0] == 0.0
    assert 0.0 < IsotonicCalibrator().fit(p, y).predict([0.2])[0] < 0.01


def test_rows_of_weight_zero_are_not_followed():
    calibrator = IsotonicCalibrator(prior=0).fit([0.1, 0.5, 0.9], [0, 0, 1], [1, 0, 1])
    assert calibrator.predicted_.tolist() == [0.1, 0.9]


def test_one_row_gives_one_rate():
    assert IsotonicCalibrator(prior=0).fit([0.3], [1]).predict([0.0, 1.0]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("prior", [-1.0, float("inf"), float("nan")])
def test_an_impossible_prior_is_refused_when_fitting(prior):
    with pytest.raises(ConfigurationError, match=r"'prior' is (?s:.*)zero or more"):
        IsotonicCalibrator(prior=prior).fit([0.1, 0.2], [0, 1])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"predicted": [0.9, 0.1]}, "are not one rising line"),
        ({"calibrated": [0.9, 0.1]}, "are not one rising line"),
        ({"calibrated": [0.1]}, "are not one rising line"),
        ({"calibrated": [0.1, 1.1]}, "'calibrated' is outside 0 to 1"),
        ({"predicted": 0.1}, "'predicted' is not finite or has the wrong shape"),
        ({"prior": None}, "'prior' is not finite"),
    ],
)
def test_a_damaged_state_is_refused(change, problem):
    state = IsotonicCalibrator().fit([0.1, 0.9], [0, 1]).to_dict()
    with pytest.raises(ConfigurationError, match=problem):
        IsotonicCalibrator.from_dict({**state, **change})
