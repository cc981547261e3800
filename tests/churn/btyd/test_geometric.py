"""The likelihood of BG/NBD and its modification, beside integrals that know neither formula.

The golden numbers were integrated over rates and chances to leave with 30 digits (mpmath), from what a
single contact does.
"""

import numpy as np
import pytest

from mlmarket.churn.btyd.geometric import (
    GeometricLikelihood,
    expected_while_active,
    log_odds_of_leaving,
)
from mlmarket.churn.btyd.histories import Histories, History

# first chance, (r, alpha, a, b), (x, t_x, T), log-likelihood, P(alive)
ROWS = [
    (0, (0.243, 4.414, 0.793, 2.426), (2, 30.43, 38.86), -9.45860630707, 0.726578570081),
    (0, (0.243, 4.414, 0.793, 2.426), (0, 0.0, 38.86), -0.554713276438, 1.0),
    (0, (0.6, 6.2, 0.9, 1.6), (7, 12.5, 30.0), -17.443934846, 0.0528218753248),
    (0, (1.7, 3.0, 2.5, 4.0), (26, 31.0, 39.0), -39.263422767, 0.032225008637),
    (1, (0.243, 4.414, 0.793, 2.426), (2, 30.43, 38.86), -9.68718263625, 0.774419242624),
    (1, (0.243, 4.414, 0.793, 2.426), (0, 0.0, 38.86), -0.386952220571, 0.637253337965),
    (1, (0.6, 6.2, 0.9, 1.6), (7, 12.5, 30.0), -17.6601521922, 0.0593595584994),
    (1, (1.7, 3.0, 2.5, 4.0), (26, 31.0, 39.0), -39.3762564361, 0.0332992135058),
]


def _arrays(row):
    return tuple(np.array([float(number)]) for number in row)


@pytest.mark.parametrize(("first_chance", "parameters", "row", "log_likelihood", "alive"), ROWS)
def test_a_row_is_as_likely_as_the_integral_says(
    first_chance, parameters, row, log_likelihood, alive
):
    histories = Histories(*_arrays(row), np.ones(1))
    likelihood = GeometricLikelihood(histories, first_chance=first_chance)
    assert likelihood(np.log(parameters))[0] == pytest.approx(log_likelihood, abs=1e-10)
    log_odds = log_odds_of_leaving(
        History(*_arrays(row)), np.array(parameters), first_chance=first_chance
    )
    assert 1 / (1 + np.exp(log_odds[0])) == pytest.approx(alive, abs=1e-11)


@pytest.mark.parametrize("first_chance", [0, 1])
@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
def test_gradient_and_hessian_are_those_of_the_value(first_chance, scale):
    draw = np.random.default_rng(1)
    frequency = np.sort(draw.poisson(3, 40)).astype(float)
    length = draw.uniform(5, 40, 40)
    recency = np.where(frequency > 0, draw.uniform(0.1, 1, 40) * length, 0.0)
    histories = Histories(frequency, recency, length, draw.integers(1, 9, 40).astype(float))
    likelihood = GeometricLikelihood(histories, first_chance=first_chance)
    place = np.log(np.array([0.7, 5.0, 0.9, 2.0]) * scale)
    step = 1e-5 * np.eye(4)
    value = [(likelihood(place + s)[0] - likelihood(place - s)[0]) / 2e-5 for s in step]
    slope = [(likelihood(place + s)[1] - likelihood(place - s)[1]) / 2e-5 for s in step]
    _, gradient, hessian = likelihood(place)
    np.testing.assert_allclose(gradient, value, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(hessian, slope, rtol=1e-6, atol=1e-5)


def test_the_number_of_contacts_of_a_history_is_a_weight():
    one = Histories(*_arrays((2, 3.0, 9.0)), np.array([3.0]))
    three = Histories(*(np.repeat(part, 3) for part in _arrays((2, 3.0, 9.0))), np.ones(3))
    place = np.log([0.7, 5.0, 0.9, 2.0])
    for once, thrice in zip(
        GeometricLikelihood(one, first_chance=0)(place),
        GeometricLikelihood(three, first_chance=0)(place),
        strict=True,
    ):
        np.testing.assert_allclose(once, thrice, rtol=1e-13)


# (r, alpha, a, b), x, T, horizon: the closed form with 30 digits; a near 0 and 1, long and busy lives.
EXPECTED = [
    ((0.243, 4.414, 0.793, 2.426), 2, 38.86, 39.0, 1.6873993058053),
    ((0.243, 4.414, 0.793, 2.426), 0, 0.0, 39.0, 1.1967231933208),
    ((1.7, 3.0, 2.5, 4.0), 26, 39.0, 500.0, 20.45547082174),
    ((0.3, 0.01, 0.02, 0.4), 1, 10.0, 52.0, 6.5426642756999),
    ((50.0, 800.0, 3.0, 600.0), 150, 100.0, 1e4, 351.81482266285),
]


@pytest.mark.parametrize(("parameters", "x", "length", "horizon", "wanted"), EXPECTED)
def test_expected_purchases_agree_with_the_closed_form(parameters, x, length, horizon, wanted):
    r, alpha, a, b = parameters
    found = expected_while_active(
        np.array([r + x]), np.array([horizon / (alpha + length)]), np.array([b + x]), a
    )
    assert found[0] == pytest.approx(wanted, rel=1e-9)


def test_the_published_example_of_a_contact_that_bought_twice():
    # Fader, Hardie and Lee (2005): x = 2, t_x = 30.43, T = 38.86 is expected to buy 1.226 times.
    parameters = np.array([0.243, 4.414, 0.793, 2.426])
    log_odds = log_odds_of_leaving(History(*_arrays((2, 30.43, 38.86))), parameters, first_chance=0)
    active = expected_while_active(
        np.array([2.243]), np.array([39 / (4.414 + 38.86)]), np.array([4.426]), 0.793
    )
    assert round(float(active[0] / (1 + np.exp(log_odds[0]))), 3) == 1.226


def test_nobody_who_cannot_have_left_has_left():
    row = History(*_arrays((0, 0.0, 1e6)))
    assert log_odds_of_leaving(row, np.array([1.0, 1, 1, 1]), first_chance=0)[0] == -np.inf


def test_an_answer_does_not_depend_on_the_other_rows():
    draw = np.random.default_rng(0)
    shape, stretch = draw.uniform(0.2, 9, 500), draw.uniform(0, 3, 500)
    stays = draw.integers(1, 9, 500) + 2.4
    together = expected_while_active(shape, stretch, stays, 0.8)
    alone = [
        expected_while_active(shape[i : i + 1], stretch[i : i + 1], stays[i : i + 1], 0.8)[0]
        for i in range(0, 500, 25)
    ]
    np.testing.assert_array_equal(together[::25], alone)
