"""Whatever the catalogue and the rules, a promise is kept or its breach has a name."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlmarket.recommend import Interactions, ItemFacts
from mlmarket.recommend.histories import histories_of
from mlmarket.recommend.rules import Fallback, Rules, RuleTables, Shortage

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
CATEGORIES = (None, "cups", "pots", "toys")
COUNTRIES = (None, "", "*", "PT", "pt | ES", "DE|*")
HOMES = (None, "PT", "es", "FR")


def ids_of(prefix, count):
    return pa.array([f"{prefix}-{place:02d}" for place in range(count)])


@st.composite
def shops(draw):
    items = draw(st.integers(1, 12))
    people = draw(st.integers(1, 4))

    def column(*choices):
        return draw(st.lists(st.sampled_from(choices), min_size=items, max_size=items))

    table = pa.table(
        {
            "item_id": ids_of("i", items),
            "category": pa.array(column(*CATEGORIES), pa.string()),
            "price": pa.array(column(None, 1.0, 2.5, 4.0, 9.0), pa.float64()),
            "cost": pa.array(column(None, 0.5, 2.0), pa.float64()),
            "in_stock": pa.array(column(None, True, True, False), pa.bool_()),
            "sold": pa.array(column(*COUNTRIES), pa.string()),
            "topic": pa.array(column(None, "news", "Wine "), pa.string()),
            "age": pa.array(column(None, -2, 0, 5, 29, 30, 60), pa.int64()),
        }
    )
    published = [
        None if age is None else AS_OF - timedelta(days=age) for age in table["age"].to_pylist()
    ]
    table = table.append_column("published_at", pa.array(published, pa.timestamp("us", "UTC")))
    pair = st.tuples(st.integers(0, people - 1), st.integers(0, items - 1))
    bought = draw(st.lists(st.tuples(pair, st.integers(0, 60)), max_size=8))
    return SimpleNamespace(
        table=table,
        homes=draw(st.lists(st.sampled_from(HOMES), min_size=people, max_size=people)),
        bought=bought,
        carts=draw(st.lists(st.tuples(pair, st.integers(0, 60)), max_size=4)),
        blocked=draw(st.lists(pair, max_size=4)),
        granted=draw(
            st.lists(
                st.tuples(
                    st.integers(0, people - 1),
                    st.sampled_from([None, "news", "wine"]),
                    st.booleans(),
                    st.integers(-1, 3),
                ),
                max_size=6,
            )
        ),
        people=people,
        items=items,
    )


@st.composite
def rules_of(draw):
    def maybe(strategy):
        return draw(st.none() | strategy)

    low = draw(st.floats(0, 3))
    return Rules(
        in_stock=maybe(st.booleans()),
        not_bought_within=maybe(st.sampled_from(["30D", "2W"])),
        consent=maybe(st.just("email")),
        sold_in=maybe(st.just("sold")),
        minimum_price=maybe(st.just(2.0)),
        maximum_price=maybe(st.just(8.0)),
        usual_price=maybe(st.just((low / 4, low))),
        usual_price_unknown=maybe(st.just(3.0)),
        minimum_margin=maybe(st.just(0.5)),
        maximum_age=maybe(st.just("30D")),
        category_cap=maybe(st.integers(0, 3)),
        diversity=draw(st.sampled_from([0.0, 0.4, 1.0])),
        new_share=draw(st.sampled_from([0.0, 0.3, 1.0])),
        eligible=maybe(st.just("price > 1")),
        pinned=draw(st.sampled_from([{}, {"i-00": 2}])),
    )


def compiled(shop, rules):
    categories = shop.table.column("category")
    assume(rules.category_cap is None or categories.null_count < len(categories))
    days = [
        {
            "contact_id": f"c-{who}",
            "item_id": f"i-{what:02d}",
            "occurred_at": AS_OF - timedelta(days=age),
        }
        for (who, what), age in shop.bought
    ]
    schema = pa.schema(
        {
            "contact_id": pa.string(),
            "item_id": pa.string(),
            "occurred_at": pa.timestamp("us", "UTC"),
        }
    )
    ids = shop.table["item_id"].combine_chunks()
    known = Interactions.from_frame(
        pa.Table.from_pylist(days, schema=schema), as_of=AS_OF, items=ids
    )
    people = pa.array([f"c-{who}" for who in range(shop.people)])
    carts = [
        {
            "contact_id": f"c-{who}",
            "item_id": f"i-{what:02d}",
            "occurred_at": AS_OF - timedelta(days=age),
        }
        for (who, what), age in shop.carts
    ]
    blocked = pa.table(
        {
            "contact_id": pa.array([f"c-{who}" for who, _ in shop.blocked], pa.string()),
            "item_id": pa.array([f"i-{what:02d}" for _, what in shop.blocked], pa.string()),
        }
    )
    consents = pa.table(
        {
            "contact_id": pa.array([f"c-{who}" for who, *_ in shop.granted], pa.string()),
            "topic": pa.array([topic for _, topic, *_ in shop.granted], pa.string()),
            "granted": pa.array([yes for *_, yes, _ in shop.granted], pa.bool_()),
            "changed_at": pa.array(
                [AS_OF - timedelta(days=age) for *_, age in shop.granted], pa.timestamp("us", "UTC")
            ),
        }
    )
    tables = RuleTables(
        carts=pa.Table.from_pylist(carts, schema=schema), blocked=blocked, consents=consents
    )
    contacts = pa.table({"contact_id": people, "country": pa.array(shop.homes, pa.string())})
    facts = ItemFacts.from_frame(shop.table, ids)
    return rules.compile(facts, contacts, as_of=AS_OF, tables=tables), histories_of(people, known)


def may_hear(shop, who, topic):
    said = [(about, yes, age) for one, about, yes, age in shop.granted if one == who and age >= 0]
    topic = None if topic is None else topic.strip().lower()

    def latest(about, yes):
        ages = [age for one, word, age in said if one == about and word is yes]
        return -min(ages) if ages else -np.inf

    general_yes, general_no = latest(None, True), latest(None, False)
    if topic is None:
        return general_yes > -np.inf and general_yes > general_no
    yes, no = latest(topic, True), latest(topic, False)
    grant = max(yes, general_yes)
    refused = (no > -np.inf and no >= yes) or (general_no > -np.inf and general_no >= grant)
    return grant > -np.inf and not refused


def sold_to(row, home):
    where = [word.strip().casefold() for word in (row["sold"] or "").split("|")]
    return "*" in where or (bool(home) and home.casefold() in where)


def plainly_allowed(shop, rules, who, row):
    """Say the same as the compiled mask, one pair at a time."""
    what, price = int(row["item_id"][2:]), row["price"]
    mine = [(item, age) for (one, item), age in shop.bought if one == who]
    last = min((age for _, age in mine), default=np.inf)
    paid = [shop.table["price"][item].as_py() for item, _ in sorted(set(mine))]
    paid = [one for one in paid if one is not None]
    usual = float(np.median(paid)) if paid else rules.usual_price_unknown
    known_stock = any(one is not None for one in shop.table["in_stock"].to_pylist())
    stock_asked = rules.in_stock or (rules.in_stock is None and known_stock)
    age = row["age"]
    margin = None if price is None or row["cost"] is None else price - row["cost"]
    asked = [
        not stock_asked or row["in_stock"] is True,
        not rules.not_bought_within
        or all(
            item != what or age >= (30 if rules.not_bought_within == "30D" else 14)
            for item, age in mine
        ),
        all(not ((one, item) == (who, what) and age < last) for (one, item), age in shop.carts),
        (who, what) not in shop.blocked,
        all(item != what for item, _ in mine),
        not rules.consent or may_hear(shop, who, row["topic"]),
        not rules.sold_in or sold_to(row, shop.homes[who]),
        rules.minimum_price is None or (price is not None and price >= rules.minimum_price),
        rules.maximum_price is None or (price is not None and price <= rules.maximum_price),
        rules.minimum_margin is None or (margin is not None and margin >= rules.minimum_margin),
        rules.maximum_age is None or (age is not None and 0 <= age < 30),
        age is None or age >= 0,
        rules.eligible is None or (price is not None and price > 1),
        rules.usual_price is None
        or (
            usual is not None
            and price is not None
            and rules.usual_price[0] * usual <= price <= rules.usual_price[1] * usual
        ),
    ]
    return all(asked)


@given(shop=shops(), rules=rules_of())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_an_item_is_allowed_where_every_rule_is_known_to_be_kept(shop, rules):
    made, recipients = compiled(shop, rules)
    rows = shop.table.to_pylist()
    expected = [
        [plainly_allowed(shop, rules, who, row) for row in rows] for who in range(shop.people)
    ]
    np.testing.assert_array_equal(made.allowed(recipients), expected)


def ranking(recipients, items, draw_scores, width):
    order = np.argsort(-draw_scores, axis=1, kind="stable")[:, :width].astype(np.int32)
    score = np.take_along_axis(draw_scores, order, axis=1).astype(np.float32)
    order = np.where(score > 0, order, -1).astype(np.int32)
    return SimpleNamespace(
        contacts=recipients.contacts,
        items=recipients.items,
        item=order,
        score=score,
        source=np.zeros(order.shape, np.int8),
        sources=("ranking",),
    )


@given(
    shop=shops(),
    rules=rules_of(),
    k=st.integers(1, 15),
    seed=st.integers(0, 99),
    any_item=st.booleans(),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_slots_hold_exactly_k_allowed_items_or_a_reason_stands_beside(
    shop, rules, k, seed, any_item
):
    made, recipients = compiled(shop, rules)
    chance = np.random.default_rng(seed)
    allowed = made.allowed(recipients, exclude="none")
    scores = np.round(chance.normal(size=allowed.shape), 1)
    ranked = ranking(recipients, shop.items, scores, int(chance.integers(1, shop.items + 1)))
    popular = Fallback("popular", chance.integers(0, 3, shop.items).astype(np.float32))
    own = Fallback("own", chance.integers(0, 2, allowed.shape).astype(np.float32))
    last = (Fallback("any", np.ones(shop.items, np.float32)),) if any_item else ()
    slots = made.fill(ranked, recipients, allowed, k, fallbacks=(popular, own, *last))

    categories = [one or "" for one in shop.table["category"].to_pylist()]
    short = {row["contact_id"]: row for row in slots.short.to_pylist()}
    for who in range(shop.people):
        shown = [int(one) for one in slots.item[who] if one >= 0]
        assert len(set(shown)) == len(shown)
        assert all(allowed[who, one] for one in shown)
        assert (slots.item[who, len(shown) :] == -1).all()
        counts = {name: sum(categories[one] == name for one in shown) for name in categories}
        if rules.category_cap is not None:
            assert max(counts.values()) <= rules.category_cap
        row = short.get(f"c-{who}")
        assert (row is None) == (len(shown) == k)
        if row is not None:
            check_reason(row, rules, allowed[who], shown, categories, any_item)
        check_pin(rules, allowed[who], slots, who, shown, k)
        check_new(shop, rules, allowed[who], slots, who, k, any_item=any_item)
    np.testing.assert_array_equal(slots.filled, (slots.item >= 0).sum(axis=1))
    np.testing.assert_array_equal(slots.propensity, slots.item >= 0)


def check_reason(row, rules, allowed, shown, categories, any_item):
    assert (row["filled"], Shortage(row["reason"])) == (len(shown), row["reason"])
    left = [
        one
        for one in np.flatnonzero(allowed)
        if one not in shown
        and (
            rules.category_cap is None
            or sum(categories[other] == categories[one] for other in shown) < rules.category_cap
        )
    ]
    assert bool(left) == (row["reason"] == Shortage.NO_CANDIDATE)
    assert not (left and any_item)
    assert (row["reason"] == Shortage.NOTHING_ALLOWED) == (not allowed.any())


def check_pin(rules, allowed, slots, who, shown, k):
    pinned = "i-00" in rules.pinned and allowed[0] and k >= 2 and rules.category_cap != 0
    if pinned:
        assert slots.item[who, min(2, len(shown)) - 1] == 0
    assert (slots.source[who] == slots.sources.index("pinned")).sum() == pinned


def check_new(shop, rules, allowed, slots, who, k, *, any_item):
    if not any_item or not rules.new_share or rules.category_cap is not None:
        return
    new = [age is not None and 0 <= age < 30 for age in shop.table["age"].to_pylist()]
    shown = [int(one) for one in slots.item[who] if one >= 0]
    pins = [one for one in shown if rules.pinned and one == 0 and not new[0] and k >= 2]
    wanted = int(np.ceil(rules.new_share * k - 1e-9))
    possible = min(wanted, int((allowed & new).sum()), k - len(pins))
    assert sum(new[one] for one in shown) >= possible
