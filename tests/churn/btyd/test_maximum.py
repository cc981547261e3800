import numpy as np
import pytest

from mlmarket.churn.btyd.maximum import maximise
from mlmarket.errors import RunError

CENTRE, SHARPNESS = np.array([0.5, -1.0]), np.array([[3.0, 1.0], [1.0, 2.0]])


def _hill(place):
    away = place - CENTRE
    return -0.5 * away @ SHARPNESS @ away, -SHARPNESS @ away, -SHARPNESS


def test_the_top_of_a_hill_is_found_with_its_sharpness():
    top = maximise(_hill, np.zeros(2), contacts=10.0)
    np.testing.assert_allclose(top.place, CENTRE, atol=1e-12)
    np.testing.assert_allclose(top.covariance, np.linalg.inv(SHARPNESS), rtol=1e-12)
    assert top.converged
    assert top.loose == ()
    assert top.log_likelihood == pytest.approx(0.0, abs=1e-20)


def test_a_slope_without_a_top_is_said_to_have_none():
    def slope(place):
        fall = np.exp(-place)
        return -fall.sum(), fall, -np.diag(fall)

    top = maximise(slope, np.zeros(2), contacts=1.0)
    assert not top.converged
    assert top.loose == (0, 1)
    assert top.covariance is None


def test_a_flat_direction_has_no_covariance():
    def ridge(place):
        return -0.5 * place[0] ** 2, np.array([-place[0], 0.0]), np.diag([-1.0, 0.0])

    top = maximise(ridge, np.ones(2), contacts=1.0)
    assert not top.converged
    assert top.covariance is None


def test_what_is_no_number_is_refused():
    def nothing(place):
        return np.nan, place, np.eye(2)

    with pytest.raises(RunError, match=r"(?s)not a number.*Fix: "):
        maximise(nothing, np.zeros(2), contacts=1.0)
