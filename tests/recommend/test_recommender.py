"""Everybody gets k items that may be shown, or fewer and why."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.recommend import Exploration, Recommender, Rules, RuleTables
from mlmarket.recommend.reasons import ReasonTexts

NIGHT = datetime(2026, 6, 1, tzinfo=UTC)


def lists(found):
    """Return the items of each contact, in order."""
    frame = found.to_frame()
    return frame.groupby("contact_id", sort=False)["item_id"].apply(list).to_dict()


def test_everybody_gets_exactly_k(fitted, shop):
    found = fitted.recommend(k=5)
    counts = found.to_frame().groupby("contact_id").size()
    assert (counts == 5).all()
    assert len(counts) == shop[0]["contact_id"].nunique()
    assert found.short.num_rows == 0


def test_who_walks_along_an_aisle_is_shown_what_comes_next(fitted, shop):
    rows = shop[0].sort_values("occurred_at")
    last = rows.groupby("contact_id")["item_id"].last()
    first = {contact: items[0] for contact, items in lists(fitted.recommend(k=3)).items()}
    right = [
        items[:2] == last[contact][:2] and int(items[3:]) == (int(last[contact][3:]) + 1) % 12
        for contact, items in first.items()
    ]
    assert np.mean(right) > 0.8


def test_what_somebody_had_is_not_shown_again_unless_asked(fitted, shop):
    had = set(map(tuple, shop[0][["contact_id", "item_id"]].to_numpy()))
    new = fitted.recommend(k=5).to_frame()
    assert not had & set(map(tuple, new[["contact_id", "item_id"]].to_numpy()))
    only_one = shop[0].iloc[[0]][["contact_id", "item_id"]]
    again = fitted.recommend(k=36, exclude=only_one).to_frame()
    shown = set(map(tuple, again[["contact_id", "item_id"]].to_numpy()))
    assert had & shown
    assert tuple(only_one.iloc[0]) not in shown


def test_strangers_get_what_is_popular_in_their_country(shop):
    rows, items, contacts = shop
    # people of Portugal walk along aisle 0 alone, all others along the others
    aisle = rows.groupby("contact_id")["item_id"].first().str[1].rename("aisle").reset_index()
    told = contacts.merge(aisle)
    told["country"] = np.where(told["aisle"] == "0", "PT", "DE")
    model = Recommender().fit(rows, items, told[["contact_id", "country"]], as_of=NIGHT)
    strangers = pd.DataFrame({"contact_id": ["X1", "X2", "X3"], "country": ["PT", "DE", None]})
    found = model.recommend(strangers, k=4).to_frame().set_index("contact_id")
    assert found.loc["X1", "item_id"].str.startswith("A0").all()
    assert not found.loc["X2", "item_id"].str.startswith("A0").any()
    assert set(found.loc["X1", "source"]) == {"popular_by_country"}
    assert set(found.loc["X3", "reason"]) == {"popular with our customers"}
    assert found["probability"].isna().all()
    assert model.recommend(strangers, k=4).fallback_by_history()["fallback_share"][0] == 1.0


def test_views_are_not_called_purchases(shop):
    rows, items, contacts = shop
    viewed = rows["contact_id"].isin(sorted(rows["contact_id"].unique())[::2])
    model = Recommender().fit(rows.assign(bought=~viewed), items, contacts, as_of=NIGHT)
    found = model.recommend(k=4, exclude="none").to_frame()
    own = set(map(tuple, rows[["contact_id", "item_id"]].to_numpy()))
    for viewer, slots in found.groupby(found["contact_id"].isin(set(rows["contact_id"][viewed]))):
        said = slots["reason"].str.startswith("because you bought")
        assert said.any() != viewer
        had = [tuple(pair) in own for pair in slots[["contact_id", "item_id"]].to_numpy()]
        told = slots["reason"][had]
        assert not told.eq("you were interested in it" if not viewer else "you had it before").any()


def test_only_purchases_are_what_a_chance_is_about(shop):
    rows, items, contacts = shop
    looked = rows.sample(frac=0.7, random_state=1)
    looked = looked.assign(bought=False, occurred_at=looked["occurred_at"] - pd.Timedelta("2h"))
    both = pd.concat([rows.assign(bought=True), looked])
    plain, mixed = (
        Recommender(ranker="blend").fit(some, items, contacts, as_of=NIGHT) for some in (rows, both)
    )
    bought, touched = (one.probability_ for one in (plain, mixed))
    assert bought is not None
    assert touched is not None
    assert touched.hits / touched.slots < 1.15 * bought.hits / bought.slots


def test_a_fresh_history_counts_without_another_fit(fitted):
    at = pd.Timestamp("2026-06-01 06:00")
    fresh = pd.DataFrame(
        {
            "contact_id": ["X9", "X9"],
            "item_id": ["A1-03", "A1-04"],
            "occurred_at": [at, at + timedelta(1)],
        }
    )
    night = datetime(2026, 6, 3, tzinfo=UTC)
    found = fitted.recommend(["X9"], k=1, history=fresh, as_of=night).to_frame()
    assert found["item_id"].tolist() == ["A1-05"]
    assert found["reason"].str.startswith("because you bought Thing A1-0").all()


def test_rows_after_the_night_change_nothing(shop):
    rows, items, contacts = shop
    cut = datetime(2026, 4, 1, tzinfo=UTC)
    early = rows[rows["occurred_at"] <= pd.Timestamp("2026-04-01")]
    both = [Recommender().fit(some, items, contacts, as_of=cut) for some in (rows, early)]
    one, other = (each.recommend(k=5).to_arrow() for each in both)
    assert one.equals(other)


def test_the_order_of_rows_changes_nothing(shop, fitted):
    rows, items, contacts = (part.sample(frac=1.0, random_state=3) for part in shop)
    shuffled = Recommender().fit(rows, items, contacts, as_of=NIGHT)
    assert shuffled.recommend(k=5).to_arrow().equals(fitted.recommend(k=5).to_arrow())


def test_the_number_of_threads_changes_nothing(shop, fitted):
    alone = Recommender(workers=1).fit(*shop, as_of=NIGHT)
    assert alone.recommend(k=5).to_arrow().equals(fitted.recommend(k=5).to_arrow())


def test_who_else_is_asked_for_changes_nothing(fitted):
    everybody = fitted.recommend(k=3).to_frame()
    some = everybody["contact_id"].unique()[[7, 3]]
    alone = fitted.recommend(list(some), k=3).to_frame()
    expected = pd.concat([everybody[everybody["contact_id"] == one] for one in some])
    pd.testing.assert_frame_equal(alone, expected.reset_index(drop=True))


def test_taking_the_named_item_out_of_the_history_puts_the_item_lower(shop, fitted):
    rows = shop[0]
    found = fitted.recommend(k=3).to_frame()
    because = found[found["reason"].str.startswith("because you bought ")]
    assert len(because) > 100
    titles = shop[1].set_index("title")["item_id"]
    for _, slot in because.iloc[::25].iterrows():
        cause = titles[slot["reason"].removeprefix("because you bought ")]
        own = rows[rows["contact_id"] == slot["contact_id"]]
        assert (own["item_id"] == cause).any()
        without = own[own["item_id"] != cause].assign(contact_id="twin")
        twin = fitted.recommend(
            ["twin"], k=36, history=without, as_of=NIGHT, exclude="none", check_reasons=False
        ).to_frame()
        again = twin.loc[twin["item_id"] == slot["item_id"], "score"]
        assert again.empty or again.isna().all() or again.iloc[0] < slot["score"]
        assert again.empty or twin.loc[again.index[0], "rank"] >= slot["rank"]


def test_chances_are_chances_and_fall_with_the_rank(fitted):
    found = fitted.recommend(k=5).to_frame()
    known = found["probability"].dropna()
    assert len(known) > 0.8 * len(found)
    assert known.between(0.0, 1.0).all()
    by_rank = found.groupby("rank")["probability"].mean()
    assert by_rank.is_monotonic_decreasing


def test_chances_come_true_in_a_later_window(shop):
    rows, items, contacts = shop
    night = datetime(2026, 4, 20, tzinfo=UTC)
    model = Recommender(horizon="14D").fit(rows, items, contacts, as_of=night)
    found = model.recommend(k=3).to_frame().dropna(subset=["probability"])
    begin = pd.Timestamp("2026-04-20")
    later = rows[rows["occurred_at"].between(begin, begin + pd.Timedelta("14D"), inclusive="right")]
    taken = set(map(tuple, later[["contact_id", "item_id"]].to_numpy()))
    hits = [tuple(pair) in taken for pair in found[["contact_id", "item_id"]].to_numpy()]
    assert np.mean(hits) == pytest.approx(found["probability"].mean(), abs=0.06)


def test_ids_come_back_as_they_came(shop):
    rows, items, contacts = (part.copy() for part in shop)
    numbers = {name: place for place, name in enumerate(sorted(items["item_id"]))}
    for part in (rows, items):
        part["item_id"] = part["item_id"].map(numbers)
    for part in (rows, contacts):
        part["contact_id"] = part["contact_id"].str[1:].astype(int)
    model = Recommender().fit(rows, items, contacts, as_of=NIGHT)
    found = model.recommend([7, 3], k=2).to_frame()
    assert found["contact_id"].tolist() == [7, 7, 3, 3]
    assert found["item_id"].dtype.kind == "i"


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
def test_every_kind_of_frame_gives_the_same_answer(shop, fitted, convert):
    model = Recommender().fit(*(convert(part) for part in shop), as_of=NIGHT)
    found = model.recommend(k=5)
    assert found.to_arrow().equals(fitted.recommend(k=5).to_arrow())
    assert pl.DataFrame(found).height == len(found)


def test_batches_together_are_the_whole(fitted):
    parts = pa.concat_tables([part.to_arrow() for part in fitted.recommend_batches(k=2)])
    assert parts.equals(fitted.recommend(k=2).to_arrow())


RULES = st.builds(
    Rules,
    category_cap=st.none() | st.integers(0, 3),
    minimum_price=st.none() | st.floats(0, 9),
    diversity=st.floats(0, 1),
    blocked_categories=st.sets(st.sampled_from(["aisle 0", "aisle 1", "aisle 2"])).map(tuple),
    blocked_items=st.sets(st.sampled_from(["A0-01", "A1-02", "A2-03"])).map(tuple),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rules=RULES, k=st.integers(1, 40), sold_out=st.sets(st.integers(0, 35)))
def test_never_an_item_that_may_not_be_shown_and_always_k_or_a_reason(
    fitted, shop, rules, k, sold_out
):
    fitted.rules = rules
    try:
        eligible = shop[1].drop(index=list(sold_out))
        tables = RuleTables()
        asked = ["C0000", "C0001", "nobody"]
        if eligible.empty:
            return
        found = fitted.recommend(asked, k=k, eligible=eligible[["item_id"]], tables=tables)
    finally:
        fitted.rules = None
    frame = found.to_frame().merge(shop[1], on="item_id", how="left")
    assert set(frame["item_id"]) <= set(eligible["item_id"]) - set(rules.blocked_items)
    assert not set(frame["category"]) & set(rules.blocked_categories)
    if rules.minimum_price is not None:
        assert (frame["price"] >= rules.minimum_price).all()
    if rules.category_cap is not None:
        assert frame.groupby(["contact_id", "category"]).size().max() <= rules.category_cap or (
            frame.empty
        )
    assert not frame.duplicated(["contact_id", "item_id"]).any()
    short = found.short.to_pandas().set_index("contact_id")
    for contact in asked:
        count = int((frame["contact_id"] == contact).sum())
        assert count == k or (
            short.loc[contact, "filled"] == count and short.loc[contact, "reason"]
        )


def test_due_items_come_back_whatever_was_had(fitted):
    due = pd.DataFrame(
        {
            "contact_id": ["C0000"],
            "item_id": [fitted.recommend(["C0000"], k=1).to_frame()["item_id"][0]],
            "due_date": [pd.Timestamp("2026-06-03")],
            "probability": [0.9],
        }
    )
    own = pd.DataFrame(
        {
            "contact_id": "C0000",
            "item_id": due["item_id"],
            "occurred_at": [pd.Timestamp("2026-05-30")],
        }
    )
    without = fitted.recommend(["C0000"], k=5, history=own, as_of=NIGHT).to_frame()
    assert due["item_id"][0] not in set(without["item_id"])
    found = fitted.recommend(["C0000"], k=5, history=own, as_of=NIGHT, due=due).to_frame()
    slot = found[found["item_id"] == due["item_id"][0]]
    assert slot["reason"].tolist() == ["due for a refill on 3 June"]
    assert slot["due_date"].astype(str).tolist() == ["2026-06-03"]


def test_one_contact_and_one_item_are_enough():
    rows = pd.DataFrame({"contact_id": ["a"], "item_id": ["x"], "order": [1]})
    model = Recommender().fit(rows)
    found = model.recommend(k=3)
    assert len(found) == 0
    assert found.short.to_pandas()["filled"].tolist() == [0]
    assert model.recommend(["b"], k=3).to_frame()["item_id"].tolist() == ["x"]


def test_items_that_nobody_touched_can_fill_slots(shop):
    rows, items, contacts = shop
    new = pd.DataFrame(
        {"item_id": ["NEW"], "title": ["New"], "category": ["aisle 0"], "in_stock": [True]}
    )
    model = Recommender().fit(rows, pd.concat([items, new]), contacts, as_of=NIGHT)
    found = model.recommend(["C0000"], k=37, exclude="none").to_frame()
    assert "NEW" in set(found["item_id"])


def test_a_long_history_is_answered(fitted):
    days = pd.Timestamp("2026-05-31") - pd.to_timedelta(np.arange(10_000), unit="min")
    items = [f"A{n % 3}-{n % 12:02}" for n in range(10_000)]
    long = pd.DataFrame({"contact_id": "busy", "item_id": items, "occurred_at": days})
    assert len(fitted.recommend(["busy"], k=5, history=long, as_of=NIGHT, exclude="none")) == 5


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m, _: m.recommend("C0000"), ConfigurationError, "letter by letter"),
        (lambda m, _: m.recommend([7]), ConfigurationError, "whole numbers in table 'contacts'"),
        (lambda m, _: m.recommend(["a", "a"]), DataContractError, "more than once"),
        (lambda m, _: m.recommend(k=0), ConfigurationError, "'k' is 0"),
        (lambda m, _: m.recommend(exclude="sen"), ConfigurationError, "'seen'"),
        (lambda m, _: m.recommend(eligible=["nothing"]), ConfigurationError, "nothing"),
        (lambda m, s: m.recommend(histroy=s[0]), ConfigurationError, "'history'"),
        (lambda m, s: m.recommend(history=s[0]), ConfigurationError, "no as_of"),
        (
            lambda m, s: m.recommend(history=s[0], as_of=datetime(2026, 1, 1, tzinfo=UTC)),
            ConfigurationError,
            "before the one",
        ),
        (lambda m, s: m.recommend(due=s[0][["contact_id", "item_id"]]), ConfigurationError, "due"),
        (
            lambda m, s: m.fit(s[0], s[1].assign(item_id=range(len(s[1]))), as_of=NIGHT),
            ConfigurationError,
            "whole numbers in table 'items'",
        ),
        (
            lambda m, s: m.fit(s[0], as_of=datetime(2020, 1, 1, tzinfo=UTC)),
            DataContractError,
            "no row to learn from",
        ),
        (
            lambda m, s: m.fit(s[0], s[1], pd.concat([s[2], s[2].head(1)]), as_of=NIGHT),
            DataContractError,
            "more than one row",
        ),
        (lambda *_: Recommender(ranker="tree"), ConfigurationError, "no ranker"),
        (lambda *_: Recommender(workers=0), ConfigurationError, "workers"),
        (lambda *_: Recommender(horizon="soon"), ConfigurationError, "soon"),
        (lambda *_: Recommender(rules=[1]), ConfigurationError, "'rules' is a list"),
        (lambda *_: Recommender(rules={"cap": 1}), ConfigurationError, "no rule 'cap'"),
        (lambda *_: Recommender(texts=7), ConfigurationError, "'texts' is a int"),
        (lambda *_: Recommender(texts="words.ini"), ConfigurationError, "neither TOML nor YAML"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_three_lines(fitted, shop, call, error, words):
    with pytest.raises(error, match=words) as told:
        call(fitted, shop)
    assert len(str(told.value).splitlines()) == 3


def test_rules_and_words_are_read_from_plain_values_and_files(tmp_path):
    words = ReasonTexts().to_mapping()
    words["texts"]["new"] = "neu bei uns"
    file = tmp_path / "reasons.yaml"
    file.write_text(json.dumps(words), encoding="utf-8")
    from_values = Recommender(rules={"category_cap": 2}, texts=words)
    from_file = Recommender(rules=Rules(category_cap=2), texts=file)
    assert from_values.parameters == from_file.parameters
    assert from_file.texts.texts["new"] == "neu bei uns"


def test_nothing_is_recommended_before_anything_is_learned():
    with pytest.raises(NotFittedError):
        Recommender().recommend()


def test_what_was_learned_is_kept_and_answers_alike(fitted, shop, tmp_path):
    fitted.save(tmp_path / "one")
    read = Recommender.load(tmp_path / "one")
    assert read.version_ == fitted.version_
    assert read.recommend(k=4).to_arrow().equals(fitted.recommend(k=4).to_arrow())
    Recommender().fit(*shop, as_of=NIGHT).save(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_rules_and_texts_are_kept_too(shop, tmp_path):
    texts = ReasonTexts().to_mapping()
    texts["texts"]["popular"] = "beliebt"
    rules = Rules(category_cap=1, blocked_items=("A0-01",), not_bought_within=timedelta(days=3))
    model = Recommender(rules=rules, texts=ReasonTexts.from_mapping(texts)).fit(*shop, as_of=NIGHT)
    model.save(tmp_path)
    read = Recommender.load(tmp_path)
    assert read.rules == Rules(category_cap=1, blocked_items=("A0-01",), not_bought_within="3D")
    assert read.recommend(k=4).to_arrow().equals(model.recommend(k=4).to_arrow())


def test_a_file_that_was_changed_is_refused(fitted, tmp_path):
    fitted.save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace("blend", "blond", 1))
    with pytest.raises(ConfigurationError, match="not the one its card describes"):
        Recommender.load(tmp_path)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pieces=st.dictionaries(st.integers(0, 35), st.integers(0, 20), min_size=1), k=st.integers(1, 8)
)
def test_no_more_is_shown_than_there_is(fitted, shop, pieces, k):
    names = shop[1]["item_id"].iloc[list(pieces)]
    stock = pd.DataFrame({"item_id": names, "capacity": list(pieces.values())})
    found = fitted.recommend(k=k, stock=stock, check_reasons=False).to_frame()
    shown = found["item_id"].value_counts()
    for item, most in zip(stock["item_id"], stock["capacity"], strict=True):
        assert shown.get(item, 0) <= most
    assert (found.groupby("contact_id").size() == k).mean() > 0.5


def test_what_is_scarce_goes_to_those_who_want_it_most(fitted):
    free = fitted.recommend(k=1).to_frame().set_index("contact_id")
    wanted = free["item_id"].value_counts().index[0]
    stock = pd.DataFrame({"item_id": [wanted], "capacity": [3]})
    found = fitted.recommend(k=1, stock=stock).to_frame()
    got = found.loc[found["item_id"] == wanted, "contact_id"]
    assert len(got) == 3
    others = free.index[(free["item_id"] == wanted) & ~free.index.isin(got)]
    assert free.loc[got, "probability"].mean() > free.loc[others, "probability"].mean()


def test_parts_share_what_is_scarce(fitted, monkeypatch):
    from mlmarket.recommend import recommender

    stock = pd.DataFrame({"item_id": ["A0-05", "A1-05"], "capacity": [2, 5]})
    whole = fitted.recommend(k=2, stock=stock).to_arrow()
    monkeypatch.setattr(recommender, "_PART", 100)
    parts = list(fitted.recommend_batches(k=2, stock=stock))
    assert len(parts) > 1
    assert pa.concat_tables([part.to_arrow() for part in parts]).equals(whole)


def test_a_few_are_shown_something_new_with_a_known_chance(shop):
    rows, items, contacts = shop
    new = pd.DataFrame(
        {"item_id": ["N1", "N2"], "category": ["aisle 0"] * 2, "in_stock": [True] * 2}
    )
    model = Recommender(exploration=Exploration(share=0.2)).fit(
        rows, pd.concat([items, new]), contacts, as_of=NIGHT
    )
    found = model.recommend(k=3).to_frame()
    drawn = found[found["source"] == "exploration"]
    assert set(drawn["item_id"]) == {"N1", "N2"}
    assert len(drawn) / found["contact_id"].nunique() == pytest.approx(0.2, abs=0.05)
    # 1 of 2 new items is drawn for 1 of 5 people; it may have stood there anyway
    assert set(drawn["propensity"].astype(float).round(4)) <= {0.1, 0.9}
    assert (drawn["propensity"] < 0.2).mean() > 0.95
    assert set(found.loc[found["rank"] < 3, "propensity"]) == {1.0}
    later = model.recommend(k=3, as_of=NIGHT + timedelta(days=1)).to_frame()
    again = later[later["source"] == "exploration"]
    assert set(again["contact_id"]) != set(drawn["contact_id"])


def test_a_model_that_another_version_kept_is_refused_in_words(fitted, tmp_path):
    fitted.save(tmp_path)
    model, card = (
        json.loads((tmp_path / name).read_text()) for name in ("model.json", "card.json")
    )
    del model["ranking"]["learned"]["own"]
    text = json.dumps(model)
    (tmp_path / "model.json").write_text(text)
    card["files"]["model.json"] = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(ConfigurationError, match="train it again"):
        Recommender.load(tmp_path)
