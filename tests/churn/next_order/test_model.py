"""When is the next order due: shops whose rhythm is known."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import gamma

from mlmarket.churn import NextOrderModel, due_items
from mlmarket.errors import ConfigurationError, MlmarketError
from mlmarket.features.labels import OpenLabelWindowError
from mlmarket.market import Market
from mlmarket.market.settings import MarketSettings, TableSettings
from mlmarket.prediction import DeclinedError
from mlmarket.prediction.buckets import Roll
from mlmarket.prediction.predictor import BatchPredictor

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 300
NOW = START + timedelta(days=DAYS, microseconds=-1)
SHAPE = 16.0
PEOPLE = 600
SMALL = {"folds": 1, "most_rows": 6_000}


def at(day: np.ndarray) -> np.ndarray:
    start = np.datetime64(START.replace(tzinfo=None), "us")
    return start + (np.asarray(day) * 86_400_000_000).astype("timedelta64[us]")


def simulate(seed: int, days: int = DAYS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return orders with gaps of a gamma distribution of each person's own, and its mean.

    A tenth of the people stop for good at some day.
    """
    draw = np.random.default_rng(seed)
    mean = draw.choice([15.0, 30.0, 45.0], PEOPLE)
    rows = []
    for person in range(PEOPLE):
        gaps = gamma.rvs(SHAPE, scale=mean[person] / SHAPE, size=80, random_state=draw)
        when = draw.uniform(0, mean[person]) + np.cumsum(gaps)
        stops = draw.uniform(30, 150) if person % 10 == 0 else np.inf
        rows += [(f"c{person:03d}", day) for day in when[when < min(days, stops)]]
    orders = pd.DataFrame(rows, columns=["contact_id", "day"])
    orders["ordered_at"] = at(orders["day"].to_numpy())
    orders["order_id"] = [str(row) for row in range(len(orders))]
    orders["item_id"] = draw.choice(["milk", "tea", "lamp"], len(orders), p=[0.6, 0.3, 0.1])
    orders["amount"] = 10.0
    return orders, pd.DataFrame({"contact_id": [f"c{n:03d}" for n in range(PEOPLE)], "mean": mean})


def shop(orders: pd.DataFrame) -> Market:
    return Market.from_tables(orders=orders.drop(columns="day"))


@pytest.fixture(scope="module")
def orders():
    return simulate(0)


@pytest.fixture(scope="module")
def market(orders):
    return shop(orders[0])


@pytest.fixture(scope="module")
def fitted(market):
    return NextOrderModel(**SMALL).fit(market, as_of=NOW)


@pytest.fixture(scope="module")
def answer(market, fitted):
    return fitted.predict(market, as_of=NOW)


@pytest.fixture(scope="module")
def of_items(market):
    return NextOrderModel("item", items=2, **SMALL).fit(market, as_of=NOW)


def truth_of(orders: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    """Return what somebody would say who knows each person's distribution of gaps."""
    rows, people = orders
    frame = people.set_index("contact_id").join(
        rows.groupby("contact_id")["day"].agg(["max", "count"])
    )
    frame = frame[frame.index.str[-1] != "0"]  # those who never stop
    since = DAYS - frame["max"]
    law = gamma(SHAPE, scale=frame["mean"] / SHAPE)
    left = law.sf(since)
    for days in (7, 14, 28):
        frame[f"p{days}"] = 1 - law.sf(since + days) / left
    frame["median"] = law.isf(0.5 * left) - since
    return frame


def test_it_is_a_predictor_that_a_night_can_run(fitted):
    assert isinstance(fitted, BatchPredictor)
    assert fitted.name == "next_order"
    assert fitted.headline.column in fitted.outputs
    assert fitted.needs == {"orders"}


def test_chances_and_dates_are_near_the_truth(orders, answer):
    truth = truth_of(orders)
    frame = truth.join(answer.to_frame().set_index("contact_id"))
    for days in (7, 14, 28):
        said = frame[f"next_order_probability_{days}d"]
        assert np.corrcoef(said, frame[f"p{days}"])[0, 1] > 0.85
        assert said.mean() == pytest.approx(frame[f"p{days}"].mean(), abs=0.05)
    day = (frame["next_order_date"] - pd.Timestamp(NOW.date())).dt.days
    assert (day - frame["median"]).abs().mean() < 3.5
    assert (day - day.mean()).abs().mean() > 2 * (day - frame["median"]).abs().mean()


def test_the_model_beats_the_rules_and_says_so(fitted):
    evidence = fitted.evidence_
    assert evidence.chosen == "blend"
    assert "saves log loss" in evidence.verdict
    assert evidence.score("blend", "mae_days") < evidence.score("base_rate", "mae_days")
    assert 0.6 < evidence.score("blend", "band_covers") < 0.97


def test_the_date_lies_in_its_band_and_ahead(answer):
    frame = answer.to_frame()
    dated = frame[frame["next_order_date"].notna()]
    assert (dated["next_order_low"] > pd.Timestamp(NOW.date())).all()
    assert (dated["next_order_low"] <= dated["next_order_date"]).all()
    assert (dated["next_order_date"] <= dated["next_order_high"]).all()
    chances = frame[[f"next_order_probability_{days}d" for days in (7, 14, 28, 90)]].to_numpy()
    assert (np.diff(chances, axis=1) >= 0).all()


def test_who_stopped_has_no_date_and_a_reason(orders, answer):
    last = orders[0].groupby("contact_id")["day"].max()
    gone = last.index[(last < 150) & (last.index.str[-1] == "0")]
    frame = answer.to_frame().set_index("contact_id").loc[gone]
    assert frame["next_order_date"].isna().mean() > 0.9
    why = answer.missing.to_pandas().set_index("contact_id")["reason"]
    silent = frame.index[frame["next_order_date"].isna()]
    assert why.loc[silent].str.contains("below 20%, too low for a date").all()
    dated = answer.to_frame().dropna(subset="next_order_date")
    assert not set(dated["contact_id"]) & set(why.index)


def test_rows_after_as_of_change_nothing(orders, tmp_path):
    past = NOW - timedelta(days=40)
    late = orders[0].copy()
    late["available_at"] = late["ordered_at"]
    unseen = late["ordered_at"] > np.datetime64(past.replace(tzinfo=None))
    # Some that had happened were not known yet.
    hidden = (late["ordered_at"] > np.datetime64("2025-09-01")) & (late.index % 9 == 0)
    late.loc[hidden, "available_at"] = late.loc[hidden, "ordered_at"] + pd.Timedelta("60D")
    settings = {"now": NOW + timedelta(days=90)}
    whole = Market.from_tables(orders=late.drop(columns="day"), **settings)
    not_yet = late["available_at"] > np.datetime64(past.replace(tzinfo=None))
    cut = Market.from_tables(orders=late[~unseen & ~not_yet].drop(columns="day"), **settings)
    files, tables = [], []
    for place, market in enumerate((whole, cut)):
        model = NextOrderModel("item", **SMALL).fit(market, as_of=past)
        model.save(tmp_path / str(place))
        files.append({one.name: one.read_bytes() for one in (tmp_path / str(place)).iterdir()})
        answer = model.predict(market, as_of=past, contacts=[f"c{n:03d}" for n in range(50)])
        tables.append((answer.contacts, answer.items, answer.missing))
    assert files[0] == files[1]
    assert all(one.equals(other) for one, other in zip(*tables, strict=True))


def test_the_order_of_the_rows_changes_nothing(orders, fitted, answer):
    mixed = orders[0].sample(frac=1.0, random_state=3)
    market = shop(mixed)
    again = NextOrderModel(**SMALL).fit(market, as_of=NOW)
    assert again.version_ == fitted.version_
    assert again.predict(market, as_of=NOW).contacts.equals(answer.contacts)


@pytest.mark.parametrize("level", ["contact", "item"])
def test_buckets_say_what_the_whole_says(level, market, fitted, of_items, tmp_path, request):
    model = fitted if level == "contact" else of_items
    whole = model.predict(market, as_of=NOW)
    roll = Roll.record(market, tmp_path / "roll", as_of=NOW, contacts_a_bucket=97)
    parts = list(model.predict_batches(market, as_of=NOW, roll=roll))
    assert len(parts) == len(roll)
    assert pa.concat_tables([part.contacts for part in parts]).equals(whole.contacts)
    later = list(model.predict_batches(market, as_of=NOW, roll=roll, first=4))
    for part, other in zip(parts[4:], later, strict=True):
        assert part.contacts.equals(other.contacts)
        assert part.missing.equals(other.missing)
        assert level == "contact" or part.items.equals(other.items)
    some = model.predict(market, as_of=NOW, contacts=["c010", "c003", "nobody"])
    assert some.contacts.equals(
        whole.contacts.filter(
            pa.compute.is_in(whole.contacts["contact_id"], pa.array(["c003", "c010"]))
        )
    )
    why = dict(
        zip(*some.missing.select(["contact_id", "reason"]).to_pydict().values(), strict=True)
    )
    assert "is not known" in why["nobody"]
    alone = model.predict(market, as_of=NOW, contacts=["nobody"])
    assert (alone.contacts.num_rows, alone.missing.num_rows) == (0, 1)
    assert alone.contacts.schema.equals(whole.contacts.schema)


@pytest.mark.parametrize("level", ["contact", "item"])
def test_a_saved_model_gives_the_same_bytes(level, market, fitted, of_items, tmp_path):
    model = fitted if level == "contact" else of_items
    model.save(tmp_path / "one")
    loaded = NextOrderModel.load(tmp_path / "one")
    loaded.save(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    people = [f"c{n:03d}" for n in range(40)]
    ours, theirs = (one.predict(market, as_of=NOW, contacts=people) for one in (model, loaded))
    assert ours.contacts.equals(theirs.contacts)
    assert level == "contact" or ours.items.equals(theirs.items)
    assert loaded.evidence_.to_dict() == model.evidence_.to_dict()


def test_a_changed_file_is_refused(fitted, tmp_path):
    fitted.save(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps({**card, "factor": 2.0}))
    with pytest.raises(ConfigurationError, match="not the one its card describes"):
        NextOrderModel.load(tmp_path)


def test_items_are_ranked_and_due(market, of_items):
    answer = of_items.predict(market, as_of=NOW)
    frame = answer.items.to_pandas()
    assert frame.groupby("contact_id").size().max() == 2
    first = frame[frame["rank"] == 1].set_index("contact_id")
    second = frame[frame["rank"] == 2].set_index("contact_id")
    both = first.loc[second.index]
    assert (both["probability"] >= second["probability"]).all()
    assert (frame["probability_90d"] >= 0.2).all()
    assert (frame["due_low"] <= frame["due_date"]).all()
    wide = answer.to_frame().set_index("contact_id")
    assert (wide["replenishment_item_id"] == first["item_id"]).all()
    assert (wide["replenishment_due_date"] == first["due_date"]).all()
    # What everybody buys most often is due first.
    assert first["item_id"].value_counts().index[0] == "milk"
    assert frame["reason"].str.match(r"bought (once|\d+ times), last \d+ days ago").all()
    due = due_items(answer.items, until=NOW + timedelta(days=14))
    assert list(due.columns) == ["contact_id", "item_id", "due_date", "probability"]
    assert (due["due_date"] <= pd.Timestamp("2025-11-10")).all()
    assert 0 < len(due) < len(due_items(answer.items))


def test_an_open_window_is_never_a_no(orders):
    # The table stops, and the day on which it is asked moves on without it.
    stopped = START + timedelta(days=270)
    rows = orders[0][orders[0]["day"] < 270].drop(columns="day")
    settings = MarketSettings(tables={"orders": TableSettings(complete_until=stopped)})
    market = Market.from_tables(orders=rows, settings=settings)
    known = NextOrderModel(**SMALL).fit(market, as_of=stopped)
    later = NextOrderModel(**SMALL).fit(market, as_of=stopped + timedelta(days=25))
    assert later.evidence_.to_dict() == known.evidence_.to_dict()
    assert later.training_record_["files"] == known.training_record_["files"]
    with pytest.raises(OpenLabelWindowError):
        known.backtest(market, origins=[stopped - timedelta(days=60)])


def test_a_backtest_knows_nothing_of_what_came_later(orders, market):
    origin = NOW - timedelta(days=100)
    evidence = NextOrderModel(**SMALL).backtest(
        market, origins=[origin - timedelta(days=28), origin]
    )
    assert len({fold.origin for fold in evidence.folds}) == 2
    assert evidence.last_cutoff < origin
    assert evidence.score("blend", "auc") > 0.65


def test_too_little_is_declined_with_a_reason(orders):
    few = shop(orders[0][orders[0]["contact_id"] < "c020"])
    with pytest.raises(DeclinedError, match="19 contacts ordered, 50 are needed"):
        NextOrderModel().fit(few, as_of=NOW)
    assert NextOrderModel().shortfall(few, as_of=NOW)
    once = shop(orders[0].drop_duplicates("contact_id"))
    with pytest.raises(DeclinedError):
        NextOrderModel().fit(once, as_of=NOW)


def test_without_orders_or_items_it_declines(orders):
    events = pd.DataFrame(
        {"contact_id": ["a"], "event_type": ["visit"], "occurred_at": at(np.array([1]))}
    )
    with pytest.raises(DeclinedError, match="no table 'orders'"):
        NextOrderModel().fit(Market.from_tables(events=events), as_of=NOW)
    plain = shop(orders[0].drop(columns="item_id"))
    with pytest.raises(DeclinedError, match="which item was bought"):
        NextOrderModel("item").fit(plain, as_of=NOW)
    assert "item_id" in NextOrderModel("item").shortfall(plain, as_of=NOW)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"level": "items"}, "did you mean 'item'"),
        ({"folds": 0}, "'folds' is 0"),
        ({"least_chance": 1.5}, "'least_chance' is 1.5"),
    ],
)
def test_wrong_arguments_are_refused(arguments, match):
    with pytest.raises(MlmarketError, match=match):
        NextOrderModel(**arguments)


def test_returns_are_not_orders(orders, fitted, market):
    rows = orders[0].drop(columns="day").assign(quantity=1.0)
    back = rows.tail(400).assign(quantity=-1.0, ordered_at=rows["ordered_at"].max())
    settings = MarketSettings(tables={"orders": TableSettings(returns="quantity < 0")})
    both = Market.from_tables(orders=pd.concat([rows, back]), settings=settings)
    alone = Market.from_tables(orders=rows, settings=settings)
    ours = fitted.predict(both, as_of=NOW)
    assert ours.contacts.equals(fitted.predict(alone, as_of=NOW).contacts)
