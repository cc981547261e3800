"""What will contacts be worth, in a shop of known truth?

Orders come from a BG/NBD world, and their values are Gamma around a mean of each contact's own.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.churn import BuyTillYouDieValue, LifetimeValueModel
from mlmarket.churn.btyd import BetaGeoModel, GammaGammaModel
from mlmarket.churn.value.study import FEATURES
from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import expected_value_total, normalised_gini
from mlmarket.features import OpenLabelWindowError, SnapshotSpec, build
from mlmarket.market import Market
from mlmarket.market.settings import MarketSettings, TableSettings
from mlmarket.prediction import BatchPredictor, DeclinedError

START = datetime(2024, 1, 1, tzinfo=UTC)
R, ALPHA, A, B = 0.8, 30.0, 0.8, 8.0  # in days
P, Q, GAMMA = 6.0, 4.0, 15.0


def _at(day):
    start = np.datetime64(START.replace(tzinfo=None), "us")
    return start + (np.asarray(day) * 86_400_000_000).astype("timedelta64[us]")


def _buying_days(draw, days, born):
    """Return when somebody orders: at a constant rate, leaving after each order with a chance."""
    rate, leaves = draw.gamma(R, 1.0 / ALPHA), draw.beta(A, B)
    found, moment = [born], born
    while True:
        # Only a repeat purchase can be the last.
        moment += draw.exponential(1.0 / rate)
        if moment >= days:
            return found
        found.append(moment)
        if draw.random() < leaves:
            return found


NEEDS = {"buyers": 100}


def orders_of(*, seed: int, people: int = 350, days: int = 330):
    """Return orders of people who first order in the first half of the time."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(people):
        born = draw.uniform(0, 0.5 * days)
        moments = _buying_days(draw, days, born)
        values = draw.gamma(P, 1.0 / draw.gamma(Q, 1.0 / GAMMA), len(moments))
        rows += [(f"c{number:04d}", at, value) for at, value in zip(moments, values, strict=True)]
    frame = pd.DataFrame(rows, columns=["contact_id", "day", "amount"]).sort_values("day")
    return pd.DataFrame(
        {
            "contact_id": frame["contact_id"].to_numpy(),
            "order_id": np.arange(len(frame)).astype(str),
            "ordered_at": _at(frame["day"]),
            "amount": frame["amount"].round(2).to_numpy(),
        }
    )


def day(number: float) -> datetime:
    """Return a moment of the shop."""
    return START + timedelta(days=number)


DAYS = 330
AS_OF = day(270)
HORIZON = "60D"


@pytest.fixture(scope="module")
def orders():
    return orders_of(seed=4, days=DAYS)


@pytest.fixture(scope="module")
def shop(orders):
    return Market.from_tables(orders=orders, now=day(DAYS))


@pytest.fixture(scope="module")
def model(shop):
    return LifetimeValueModel(HORIZON, needs=NEEDS).fit(shop, as_of=AS_OF)


@pytest.fixture(scope="module")
def answers(model, shop):
    return model.predict(shop, as_of=AS_OF)


def _worth(orders, after, until):
    """Return the worth of each contact's orders, counted with pandas."""
    moments = pd.to_datetime(orders["ordered_at"]).dt.tz_localize(UTC)
    inside = orders[(moments > after) & (moments <= until)]
    return inside.groupby("contact_id")["amount"].sum()


def _oracle(orders):
    """Return what the true parameters expect of what was known: nobody can know more."""
    past = orders[pd.to_datetime(orders["ordered_at"]).dt.tz_localize(UTC) <= AS_OF]
    moments = past.groupby("contact_id")["ordered_at"]
    end = pd.Timestamp(AS_OF).tz_localize(None)
    summary = pd.DataFrame(
        {
            "frequency": past.groupby("contact_id").size() - 1,
            "recency": (moments.max() - moments.min()) / pd.Timedelta("1D"),
            "T": (end - moments.min()) / pd.Timedelta("1D"),
            # The first order is worth knowing too, and values are independent of when.
            "monetary_value": past.groupby("contact_id")["amount"].mean(),
        }
    )
    buying = BetaGeoModel(unit="1D", penalty=1.0).fit(summary)
    spend = GammaGammaModel().fit(summary)
    for name, truth in (("r_", R), ("alpha_", ALPHA), ("a_", A), ("b_", B)):
        setattr(buying, name, truth)
    for name, truth in (("p_", P), ("q_", Q), ("gamma_", GAMMA)):
        setattr(spend, name, truth)
    known = summary.assign(frequency=summary["frequency"] + 1)
    expected = buying.expected_purchases(summary, horizon=HORIZON) * spend.expected_value(known)
    return pd.Series(expected, summary.index)


def _without_future(orders):
    return orders[pd.to_datetime(orders["ordered_at"]).dt.tz_localize(UTC) <= AS_OF]


def _with_another_future(orders):
    past = _without_future(orders)
    later = orders.drop(past.index).assign(amount=9_999_999.99)
    newcomers = later.assign(contact_id="new1", order_id=later["order_id"] + "x")
    moment = pd.Timestamp(AS_OF).tz_localize(None) + pd.Timedelta("1us")
    arrived = past.head(30).assign(order_id="late" + past["order_id"], available_at=moment)
    return pd.concat([past, later, newcomers, arrived])


@pytest.mark.parametrize("change", [_without_future, _with_another_future])
def test_rows_after_as_of_change_nothing(change, model, answers, orders):
    changed = Market.from_tables(orders=change(orders), now=day(DAYS))
    again = LifetimeValueModel(HORIZON, needs=NEEDS).fit(changed, as_of=AS_OF)
    assert again.training_record_ == model.training_record_
    assert again.predict(changed, as_of=AS_OF).contacts.equals(answers.contacts)


def test_neither_the_order_of_rows_nor_threads_change_a_byte(model, answers, orders):
    mixed = Market.from_tables(orders=orders.sample(frac=1, random_state=3), now=day(DAYS))
    mixed.table("orders").get_backend().raw_sql("SET threads = 1")
    again = LifetimeValueModel(HORIZON, needs=NEEDS).fit(mixed, as_of=AS_OF)
    assert again.training_record_ == model.training_record_
    assert again.predict(mixed, as_of=AS_OF).contacts.equals(answers.contacts)


def test_it_comes_close_to_the_oracle_who_knows_the_true_parameters(answers, orders):
    expected = answers.to_frame().set_index("contact_id")["expected_value_60d"]
    oracle = _oracle(orders).loc[expected.index]
    worth = _worth(orders, AS_OF, day(330)).reindex(expected.index, fill_value=0.0)
    ours, best = (normalised_gini(worth, said) for said in (expected, oracle))
    assert best > 0.5
    assert ours > best - 0.06
    assert expected.sum() == pytest.approx(oracle.sum(), rel=0.2)


def test_the_evidence_holds_every_measure_of_every_candidate(model):
    evidence = model.evidence_
    summary = evidence.summary()
    assert {"value_blend", "tweedie_trees", "hurdle", "buy_till_you_die"} <= set(summary.index)
    assert {"past_rate", "rfm_cells"} <= set(summary.index)
    wanted = {"deviance", "gini", "decile_error", "total_bias", "mae"}
    assert wanted == set(summary.columns)
    assert (evidence.metric, evidence.unit) == ("deviance", "currency")
    assert evidence.deciles.observed[0] > 2 * evidence.deciles.observed[-1]
    assert evidence.calibration is None
    assert evidence.seasonal_factor is None
    assert any("not corrected for the season" in limit for limit in evidence.limits)
    assert model.orders_evidence_.unit == "days"
    assert "what a message would change" in evidence.limits[-1]


def test_the_choice_follows_the_rule_that_is_written_down(model):
    for evidence in (model.evidence_, model.orders_evidence_):
        beats = evidence.gain.low > 0
        lower = evidence.score(evidence.chosen, "gini") < evidence.score(evidence.baseline, "gini")
        assert (evidence.chosen != evidence.baseline) == beats or lower
        assert not lower


def test_a_total_is_as_unsure_as_past_totals_and_single_contacts_were(model, answers):
    expected = answers.to_frame()["expected_value_60d"].to_numpy()
    total, evidence = model.total(expected), model.evidence_
    assert total == expected_value_total(
        expected, dispersion=evidence.dispersion, relative_error=evidence.relative_error
    )
    assert total.value == pytest.approx(expected.sum())
    assert total.low < 0.95 * total.value
    assert model.total(expected[:0]).value == 0.0


def test_the_tenths_keep_their_edges(model, answers):
    frame = answers.to_frame()
    edges = model.training_record_["edges"]
    assert len(edges) == 9
    assert edges == sorted(edges)
    highest = frame["expected_value_60d"] > edges[-1]
    assert (frame.loc[highest, "value_decile"] == 1).all()
    assert set(frame["value_decile"]) <= set(range(1, 11))
    by_tenth = frame.groupby("value_decile")["expected_value_60d"].mean()
    assert (by_tenth.diff().dropna() < 0).all()


def test_its_columns_are_those_it_promises(model, answers):
    assert answers.contacts.column_names == ["contact_id", *model.outputs]
    assert list(model.outputs) == [
        "expected_value_60d",
        "expected_orders_60d",
        "value_decile",
        "value_model_version",
    ]
    assert model.headline.column == "expected_value_60d"
    assert model.headline.unit == "currency"
    assert isinstance(model, BatchPredictor)


def test_some_contacts_have_the_same_answers_as_all_and_strangers_have_a_reason(
    model, answers, shop
):
    some = model.predict(shop, as_of=AS_OF, contacts=["c0003", "c0001", "nobody"])
    wanted = answers.to_frame().set_index("contact_id").loc[["c0001", "c0003"]].reset_index()
    pd.testing.assert_frame_equal(some.to_frame(), wanted)
    assert some.missing.column("contact_id").to_pylist() == ["nobody"]


def test_a_saved_model_answers_the_same(model, answers, shop, tmp_path):
    model.save(tmp_path / "one")
    loaded = LifetimeValueModel.load(tmp_path / "one")
    assert loaded.predict(shop, as_of=AS_OF).contacts.equals(answers.contacts)
    assert loaded.training_record_ == model.training_record_
    loaded.save(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_changed_file_is_refused(model, tmp_path):
    model.save(tmp_path)
    file = next(path for path in sorted(tmp_path.iterdir()) if path.name != "card.json")
    file.write_text(file.read_text(encoding="utf-8").replace("1", "2"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="is not the one its card describes"):
        LifetimeValueModel.load(tmp_path)


def _batch(model, rows):
    """Return a batch of features in which every number is one of those given."""
    columns = {"contact_id": pa.array([f"x{i}" for i in range(len(rows))])}
    for place, feature in enumerate(model.features_):
        numbers = [row[place % len(row)] for row in rows]
        columns[feature.name] = pa.array(numbers, pa.float64(), from_pandas=True)
    return pa.RecordBatch.from_pydict(columns)


_NUMBERS = st.one_of(
    st.floats(-1e9, 1e9), st.sampled_from([np.nan, 0.0, 1.0, 1e300, -1e300, 1e-300])
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(_NUMBERS, min_size=1, max_size=9), min_size=1, max_size=5))
def test_no_answer_is_below_zero_or_missing_whatever_is_known(model, rows):
    table = model.answer(_batch(model, rows)).to_pandas()
    for column in ("expected_value_60d", "expected_orders_60d"):
        assert np.isfinite(table[column]).all()
        assert (table[column] >= 0).all()
    assert table["value_decile"].between(1, 10).all()


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.lists(_NUMBERS, min_size=1, max_size=9), min_size=2, max_size=6))
def test_the_answer_for_a_row_depends_on_no_other(model, rows):
    whole = model.answer(_batch(model, rows))
    batch = _batch(model, rows)
    single = [model.answer(batch.slice(place, 1)) for place in range(len(rows))]
    assert pa.concat_tables(single).combine_chunks().equals(whole.combine_chunks())


def test_a_backtest_judges_at_the_origins_that_were_asked(shop):
    origins = [day(200), day(240)]
    evidence = LifetimeValueModel(HORIZON, needs=NEEDS).backtest(shop, origins=origins)
    assert sorted({fold.origin for fold in evidence.folds}) == origins
    with pytest.raises(ConfigurationError, match="no origin"):
        LifetimeValueModel(HORIZON, needs=NEEDS).backtest(shop, origins=[])


def test_an_open_window_is_refused(shop):
    with pytest.raises(OpenLabelWindowError, match="is complete only until"):
        LifetimeValueModel(HORIZON, needs=NEEDS).backtest(shop, origins=[day(300)])


def test_a_history_that_is_too_short_is_declined_with_the_longest_horizon_that_works(shop):
    with pytest.raises(DeclinedError, match="do not hold two closed windows of 365D") as caught:
        LifetimeValueModel("365D").fit(shop, as_of=AS_OF)
    assert "the longest horizon that these can carry is 120D" in caught.value.fix
    assert LifetimeValueModel("120D", needs=NEEDS).shortfall(shop, as_of=AS_OF) == ""
    assert "758 days of orders" in LifetimeValueModel("365D").shortfall(shop, as_of=AS_OF)
    assert LifetimeValueModel("121D").shortfall(shop, as_of=AS_OF) != ""


def test_without_amounts_it_declines(orders):
    market = Market.from_tables(orders=orders.drop(columns="amount"))
    with pytest.raises(DeclinedError, match="'orders' has no column 'amount'"):
        LifetimeValueModel(HORIZON, needs=NEEDS).fit(market, as_of=AS_OF)


def test_buy_till_you_die_answers_for_a_horizon_that_nobody_has_lived_through(shop, tmp_path):
    model = BuyTillYouDieValue("365D").fit(shop, as_of=AS_OF)
    evidence = model.evidence_
    assert evidence.chosen == "buy_till_you_die"
    assert "It was judged on 120D, the longest window that is closed" in evidence.limits[0]
    year = model.predict(shop, as_of=AS_OF)
    value = year.to_frame()["expected_value_365d"]
    assert np.isfinite(value).all()
    # It asks its own models for a year, and does not stretch what it learned for a shorter time.
    present = pa.Table.from_batches(
        build(shop, SnapshotSpec(model.eligible, FEATURES), cutoffs=[AS_OF])
    ).to_pandas()
    expected = model._fitted.value.learner.predict(present)
    np.testing.assert_allclose(value, expected)
    model.save(tmp_path)
    loaded = BuyTillYouDieValue.load(tmp_path)
    assert loaded.predict(shop, as_of=AS_OF).contacts.equals(year.contacts)
    with pytest.raises(ConfigurationError, match="is a BuyTillYouDieValue"):
        LifetimeValueModel.load(tmp_path)


def test_where_everything_is_closed_it_claims_no_extrapolation(shop):
    evidence = BuyTillYouDieValue(HORIZON).backtest(shop, origins=[day(200)])
    assert not any("extrapolated" in limit for limit in evidence.limits)
    with pytest.raises(DeclinedError, match="no origin at which it could be judged"):
        BuyTillYouDieValue(HORIZON).backtest(shop, origins=[datetime(2024, 1, 3, tzinfo=UTC)])


def test_a_mistyped_order_that_is_cancelled_changes_hardly_anything(model, answers, orders):
    moment = pd.Timestamp(day(150)).tz_localize(None)
    mistake = pd.DataFrame(
        {
            "contact_id": "c0000",
            "order_id": ["typo", "typo back"],
            "ordered_at": [moment, moment + pd.Timedelta("16min")],
            "amount": [77_183.6, -77_183.6],
        }
    )
    declared = MarketSettings(tables={"orders": TableSettings(returns="amount < 0")})
    told = pd.concat([orders, mistake])
    market = Market.from_tables(orders=told, settings=declared, now=day(DAYS))
    again = (
        LifetimeValueModel(HORIZON, needs=NEEDS)
        .fit(market, as_of=AS_OF)
        .predict(market, as_of=AS_OF)
    )
    both = answers.to_frame()["expected_value_60d"], again.to_frame()["expected_value_60d"]
    assert both[1].sum() == pytest.approx(both[0].sum(), rel=0.1)
    assert both[1].iloc[0] < 3 * both[0].max()


def test_orders_that_have_stopped_carry_no_value(shop):
    later = AS_OF + timedelta(days=200)
    with pytest.raises(DeclinedError, match="the table seems to have stopped"):
        LifetimeValueModel("30D", needs=NEEDS).fit(shop, as_of=later)
    assert "stopped" in LifetimeValueModel("30D", needs=NEEDS).shortfall(shop, as_of=later)


def test_little_data_is_left_to_buying_until_leaving(shop):
    evidence = LifetimeValueModel(HORIZON).fit(shop, as_of=AS_OF).evidence_
    models = {fold.model for fold in evidence.folds}
    assert not models & {"value_blend", "tweedie_trees", "hurdle"}
    assert evidence.limits[0].startswith("Only buy-till-you-die models")
