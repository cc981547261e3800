import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.evaluation import SigmoidCalibrator, log_loss


def test_a_known_distortion_of_the_logit_is_found():
    rng = np.random.default_rng(0)
    score = rng.normal(-2, 1, 60_000)
    y = rng.random(score.size) < expit(score)
    calibrator = SigmoidCalibrator().fit(expit(0.5 * score - 1.0), y)
    assert calibrator.slope_ == pytest.approx(2.0, abs=0.06)
    assert calibrator.intercept_ == pytest.approx(2.0, abs=0.12)


def test_the_map_is_the_mode_that_a_general_optimiser_finds():
    rng = np.random.default_rng(1)
    p, weights = rng.beta(1, 5, 80), rng.random(80)
    y = rng.random(80) < np.sqrt(p)
    x = logit(p)
    middle = np.average(x, weights=weights)

    def height(point):
        slope, shift = np.exp(point[0]), point[1]
        q = expit(middle + shift + slope * (x - middle))
        loss = -weights @ np.where(y, np.log(q), np.log1p(-q))
        return loss + 3.0 * (slope - 1.0 - np.log(slope)) + 0.5 * shift**2 / 2.0

    best = minimize(height, [0.0, 0.0], tol=1e-12).x
    calibrator = SigmoidCalibrator(slope_precision=3.0, shift_precision=0.5).fit(p, y, weights)
    assert calibrator.slope_ == pytest.approx(np.exp(best[0]), abs=1e-4)
    assert calibrator.intercept_ == pytest.approx(
        best[1] + middle * (1 - np.exp(best[0])), abs=1e-4
    )


def test_labels_against_the_order_flatten_the_map_and_never_turn_it_round():
    p = np.linspace(0.05, 0.95, 2000)
    y = np.random.default_rng(0).random(p.size) < 1 - p
    calibrator = SigmoidCalibrator().fit(p, y)
    assert 0.0 < calibrator.slope_ < 0.05
    assert calibrator.predict([0.1])[0] < calibrator.predict([0.9])[0]


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_moves_the_level_and_stays_possible(label):
    calibrated = SigmoidCalibrator().fit(np.full(50, 0.3), np.full(50, label)).predict([0.3])[0]
    assert 0.0 < calibrated < 1.0
    assert (calibrated > 0.3) == (label == 1)


def test_three_positives_move_the_slope_little():
    rng = np.random.default_rng(2)
    p = rng.beta(1, 60, 200)
    y = np.zeros(200)
    y[np.argsort(p)[:3]] = 1
    calibrator = SigmoidCalibrator().fit(p, y)
    assert 0.2 < calibrator.slope_ < 1.0
    assert np.abs(calibrator.predict(p) - p).max() < 0.2


def test_strong_priors_leave_predictions_as_they_are():
    p = np.linspace(0.1, 0.9, 9)
    calibrator = SigmoidCalibrator(slope_precision=1e9, shift_precision=1e9).fit(p, p > 0.8)
    assert calibrator.predict(p) == pytest.approx(p, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), power=st.floats(0.3, 3.0))
def test_calibrating_rarely_costs_and_only_what_the_priors_cost(seed, power):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, 400)
    y = rng.random(400) < p
    given = p**power
    calibrated = SigmoidCalibrator().fit(given, y).predict(given)
    assert log_loss(y, calibrated) <= log_loss(y, given) + 1e-9


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0.0, 1e-300, 1e-9, 0.5, 1 - 1e-9, 1.0]),
            st.integers(0, 1),
            st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_extreme_predictions_and_weights_settle(rows):
    p, y, weights = map(np.array, zip(*rows, strict=True))
    weights[0] = 1.0
    calibrator = SigmoidCalibrator().fit(p, y, weights)
    assert np.isfinite([calibrator.slope_, calibrator.intercept_]).all()
    assert calibrator.slope_ > 0.0


@pytest.mark.parametrize("name", ["slope_precision", "shift_precision"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_an_impossible_prior_is_refused_when_fitting(name, value):
    with pytest.raises(ConfigurationError, match=f"'{name}'"):
        SigmoidCalibrator(**{name: value}).fit([0.1, 0.2], [0, 1])


def test_a_search_that_does_not_settle_is_an_error(monkeypatch):
    monkeypatch.setattr("mlmarket.evaluation.sigmoid._MAX_STEPS", 1)
    with pytest.raises(RunError, match="did not settle in 1 steps"):
        SigmoidCalibrator().fit([0.1] * 50, [1] * 50)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"slope": None}, "'slope' is not finite or has the wrong shape"),
        ({"slope": "steep"}, "'slope' is missing or not made of numbers"),
        ({"slope": [1.0]}, "'slope' is not finite or has the wrong shape"),
        ({"slope": -1.0}, "'slope' is -1.0"),
        ({"intercept": float("nan")}, "'intercept' is not finite"),
    ],
)
def test_a_damaged_state_is_refused(change, problem):
    state = SigmoidCalibrator().fit([0.1, 0.9], [0, 1]).to_dict()
    with pytest.raises(ConfigurationError, match=problem):
        SigmoidCalibrator.from_dict({**state, **change})


def test_a_state_without_its_slope_is_refused():
    state = SigmoidCalibrator().fit([0.1, 0.9], [0, 1]).to_dict()
    del state["slope"]
    with pytest.raises(ConfigurationError, match="'slope' is missing"):
        SigmoidCalibrator.from_dict(state)
