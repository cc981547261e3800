import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import (
    IdentityCalibrator,
    IsotonicCalibrator,
    SigmoidCalibrator,
    calibration_curve,
    calibrator_from_dict,
)

ALL = [IdentityCalibrator, SigmoidCalibrator, IsotonicCalibrator]
probabilities = st.floats(0, 1)
labelled = st.lists(st.tuples(probabilities, st.integers(0, 1)), min_size=1, max_size=40)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
@settings(max_examples=60, deadline=None)
@given(rows=labelled, asked=st.lists(probabilities, min_size=1, max_size=20))
def test_a_calibrator_never_turns_an_order_round_nor_leaves_0_to_1(kind, rows, asked):
    p, y = zip(*rows, strict=True)
    calibrated = kind().fit(p, y).predict(np.sort(asked))
    assert (np.diff(calibrated) >= -1e-15).all()
    assert ((calibrated >= 0.0) & (calibrated <= 1.0)).all()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
@settings(max_examples=60, deadline=None)
@given(rows=labelled, asked=st.lists(probabilities, min_size=1, max_size=20))
def test_a_calibrator_comes_back_from_json_to_the_last_bit(kind, rows, asked):
    p, y = zip(*rows, strict=True)
    fitted = kind().fit(p, y)
    restored = calibrator_from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert type(restored) is kind
    assert restored.predict(asked).tobytes() == fitted.predict(asked).tobytes()
    assert restored.to_dict() == fitted.to_dict()


@pytest.mark.parametrize("kind", [SigmoidCalibrator, IsotonicCalibrator], ids=lambda k: k.kind)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_whole_weight_counts_as_that_many_rows(kind, seed):
    rng = np.random.default_rng(seed)
    p, weights = rng.random(30), rng.integers(1, 4, 30)
    y = rng.random(30) < p
    asked = np.linspace(0, 1, 9)
    repeated = kind().fit(np.repeat(p, weights), np.repeat(y, weights)).predict(asked)
    assert kind().fit(p, y, weights).predict(asked) == pytest.approx(repeated, abs=1e-7)


@pytest.mark.parametrize("kind", [SigmoidCalibrator, IsotonicCalibrator], ids=lambda k: k.kind)
def test_a_calibrator_mends_what_it_is_for(kind):
    rng = np.random.default_rng(0)
    p = rng.beta(1, 4, 40_000)
    y = rng.random(p.size) < p
    distorted = np.sqrt(p)
    assert np.abs(kind().fit(distorted, y).predict(distorted) - p).mean() < 0.015


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
def test_labels_and_predictions_of_different_length_are_refused(kind):
    with pytest.raises(ConfigurationError, match="'p' has 3 rows, 2 are expected"):
        kind().fit([0.1, 0.2, 0.3], [0, 1])


@pytest.mark.parametrize("kind", [SigmoidCalibrator, IsotonicCalibrator], ids=lambda k: k.kind)
@pytest.mark.parametrize("use", [lambda c: c.predict([0.5]), lambda c: c.to_dict()])
def test_a_calibrator_that_has_not_learned_says_so(kind, use):
    with pytest.raises(ConfigurationError, match=rf"This {kind.__name__} has not learned"):
        use(kind())


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
def test_the_state_of_another_kind_is_refused(kind):
    with pytest.raises(ConfigurationError, match="its kind is 'other', not"):
        kind.from_dict({"kind": "other"})


def test_a_misspelt_kind_is_refused_with_the_near_name():
    with pytest.raises(ConfigurationError, match="did you mean 'sigmoid'"):
        calibrator_from_dict({"kind": "sigmoyd"})


def test_the_identity_returns_a_copy():
    p = np.array([0.25, 0.5])
    calibrated = IdentityCalibrator().predict(p)
    calibrated[0] = 0.0
    assert p[0] == 0.25


def test_the_curve_holds_means_and_counts_of_equal_bins():
    curve = calibration_curve([0, 1, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.8, 0.9], n_bins=2)
    assert curve.predicted == pytest.approx([0.2, 0.7])
    assert curve.observed == pytest.approx([1 / 3, 2 / 3])
    assert curve.count.tolist() == [3, 3]


@settings(max_examples=50, deadline=None)
@given(rows=labelled, n_bins=st.integers(1, 20))
def test_the_curve_loses_no_row_and_rises_in_prediction(rows, n_bins):
    p, y = zip(*rows, strict=True)
    curve = calibration_curve(y, p, n_bins)
    assert curve.count.sum() == len(rows)
    assert (curve.count > 0).all()
    assert (np.diff(curve.predicted) >= 0).all()
    assert (curve.observed * curve.count).sum() == pytest.approx(sum(y))
    low, high = curve.interval()
    assert ((low >= 0) & (low <= curve.observed + 1e-12)).all()
    assert ((high <= 1) & (high >= curve.observed - 1e-12)).all()


def test_the_interval_of_the_curve_is_wilsons():
    curve = calibration_curve([1] * 2 + [0] * 8, [0.2] * 10, n_bins=5)
    low, high = curve.interval(0.95)
    # Roots of |0.2 - x| = 1.96 sqrt(x (1 - x) / 10).
    for bound in (low[0], high[0]):
        assert abs(0.2 - bound) == pytest.approx(1.959964 * np.sqrt(bound * (1 - bound) / 10))


def test_the_curve_is_shown_as_a_frame():
    curve = calibration_curve([0, 1], [0.1, 0.9], n_bins=2)
    assert curve.to_frame().columns.to_list() == ["predicted", "observed", "count"]
    assert "<table" in curve._repr_html_()


def test_a_level_that_is_no_fraction_is_refused():
    with pytest.raises(ConfigurationError, match="'level' is 95"):
        calibration_curve([0, 1], [0.1, 0.9]).interval(95)
