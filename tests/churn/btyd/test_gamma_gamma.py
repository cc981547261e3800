"""The value of a purchase, beside integrals that know no formula of the model."""

import json

import numpy as np
import pandas as pd
import pytest

from mlmarket.churn import ConvergenceWarning, GammaGammaModel
from mlmarket.churn.btyd.gamma_gamma import _GammaGammaLikelihood
from mlmarket.errors import ConfigurationError, DataContractError

# (p, q, gamma), x, mean value, log-likelihood, expected value: integrated over rates of spend (mpmath).
ROWS = [
    ((6.25, 3.744, 15.443), 2, 22.345, -3.55040475214, 24.654372212),
    ((6.25, 3.744, 15.443), 1, 11.77, -3.73606731685, 18.9105236825),
    ((1.3, 1.8, 9.0), 12, 35.0, -5.7806335672, 34.006097561),
]


def made(p, q, gamma):
    content = {"kind": "gamma_gamma", "arguments": {}, "standard_errors": None, "message": ""}
    content |= {"parameters": {"p": p, "q": q, "gamma": gamma}, "log_likelihood": 0.0}
    return GammaGammaModel.from_dict(content | {"converged": True, "iterations": 0, "contacts": 0})


def spend(*, n=4000, seed=0, truth=(4.0, 3.5, 20.0)):
    frequency = np.random.default_rng(seed).poisson(2.0, n)
    return made(*truth).simulate(frequency, random_state=seed + 1)


@pytest.mark.parametrize(("parameters", "x", "mean", "log_likelihood", "expected"), ROWS)
def test_a_row_agrees_with_the_integral(parameters, x, mean, log_likelihood, expected):
    likelihood = _GammaGammaLikelihood(np.array([float(x)]), np.array([mean]))
    assert likelihood(np.log(parameters))[0] == pytest.approx(log_likelihood, abs=1e-9)
    summary = pd.DataFrame({"frequency": [x], "monetary_value": [mean]})
    assert made(*parameters).expected_value(summary)[0] == pytest.approx(expected, rel=1e-10)


def test_gradient_and_hessian_are_those_of_the_value():
    summary = spend(n=60)
    again = summary[summary["frequency"] > 0]
    likelihood = _GammaGammaLikelihood(
        again["frequency"].to_numpy(float), again["monetary_value"].to_numpy()
    )
    place = np.log([3.0, 2.5, 30.0])
    step = 1e-5 * np.eye(3)
    value = [(likelihood(place + s)[0] - likelihood(place - s)[0]) / 2e-5 for s in step]
    slope = [(likelihood(place + s)[1] - likelihood(place - s)[1]) / 2e-5 for s in step]
    _, gradient, hessian = likelihood(place)
    np.testing.assert_allclose(gradient, value, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(hessian, slope, rtol=1e-6, atol=1e-5)


def test_the_truth_is_found_within_its_standard_errors():
    model = GammaGammaModel().fit(spend(n=20_000))
    for name, truth in zip(model.names, (4.0, 3.5, 20.0), strict=True):
        away = np.log(model.parameters_[name] / truth)
        assert abs(away) < 3.5 * model.standard_errors_[name] / model.parameters_[name]


def test_an_expectation_lies_between_the_own_mean_and_that_of_all():
    model = GammaGammaModel().fit(spend())
    x = np.array([0, 1, 3, 30, 3000])
    summary = pd.DataFrame({"frequency": x, "monetary_value": np.where(x > 0, 90.0, 0.0)})
    expected = model.expected_value(summary)
    assert expected[0] == pytest.approx(model.p_ * model.gamma_ / (model.q_ - 1))
    assert (np.diff(expected) > 0).all()
    assert expected[-1] == pytest.approx(90.0, rel=1e-3)


def test_contacts_that_did_not_buy_again_say_nothing():
    summary = spend()
    everybody, again = GammaGammaModel().fit(summary), summary[summary["frequency"] > 0]
    assert GammaGammaModel().fit(again).to_dict() == everybody.to_dict()
    assert everybody.contacts_ == len(again)


def test_the_order_of_the_rows_changes_no_byte():
    summary = spend()
    mixed = summary.sample(frac=1, random_state=0)
    assert GammaGammaModel().fit(mixed).to_dict() == GammaGammaModel().fit(summary).to_dict()


def test_a_likelihood_does_not_depend_on_the_currency():
    summary = spend()
    cents = summary.assign(monetary_value=summary["monetary_value"] * 100)
    euros, model = GammaGammaModel().fit(summary), GammaGammaModel().fit(cents)
    assert model.gamma_ == pytest.approx(100 * euros.gamma_, rel=1e-6)
    assert model.p_ == pytest.approx(euros.p_, rel=1e-6)
    assert model.log_likelihood_ == pytest.approx(
        euros.log_likelihood_ - model.contacts_ * np.log(100), rel=1e-12
    )


def test_any_sane_start_leads_to_the_same_place():
    summary = spend()
    usual = GammaGammaModel().fit(summary).parameters_
    for start in ({"p": 0.1, "q": 0.1, "gamma": 0.1}, {"p": 50.0, "q": 20.0, "gamma": 500.0}):
        found = GammaGammaModel(start=start).fit(summary).parameters_
        np.testing.assert_allclose(list(found.values()), list(usual.values()), rtol=1e-6)


def test_what_is_kept_answers_the_same():
    summary = spend()
    model = GammaGammaModel().fit(summary)
    restored = GammaGammaModel.from_dict(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(restored.expected_value(summary), model.expected_value(summary))


def test_bootstrap_intervals_hold_the_truth():
    summary = spend()
    interval = (
        GammaGammaModel().fit(summary).bootstrap(summary, n=40, random_state=0).interval(0.99)
    )
    truth = np.array([4.0, 3.5, 20.0])
    assert ((interval["low"] < truth) & (truth < interval["high"])).all()


@pytest.mark.parametrize("bad", [0.0, -5.0, np.nan])
def test_values_that_are_not_above_0_are_refused(bad):
    summary = spend(n=50)
    summary.loc[summary.index[summary["frequency"] > 0][0], "monetary_value"] = bad
    with pytest.raises(DataContractError, match=r"(?s)no monetary_value above 0.*Fix: leave these"):
        GammaGammaModel().fit(summary)


def test_too_few_values_are_refused_without_a_penalty():
    summary = pd.DataFrame({"frequency": [0, 3], "monetary_value": [0.0, 25.0]})
    with pytest.raises(DataContractError, match="1 of 1 contact bought again at a known value"):
        GammaGammaModel().fit(summary)
    model = GammaGammaModel(penalty=1.0).fit(summary)
    np.testing.assert_allclose(model.expected_value(summary), 25.0, rtol=0.5)


def test_nobody_who_bought_again_is_refused_too():
    nobody = pd.DataFrame({"frequency": [0, 0], "monetary_value": [0.0, 0.0]})
    for penalty in (0.0, 1.0):
        with pytest.raises(DataContractError, match="0 of 0 contacts bought again"):
            GammaGammaModel(penalty=penalty).fit(nobody)


def test_values_that_are_all_alike_are_said_not_to_settle_the_parameters():
    alike = pd.DataFrame({"frequency": [2] * 200, "monetary_value": [30.0] * 200})
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model = GammaGammaModel().fit(alike)
    np.testing.assert_allclose(model.expected_value(alike), 30.0, rtol=1e-2)


def test_a_tail_too_heavy_for_a_mean_is_refused():
    new = pd.DataFrame({"frequency": [0], "monetary_value": [0.0]})
    with pytest.raises(DataContractError, match=r"(?s)infinite: q_ is 0.9.*Fix: "):
        made(2.0, 0.9, 10.0).expected_value(new)


def test_what_is_not_fitted_answers_nothing():
    with pytest.raises(ConfigurationError, match="has not been fitted"):
        GammaGammaModel().expected_value(spend(n=5))
