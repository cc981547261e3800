from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.recommend import Interactions, ItemFacts
from mlmarket.recommend.identity import IdKind
from mlmarket.recommend.rules import Fallback, Rules, RuleTables, joined_slots

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
IDS = pa.array(["i-1", "i-2", "i-3", "i-4"])


def facts(**columns):
    return ItemFacts.from_frame(pa.table({"item_id": IDS, **columns}), IDS)


def histories(rows=(), ids=IDS, people=("a", "b")):
    known = {
        "contact_id": pa.array([*people, *(who for who, _ in rows)], pa.string()),
        "item_id": pa.array([*(ids[0].as_py() for _ in people), *(what for _, what in rows)]),
        "occurred_at": [datetime(2025, 1, 1, tzinfo=UTC)] * (len(people) + len(rows)),
    }
    return Interactions.from_frame(pa.table(known), as_of=AS_OF, items=ids)


def ranked(recipients, items, scores=None):
    item = np.array(items, np.int32)
    score = -np.arange(item.shape[1], dtype=np.float32) * np.ones((len(item), 1), np.float32)
    return SimpleNamespace(
        contacts=recipients.contacts,
        items=recipients.items,
        item=item,
        score=score if scores is None else np.array(scores, np.float32),
        source=np.zeros(item.shape, np.int8),
        sources=("ranking",),
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"not_bougth_within": "30D"}, "did you mean 'not_bought_within'"),
        ({"not_bought_within": "30"}, "is not a duration"),
        ({"consent": "e-mail"}, "did you mean 'email'"),
        ({"diversity": 1.5}, "from 0 to 1"),
        ({"category_cap": -1}, "whole number from 0"),
        ({"category_cap": True}, "whole number from 0"),
        ({"category_caps": {"cups": 1.5}}, "category_caps.cups"),
        ({"pinned": {"i-1": 0}}, "from 1 up"),
        ({"pinned": {"i-1": 1, "i-2": 1}}, "rank of its own"),
        ({"blocked_items": "i-1"}, "list of texts"),
        ({"blocked_items": [7]}, "as text"),
        ({"minimum_price": float("nan")}, "finite number"),
        ({"minimum_price": 5, "maximum_price": 4}, "up to maximum_price"),
        ({"usual_price": [2.0, 1.0]}, "two multiples"),
        ({"in_stock": "yes"}, "true or false"),
        ({"eligible": " "}, "leave it out"),
        ({"unknown_items": "ignore"}, "'refuse' or 'count'"),
    ],
)
def test_a_slip_in_a_rule_is_refused_with_what_to_write(settings, words):
    with pytest.raises(ConfigurationError, match=words) as raised:
        Rules.from_mapping(settings)
    assert len(str(raised.value).splitlines()) == 3


def test_rules_are_read_from_what_toml_has():
    rules = Rules.from_mapping(
        {"usual_price": [0.5, 2], "pinned": {"i-1": 1}, "not_bought_within": "30D"}
    )
    assert (rules.usual_price, dict(rules.pinned)) == ((0.5, 2), {"i-1": 1})


def test_an_unknown_item_in_a_rule_is_named_with_a_near_one():
    with pytest.raises(ConfigurationError, match=r"such as 'i-22'(.|\n)*Fix: did you mean 'i-2'"):
        Rules(blocked_items=("i-22", "i-1")).compile(facts())


def test_unknown_items_can_be_counted_only():
    rules = Rules(blocked_items=("x", "i-1"), unknown_items="count")
    made = rules.compile(facts())
    assert made.left_out["blocked_items"] == 1
    assert made.permitted.tolist() == [[False, True, True, True]]


@pytest.mark.parametrize("name", ["blocked", "exclude", "pinned", "carts", "eligible"])
def test_unknown_items_of_every_table_are_refused(name):
    frame = pa.table({"contact_id": ["a"], "item_id": ["i-9"], "rank": [1]})
    with pytest.raises(ConfigurationError, match=f"'{name}' names 1 item "):
        Rules().compile(facts(), tables=RuleTables(**{name: frame}))


def test_numbers_are_told_from_text_where_ids_do_not_meet():
    whole = pa.table({"contact_id": ["a"], "item_id": [1]})
    with pytest.raises(ConfigurationError, match="whole numbers, such as 1, and none"):
        Rules().compile(facts(), tables=RuleTables(blocked=whole))
    padded = ItemFacts.from_frame(None, pa.array(["001", "002"]))
    with pytest.raises(ConfigurationError, match=r"zfill\(3\)"):
        Rules(unknown_items="count").compile(padded, tables=RuleTables(blocked=whole))
    kind = IdKind("item_id", integer=False, table="interactions")
    with pytest.raises(ConfigurationError, match="text in table 'interactions' and whole numbers"):
        Rules().compile(padded, tables=RuleTables(blocked=whole, item_kind=kind))


def test_a_table_about_strangers_only_is_refused():
    contacts = pa.table({"contact_id": ["a", "b"]})
    frame = pa.table({"contact_id": [1], "item_id": ["i-1"]})
    with pytest.raises(
        ConfigurationError, match="None of the contacts of 'blocked', whole numbers"
    ):
        Rules().compile(facts(), contacts, tables=RuleTables(blocked=frame))


def test_two_pins_at_one_rank_of_one_contact_are_refused():
    frame = pa.table({"contact_id": ["a", "a"], "item_id": ["i-1", "i-2"], "rank": [1, 1]})
    with pytest.raises(DataContractError, match="rank 1 of contact 'a'"):
        Rules().compile(facts(), tables=RuleTables(pinned=frame))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (Rules(minimum_margin=1.0), "no column 'cost'"),
        (Rules(sold_in="contries"), "no column 'contries'"),
        (Rules(consent="email"), "no column 'topic'"),
        (Rules(maximum_age="30D"), "no as_of"),
        (
            Rules(diversity=0.5, similar_by=("colour",)),
            "(?s)no column 'colour'.*which items are alike.*add the column 'colour'",
        ),
        (Rules(blocked_categories=("cup",)), "did you mean 'cups'"),
        (Rules(category_caps={"cup": 1}), "did you mean 'cups'"),
    ],
)
def test_a_rule_about_what_is_not_there_is_refused(rules, words):
    with pytest.raises(ConfigurationError, match=words):
        rules.compile(facts(category=["cups", "pots", None, "cups"]))


@pytest.mark.parametrize("rules", [Rules(category_cap=2), Rules(category_caps={"cups": 1})])
def test_a_cap_by_category_needs_categories(rules):
    with pytest.raises(ConfigurationError, match="no item has one") as told:
        rules.compile(facts())
    assert len(str(told.value).splitlines()) == 3
    rules.compile(facts(category=["cups", None, None, None]))


def test_a_column_that_is_only_spelt_a_little_alike_is_not_suggested():
    with pytest.raises(ConfigurationError, match="add the column 'topic'") as told:
        Rules(consent="email").compile(facts())
    assert "mean" not in str(told.value)


def test_oversold_and_unknown_stock_is_no_stock():
    made = Rules().compile(facts(in_stock=[-3, 0, 2, None]))
    assert made.permitted.tolist() == [[False, False, True, False]]
    made = Rules(in_stock=True).compile(facts(stock=[-3, 0, 2, None]))
    assert made.permitted.tolist() == [[False, False, True, False]]
    assert Rules().compile(facts()).permitted.all()


def test_a_category_that_is_not_known_may_be_the_blocked_one():
    made = Rules(blocked_categories=("cups",)).compile(
        facts(category=["cups", "pots", None, "pots"])
    )
    assert made.permitted.tolist() == [[False, True, False, True]]


def test_thirty_days_are_not_asked_of_an_order():
    frame = pa.table({"contact_id": ["a"], "item_id": ["i-1"], "order": [1]})
    recipients = Interactions.from_frame(frame, items=IDS)
    with pytest.raises(ConfigurationError, match="only an order is known"):
        Rules(not_bought_within="30D").compile(facts()).allowed(recipients)


def test_only_the_eligible_pairs_are_shown_and_nothing_to_others():
    frame = pa.table({"contact_id": ["b", "b"], "item_id": ["i-2", "i-4"]})
    made = Rules().compile(facts(), tables=RuleTables(eligible=frame))
    assert made.allowed(histories()).astype(int).tolist() == [[0, 0, 0, 0], [0, 1, 0, 1]]


def test_a_pin_of_the_contact_comes_before_the_pin_of_all():
    frame = pa.table({"contact_id": ["b"], "item_id": ["i-3"], "rank": [1]})
    made = Rules(pinned={"i-4": 1}).compile(facts(), tables=RuleTables(pinned=frame))
    recipients = histories()
    allowed = made.allowed(recipients)
    slots = made.fill(ranked(recipients, [[1, 2], [1, 2]]), recipients, allowed, 2)
    assert slots.item.tolist() == [[3, 1], [2, 1]]
    assert [slots.sources[one] for one in slots.source[0]] == ["pinned", "ranking"]


def test_nothing_allowed_is_a_reason_for_everybody():
    made = Rules(minimum_price=10.0).compile(facts())
    recipients = histories()
    allowed = made.allowed(recipients)
    popular = Fallback("popular", np.ones(4, np.float32))
    slots = made.fill(ranked(recipients, [[1], [2]]), recipients, allowed, 3, fallbacks=[popular])
    assert slots.short.column("reason").to_pylist() == ["nothing_allowed"] * 2
    assert (slots.item == -1).all()


def test_more_slots_than_items_give_the_whole_catalogue_and_say_so():
    made = Rules().compile(facts())
    recipients = histories()
    allowed = made.allowed(recipients, exclude="none")
    popular = Fallback("popular", np.ones(4, np.float32))
    slots = made.fill(ranked(recipients, [[1], [2]]), recipients, allowed, 9, fallbacks=[popular])
    assert slots.short.to_pylist()[0] == {
        "contact_id": "a",
        "wanted": 9,
        "filled": 4,
        "reason": "small_catalogue",
        "words": "The catalogue has 4 items.",
    }


def test_slots_tell_how_many_a_fallback_filled_by_length_of_history():
    made = Rules().compile(facts())
    recipients = histories()
    allowed = made.allowed(recipients, exclude="none")
    popular = Fallback("popular", np.array([0, 0, 1, 2], np.float32))
    slots = made.fill(ranked(recipients, [[1], [-1]]), recipients, allowed, 2, fallbacks=[popular])
    whole = joined_slots([slots, slots])
    assert whole.history.to_pylist()[:2] == [
        {"contact_id": "a", "occasions": 1, "filled": 2, "by_fallback": 1},
        {"contact_id": "b", "occasions": 1, "filled": 2, "by_fallback": 2},
    ]


def test_diversity_takes_the_best_item_and_then_another_kind():
    rules = Rules(diversity=0.5)
    made = rules.compile(facts(category=["cups", "cups", "cups", "pots"]))
    recipients = histories(people=("a",))
    allowed = made.allowed(recipients, exclude="none")
    order = ranked(recipients, [[0, 1, 2, 3]], [[1.0, 0.9, 0.8, 0.7]])
    assert made.fill(order, recipients, allowed, 3).item.tolist() == [[0, 3, 1]]


def test_arrays_about_others_are_refused():
    made = Rules().compile(facts())
    recipients = histories()
    allowed = made.allowed(recipients)
    with pytest.raises(ConfigurationError, match="the ranking has the shape"):
        made.fill(ranked(recipients, [[1]]), recipients, allowed, 1)
    wrong = Fallback("new", np.ones(3, np.float32))
    with pytest.raises(ConfigurationError, match="the fallback 'new' has the shape"):
        made.fill(ranked(recipients, [[1], [1]]), recipients, allowed, 1, fallbacks=[wrong])
    with pytest.raises(ConfigurationError, match="k is 0"):
        made.fill(ranked(recipients, [[1], [1]]), recipients, allowed, 0)
    with pytest.raises(ConfigurationError, match="write 'seen' or 'none'"):
        made.allowed(recipients, exclude="bought")
