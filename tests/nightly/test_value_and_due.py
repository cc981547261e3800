"""A night that says what people are worth, when they are due, and whom it pays to keep."""

import json
import shutil
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from mlmarket.churn import expected_value_saved
from mlmarket.errors import ConfigurationError
from mlmarket.market.samples import simulate
from mlmarket.nightly import backfill, open_night, run_night
from mlmarket.nightly.declared import check_declared
from mlmarket.nightly.gather import gather_report
from mlmarket.nightly.models import ModelStore, predictors_of
from mlmarket.nightly.playbook import check_playbook
from mlmarket.nightly.settings import NightSettings

DAY = date(2026, 6, 20)
QUESTIONS = """
[predict.value]
horizon = "30D"
needs = {buyers = 50, span_days = 90, regulars = 5}

[predict.next_order]
least_chance = 0.1

[predict.replenishment]
items = 2
least_chance = 0.01

[retention]
response = 0.2
cost_per_contact = 0.1
"""
WORTH_IT = """
  worth_it:
    title: Worth a message
    when: expected_value_saved > 0
    top: {column: expected_value_saved, most: 7}
    why: "keeping saves {expected_value_saved:number}"
"""


@pytest.fixture(scope="module")
def night(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a shop after a night with all questions about orders."""
    folder = tmp_path_factory.mktemp("worth") / "shop"
    shutil.copytree(shop, folder)
    shutil.rmtree(folder / "tables")  # a year, so that windows of 90 days are closed
    simulate(folder / "tables", contacts=400, months=12, oracle=False, events_per_contact=5)
    config = folder / "mlmarket.toml"
    text = config.read_text(encoding="utf-8")
    for name in ("value", "next_order"):
        text = text.replace(f"[predict.{name}]\nenabled = false\n", "")
    config.write_text(text + QUESTIONS, encoding="utf-8")
    segments = folder / "segments.yaml"
    segments.write_text(segments.read_text(encoding="utf-8") + WORTH_IT, encoding="utf-8")
    run_night(open_night(config, DAY))
    return folder


def predictions(folder):
    path = folder / "runs" / DAY.isoformat() / "predictions" / "contacts.parquet"
    return pq.read_table(path).to_pandas()


def test_every_question_has_its_columns(night):
    columns = set(predictions(night).columns)
    assert {
        "expected_value_30d",
        "expected_orders_30d",
        "value_decile",
        "next_order_date",
        "next_order_probability_28d",
        "replenishment_item_id",
        "expected_value_saved",
    } <= columns


def test_what_is_saved_is_made_of_the_two_answers(night):
    frame = predictions(night)
    by_hand = expected_value_saved(
        frame["expected_value_30d"],
        frame["churn_probability_30d"],
        response=0.2,
        cost_per_contact=0.1,
    )
    np.testing.assert_array_equal(frame["expected_value_saved"], by_hand)
    either = frame["expected_value_30d"].isna() | frame["churn_probability_30d"].isna()
    assert frame.loc[either, "expected_value_saved"].isna().all()
    assert frame["expected_value_saved"].notna().any()


def test_a_segment_ends_with_the_budget_and_says_what_it_is_worth(night):
    opened = open_night(night / "mlmarket.toml", DAY)
    store = ModelStore(opened.workspace, opened.settings)
    versions = opened.folder.result("models").details["versions"]
    predictors = store.load(DAY, versions)
    content = gather_report(opened, opened.market(), predictors, decided=True)
    (segment,) = [one for one in content.segments if one.name == "worth_it"]
    frame = predictions(night)
    best = frame["expected_value_saved"].nlargest(7)
    chosen = frame.loc[best.index]
    assert segment.size == 7
    value, saved = segment.worth
    assert value.amount.value == pytest.approx(chosen["expected_value_30d"].sum())
    assert value.counts.startswith("EUR ")
    assert saved.amount.value == pytest.approx(best.sum())
    assert saved.amount.low < saved.amount.value < saved.amount.high
    assert "20 % of those who would leave stay" in saved.counts


def test_the_report_shows_amounts_without_percent(night):
    page = (night / "runs" / DAY.isoformat() / "report.html").read_text(encoding="utf-8")
    assert "What will contacts be worth within 30 days?" in page
    assert "Values tonight" in page
    assert "Order of value (Gini)" in page
    assert "<b>Worth:</b>" in page


def test_items_have_a_file_and_a_table_of_their_own(night):
    run = night / "runs" / DAY.isoformat() / "predictions"
    items = pq.read_table(run / "items" / "replenishment.parquet").to_pandas()
    assert items.groupby("contact_id").size().max() <= 2
    assert items["probability"].between(0, 1).all()
    with duckdb.connect(str(night / "mlmarket.duckdb"), read_only=True) as base:
        counted = base.table("replenishment_items").count("*").fetchone()
    assert counted == (len(items),)


def test_a_promise_of_value_is_held_against_what_came(night, tmp_path):
    folder = shutil.copytree(night, tmp_path / "shop")
    config = folder / "mlmarket.toml"
    text = config.read_text(encoding="utf-8").replace(
        "least_chance", "enabled = false\nleast_chance"
    )
    config.write_text(text, encoding="utf-8")
    later = date(2026, 7, 1)
    early = date(2026, 5, 25)
    list(backfill(folder / "mlmarket.toml", early, early))
    run_night(open_night(folder / "mlmarket.toml", later), decide=False)
    opened = open_night(folder / "mlmarket.toml", later)
    store = ModelStore(opened.workspace, opened.settings)
    predictors = store.load(later, opened.folder.result("models").details["versions"])
    market = opened.market()
    content = gather_report(opened, market, predictors, decided=False)
    (promise,) = [one for one in content.matured if one.predictor == "value"]
    orders = market.table("orders").to_pandas()
    start = np.datetime64("2026-05-24T23:00:00")
    asked = pq.read_table(
        folder / "runs" / early.isoformat() / "predictions" / "contacts.parquet"
    ).to_pandas()
    asked = asked.dropna(subset=["expected_value_30d"])
    inside = orders[
        (orders["ordered_at"] > start)
        & (orders["ordered_at"] <= start + np.timedelta64(30, "D"))
        & orders["contact_id"].isin(asked["contact_id"])
    ]
    worth = inside.groupby("contact_id")["amount"].sum().astype(float).clip(lower=0)
    assert promise.observed == round(worth.sum())
    assert promise.promised.value == pytest.approx(asked["expected_value_30d"].sum())
    assert np.isnan(promise.auc)


def test_a_question_can_be_turned_off():
    names = [one.name for one in predictors_of(NightSettings())]
    assert names == ["purchase", "churn", "value", "next_order"]
    off = NightSettings.model_validate({"predict": {"value": {"enabled": False}}})
    assert [one.name for one in predictors_of(off)] == ["purchase", "churn", "next_order"]
    more = NightSettings.model_validate({"predict": {"subscription": {}, "replenishment": {}}})
    assert {one.name for one in predictors_of(more)} > {"subscription", "replenishment"}


def test_retention_needs_predictors_that_are_asked(night, tmp_path):
    folder = shutil.copytree(night, tmp_path / "shop")
    config = folder / "mlmarket.toml"
    text = config.read_text(encoding="utf-8") + 'leaving = "chrn"\n'
    config.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="takes `leaving` from 'chrn'") as refused:
        run_night(open_night(config, date(2026, 6, 21)))
    assert "did you mean 'churn'?" in str(refused.value)


@pytest.mark.parametrize(
    ("key", "name"),
    [("leaving", "purchase"), ("leaving", "next_order"), ("leaving", "value"), ("value", "churn")],
)
def test_retention_takes_a_value_and_a_chance_of_leaving_only(night, tmp_path, key, name):
    config = shutil.copytree(night, tmp_path / "shop") / "mlmarket.toml"
    config.write_text(config.read_text(encoding="utf-8") + f'{key} = "{name}"\n', encoding="utf-8")
    opened = open_night(config, date(2026, 6, 21))
    with pytest.raises(ConfigurationError, match=f"takes `{key}` from '{name}'"):
        check_playbook(opened, opened.market())


def test_a_value_that_is_extrapolated_needs_no_features(night, tmp_path):
    config = shutil.copytree(night, tmp_path / "shop") / "mlmarket.toml"
    text = config.read_text(encoding="utf-8")
    long = 'horizon = "365D"\nextrapolate = true\nneeds'
    text = text.replace(
        'horizon = "30D"\nneeds = {buyers = 50, span_days = 90, regulars = 5}\n\n[predict.next',
        long + " = {buyers = 50}\n\n[predict.next",
    )
    assert long in text
    config.write_text(text, encoding="utf-8")
    opened = open_night(config, date(2026, 6, 21))
    check_declared(opened, opened.market())
    (value,) = [one for one in predictors_of(opened.settings) if one.name == "value"]
    known = value.features_at(opened.market(), as_of=opened.as_of)
    fitted = value.fit(opened.market(), as_of=opened.as_of)
    assert fitted.features_ == known
    assert "expected_value_365d" in fitted.outputs
    assert "extrapolated" in fitted.evidence_.limits[0] + fitted.evidence_.limits[1]


@pytest.mark.parametrize(
    ("name", "key"),
    [("value", "starts"), ("next_order", "horizon"), ("purchase", "starts"), ("churn", "items")],
)
def test_what_does_not_belong_to_a_question_is_refused(name, key):
    given = {"needs": {"buyers": 3}, "horizon": "9D", "starts": "event x", "items": 3}
    with pytest.raises(ConfigurationError, match=rf"\[predict.{name}\] cannot have a `{key}`"):
        NightSettings.model_validate({"predict": {name: {key: given[key]}}})


def test_models_are_the_same_in_two_nights_of_the_same_tables(night, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(
        night, folder, ignore=shutil.ignore_patterns("runs", "models", "state", "store")
    )
    (folder / "mlmarket.duckdb").unlink()
    run_night(open_night(folder / "mlmarket.toml", DAY))
    first, second = (
        json.loads((place / "runs" / DAY.isoformat() / "models.json").read_text(encoding="utf-8"))
        for place in (night, folder)
    )
    assert first == second
