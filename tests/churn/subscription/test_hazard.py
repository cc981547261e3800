"""A hazard learned from months of contracts, against truth that is known and tables that are counted."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from mlmarket.churn import DiscreteHazard, TenureHazard, life_table, person_periods
from mlmarket.churn.plain_estimator import content_order
from mlmarket.errors import ConfigurationError


def true_hazard(month, plan, logins):
    """Return the monthly hazard: high at first, lower with log-ins, higher on the basic plan."""
    return expit(-1.6 - 0.7 * np.log1p(month) + 0.8 * (plan == "basic") - 0.15 * logins)


def contracts(people: int, *, seed: int, months: int = 18) -> pd.DataFrame:
    """Return how long contracts lasted, watched for some months."""
    draw = np.random.default_rng(seed)
    plan = np.where(draw.random(people) < 0.5, "basic", "pro")
    logins = draw.poisson(4, people).astype(float)
    lasted = np.full(people, months * 30.0)
    event = np.zeros(people, bool)
    for month in range(months):
        ends = ~event & (draw.random(people) < true_hazard(month, plan, logins))
        lasted[ends] = month * 30.0 + draw.uniform(1, 30, ends.sum())
        event |= ends
    return pd.DataFrame({"duration": lasted, "event": event, "plan": plan, "logins": logins})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return person_periods(contracts(4000, seed=5))


@pytest.fixture(scope="module", params=["logistic", "trees"])
def fitted(request, rows) -> DiscreteHazard:
    return DiscreteHazard(request.param).fit(rows.drop(columns="ended"), rows["ended"])


def test_it_finds_the_hazard_that_made_the_data(fitted):
    month, plan = np.meshgrid(np.arange(12), ["basic", "pro"])
    for logins in (1, 4, 8):
        asked = pd.DataFrame(
            {"tenure": month.ravel() * 30.0, "plan": plan.ravel(), "logins": float(logins)}
        )
        truth = true_hazard(month.ravel(), plan.ravel(), logins)
        assert np.abs(fitted.predict_hazard(asked) - truth).max() < 0.035


def test_churn_within_three_months_grows_with_tenure_as_it_should(fitted):
    asked = pd.DataFrame({"tenure": [60.0], "plan": ["basic"], "logins": [4.0]})
    truth = np.prod([1 - true_hazard(month, np.array(["basic"]), 4) for month in (2, 3, 4)])
    assert fitted.predict_survival(asked, horizon="90D")[0] == pytest.approx(truth, abs=0.03)


def test_without_covariates_it_is_the_life_table(rows):
    bare = rows[["tenure", "ended"]]
    table = life_table(bare)
    asked = table[["tenure"]]
    exact = TenureHazard(prior=0).fit(bare, rows["ended"])
    np.testing.assert_allclose(exact.predict_hazard(asked), table["hazard"], rtol=1e-12)
    for months in (1, 6, 18):
        survival = exact.predict_survival(asked[:1], horizon=f"{30 * months}D")[0]
        assert survival == pytest.approx(table["survival"][months - 1], rel=1e-12)
    saturated = DiscreteHazard(early=18, strength=1e-8).fit(bare[["tenure"]], rows["ended"])
    np.testing.assert_allclose(saturated.predict_hazard(asked), table["hazard"], rtol=1e-4)


def test_a_thin_tenure_is_drawn_towards_the_overall_share():
    rows = pd.DataFrame({"tenure": [0.0] * 999 + [30.0]})
    ended = np.array([1] * 99 + [0] * 900 + [1])
    table = TenureHazard(prior=20).fit(rows, ended)
    assert table.hazard_[0] == pytest.approx(0.1, abs=0.002)
    assert table.hazard_[1] == pytest.approx((1 + 20 * 0.1) / 21, abs=0.001)
    assert table.hazard_[30] == pytest.approx(0.1, abs=0.001)


@settings(max_examples=30, deadline=None)
@given(
    tenure=st.floats(0, 5000),
    logins=st.floats(0, 1000) | st.just(float("nan")),
    plan=st.sampled_from(["basic", "pro", "never seen", None]),
    near=st.integers(1, 200),
    more=st.integers(1, 200),
)
def test_who_looks_farther_sees_fewer_last(fitted, tenure, logins, plan, near, more):
    asked = pd.DataFrame({"tenure": [tenure], "plan": [plan], "logins": [logins]})
    soon = fitted.predict_survival(asked, horizon=f"{near}D")[0]
    later = fitted.predict_survival(asked, horizon=f"{near + more}D")[0]
    assert 0 < later < soon < 1


def test_a_horizon_of_half_a_month_is_half_way_in_the_logarithm(fitted, rows):
    asked = rows[:5]
    whole = fitted.predict_survival(asked, horizon="30D")
    half = fitted.predict_survival(asked, horizon="15D")
    np.testing.assert_allclose(half**2, whole, rtol=1e-12)


def test_neither_the_order_of_rows_nor_a_batch_changes_a_number(fitted, rows):
    mixed = rows.sample(frac=1, random_state=2)
    again = clone(fitted).fit(mixed.drop(columns="ended"), mixed["ended"])
    asked = rows[:200].drop(columns="ended")
    batch = pa.RecordBatch.from_pandas(asked, preserve_index=False)
    expected = fitted.predict_survival(asked, horizon="90D")
    assert np.array_equal(again.predict_survival(asked, horizon="90D"), expected)
    assert np.array_equal(fitted.predict_survival(batch, horizon="90D"), expected)


def test_what_is_kept_in_files_says_the_same(fitted, rows, tmp_path):
    fitted.save(tmp_path)
    loaded = clone(fitted).restore(tmp_path)
    assert np.array_equal(loaded.predict_proba(rows[:50]), fitted.predict_proba(rows[:50]))
    table = TenureHazard().fit(rows, rows["ended"])
    table.save(tmp_path)
    assert np.array_equal(TenureHazard().restore(tmp_path).hazard_, table.hazard_)


def test_contributions_add_up_to_the_log_odds(fitted, rows):
    asked = rows[:300].drop(columns="ended")
    parts = fitted.contributions(asked)
    assert sorted(parts) == ["logins", "plan", "tenure"]
    hazard = fitted.predict_hazard(asked)
    rest = np.log(hazard / (1 - hazard)) - sum(parts.values())
    assert np.ptp(rest) < 1e-6
    few, many = asked["logins"] <= 2, asked["logins"] >= 6
    assert parts["logins"][few].mean() > parts["logins"][many].mean() + 0.4


def test_it_behaves_like_an_estimator(rows):
    model = DiscreteHazard("trees", trees=10)
    assert model.get_params()["trees"] == 10
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(trees=5).trees == 5
    assert repr(model).startswith("DiscreteHazard(model='trees', tenure='tenure', period='30D'")
    with pytest.raises(NotFittedError, match="DiscreteHazard has not learned anything yet"):
        model.predict_hazard(rows)
    with pytest.raises(ConfigurationError, match="did you mean 'trees'"):
        model.set_params(tree=3)
    model.fit(rows.drop(columns="ended"), rows["ended"])
    assert model.predict_proba(rows[:3]).sum(axis=1) == pytest.approx(1.0)
    assert (model.n_rows_, model.n_ended_) == (len(rows), rows["ended"].sum())


@pytest.mark.parametrize(
    ("change", "label", "message"),
    [
        ({"tenure": [-1.0, 2.0]}, [0, 1], "missing or below zero, such as -1.0 in row 0"),
        ({"tenure": [1.0, np.nan]}, [0, 1], "missing or below zero"),
        ({}, [0, 0], "labels of 2 rows are 0"),
        ({}, [0, 2], "labels of 2 rows are 0, 2"),
        ({}, [0, 1, 1], "2 rows and labels of shape"),
    ],
)
def test_rows_that_teach_nothing_are_refused(change, label, message):
    frame = pd.DataFrame({"tenure": [0.0, 30.0], "plan": ["a", "b"]} | change)
    with pytest.raises(ConfigurationError, match=message):
        DiscreteHazard().fit(frame, label)
    with pytest.raises(ConfigurationError, match=message):
        TenureHazard().fit(frame, label)


def test_a_misspelt_model_or_column_is_named_with_the_near_one(rows):
    with pytest.raises(ConfigurationError, match="did you mean 'logistic'"):
        DiscreteHazard("logistik").fit(rows, rows["ended"])
    with pytest.raises(ConfigurationError, match="did you mean 'tenure'"):
        DiscreteHazard(tenure="tenur").fit(rows, rows["ended"])


def test_rows_that_hold_the_same_are_interchangeable():
    frame = pd.DataFrame({"a": [1.0, np.nan, 1.0], "b": ["x", None, "x"]})
    label = np.array([1, 0, 0])
    order = content_order(frame, label)
    turned = content_order(frame[::-1], label[::-1])
    assert frame.iloc[order].equals(frame[::-1].iloc[turned].set_axis(frame.index[order]))
    assert label[order].tolist() == label[::-1][turned].tolist()
