"""How parameters are doubted, and kept."""

import numpy as np
import pytest

from mlmarket.churn import BetaGeoModel, ModifiedBetaGeoModel
from mlmarket.errors import ConfigurationError


@pytest.fixture(scope="module")
def fitted(shop):
    return BetaGeoModel().fit(shop)


@pytest.fixture(scope="module")
def draws(fitted, shop):
    return fitted.bootstrap(shop, n=60, random_state=0)


def test_arguments_are_stored_untouched():
    start = {"r": 0.5}
    model = BetaGeoModel(unit="1W", penalty=0.5, start=start)
    assert (model.unit, model.penalty, model.start) == ("1W", 0.5, start)
    assert model.start is start


def test_standard_errors_are_those_of_the_bootstrap(fitted, draws):
    assert draws.converged.all()
    spread = np.log(draws.draws).std(axis=0)
    errors = [fitted.standard_errors_[n] / fitted.parameters_[n] for n in fitted.names]
    np.testing.assert_allclose(spread, errors, rtol=0.35)


def test_the_bootstrap_is_the_same_for_a_seed(fitted, shop, draws):
    again = fitted.bootstrap(shop, n=3, random_state=0)
    np.testing.assert_array_equal(again.draws, draws.draws[:3])


def test_intervals_hold_the_value_and_widen_with_the_level(fitted, draws):
    narrow, wide = draws.interval(0.5), draws.interval(0.99)
    assert (wide["low"] <= narrow["low"]).all()
    assert (wide["high"] >= narrow["high"]).all()
    assert ((wide["low"] < wide["value"]) & (wide["value"] < wide["high"])).all()
    assert list(draws.to_frame().columns) == [*fitted.names, "converged"]
    assert "<table" in draws._repr_html_()
    with pytest.raises(ConfigurationError, match="not between 0 and 1"):
        draws.interval(95)


def test_parameters_are_shown_with_intervals_that_stay_above_0(fitted):
    frame = fitted.to_frame()
    assert list(frame.index) == ["r", "alpha", "a", "b"]
    assert (frame["low"] > 0).all()
    assert ((frame["low"] < frame["value"]) & (frame["value"] < frame["high"])).all()
    assert (fitted.to_frame(0.99)["high"] > frame["high"]).all()


def test_one_draw_is_no_interval(fitted, shop):
    with pytest.raises(ConfigurationError, match="n=1 draws have no range"):
        fitted.bootstrap(shop, n=1, random_state=0)


def test_parameters_of_one_model_are_not_read_as_those_of_another(fitted):
    with pytest.raises(ConfigurationError, match="kind 'beta_geo', not 'modified_beta_geo'"):
        ModifiedBetaGeoModel.from_dict(fitted.to_dict())


@pytest.mark.parametrize("lost", ["parameters", "arguments", "log_likelihood", "longest_history"])
def test_a_damaged_model_is_refused(fitted, lost):
    content = fitted.to_dict()
    del content[lost]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        BetaGeoModel.from_dict(content)
