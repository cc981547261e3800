import numpy as np
import pytest
from scipy.special import digamma, gammaln, polygamma

from mlmarket.churn.btyd.rising import Rising

NUMBERS = np.array([0.0, 0.0, 1.0, 4.0, 17.0])
COUNT = np.array([2.0, 5.0, 3.0, 1.0, 2.0])


@pytest.mark.parametrize("value", [0.01, 1.0, 30.0])
def test_the_sums_are_those_of_gamma_functions(value):
    found = Rising(NUMBERS, COUNT).at(value)
    wanted = [
        COUNT @ (function(value + NUMBERS) - function(value))
        for function in (gammaln, digamma, lambda v: polygamma(1, v))
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_nothing_is_lost_where_the_value_is_large():
    found = Rising(np.array([2.0]), np.ones(1)).at(1e12)
    assert found[0] == pytest.approx(2 * np.log(1e12) + 1e-12, rel=1e-15)


def test_who_bought_once_adds_nothing():
    assert Rising(np.zeros(3), np.ones(3)).at(0.5) == (0.0, 0.0, 0.0)
