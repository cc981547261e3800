"""Whose contract will end, in a business whose hazards are known."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from subscription_business import DAYS, START, Business, chance_of

from mlmarket.churn import SubscriptionChurnModel
from mlmarket.churn.subscription.contracts import CONTRACT_DAYS, END_DAYS, under_contract
from mlmarket.churn.subscription.learners import BASELINES, CHALLENGERS, ContractModel, teaches
from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import log_loss
from mlmarket.features import SnapshotSpec, build, count, recency
from mlmarket.market import Market
from mlmarket.prediction import DeclinedError
from mlmarket.prediction.predictor import BatchPredictor

DAY = timedelta(days=1)
NOW = START + DAYS * DAY
EARLIER = NOW - 70 * DAY
COLUMN = "subscription_churn_probability_60d"


@pytest.fixture(scope="module")
def business() -> Business:
    return Business(seed=3, people=700)


@pytest.fixture(scope="module")
def market(business) -> Market:
    return Market.from_tables(**business.tables(), now=NOW)


@pytest.fixture(scope="module")
def model(market) -> SubscriptionChurnModel:
    return SubscriptionChurnModel("60D", folds=2).fit(market, as_of=EARLIER)


@pytest.fixture(scope="module")
def answers(model, market):
    return model.predict(market, as_of=EARLIER)


def _events(*rows):
    """Return events of ``(contact, type, day)``."""
    start = pd.Timestamp(START).tz_localize(None)
    return pd.DataFrame(
        [(who, f"subscription_{kind}", start + day * DAY) for who, kind, day in rows],
        columns=["contact_id", "event_type", "occurred_at"],
    )


# --- what it says ---------------------------------------------------------------------------------


def test_everybody_under_contract_has_a_number_and_nobody_else(answers, business):
    truth = business.running(EARLIER)
    frame = answers.to_frame()
    assert frame["contact_id"].tolist() == truth["contact_id"].tolist()
    months = truth["tenure"] / (365.25 / 12)
    np.testing.assert_allclose(frame["subscription_months"], months, atol=1e-6)
    assert frame[COLUMN].between(0, 1, inclusive="neither").all()
    missing = answers.missing.to_pandas()
    assert set(missing["contact_id"]) == set(business.ids) - set(truth["contact_id"])
    (reason,) = set(missing["reason"])
    assert reason == (
        "is not under contract at 2024-12-16 00:00 UTC: no 'subscription_started' that no "
        "'subscription_ended' follows"
    )


def test_it_comes_close_to_an_oracle_that_knows_the_hazards(answers, business):
    truth = business.running(EARLIER)
    tenure, basic, habit = (truth[name].to_numpy() for name in ("tenure", "basic", "habit"))
    oracle = chance_of(tenure, basic, habit, 60)
    said = answers.to_frame()[COLUMN]
    left = (truth["left"] <= 60).astype(int)
    assert np.corrcoef(oracle, said)[0, 1] > 0.6
    assert said.mean() == pytest.approx(oracle.mean(), abs=0.03)
    rate = np.full(len(left), left.mean())
    assert log_loss(left, said) < log_loss(left, rate)
    assert log_loss(left, said) < log_loss(left, oracle) + 0.02


def test_the_evidence_has_all_candidates_and_one_that_beats_the_rules_is_used(model):
    evidence = model.evidence_
    summary = evidence.summary()["log_loss"]
    assert set(summary.index) == {*BASELINES, *CHALLENGERS}
    assert evidence.chosen in CHALLENGERS
    assert summary[evidence.chosen] < summary.min() + 0.005
    assert evidence.gain.low > 0
    assert evidence.question == "Whose contract ends within 60 days?"
    assert isinstance(model, BatchPredictor)
    assert model.headline.column == COLUMN
    assert model.headline.counts == "contracts that end within 60 days"


def test_who_cannot_be_told_apart_is_answered_by_a_rule():
    alike = Business(seed=4, people=300, alike=True)
    market = Market.from_tables(**alike.tables(), now=NOW)
    model = SubscriptionChurnModel("30D", folds=2).fit(market, as_of=NOW)
    assert model.evidence_.chosen == "base_rate"
    frame = model.predict(market, as_of=NOW).to_frame()
    (probability,) = set(frame["subscription_churn_probability_30d"])
    assert probability == pytest.approx(1 - np.exp(-0.12), abs=0.03)
    assert set(frame["subscription_churn_reasons"]) == {
        "the same for every contract: nothing that is known told them apart"
    }
    assert set(frame["subscription_churn_risk"]) == {"medium"}


def test_risk_in_words_keeps_its_probabilities(model, answers):
    medium, high = model.training_record_["grade_edges"]
    assert medium < high
    frame = answers.to_frame()
    wanted = np.select([frame[COLUMN] >= high, frame[COLUMN] >= medium], ["high", "medium"], "low")
    assert frame["subscription_churn_risk"].tolist() == wanted.tolist()


def test_the_columns_are_those_that_are_announced(model, answers):
    assert answers.contacts.column_names == ["contact_id", *model.outputs]
    assert list(model.outputs) == [
        COLUMN,
        "subscription_churn_risk",
        "subscription_months",
        "subscription_churn_reasons",
        "subscription_model_version",
    ]
    assert set(answers.to_frame()["subscription_model_version"]) == {model.version_}


def test_reasons_name_the_plan_and_the_log_ins_and_lean_the_right_way(answers, business):
    frame = answers.to_frame().set_index("contact_id")
    said = frame["subscription_churn_reasons"]
    assert said.str.fullmatch(
        r"(.+ (raises|lowers) it by \d+ points?(; |$)){1,3}|nothing stands out: .+"
    ).all()
    basic, pro = said[said.str.contains("plan 'basic'")], said[said.str.contains("plan 'pro'")]
    assert len(basic) > 20
    assert basic.str.contains("plan 'basic' raises it by").all()
    assert pro.str.contains("plan 'pro' lowers it by").all()
    truth = business.running(EARLIER).set_index("contact_id")
    rare, often = truth.index[truth["habit"] < 0.5], truth.index[truth["habit"] > 2.5]
    raising = said.str.contains(r"login[^;]* raises")
    lowering = said.str.contains(r"login[^;]* lowers")
    assert raising[rare].mean() > 0.5 > raising[often].mean()
    assert lowering[often].mean() > lowering[rare].mean()


def test_one_contact_alone_is_answered_as_among_all(model, market, answers):
    some = answers.to_frame().iloc[[3, 40]]
    alone = model.predict(market, as_of=EARLIER, contacts=some["contact_id"].tolist())
    pd.testing.assert_frame_equal(alone.to_frame(), some.reset_index(drop=True))
    stranger = model.predict(market, as_of=EARLIER, contacts=["nobody"]).missing
    assert stranger.column("reason").to_pylist() == ["is not known at 2024-12-16 00:00 UTC"]


# --- what it must not do --------------------------------------------------------------------------


def _all_of(model, market):
    said = model.predict(market, as_of=EARLIER)
    return model.training_record_, said.contacts, said.missing


def test_rows_after_as_of_change_nothing(model, market, business):
    events = business.events
    moment = pd.Timestamp(EARLIER).tz_localize(None)
    past, later = events[events["occurred_at"] <= moment], events[events["occurred_at"] > moment]
    ended = past.drop_duplicates("contact_id").assign(
        event_type="subscription_ended", available_at=moment + pd.Timedelta("1us")
    )
    invented = later.assign(event_type="cancellation_call")
    other = pd.concat([past, ended, invented, later.assign(event_type="subscription_ended")])
    for changed in (past, other):
        tables = business.tables(events=changed)
        truncated = Market.from_tables(**tables, now=NOW)
        again = SubscriptionChurnModel("60D", folds=2).fit(truncated, as_of=EARLIER)
        for one, two in zip(_all_of(again, truncated), _all_of(model, market), strict=True):
            assert one == two


def test_the_order_of_rows_changes_nothing(model, market, business):
    mixed = {
        name: table.sample(frac=1, random_state=1) for name, table in business.tables().items()
    }
    turned = Market.from_tables(**mixed, now=NOW)
    again = SubscriptionChurnModel("60D", folds=2).fit(turned, as_of=EARLIER)
    assert again.version_ == model.version_
    assert again.predict(turned, as_of=EARLIER).contacts.equals(
        model.predict(market, as_of=EARLIER).contacts
    )


def test_a_saved_model_answers_the_same_bytes(model, market, answers, tmp_path):
    model.save(tmp_path)
    loaded = SubscriptionChurnModel.load(tmp_path)
    assert loaded.predict(market, as_of=EARLIER).contacts.equals(answers.contacts)
    assert loaded.training_record_ == model.training_record_
    loaded.save(tmp_path / "again")
    for path in sorted((tmp_path / "again").iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


@pytest.mark.parametrize("name", [*BASELINES, *CHALLENGERS])
def test_every_candidate_is_kept_in_files(name, tmp_path):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {CONTRACT_DAYS: draw.uniform(0, 400, 600), "plan": draw.choice(["a", "b"], 600)}
    )
    label = draw.choice(np.array([0, 1, 2, -1, -2], np.int8), 600)
    made = [ContractModel(name, horizon=75 * DAY, period=30 * DAY) for _ in range(2)]
    fitted = made[0].fit(frame, label).learn_usual(frame)
    fitted.save(tmp_path)
    restored = made[1].restore(tmp_path)
    assert np.array_equal(restored.predict(frame), fitted.predict(frame))
    assert restored.usual == fitted.usual
    parts = fitted.parts(frame)
    mean = np.mean([part.probability() for part in parts], axis=0)
    np.testing.assert_allclose(mean, fitted.predict(frame), rtol=1e-9)
    assert len(fitted.predict(frame[:0])) == 0


def test_a_model_of_the_whole_horizon_never_learns_from_open_windows():
    frame = pd.DataFrame({CONTRACT_DAYS: np.full(400, 10.0)})
    label = np.repeat(np.array([0, 1, -2], np.int8), [150, 50, 200])
    base = ContractModel("base_rate", horizon=90 * DAY, period=30 * DAY).fit(frame, label)
    assert base.predict(frame[:1])[0] == pytest.approx(0.25, abs=0.01)
    hazard = ContractModel("tenure_hazard", horizon=30 * DAY, period=30 * DAY).fit(frame, label)
    assert hazard.predict(frame[:1])[0] == pytest.approx(250 / 400, abs=0.01)


def test_rows_of_one_kind_teach_nothing():
    assert teaches(np.array([0, 1, 2, -1], np.int8))
    assert not teaches(np.array([0, 0, -2], np.int8))
    assert not teaches(np.array([2, 0, 2, -1], np.int8))
    assert not teaches(np.empty(0, np.int8))


# --- who is under contract ------------------------------------------------------------------------


def test_a_contract_runs_from_its_last_start_unless_an_end_follows():
    draw = np.random.default_rng(8)
    histories = {
        f"c{place:03d}": [
            (str(draw.choice(["started", "ended"])), int(draw.integers(0, 90)))
            for _ in range(draw.integers(1, 6))
        ]
        for place in range(300)
    }
    rows = [(who, kind, day) for who, history in histories.items() for kind, day in history]
    market = Market.from_tables(events=_events(*rows), now=START + 100 * DAY)
    spec = SnapshotSpec(None, SubscriptionChurnModel().features[1:])
    for day in (0, 20, 45, 60, 95):
        found = {}
        for batch in build(market, spec, cutoffs=[START + day * DAY]):
            running = batch.filter(pa.array(under_contract(batch)))
            names = (running.column(name).to_pylist() for name in ("contact_id", CONTRACT_DAYS))
            found |= dict(zip(*names, strict=True))
        assert found == _running_by_hand(histories, day)


def _running_by_hand(histories, day):
    running = {}
    for who, history in histories.items():
        last = {"started": -1, "ended": -1}
        for kind, when in history:
            if when <= day:
                last[kind] = max(last[kind], when)
        if last["started"] >= max(last["ended"], 0):
            running[who] = float(day - last["started"])
    return running


def test_a_restart_begins_a_new_tenure(model, business):
    back = _events(
        ("again", "started", 10),
        ("again", "ended", 100),
        ("again", "started", 320),
        ("first", "started", 320),
        ("gone", "started", 10),
        ("gone", "ended", 330),
    )
    events = pd.concat([business.events, back])
    people = business.tables()["contacts"]
    people = pd.concat([people, pd.DataFrame({"contact_id": ["again", "first", "gone"]})])
    market = Market.from_tables(events=events, contacts=people, now=NOW)
    said = model.predict(market, as_of=EARLIER, contacts=["again", "first", "gone"])
    months = said.to_frame().set_index("contact_id")["subscription_months"]
    assert months.to_dict() == pytest.approx({"again": 30 / 30.4375, "first": 30 / 30.4375})
    assert said.missing.column("contact_id").to_pylist() == ["gone"]


def test_features_about_the_contract_alone_are_left_to_tenure(model, market):
    names = [feature.name for feature in model.features_at(market, as_of=EARLIER)]
    assert CONTRACT_DAYS in names
    assert END_DAYS in names
    assert not [name for name in names if name.startswith("subscription_started")]
    counted = {kind for one in model.features_ for kind in getattr(one.behaviour, "types", ())}
    assert counted == {"login", "subscription_started", "subscription_ended"}
    assert [feature.name for feature in model.features_] == names


# --- bad input ------------------------------------------------------------------------------------


def test_events_alone_suffice(business):
    market = Market.from_tables(events=business.events, now=NOW)
    model = SubscriptionChurnModel(
        "30D", folds=1, features=[recency("login"), count("login", "30D")]
    )
    frame = model.fit(market, as_of=NOW).predict(market, as_of=NOW).to_frame()
    assert len(frame) == len(business.running(NOW))


def test_other_names_of_events_are_asked_for_with_the_near_ones(business):
    market = Market.from_tables(**business.tables(), now=NOW)
    model = SubscriptionChurnModel(starts="event subscription_start")
    with pytest.raises(DeclinedError, match="there is no 'subscription_start' until") as declined:
        model.fit(market, as_of=NOW)
    assert "did you mean 'subscription_started'?; name them with starts=" in str(declined.value)
    assert "did you mean 'subscription_started'" in model.shortfall(market, as_of=NOW)


def test_without_starts_or_ends_nothing_is_said(business):
    for kind in ("started", "ended"):
        events = business.events.query(
            "event_type != @name", local_dict={"name": f"subscription_{kind}"}
        )
        market = Market.from_tables(events=events, now=NOW)
        with pytest.raises(DeclinedError, match=f"there is no 'subscription_{kind}'"):
            SubscriptionChurnModel().fit(market, as_of=NOW)


def test_a_market_without_events_is_declined():
    orders = pd.DataFrame(
        {"contact_id": ["a"], "order_id": ["1"], "ordered_at": [pd.Timestamp("2024-02-01")]}
    )
    market = Market.from_tables(orders=orders, now=NOW)
    with pytest.raises(DeclinedError, match="there is no table 'events'"):
        SubscriptionChurnModel().fit(market, as_of=NOW)


def test_ends_before_any_start_are_counted_in_the_limits(business, market, model):
    early = _events(*[(f"old{place}", "ended", place) for place in range(7)])
    events = pd.concat([business.events, early])
    older = Market.from_tables(events=events, now=NOW)
    again = SubscriptionChurnModel("60D", folds=1).fit(older, as_of=EARLIER)
    assert again.evidence_.limits[0].startswith("7 contacts have an end before any start")
    assert "before any start" not in " ".join(model.evidence_.limits)
    said = again.predict(older, as_of=EARLIER, contacts=["old3"])
    assert said.missing.column("contact_id").to_pylist() == ["old3"]


def test_a_horizon_longer_than_the_history_is_declined(market):
    model = SubscriptionChurnModel("900D")
    with pytest.raises(DeclinedError, match="no window of 900D is closed"):
        model.fit(market, as_of=NOW)
    assert "900D after them" in model.shortfall(market, as_of=NOW)


def test_a_business_that_nobody_leaves_is_declined():
    rows = [(f"c{place}", "started", place % 200) for place in range(300)]
    market = Market.from_tables(events=_events(*rows, ("c0", "ended", 399.5)), now=NOW)
    with pytest.raises(DeclinedError, match="no origin at which it could be judged"):
        SubscriptionChurnModel("30D").fit(market, as_of=START + 400 * DAY)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"starts": "event a", "ends": "event a"}, "start and end with the same rows, 'a'"),
        ({"starts": "no order"}, "`starts` is 'no order'"),
        ({"ends": "event a within 30D"}, "`ends` is 'a within 30D'"),
        ({"horizon": 90}, "90 is not a duration"),
    ],
)
def test_wrong_questions_are_refused_when_they_are_asked(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        SubscriptionChurnModel(**arguments)


def test_a_backtest_judges_at_the_origins_it_is_given(market):
    origins = [START + 240 * DAY, START + 300 * DAY]
    evidence = SubscriptionChurnModel("60D").backtest(market, origins=origins)
    assert {fold.origin for fold in evidence.folds} == set(origins)
    assert evidence.score("logistic_hazard", "log_loss") < evidence.score("base_rate", "log_loss")
    with pytest.raises(ConfigurationError, match="There is no origin to stand at"):
        SubscriptionChurnModel("60D").backtest(market, origins=[])


def test_answers_come_in_buckets_too(model, market, answers):
    parts = list(model.predict_batches(market, as_of=EARLIER))
    assert pa.concat_tables([part.contacts for part in parts]).equals(answers.contacts)
