"""Interactions of a market: known at an instant, without what came back, in any order of the rows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.market.settings import MarketSettings
from mlmarket.recommend.from_market import UrlCounts, count_urls, market_interactions

START = datetime(2026, 3, 1, tzinfo=UTC)
WEIGHTS = {"order": 1.0, "add_to_cart": 0.3, "product_view": 0.1}


def at(day: float) -> datetime:
    return START + timedelta(days=day)


TIME = pa.timestamp("us", "UTC")
ORDERS = pa.schema(
    [
        ("order_id", pa.string()),
        ("contact_id", pa.string()),
        ("item_id", pa.string()),
        ("ordered_at", TIME),
        ("amount", pa.float64()),
        ("available_at", TIME),
    ]
)
EVENTS = pa.schema(
    [
        ("event_id", pa.string()),
        ("contact_id", pa.string()),
        ("event_type", pa.string()),
        ("occurred_at", TIME),
        ("item_id", pa.string()),
        ("url", pa.string()),
    ]
)


def table(rows: list[tuple], schema: pa.Schema) -> pa.Table:
    numbered = [dict(zip(schema.names, (f"n{n}", *row), strict=True)) for n, row in enumerate(rows)]
    return pa.Table.from_pylist(numbered, schema=schema)


def orders(*lines: tuple) -> pa.Table:
    return table([(*line, *[10.0, None][len(line) - 3 :]) for line in lines], ORDERS)


def events(*rows: tuple) -> pa.Table:
    return table(list(rows), EVENTS)


def market(**tables: pa.Table) -> Market:
    settings = MarketSettings.model_validate(
        {"tables": {"orders": {"source": "x", "returns": "amount < 0"}}}
    )
    return Market.from_tables(settings=settings, **tables)


def rows_of(found) -> list[tuple]:
    contact = found.contacts.take(pa.array(found.contact)).to_pylist()
    item = found.items.take(pa.array(found.item)).to_pylist()
    day = found.at - START.timestamp() / 86_400
    weight = found.weight.astype(float)
    return [
        (who, what, round(float(when), 6), round(float(much), 6))
        for who, what, when, much in zip(contact, item, day, weight, strict=True)
    ]


def test_orders_and_weighted_events_lie_side_by_side():
    shop = market(
        orders=orders(("b", "x", at(2)), ("a", "y", at(1))),
        events=events(
            ("a", "add_to_cart", at(0), "y", None),
            ("a", "product_view", at(0), "x", None),
            ("a", "log_in", at(0), None, None),
            ("a", "product_view", at(0), "x", None),
        ),
    )
    found = market_interactions(shop, as_of=at(3), weights=WEIGHTS)
    assert rows_of(found) == [
        ("a", "x", 0.0, 0.2),
        ("a", "y", 0.0, 0.3),
        ("a", "y", 1.0, 1.0),
        ("b", "x", 2.0, 1.0),
    ]
    assert found.now == pytest.approx(at(3).timestamp() / 86_400)
    assert found.left_out == {"repeated": 1}


def test_without_weights_orders_count_alone_and_views_where_there_are_none():
    seen = events(("a", "page_view", at(0), "x", None), ("a", "add_to_cart", at(1), "y", None))
    both = market(orders=orders(("a", "z", at(1))), events=seen)
    assert rows_of(market_interactions(both, as_of=at(3))) == [("a", "z", 1.0, 1.0)]
    content = Market.from_tables(events=seen)
    found = rows_of(market_interactions(content, as_of=at(3)))
    assert found == [("a", "x", 0.0, 0.1), ("a", "y", 1.0, 0.3)]


def test_rows_after_the_instant_change_nothing():
    early = orders(("a", "x", at(1)), ("b", "y", at(2)))
    late = orders(
        ("a", "z", at(4)),
        ("c", "x", at(2), 10.0, at(5)),
        ("b", "y", at(5), -10.0),
        ("d", "x", at(3.1)),
    )
    seen = events(("a", "product_view", at(3.5), "w", None))
    before = market_interactions(market(orders=early), as_of=at(3), weights=WEIGHTS)
    both = pa.concat_tables([late, early])
    after = market_interactions(market(orders=both, events=seen), as_of=at(3), weights=WEIGHTS)
    assert rows_of(before) == rows_of(after) == [("a", "x", 1.0, 1.0), ("b", "y", 2.0, 1.0)]
    assert before.items.equals(after.items)
    assert before.contacts.equals(after.contacts)
    later = market_interactions(market(orders=both), as_of=at(5))
    assert ("c", "x", 2.0, 1.0) in rows_of(later)
    assert ("b", "y", 2.0, 1.0) not in rows_of(later)


def test_a_line_that_is_wholly_returned_is_no_sign_of_interest():
    shop = market(
        orders=orders(
            ("a", "x", at(1), 10.0),
            ("a", "x", at(2), 30.0),
            ("a", "x", at(3), -20.0),  # a part of the second
            ("a", "y", at(1), 5.0),
            ("a", "y", at(2), 5.0),
            ("a", "y", at(3), -10.0),  # both
            ("b", "x", at(1), 10.0),
            ("b", "x", at(0), -10.0),  # of a line before the table begins
            ("c", "z", at(1), None),
            ("c", "z", at(2), None),
        )
    )
    found = market_interactions(shop, as_of=at(9))
    assert rows_of(found) == [
        ("a", "x", 1.0, 1.0),
        ("a", "x", 2.0, 1.0),
        ("b", "x", 1.0, 1.0),
        ("c", "z", 1.0, 1.0),
        ("c", "z", 2.0, 1.0),
    ]
    assert found.left_out == {"wholly returned": 2}
    earlier = rows_of(market_interactions(shop, as_of=at(2)))
    assert {("a", "y", 1.0, 1.0), ("a", "y", 2.0, 1.0)} <= set(earlier)


def by_hand(lines: list[tuple]) -> list[tuple]:
    """Return what is left of lines and returns, told as simply as possible."""
    left = []
    ordered = sorted(lines, key=lambda line: (line[0], line[2], line[1], line[3] < 0, abs(line[3])))
    for who, what, day, amount in ordered:
        if amount > 0:
            left.append([who, what, day, amount])
            continue
        back = -amount
        for line in reversed([one for one in left if one[:2] == [who, what] and one[3] > 0]):
            taken = min(back, line[3])
            line[3] -= taken
            back -= taken
    summed: dict[tuple, float] = {}
    for who, what, day, amount in left:
        if amount > 0:
            key = (who, day, what)
            summed[key] = summed.get(key, 0.0) + 1.0
    return [(who, what, day, many) for (who, day, what), many in sorted(summed.items())]


lines = st.tuples(
    st.sampled_from("ab"),
    st.sampled_from("xyz"),
    st.integers(0, 5),
    st.sampled_from([10, 20, 30, -10, -20, -50]),
)


@settings(max_examples=12, deadline=None)
@given(drawn=st.lists(lines, min_size=1, max_size=60), shuffle=st.randoms())
def test_any_log_is_read_as_by_hand_in_any_order_of_its_rows(drawn, shuffle):
    given_lines = [(who, what, at(day), float(amount)) for who, what, day, amount in drawn]
    first = market_interactions(market(orders=orders(*given_lines)), as_of=at(9))
    shuffle.shuffle(given_lines)
    second = market_interactions(market(orders=orders(*given_lines)), as_of=at(9))
    assert rows_of(first) == rows_of(second) == by_hand(drawn)
    assert first.at.tobytes() == second.at.tobytes()


def test_a_long_history_is_sorted_too():
    rng = np.random.default_rng(7)
    days = rng.permutation(3_000)
    frame = orders(*[("a", f"i{day % 50}", at(day / 100), 1.0) for day in days.tolist()])
    found = market_interactions(market(orders=frame), as_of=at(99))
    assert len(found) == 3_000
    assert (np.diff(found.at) > 0).all()
    assert found.items.take(pa.array(found.item[:3])).to_pylist() == ["i0", "i1", "i2"]


def test_pages_visited_become_items():
    seen = events(
        ("a", "page_view", at(1), None, "https://blog.example/blog/tea?from=mail"),
        ("a", "page_view", at(2), "coffee", "/blog/tea"),  # says itself what it is about
        ("b", "page_view", at(1), None, "/blog/page"),
        ("b", "page_view", at(1), None, "/about"),
        ("b", "page_view", at(1), None, None),
        ("b", "log_in", at(1), None, "/blog/tea"),
        ("b", "page_view", at(5), None, "/blog/tea"),
    )
    items = pa.table({"item_id": ["tea", "coffee"]})
    shop = Market.from_tables(events=seen, items=items)
    found = market_interactions(shop, as_of=at(3), urls=["/blog/{item_id}"])
    assert rows_of(found) == [("a", "tea", 1.0, 0.1), ("a", "coffee", 2.0, 0.1)]
    counted = count_urls(shop, ["/blog/{item_id}"], as_of=at(3))
    assert counted == UrlCounts(visits=3, matched=1, unknown_item=1, unmatched=1)
    alone = Market.from_tables(events=seen)
    found = market_interactions(alone, as_of=at(3), urls=["/blog/{item_id}"])
    assert ("b", "page", 1.0, 0.1) in rows_of(found)
    assert count_urls(alone, [], as_of=at(3)) == UrlCounts(0, 0, 0, 0)


def test_a_catalogue_and_contacts_can_be_given():
    shop = market(orders=orders(("a", "x", at(1)), ("a", "y", at(1)), ("b", "x", at(1))))
    found = market_interactions(shop, as_of=at(3), items=pa.array(["w", "x"]), contacts=["a", "q"])
    assert rows_of(found) == [("a", "x", 1.0, 1.0)]
    assert found.items.to_pylist() == ["w", "x"]
    assert found.left_out == {"of items that are not known": 1}


def test_a_market_without_a_sign_of_interest_has_no_rows():
    found = market_interactions(
        Market.from_tables(events=events(("a", "log_in", at(1), None, None))), as_of=at(3)
    )
    assert len(found) == 0
    assert len(found.items) == 0


@pytest.mark.parametrize(
    ("weights", "what"),
    [
        ({"open": 1.0}, "is no interest"),
        ({"return": 1.0}, "is no interest"),
        ({"order": 0.0}, "weight of 'order' is 0"),
        ({"order": "much"}, "is 'much'"),
        ({"order": float("nan")}, "is nan"),
        ({"order": True}, "is True"),
        ({}, "0 types"),
    ],
)
def test_weights_that_say_nothing_are_refused(weights, what):
    shop = market(orders=orders(("a", "x", at(1))))
    with pytest.raises(ConfigurationError, match=what):
        market_interactions(shop, as_of=at(3), weights=weights)


def test_an_instant_needs_a_zone():
    with pytest.raises(ConfigurationError, match="has no zone"):
        market_interactions(
            market(orders=orders(("a", "x", at(1)))), as_of=at(1).replace(tzinfo=None)
        )
