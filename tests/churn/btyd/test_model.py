"""Properties that every model of buying and leaving has, whatever its parameters."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.churn import BetaGeoModel, ConvergenceWarning, ExtrapolationWarning, ParetoNBDModel
from mlmarket.errors import ConfigurationError, DataContractError

KINDS = ("beta_geo", "modified_beta_geo", "pareto_nbd")
TRUTH = {
    "beta_geo": (0.6, 6.0, 0.9, 2.5),
    "modified_beta_geo": (0.8, 7.0, 0.8, 1.8),
    "pareto_nbd": (0.8, 8.0, 1.2, 30.0),
}
every_kind = pytest.mark.parametrize("kind", KINDS)

PARAMETERS = st.lists(
    st.floats(-4.0, 4.0).map(lambda power: float(np.exp(power))), min_size=4, max_size=4
)
CONTACT = st.tuples(st.integers(0, 300), st.floats(0.01, 400.0), st.floats(0.0, 400.0))


def _contact(frequency, recency, silence):
    last = recency if frequency else 0.0
    silences = last + np.array([0.0, 0.2, 0.7, 1.0]) * silence
    return pd.DataFrame({"frequency": frequency, "recency": last, "T": silences})


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(KINDS), PARAMETERS, CONTACT)
def test_p_alive_is_a_probability_that_falls_with_silence(made, kind, parameters, contact):
    alive = made(kind, *parameters).probability_alive(_contact(*contact))
    assert ((alive >= 0.0) & (alive <= 1.0)).all()
    assert (np.diff(alive) <= 1e-12).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(KINDS), PARAMETERS, CONTACT)
def test_expectations_are_at_least_0_and_grow_with_the_horizon(made, kind, parameters, contact):
    model, contacts = made(kind, *parameters), _contact(*contact)
    horizons = ("1D", "30D", "1000D", "20000D")
    expected = [model.expected_purchases(contacts, horizon=horizon) for horizon in horizons]
    chance = [model.probability_purchase(contacts, horizon=horizon) for horizon in horizons]
    assert np.isfinite(expected).all()
    assert (np.array(expected) >= 0.0).all()
    assert (np.diff(expected, axis=0) >= -1e-9 * (1.0 + expected[-1])).all()
    assert (np.diff(chance, axis=0) >= -1e-12).all()
    assert (chance[-1] <= model.probability_alive(contacts) + 1e-12).all()
    # Whoever buys at all buys at least once.
    assert (np.array(chance) <= np.array(expected) * (1.0 + 1e-9) + 1e-12).all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.sampled_from(KINDS), PARAMETERS)
def test_a_new_contact_is_one_that_has_just_bought_first(made, kind, parameters):
    model = made(kind, *parameters)
    new = pd.DataFrame({"frequency": [0], "recency": [0.0], "T": [0.0]})
    ahead = model.expected_purchases(new, horizon="70D")
    np.testing.assert_allclose(model.expected_repeat_purchases([10.0]), ahead, rtol=1e-9)
    assert model.expected_repeat_purchases([0.0])[0] == 0.0


@every_kind
def test_what_is_expected_is_what_contacts_do(made, lived, kind):
    lengths = np.random.default_rng(0).uniform(10, 60, 40_000)
    contacts = lived(kind, TRUTH[kind], lengths, 20.0, seed=1)
    model = made(kind, *TRUTH[kind])
    expected = model.expected_purchases(contacts, horizon="140D")
    chance = model.probability_purchase(contacts, horizon="140D")
    often = contacts["frequency"].clip(upper=6)
    for group in (often, (lengths - contacts["recency"]) // 15):
        for _, rows in contacts.groupby(group):
            sure = 4.0 * np.sqrt(rows["later"].var() / len(rows))
            assert abs(expected[rows.index].mean() - rows["later"].mean()) < sure
            share = chance[rows.index].mean()
            sure = 4.0 * np.sqrt(share * (1.0 - share) / len(rows))
            assert abs(share - (rows["later"] > 0).mean()) < sure


@every_kind
def test_a_simulated_contact_is_as_one_that_lived(made, lived, kind):
    lengths = np.random.default_rng(0).uniform(10, 60, 40_000)
    once = lived(kind, TRUTH[kind], lengths, 0.0, seed=1)
    drawn = made(kind, *TRUTH[kind]).simulate(lengths, random_state=2)
    for column in ("frequency", "recency"):
        sure = 5.0 * np.sqrt(2.0 * once[column].var() / len(once))
        assert abs(drawn[column].mean() - once[column].mean()) < sure
    bought, bought_once = (frame["frequency"] > 0 for frame in (drawn, once))
    assert abs(bought.mean() - bought_once.mean()) < 0.02
    assert (drawn["recency"] <= drawn["T"]).all()
    np.testing.assert_allclose(
        drawn["recency"].quantile([0.5, 0.9]), once["recency"].quantile([0.5, 0.9]), atol=1.0
    )


@every_kind
def test_the_truth_is_found_within_its_standard_errors(made, lived, kind):
    lengths = np.random.default_rng(5).uniform(20, 80, 30_000)
    contacts = lived(kind, TRUTH[kind], lengths, 0.0, seed=6)
    model = type(made(kind, *TRUTH[kind]))().fit(contacts)
    assert model.converged_
    for name, truth in zip(model.names, TRUTH[kind], strict=True):
        away = np.log(model.parameters_[name] / truth)
        assert abs(away) < 3.5 * model.standard_errors_[name] / model.parameters_[name]


@every_kind
def test_any_sane_start_leads_to_the_same_place(made, shop, kind):
    make = type(made(kind, 1, 1, 1, 1))
    usual = make().fit(shop)
    for start in ([0.05] * 4, [10.0] * 4, [5.0, 0.05, 1.0, 60.0]):
        begun = dict(zip(make.names, start, strict=True))
        found = make(start=begun).fit(shop).parameters_
        np.testing.assert_allclose(
            list(found.values()), list(usual.parameters_.values()), rtol=1e-6
        )


@every_kind
def test_the_order_of_the_rows_changes_no_byte(made, shop, kind):
    make = type(made(kind, 1, 1, 1, 1))
    usual = make().fit(shop).to_dict()
    mixed = shop.sample(frac=1, random_state=1)
    assert json.dumps(make().fit(mixed).to_dict()) == json.dumps(usual)


@every_kind
def test_a_likelihood_does_not_depend_on_how_time_is_measured(made, shop, kind):
    make = type(made(kind, 1, 1, 1, 1))
    weeks = make().fit(shop)
    days = make(unit="1D").fit(shop.assign(recency=shop["recency"] * 7, T=shop["T"] * 7))
    purchases = shop["frequency"].sum()
    assert days.log_likelihood_ == pytest.approx(
        weeks.log_likelihood_ - purchases * np.log(7), rel=1e-12
    )
    assert days.alpha_ == pytest.approx(7 * weeks.alpha_, rel=1e-6)
    in_days = shop.assign(recency=shop["recency"] * 7, T=shop["T"] * 7)
    np.testing.assert_allclose(
        days.expected_purchases(in_days, horizon="28D"),
        weeks.expected_purchases(shop, horizon="4W"),
        rtol=1e-6,
    )


@every_kind
def test_what_is_kept_answers_the_same(made, shop, kind):
    model = type(made(kind, 1, 1, 1, 1))(penalty=0.1).fit(shop)
    kept = json.loads(json.dumps(model.to_dict(), allow_nan=False))
    restored = type(model).from_dict(kept)
    for answer in ("probability_alive", "expected_purchases", "probability_purchase"):
        horizon = {} if answer == "probability_alive" else {"horizon": "90D"}
        np.testing.assert_array_equal(
            getattr(restored, answer)(shop, **horizon), getattr(model, answer)(shop, **horizon)
        )
    assert restored.to_dict() == model.to_dict()
    pd.testing.assert_frame_equal(restored.to_frame(), model.to_frame())


def test_many_different_histories_are_fitted_from_a_part_of_them_first(made, monkeypatch):
    drawn = made("beta_geo", *TRUTH["beta_geo"]).simulate(
        np.random.default_rng(0).uniform(20, 80, 20_000), random_state=1
    )
    whole = BetaGeoModel().fit(drawn)
    monkeypatch.setattr("mlmarket.churn.btyd.model._MANY", 10_000)
    monkeypatch.setattr("mlmarket.churn.btyd.model._ENOUGH", 1_000)
    model = BetaGeoModel().fit(drawn)
    assert model.contacts_ == 20_000
    assert model.iterations_ < whole.iterations_
    for name, value in whole.parameters_.items():
        assert model.parameters_[name] == pytest.approx(value, rel=1e-8)


# --- too little, or too much alike ----------------------------------------------------------------


def _summary(frequency, recency, length):
    return pd.DataFrame({"frequency": frequency, "recency": recency, "T": length})


@every_kind
@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (_summary([2], [3.0], [9.0]), "1 of 1 contact bought again"),
        (_summary([0] * 500, [0.0] * 500, [9.0] * 500), "0 of 500 contacts bought again"),
        (_summary([0, 0], [0.0] * 2, [0.0] * 2), "bought for the first time on the day of as_of"),
    ],
)
def test_what_cannot_teach_four_numbers_is_refused(made, kind, summary, said):
    with pytest.raises(DataContractError) as told:
        type(made(kind, 1, 1, 1, 1))().fit(summary)
    assert said in str(told.value)
    assert "\nFix: " in str(told.value)


@every_kind
@pytest.mark.parametrize(
    "summary", [_summary([2], [3.0], [9.0]), _summary([0] * 500, [0.0] * 500, [9.0] * 500)]
)
def test_little_data_with_a_penalty_have_a_sound_answer(made, kind, summary):
    model = type(made(kind, 1, 1, 1, 1))(penalty=1.0).fit(summary)
    assert model.converged_
    expected = model.expected_purchases(summary, horizon="28D")
    assert np.isfinite(expected).all()
    # Who bought twice in nine weeks may buy once in four; who never did again hardly will.
    assert 0.0 <= expected.max() < (2.0 if len(summary) == 1 else 0.1)


@every_kind
def test_contacts_that_are_all_alike_are_said_not_to_settle_the_parameters(made, kind):
    alike = _summary([3] * 400, [8.0] * 400, [9.0] * 400)
    model = type(made(kind, 1, 1, 1, 1))()
    with pytest.warns(ConvergenceWarning, match=r"(?s)did not converge: .*_.*\nFix: "):
        model.fit(alike)
    assert not model.converged_
    assert model.standard_errors_ is None
    assert model.message_.startswith("not converged: the data do not settle")
    assert model.to_frame()["standard_error"].isna().all()
    # They bought three times in nine weeks, each.
    assert model.expected_purchases(alike, horizon="21D")[0] == pytest.approx(1.0, rel=0.15)


@every_kind
def test_contacts_that_never_leave_are_said_to_show_no_leaving(made, kind):
    draw = np.random.default_rng(2)
    lengths = np.full(3000, 30.0)
    purchases = draw.poisson(draw.gamma(2.0, 0.1, 3000) * lengths)
    recency = np.where(
        purchases > 0, lengths * draw.random(3000) ** (1 / np.maximum(purchases, 1)), 0
    )
    summary = _summary(purchases, recency, lengths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = type(made(kind, 1, 1, 1, 1))().fit(summary)
    assert model.probability_alive(summary).mean() > 0.95
    total = model.expected_purchases(summary, horizon="105D").sum()
    assert total == pytest.approx(purchases.sum() / 2, rel=0.05)


def test_a_penalty_draws_to_usual_values(shop):
    free, firm = BetaGeoModel().fit(shop), BetaGeoModel(penalty=1e6).fit(shop)
    assert firm.r_ == pytest.approx(1.0, rel=1e-2)
    assert firm.b_ == pytest.approx(3.0, rel=1e-2)
    assert firm.log_likelihood_ < free.log_likelihood_
    gentle = BetaGeoModel(penalty=1e-6).fit(shop)
    assert gentle.log_likelihood_ == pytest.approx(free.log_likelihood_, abs=1e-6)


def test_a_horizon_beyond_all_histories_is_answered_with_a_warning(shop):
    model = ParetoNBDModel().fit(shop)
    with pytest.warns(ExtrapolationWarning, match=r"(?s)longer than the longest history.*\nFix: "):
        far = model.expected_purchases(shop, horizon="3650D")
    assert np.isfinite(far).all()
    with pytest.warns(ExtrapolationWarning):
        model.probability_purchase(shop, horizon="3650D")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"penalty": -1.0}, "penalty=-1.0 is not a number from 0 up"),
        ({"penalty": True}, "penalty=True is not a number"),
        ({"start": {"alpah": 1.0}}, "did you mean 'alpha'?"),
        ({"start": {"r": 0.0}}, "start= has r=0.0"),
        ({"unit": "week"}, "'week' is not a duration"),
    ],
)
def test_a_wrong_argument_is_refused_when_it_is_used(shop, arguments, said):
    with pytest.raises(ConfigurationError) as told:
        BetaGeoModel(**arguments).fit(shop)
    assert said in str(told.value)


def test_a_horizon_is_a_duration(shop):
    with pytest.raises(ConfigurationError, match="13 is not a duration"):
        BetaGeoModel().fit(shop).expected_purchases(shop, horizon=13)


def test_what_is_not_fitted_answers_nothing(shop):
    model = BetaGeoModel()
    for call in (
        lambda: model.probability_alive(shop),
        lambda: model.expected_purchases(shop, horizon="7D"),
        lambda: model.simulate([3.0], random_state=0),
        lambda: model.bootstrap(shop, random_state=0),
        lambda: model.expected_repeat_purchases([1.0]),
        model.to_dict,
        model.to_frame,
    ):
        with pytest.raises(ConfigurationError, match="has not been fitted"):
            call()


def test_lengths_below_0_are_refused(made):
    with pytest.raises(ConfigurationError, match="'lengths' has values below 0, or missing"):
        made("beta_geo", 1, 1, 1, 1).simulate([1.0, -1.0], random_state=0)
