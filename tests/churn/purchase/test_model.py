"""Who will buy and who is leaving, in a small shop."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.churn import ChurnModel, PurchaseModel, predictors, summarize_transactions
from mlmarket.errors import ConfigurationError
from mlmarket.features import SnapshotSpec, build
from mlmarket.market import Market
from mlmarket.prediction import DeclinedError

DAY = timedelta(days=1)
TIMES = {"orders": "ordered_at", "events": "occurred_at", "messages": "sent_at"}


def _all_of(model, market, as_of):
    """Return everything a model says at an instant: what it learned, and its answers."""
    spec = SnapshotSpec(model.question.eligible, model._fitted.features)
    built = pa.Table.from_batches(build(market, spec, cutoffs=[as_of]))
    answers = model.predict(market, as_of=as_of)
    return model.training_record_, built, answers.contacts, answers.missing


def _assert_same(one, two):
    record, *tables = one
    other_record, *other_tables = two
    assert record == other_record
    for table, other in zip(tables, other_tables, strict=True):
        assert table.equals(other)


def _without_future(tables, as_of):
    moment = pd.Timestamp(as_of).tz_localize(None)
    past = {
        name: table[table[TIMES[name]] <= moment] if name in TIMES else table
        for name, table in tables.items()
    }
    opened = past["messages"]["opened_at"]
    past["messages"] = past["messages"].assign(opened_at=opened.where(opened <= moment))
    return past


def _with_another_future(tables, as_of):
    """Return tables whose rows after an instant say something else, and more of them."""
    moment = pd.Timestamp(as_of).tz_localize(None)
    later = {
        name: table[table[TIMES[name]] > moment] for name, table in tables.items() if name in TIMES
    }
    past = _without_future(tables, as_of)
    people = tables["contacts"]
    newcomers = pd.DataFrame(
        {"contact_id": [f"new{i}" for i in range(40)], "country": "IT"}
    ).assign(created_at=moment + pd.Timedelta("1us"))
    orders = later["orders"].assign(amount=9_999_999.99)
    arrived = past["orders"].head(30).assign(available_at=moment + pd.Timedelta("1us"))
    opened = past["messages"].assign(
        opened_at=past["messages"]["opened_at"].fillna(moment + pd.Timedelta("1s"))
    )
    events = [later["events"].assign(event_type="visit")] * 3
    reopened = later["messages"].assign(opened_at=later["messages"]["sent_at"] + pd.Timedelta("1h"))
    return {
        "contacts": pd.concat([people.assign(created_at=pd.NaT), newcomers]),
        "orders": pd.concat([past["orders"], arrived, orders, orders.assign(contact_id="new1")]),
        "events": pd.concat([past["events"], *events, events[0].assign(event_type="invented")]),
        "messages": pd.concat([opened, reopened]),
    }


@pytest.mark.parametrize("change", [_without_future, _with_another_future])
def test_rows_after_as_of_change_nothing(change, purchase, tables, shop, earlier, now):
    changed = Market.from_tables(**change(tables, earlier), now=now)
    model = PurchaseModel("30D", needs={"buyers": 100}).fit(changed, as_of=earlier)
    _assert_same(_all_of(model, changed, earlier), _all_of(purchase, shop, earlier))


def test_neither_the_order_of_rows_nor_threads_change_a_byte(purchase, tables, shop, earlier, now):
    mixed = {name: table.sample(frac=1, random_state=3) for name, table in tables.items()}
    market = Market.from_tables(**mixed, now=now)
    backend = market.table("orders").get_backend()
    backend.raw_sql("SET threads = 1")
    model = PurchaseModel("30D", needs={"buyers": 100}).fit(market, as_of=earlier)
    _assert_same(_all_of(model, market, earlier), _all_of(purchase, shop, earlier))


def test_the_model_beats_the_rules_of_thumb_or_steps_back(purchase):
    evidence = purchase.evidence_
    summary = evidence.summary()["log_loss"]
    rules = summary[["base_rate", "recency_rule", "rfm_cells"]]
    assert summary[evidence.chosen] <= rules.min() + 0.01
    assert (evidence.chosen == "blend") == (evidence.gain.low > 0)


def test_where_everybody_buys_alike_the_baseline_is_used(simulated_shop, now):
    market = Market.from_tables(**simulated_shop(seed=2, alike=True), now=now)
    model = PurchaseModel("30D", needs={"buyers": 100}).fit(market, as_of=now)
    assert model.evidence_.chosen == "base_rate"
    assert "does not beat it" in model.evidence_.verdict
    frame = model.predict(market, as_of=now).to_frame()
    # A Poisson rate of 0.02 a day gives an order in 30 days to 45 % of people.
    assert frame["purchase_probability_30d"].mean() == pytest.approx(1 - np.exp(-0.6), abs=0.05)


def test_the_purchase_model_hands_on_its_facts(purchase, shop, earlier, tables):
    answers = purchase.predict(shop, as_of=earlier).to_frame().set_index("contact_id")
    moment = pd.Timestamp(earlier).tz_localize(None)
    orders = tables["orders"]
    past = orders[orders["ordered_at"] <= moment]
    last = past.groupby("contact_id")["ordered_at"].max()
    days = (moment - last) / pd.Timedelta("1D")
    pd.testing.assert_series_equal(
        answers["days_since_last_order"], days.sort_index(), check_names=False
    )
    value = past.groupby("contact_id")["amount"].sum()
    pd.testing.assert_series_equal(answers["order_value_365d"], value, check_names=False)
    assert list(answers.columns) == [*purchase.outputs]


def test_who_never_ordered_is_missing_with_a_reason(purchase, shop, earlier):
    answers = purchase.predict(shop, as_of=earlier)
    assert answers.missing.num_rows > 0
    assert answers.contacts.num_rows + answers.missing.num_rows == 350
    (reason,) = set(answers.missing.column("reason").to_pylist())
    assert reason.startswith("is not among those asked about, 'order', at 2025-05-31 00:00 UTC")


def test_the_chance_to_be_a_customer_still_stands_beside_the_answer(simulated_shop, now):
    market = Market.from_tables(**simulated_shop(seed=3, people=900), now=now)
    model = PurchaseModel("30D").fit(market, as_of=now)
    assert model.evidence_.chosen == "blend"
    answers = model.predict(market, as_of=now).to_frame().set_index("contact_id")
    alive = answers["probability_alive"]
    assert alive.between(0.0, 1.0).all()
    orders = summarize_transactions(market, as_of=now, unit="1D").set_index("contact_id")
    assert (alive[orders.index[orders["frequency"] == 0]] == 1.0).all()
    assert alive.min() < 0.1
    assert model.outputs["probability_alive"].unit == "probability"


def test_a_simple_rule_has_no_chance_to_be_a_customer_still(simulated_shop, now):
    market = Market.from_tables(**simulated_shop(seed=2, alike=True), now=now)
    model = PurchaseModel("30D").fit(market, as_of=now)
    assert model.predict(market, as_of=now).contacts["probability_alive"].null_count > 0


def test_risk_grades_keep_their_probabilities(churn, shop, now):
    frame = churn.predict(shop, as_of=now).to_frame()
    medium, high = churn.training_record_["grade_edges"]
    assert medium < high
    probability = frame["churn_probability_45d"]
    wanted = np.select([probability >= high, probability >= medium], ["high", "medium"], "low")
    assert frame["churn_risk"].tolist() == wanted.tolist()
    assert set(frame["churn_risk"]) == {"low", "medium", "high"}


def test_the_high_grade_holds_about_a_fifth_and_the_low_one_half():
    answer = ChurnModel().question.answer
    probability = np.linspace(0.01, 0.99, 100)
    words = answer.graded(probability, answer.edges(probability))
    assert [list(words).count(word) for word in ("low", "medium", "high")] == [49, 30, 21]


def test_a_rule_that_tells_nobody_apart_finds_everybody_at_medium_risk():
    answer = ChurnModel().question.answer
    edges = answer.edges(np.full(50, 0.3))
    assert list(answer.graded(np.array([0.3, 0.31, 0.29]), edges)) == ["medium", "high", "low"]


def test_a_saved_churn_model_answers_the_same(churn, shop, now, tmp_path):
    churn.save(tmp_path)
    loaded = ChurnModel.load(tmp_path)
    assert loaded.predict(shop, as_of=now).contacts.equals(churn.predict(shop, as_of=now).contacts)
    assert loaded.training_record_ == churn.training_record_
    with pytest.raises(ConfigurationError, match="is a ChurnModel, not a PurchaseModel"):
        PurchaseModel.load(tmp_path)


def test_churn_is_asked_of_people_who_bought_within_a_year(churn, shop, now):
    assert str(churn.question.eligible) == "order within 365D"
    assert churn.predict(shop, as_of=now).contacts.num_rows > 0


def test_the_word_contact_asks_about_everybody():
    assert PurchaseModel(eligible="contact").question.eligible is None


def test_a_shop_without_orders_is_declined(tables, now):
    market = Market.from_tables(events=tables["events"], now=now)
    with pytest.raises(DeclinedError, match="there is no table 'orders'"):
        PurchaseModel().fit(market, as_of=now)


def test_a_shop_in_which_everybody_buys_is_declined(now):
    days = pd.date_range(now - 150 * DAY, now, freq="7D").tz_localize(None)
    orders = pd.DataFrame(
        [(who, f"{who}{day}", day) for who in "abc" for day in days],
        columns=["contact_id", "order_id", "ordered_at"],
    )
    market = Market.from_tables(orders=orders, now=now)
    with pytest.raises(DeclinedError, match="no origin at which it could be judged"):
        PurchaseModel(needs={"fewest_buyers": 1}).fit(market, as_of=now)


def test_a_shop_of_three_customers_is_declined_with_the_reason(now):
    days = pd.date_range(now - 150 * DAY, now, freq="7D").tz_localize(None)
    orders = pd.DataFrame(
        [(who, f"{who}{day}", day) for who in "abc" for day in days],
        columns=["contact_id", "order_id", "ordered_at"],
    )
    market = Market.from_tables(orders=orders, now=now)
    with pytest.raises(DeclinedError, match="3 contacts ordered, 50 are needed"):
        PurchaseModel().fit(market, as_of=now)
    assert "50 are needed" in PurchaseModel().shortfall(market, as_of=now)


def test_little_data_is_left_to_buying_until_leaving_and_says_so(shop, now):
    evidence = PurchaseModel("30D").fit(shop, as_of=now).evidence_
    models = {fold.model for fold in evidence.folds}
    assert "beta_geo" in models
    assert not models & {"blend", "boosted_trees", "logistic"}
    assert evidence.limits[0].startswith("Only buy-till-you-die models and simple rules are tried.")


def test_where_nobody_comes_back_only_rules_are_tried(shop, now):
    wants = {"repeaters": 100_000}
    fitted = PurchaseModel("30D", needs=wants).fit(shop, as_of=now)
    evidence = fitted.evidence_
    assert evidence.chosen == evidence.baseline
    assert evidence.verdict.endswith("no model was tried.")
    assert evidence.gain.value == 0.0


def test_what_a_team_needs_is_kept_on_the_card(shop, now, tmp_path):
    fitted = PurchaseModel("30D", needs={"buyers": 100}).fit(shop, as_of=now)
    fitted.save(tmp_path)
    assert PurchaseModel.load(tmp_path).parameters["needs"] == {"buyers": 100}


def test_a_bare_frame_is_no_market(tables, now):
    with pytest.raises(ConfigurationError, match="This is a DataFrame, not a Market") as refused:
        ChurnModel().fit(tables["orders"], as_of=now)
    assert "Market.from_tables(orders=frame)" in str(refused.value)


def test_a_night_runs_both_with_their_settings():
    purchase, churn = predictors({"purchase": {"horizon": "14D"}, "churn": {}})
    assert "purchase_probability_14d" in purchase.outputs
    assert "churn_probability_90d" in churn.outputs
    assert "churn_risk" in churn.outputs


def test_a_predictor_that_is_not_known_is_refused():
    with pytest.raises(ConfigurationError, match="has no predictor 'purchse'") as refused:
        predictors({"purchse": {}})
    assert "did you mean 'purchase'?" in str(refused.value)


def test_a_setting_that_is_not_known_is_refused():
    with pytest.raises(ConfigurationError, match="no setting 'horizn'") as refused:
        predictors({"churn": {"horizn": "30D"}})
    assert "did you mean 'horizon'?" in str(refused.value)
