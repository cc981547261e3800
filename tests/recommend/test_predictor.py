"""What to show is learned from a market, judged beside rules, kept, and answered alike in any buckets."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError

from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.market.market import Market as AnyMarket
from mlmarket.prediction import BatchPredictor, DeclinedError, TakesDue
from mlmarket.prediction.buckets import Roll
from mlmarket.recommend import RecommendPredictor
from mlmarket.recommend.judging import CHALLENGER
from mlmarket.recommend.reasons import ReasonTexts

NIGHT = datetime(2026, 6, 1, tzinfo=UTC)
ITEMS = 24
TIME = pa.timestamp("us", "UTC")


def rows(people: int, *, loyal: bool) -> list[dict]:
    """Return orders of people who go round the catalogue item by item, or always come back to one."""
    rng = np.random.default_rng(7)
    found = []
    for person in range(people):
        item = int(rng.integers(ITEMS))
        day = float(rng.uniform(0, 15))
        while day < 200:
            when = NIGHT - timedelta(days=200 - day)
            found.append(
                {"contact_id": f"c{person:03}", "item_id": f"i{item:02}", "ordered_at": when}
            )
            item = item if loyal else (item + 1) % ITEMS
            day += float(rng.uniform(8, 20))
    return found


def table(found: list[dict]) -> pa.Table:
    numbered = [{**row, "order_id": f"o{n}"} for n, row in enumerate(found)]
    return pa.Table.from_pylist(numbered).set_column(
        2, "ordered_at", pa.array([row["ordered_at"] for row in found], TIME)
    )


FACTS = pa.table(
    {
        "item_id": [f"i{n:02}" for n in range(ITEMS)],
        "title": [f"Thing {n}" for n in range(ITEMS)],
        "price": [float(n) for n in range(ITEMS)],
        "in_stock": [n != 5 for n in range(ITEMS)],
    }
)


def market(found: list[dict], **more: pa.Table) -> AnyMarket:
    contacts = pa.table({"contact_id": [*sorted({row["contact_id"] for row in found}), "new"]})
    tables = {"orders": table(found), "contacts": contacts, "items": FACTS} | more
    return Market.from_tables(**tables)


@pytest.fixture(scope="module")
def shop() -> AnyMarket:
    return market(rows(150, loyal=False))


@pytest.fixture(scope="module")
def fitted(shop: AnyMarket) -> RecommendPredictor:
    return RecommendPredictor(3, folds=1).fit(shop, as_of=NIGHT)


def test_it_is_a_predictor_that_a_night_can_run_and_tell_what_is_due(fitted):
    assert isinstance(fitted, BatchPredictor)
    assert isinstance(fitted, TakesDue)
    assert fitted.features is None
    assert fitted.total(np.ones(3)) is None


def test_what_follows_is_found_and_beats_what_was_had_most_often(fitted, shop):
    evidence = fitted.evidence_
    assert evidence.chosen == CHALLENGER
    assert evidence.metric == "ndcg_loss"
    assert evidence.gain.low > 0.2
    assert "its lists are better (NDCG@10 +" in evidence.verdict
    models = set(evidence.to_frame()["model"])
    assert models == {"recommender", "personal_frequency", "popularity"}
    assert evidence.summary()["ndcg_loss"].is_monotonic_increasing
    answer = fitted.predict(shop, as_of=NIGHT)
    last = {row["contact_id"]: row["item_id"] for row in rows(150, loyal=False)}
    frame = answer.to_frame().set_index("contact_id").drop(index="new")
    following = [f"i{(int(last[who][1:]) + 1) % ITEMS:02}" for who in frame.index]
    can_be_had = np.array(following) != "i05"
    assert (frame["rec_1_id"] == following)[can_be_had].mean() > 0.9


def test_what_is_out_of_stock_tonight_is_not_shown_whatever_the_model_learned(fitted, shop):
    assert "i05" not in fitted.predict(shop, as_of=NIGHT).items.column("item_id").to_pylist()
    gone = FACTS.slice(0, 20).set_column(3, "in_stock", pa.array([n != 9 for n in range(20)]))
    later = market(rows(150, loyal=False), items=gone)
    shown = set(fitted.predict(later, as_of=NIGHT).items.column("item_id").to_pylist())
    assert "i05" in shown
    assert not shown & {"i09", "i20", "i21", "i22", "i23"}


def test_where_everybody_comes_back_the_rule_answers_and_says_so():
    shop = market(rows(120, loyal=True))
    fitted = RecommendPredictor(2, folds=1).fit(shop, as_of=NIGHT)
    assert fitted.evidence_.chosen == fitted.evidence_.baseline == "personal_frequency"
    assert "does not beat it" in fitted.evidence_.verdict
    answer = fitted.predict(shop, as_of=NIGHT)
    frame = answer.to_frame().set_index("contact_id")
    last = {row["contact_id"]: row["item_id"] for row in rows(120, loyal=True)}
    shown = frame["rec_1_id"].drop(index="new")
    expected = np.array([last[who] for who in shown.index])
    assert (shown == expected)[expected != "i05"].all()
    chance = frame["rec_probability"]
    assert np.isnan(chance["new"])
    assert (frame["rec_1_reason"].drop(index="new")[expected != "i05"] == "you had it before").all()


def test_the_evidence_counts_who_was_judged_and_who_took_anything():
    gone = NIGHT - timedelta(days=70)
    found = [
        row
        for row in rows(150, loyal=True)
        if row["contact_id"] < "c100" or row["ordered_at"] < gone
    ]
    fitted = RecommendPredictor(2, folds=1).fit(market(found), as_of=NIGHT)
    assert (fitted.evidence_.rows, fitted.evidence_.positives) == (150, 100)


def test_chances_are_judged_on_people_drawn_from_everybody(monkeypatch):
    from mlmarket.recommend import judging

    monkeypatch.setattr(judging, "_MOST_OTHERS", 60)
    # Half of them left long ago: those who take something are not like everybody.
    found = [
        row
        for row in rows(120, loyal=True)
        if int(row["contact_id"][1:]) >= 60 or row["ordered_at"] < NIGHT - timedelta(days=100)
    ]
    evidence = RecommendPredictor(2, folds=1).fit(market(found), as_of=NIGHT).evidence_
    assert evidence.calibration.count.sum() == 60
    (total,) = evidence.totals
    assert total.observed == pytest.approx(30, abs=3)
    assert total.expected == pytest.approx(total.observed, abs=12)


def test_somebody_nobody_knows_has_no_answer_and_somebody_new_has(fitted, shop):
    answer = fitted.predict(shop, as_of=NIGHT, contacts=["c001", "new", "nobody"])
    assert answer.contacts.column("contact_id").to_pylist() == ["c001", "new"]
    (silent,) = answer.missing.to_pylist()
    assert silent["contact_id"] == "nobody"
    assert "is not known" in silent["reason"]


def test_answers_are_the_same_in_any_buckets(fitted, shop, tmp_path):
    whole = fitted.predict(shop, as_of=NIGHT)
    for size in (7, 50):
        roll = Roll.record(shop, tmp_path / f"{size}.arrow", as_of=NIGHT, contacts_a_bucket=size)
        parts = list(fitted.predict_batches(shop, as_of=NIGHT, roll=roll))
        assert pa.concat_tables([one.contacts for one in parts]).equals(whole.contacts)
        assert pa.concat_tables([one.items for one in parts]).equals(whole.items)
        later = list(fitted.predict_batches(shop, as_of=NIGHT, roll=roll, first=2))
        assert later[0].contacts.equals(parts[2].contacts)


def test_what_was_kept_answers_the_same(fitted, shop, tmp_path):
    fitted.save(tmp_path / "a")
    fitted.save(tmp_path / "b")
    read = RecommendPredictor.load(tmp_path / "a")
    assert read.version_ == fitted.version_
    assert read.parameters == fitted.parameters
    first, second = (one.predict(shop, as_of=NIGHT) for one in (fitted, read))
    assert first.contacts.equals(second.contacts)
    assert first.items.equals(second.items)
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_a_model_that_was_changed_is_refused(fitted, tmp_path):
    fitted.save(tmp_path)
    (tmp_path / "catalogue.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigurationError):
        RecommendPredictor.load(tmp_path)


def test_rows_after_the_night_and_the_order_of_rows_change_nothing(fitted, shop):
    found = rows(150, loyal=False)
    late = [
        {"contact_id": f"c{n:03}", "item_id": "i07", "ordered_at": NIGHT + timedelta(days=1)}
        for n in range(150)
    ]
    other = market([*late, *found[::-1]])
    again = RecommendPredictor(3, folds=1).fit(other, as_of=NIGHT)
    assert again.version_ == fitted.version_
    assert again.predict(other, as_of=NIGHT).items.equals(fitted.predict(shop, as_of=NIGHT).items)


def test_what_is_due_is_written_with_its_day(fitted, shop, tmp_path):
    import pandas as pd

    due = pd.DataFrame(
        {
            "contact_id": ["c001"],
            "item_id": ["i11"],
            "due_date": [pd.Timestamp("2026-06-04")],
            "probability": [0.9],
        }
    )
    roll = Roll.record(shop, tmp_path / "roll.arrow", as_of=NIGHT)
    told = fitted.with_due(lambda bucket: due if bucket == 0 else None)
    (answer,) = told.predict_batches(shop, as_of=NIGHT, roll=roll)
    rows_due = [row for row in answer.items.to_pylist() if row["due_date"] is not None]
    assert {(row["contact_id"], row["item_id"]) for row in rows_due} <= {("c001", "i11")}
    assert fitted.predict(shop, as_of=NIGHT).items.column("due_date").null_count == len(
        fitted.predict(shop, as_of=NIGHT).items
    )


@pytest.mark.parametrize(
    ("tables", "what"),
    [
        ({"contacts": pa.table({"contact_id": ["a"]})}, "neither orders nor events"),
        ({"orders": table(rows(20, loyal=False))}, "20 contacts showed interest"),
        (
            {"orders": table([{**row, "item_id": "i1"} for row in rows(60, loyal=True)])},
            "1 items were of interest",
        ),
        (
            {
                "orders": table(
                    [row for row in rows(99, loyal=False) if (NIGHT - row["ordered_at"]).days < 50]
                )
            },
            "less than two windows",
        ),
    ],
)
def test_too_little_is_declined_with_what_is_needed(tables, what):
    shop = Market.from_tables(**tables)
    predictor = RecommendPredictor()
    assert what in predictor.shortfall(shop, as_of=NIGHT)
    with pytest.raises(DeclinedError, match=what):
        predictor.fit(shop, as_of=NIGHT)


def test_orders_without_items_are_declined_and_pages_can_stand_for_them():
    orders = table(rows(60, loyal=False)).drop_columns(["item_id"])
    assert "0 contacts showed" in RecommendPredictor().shortfall(
        Market.from_tables(orders=orders), as_of=NIGHT
    )


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"slots": 0}, "'slots' is 0"),
        ({"folds": True}, "'folds' is True"),
        ({"exclude": "sen"}, "did you mean 'seen'"),
        ({"horizon": "soon"}, "is not a duration"),
        ({"rules": {"category_cp": 1}}, "There is no rule"),
        ({"urls": ["/x"]}, "names no item"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments, what):
    with pytest.raises(ConfigurationError, match=what):
        RecommendPredictor(**arguments)


def test_nothing_is_answered_before_anything_is_learned(shop, tmp_path: Path):
    with pytest.raises(NotFittedError):
        RecommendPredictor().predict(shop, as_of=NIGHT)
    with pytest.raises(NotFittedError):
        RecommendPredictor().save(tmp_path)


def test_the_rules_of_a_night_know_consents_and_carts():
    found = rows(150, loyal=False)
    said = pa.table(
        {
            "contact_id": ["c001", "c002", "c003", "c003"],
            "channel": ["email"] * 4,
            "granted": [True, False, True, False],
            "changed_at": pa.array([NIGHT - timedelta(days=9)] * 3 + [NIGHT + timedelta(1)], TIME),
        }
    )
    items = FACTS.append_column("topic", pa.array(["news"] * ITEMS))
    asked = market(found, consents=said, items=items)
    model = RecommendPredictor(3, folds=1, rules={"consent": "email"}).fit(asked, as_of=NIGHT)
    shown = model.predict(asked, as_of=NIGHT)
    assert set(shown.items.column("contact_id").to_pylist()) == {"c001", "c003"}
    item = shown.items.column("item_id")[0].as_py()
    cart = pa.table(
        {
            "contact_id": ["c001"],
            "event_type": ["add_to_cart"],
            "occurred_at": pa.array([NIGHT - timedelta(hours=3)], TIME),
            "item_id": [item],
        }
    )
    with_cart = model.predict(market(found, consents=said, items=items, events=cart), as_of=NIGHT)
    assert item in shown.items.column("item_id").to_pylist()[:3]
    assert item not in with_cart.items.column("item_id").to_pylist()[:3]


EVENTS = pa.table(
    {
        "event_id": ["e1", "e2"],
        "contact_id": ["c000", "c001"],
        "event_type": ["page_view", "add_to_cart"],
        "occurred_at": pa.array([NIGHT - timedelta(days=3)] * 2, TIME),
        "url": ["https://shop.example/p/i01", None],
        "item_id": pa.array([None, "i02"], pa.string()),
    }
)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"rules": {"blocked_items": ["I7"]}}, "'blocked_items' names 1 item"),
        ({"rules": {"pinned": {"i99": 1}}}, "(?s)'pinned' names 1 item.*'i99'"),
        ({"rules": {"blocked_categories": ["cups"]}}, "'blocked_categories' names 'cups'"),
        ({"rules": {"category_cap": 2}}, "no item has one"),
        ({"rules": {"sold_in": "markets"}}, "no column 'markets'"),
        ({"rules": {"consent": "email"}}, "no column 'topic'"),
        ({"rules": {"eligible": "pric > 5"}}, "'price'"),
        ({"weights": {"order": 1.0, "add_to_crat": 0.3}}, "(?s)'add_to_crat'.*'add_to_cart'"),
        ({"urls": ["/p/{item_id}"]}, "0 addresses were looked at"),
        (
            {"urls": ["/blog/{item_id}"], "weights": {"order": 1.0, "page_view": 0.1}},
            "None of 1 addresses looked at fits",
        ),
    ],
)
def test_what_the_tables_cannot_answer_is_refused_before_anything_is_learned(arguments, what):
    shop = market(rows(60, loyal=False), events=EVENTS)
    predictor = RecommendPredictor(**arguments)
    for ask in (predictor.check, predictor.fit):
        with pytest.raises(ConfigurationError, match=what) as told:
            ask(shop, as_of=NIGHT)
        assert "\nFix: " in str(told.value)


def test_what_the_tables_can_answer_passes(shop):
    fine = {"rules": {"blocked_items": ["i07"], "eligible": "price > 5"}}
    RecommendPredictor(**fine).check(shop, as_of=NIGHT)
    seen = market(rows(60, loyal=False), events=EVENTS)
    RecommendPredictor(urls=["/p/{item_id}"], weights={"order": 1.0, "page_view": 0.1}).check(
        seen, as_of=NIGHT
    )
    gone = market(rows(60, loyal=False), items=FACTS.slice(0, 20))
    RecommendPredictor(rules={"blocked_items": ["i22"]}).check(gone, as_of=NIGHT)


def test_the_words_of_reasons_can_be_those_of_a_team_and_are_kept(tmp_path):
    words = ReasonTexts().to_mapping()
    words["texts"] |= {"again": "schon einmal gekauft", "popular": "gerade beliebt"}
    found, late = rows(60, loyal=True), NIGHT.replace(hour=22)
    shop = Market.from_tables(orders=table(found), items=FACTS, timezone="Europe/Berlin")
    fitted = RecommendPredictor(2, folds=1, texts=words).fit(shop, as_of=late)
    assert fitted.version_.startswith("2026-06-02-")
    fitted.save(tmp_path)
    kept = RecommendPredictor.load(tmp_path)
    assert kept.parameters == fitted.parameters
    said = set(kept.predict(shop, as_of=late).items.column("reason").to_pylist())
    assert said == {"schon einmal gekauft", "gerade beliebt"}
