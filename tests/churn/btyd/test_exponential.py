"""The likelihood of Pareto/NBD, beside integrals and closed forms with many digits (mpmath)."""

import numpy as np
import pytest

from mlmarket.churn.btyd.exponential import (
    ExponentialLikelihood,
    bought_before_leaving,
    log_odds_of_leaving,
)
from mlmarket.churn.btyd.histories import Histories, History

USUAL = (0.553, 10.578, 0.606, 11.669)
# Integrated over rates and times of leaving, from what a single contact does.
ROWS = [
    (USUAL, (2, 30.43, 38.86), -9.55428324515, 0.869167559153),
    (USUAL, (0, 0.0, 38.86), -0.521046294088, 0.295286604612),
    ((1.5, 3.0, 2.0, 40.0), (11, 20.0, 39.0), -22.3046521241, 0.00512150612166),
]
# The closed form with 300 digits: with fewer it is wrong for busy contacts and long histories.
ODDS = [
    ((2.0, 0.05, 0.3, 60.0), (400, 100.0, 300.0), 434.08199874318),
    ((0.02, 500.0, 8.0, 0.004), (0, 0.0, 260.0), 88.665637650839),
    ((30.0, 20.0, 5.0, 700.0), (900, 3.0, 299.0), 2438.7303492057),
]


def _arrays(row):
    return tuple(np.array([float(number)]) for number in row)


@pytest.mark.parametrize(("parameters", "row", "log_likelihood", "alive"), ROWS)
def test_a_row_is_as_likely_as_the_integral_says(parameters, row, log_likelihood, alive):
    likelihood = ExponentialLikelihood(Histories(*_arrays(row), np.ones(1)))
    assert likelihood(np.log(parameters))[0] == pytest.approx(log_likelihood, abs=1e-9)
    log_odds = log_odds_of_leaving(History(*_arrays(row)), np.array(parameters))
    assert 1 / (1 + np.exp(log_odds[0])) == pytest.approx(alive, abs=1e-10)


@pytest.mark.parametrize(("parameters", "row", "wanted"), ODDS)
def test_busy_contacts_and_long_histories_lose_no_digits(parameters, row, wanted):
    log_odds = log_odds_of_leaving(History(*_arrays(row)), np.array(parameters))
    assert log_odds[0] == pytest.approx(wanted, rel=1e-11)


@pytest.mark.parametrize("swapped", [False, True])
def test_gradient_and_hessian_are_those_of_the_value(swapped):
    draw = np.random.default_rng(1)
    frequency = np.sort(draw.poisson(3, 40)).astype(float)
    length = draw.uniform(5, 40, 40)
    recency = np.where(frequency > 0, draw.uniform(0.1, 1, 40) * length, 0.0)
    histories = Histories(frequency, recency, length, draw.integers(1, 9, 40).astype(float))
    likelihood = ExponentialLikelihood(histories)
    place = np.log([0.7, 15.0, 0.9, 4.0] if swapped else [0.7, 5.0, 0.9, 14.0])
    step = 1e-5 * np.eye(4)
    value = [(likelihood(place + s)[0] - likelihood(place - s)[0]) / 2e-5 for s in step]
    slope = [(likelihood(place + s)[1] - likelihood(place - s)[1]) / 2e-5 for s in step]
    _, gradient, hessian = likelihood(place)
    np.testing.assert_allclose(gradient, value, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(hessian, slope, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "x", "length", "horizon", "wanted"),
    [
        (USUAL, 2, 38.86, 39.0, 0.68103931187948),
        ((0.02, 0.3, 8.0, 400.0), 30, 52.0, 26.0, 0.96923627314477),
    ],
)
def test_the_chance_of_a_purchase_agrees_with_its_integral(parameters, x, length, horizon, wanted):
    history = History(*_arrays((x, length, length)))
    found = bought_before_leaving(history, np.array(parameters), horizon=horizon)
    assert found[0] == pytest.approx(wanted, rel=1e-11)


def test_who_has_just_bought_is_active():
    row = History(*_arrays((3, 20.0, 20.0)))
    assert log_odds_of_leaving(row, np.array(USUAL))[0] == -np.inf
    value, gradient, hessian = ExponentialLikelihood(
        Histories(row.frequency, row.recency, row.length, np.ones(1))
    )(np.log(USUAL))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()
