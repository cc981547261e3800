"""Whom is it worth to keep, and how many of them?"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.churn import choose_contacts, expected_value_saved, plot_retention, retention_curve
from mlmarket.errors import ConfigurationError

COLUMNS = {"value": "worth", "probability_leaving": "leaves"}


def people(seed, size=60):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "contact_id": [f"c{i:03d}" for i in range(size)],
            "worth": np.where(rng.random(size) < 0.1, np.nan, rng.gamma(0.5, 200.0, size).round()),
            "leaves": rng.random(size).round(2),
            "cost": rng.choice([0.0, 0.5, 1.0, 4.0], size),
        }
    )


def test_the_value_saved_is_value_times_leaving_times_response_less_the_cost():
    saved = expected_value_saved(
        [100.0, 40.0, np.nan], [0.5, 0.1, 0.9], response=[0.1, 0.5, 0.1], cost_per_contact=3.0
    )
    np.testing.assert_allclose(saved, [2.0, -1.0, np.nan])


def test_the_curve_rises_while_contacts_pay_and_falls_after():
    curve = retention_curve(
        [300.0, 10.0, 100.0, 50.0], [0.5] * 4, response=0.1, cost_per_contact=2.0
    )
    # Each saves 15, 5, 2.5 and 0.5, and costs 2.
    assert curve.profit.tolist() == [0.0, 13.0, 16.0, 16.5, 15.0]
    assert (curve.best_share, curve.best_profit) == (0.75, 16.5)
    assert curve.to_frame()["contacted"].tolist() == [0, 1, 2, 3, 4]
    assert curve.profit_low.tolist() == [0.0, 5.5, 6.0, 5.25, 3.5]
    assert (curve.profit_low <= curve.profit).all()
    assert (curve.profit <= curve.profit_high).all()
    assert "Best is to contact 3 of 4 (75.0%)" in curve._repr_html_()


def test_a_budget_buys_the_best_that_it_can_pay():
    curve = retention_curve([300.0, 100.0], [0.5, 0.5], response=0.1, cost_per_contact=2.0)
    assert [curve.at_budget(budget) for budget in (0.0, 1.9, 2.0, 100.0)] == [0.0, 0.0, 13.0, 16.0]


def test_where_no_contact_pays_nobody_is_contacted():
    frame = people(0).assign(worth=1.0)
    curve = retention_curve(frame["worth"], frame["leaves"], response=0.01, cost_per_contact=5.0)
    assert (curve.best_share, curve.best_profit) == (0.0, 0.0)
    assert choose_contacts(frame, **COLUMNS, response=0.01, cost_per_contact=5.0).empty


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), budget=st.floats(0, 200), response=st.floats(0, 1))
def test_the_budget_is_never_exceeded_and_every_contact_pays(seed, budget, response):
    frame = people(seed)
    chosen = choose_contacts(
        frame, **COLUMNS, response=response, cost_per_contact="cost", budget=budget
    )
    assert chosen["cost"].sum() <= budget * (1 + 1e-12)
    assert (chosen["expected_profit"] > 0).all()
    known = frame.loc[frame["worth"].notna(), "contact_id"]
    assert set(chosen["contact_id"]) <= set(known)
    assert chosen["contact_id"].is_unique


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_changes_nothing(seed):
    frame = people(seed).assign(worth=lambda one: one["worth"].round(-2))
    mixed = frame.sample(frac=1, random_state=seed)
    arguments = {**COLUMNS, "response": 0.1, "cost_per_contact": "cost", "budget": 20.0}
    pd.testing.assert_frame_equal(
        choose_contacts(frame, **arguments), choose_contacts(mixed, **arguments)
    )
    one, other = (
        retention_curve(rows["worth"], rows["leaves"], response=0.1, cost_per_contact=rows["cost"])
        for rows in (frame, mixed)
    )
    np.testing.assert_array_equal(one.profit, other.profit)


def test_equal_contacts_come_by_id():
    frame = pd.DataFrame({"contact_id": ["b", "c", "a"], "worth": 100.0, "leaves": 0.5})
    chosen = choose_contacts(frame, **COLUMNS, response=0.1, cost_per_contact=1.0, budget=2.0)
    assert chosen["contact_id"].tolist() == ["a", "b"]


def test_who_costs_too_much_is_passed_over_for_who_can_be_paid():
    frame = pd.DataFrame(
        {"contact_id": ["a", "b"], "worth": [1000.0, 100.0], "leaves": 0.5, "cost": [5.0, 1.0]}
    )
    chosen = choose_contacts(frame, **COLUMNS, response=0.1, cost_per_contact="cost", budget=2.0)
    assert chosen["contact_id"].tolist() == ["b"]


def test_the_list_without_a_budget_earns_what_the_curve_promises():
    frame = people(3, 500)
    chosen = choose_contacts(frame, **COLUMNS, response=0.1, cost_per_contact="cost")
    curve = retention_curve(
        frame["worth"], frame["leaves"], response=0.1, cost_per_contact=frame["cost"]
    )
    assert chosen["expected_profit"].sum() == pytest.approx(curve.best_profit)
    assert len(chosen) == round(curve.best_share * 500)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"response": 1.2}, "'response' is 1.2 in 1 of 1 rows"),
        ({"response": np.nan}, "'response' is missing"),
        ({"response": [0.1, 0.1]}, "'response' has 2 numbers for 3 contacts"),
        ({"cost_per_contact": -1.0}, "'cost_per_contact' is -1.0"),
        ({"probability_leaving": [0.1, 0.2, 30.0]}, "'probability_leaving' is 30.0 in 1 of 3"),
        ({"probability_leaving": [0.1, 0.2]}, "3 values and 2 probabilities"),
        ({"value": [1.0, -2.0, 3.0]}, "'value' is -2.0 in 1 of 3"),
        ({"value": ["a", 1, 2]}, "'value' holds something that is not a number"),
        ({"value": [np.nan] * 3}, "No contact has both"),
        ({"doubt": (1.1, 2.0)}, "without 1"),
    ],
)
def test_an_impossible_number_stops_with_a_sentence(change, problem):
    arguments = {"value": [1.0, 2.0, 3.0], "probability_leaving": [0.1] * 3, "response": 0.1}
    with pytest.raises(ConfigurationError, match=problem):
        retention_curve(**{**arguments, **change})


@pytest.mark.parametrize(
    ("frame", "change", "problem"),
    [
        (people(0), {"value": "wort"}, "no column 'wort'(.|\n)*did you mean 'worth'"),
        (people(0).rename(columns={"contact_id": "id"}), {}, "no column 'contact_id'"),
        (pd.concat([people(0), people(0).head(2)]), {}, "2 are there twice, such as 'c000'"),
        (people(0), {"budget": np.nan}, "'budget' is nan"),
        (people(0), {"budget": -1.0}, "'budget' is -1.0"),
    ],
)
def test_an_unusable_list_stops_with_a_sentence(frame, change, problem):
    arguments = {**COLUMNS, "response": 0.1, "cost_per_contact": 1.0, "budget": 5.0}
    with pytest.raises(ConfigurationError, match=problem):
        choose_contacts(frame, **{**arguments, **change})


def test_columns_with_missing_values_of_pandas_are_read():
    frame = people(5).astype({"worth": "Float64"})
    assert len(choose_contacts(frame, **COLUMNS, response=0.1, cost_per_contact=0.1)) > 0


def test_the_plot_marks_the_best_share():
    curve = retention_curve([300.0, 100.0, 1.0], [0.5] * 3, response=0.1, cost_per_contact=2.0)
    axes = plot_retention(curve)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "highest: 66.7 % of contacts" in labels
    assert "0.5 to 1.5 times the assumed response" in labels
