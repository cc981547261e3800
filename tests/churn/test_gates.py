"""What orders cannot carry is said before anything is learned."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from mlmarket.churn import DataNeeds, hold_data_gate, order_history
from mlmarket.errors import ConfigurationError
from mlmarket.market import Market

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def market():
    orders = pd.DataFrame(
        [
            ("once", "2025-12-30 10:00"),
            ("twice", "2025-03-01 10:00"),
            ("twice", "2025-06-01 10:00"),
            ("thrice", "2025-03-01 10:00"),
            ("thrice", "2025-03-01 11:00"),
            ("thrice", "2025-05-01 10:00"),
            ("thrice", "2025-07-01 10:00"),
            ("later", "2026-02-01 10:00"),
        ],
        columns=["contact_id", "ordered_at"],
    )
    return Market.from_tables(
        orders=orders.assign(order_id=range(len(orders))), now=datetime(2026, 3, 1, tzinfo=UTC)
    )


@pytest.fixture
def plenty(market):
    return replace(order_history(market, as_of=NOW), buyers=5_000, repeaters=2_000, regulars=1_000)


def gate(history, days=90, **needs):
    return hold_data_gate(
        history, as_of=NOW, horizon=timedelta(days=days), needs=DataNeeds.of(needs)
    )


def test_lines_of_a_day_are_one_and_later_orders_are_not_seen(market):
    history = order_history(market, as_of=NOW)
    assert (history.buyers, history.repeaters, history.regulars) == (3, 2, 1)
    assert history.last == datetime(2025, 12, 30, 10, tzinfo=UTC)


def test_enough_of_everything_carries_a_model(plenty):
    found = gate(plenty)
    assert found.carries == "model"
    assert found.in_words == "The orders can carry a model."


@pytest.mark.parametrize(
    ("change", "carries", "says"),
    [
        ({"buyers": 499}, "btyd", "499 contacts ordered, 500 are needed"),
        ({"regulars": 29}, "btyd", "29 contacts ordered on three days"),
        ({"repeaters": 19}, "rule", "19 contacts ordered again, 20 are needed"),
        ({"buyers": 49}, "nothing", "49 contacts ordered, 50 are needed"),
        ({"last": NOW - timedelta(days=40)}, "nothing", "No order for 40 days"),
    ],
)
def test_what_is_missing_is_said_in_words(plenty, change, carries, says):
    stopped = {"complete_until": NOW - timedelta(days=40)} if "last" in change else {}
    found = gate(replace(plenty, **change, **stopped))
    assert found.carries == carries
    assert says in found.in_words


def test_a_short_history_carries_no_model(plenty):
    young = replace(plenty, first=NOW - timedelta(days=170))
    assert gate(young, days=30).carries == "btyd"
    assert gate(young, days=90).carries == "nothing"
    assert "1 closed window(s) of 90D, 2 are needed" in gate(young, days=90).in_words


def test_a_table_that_is_declared_complete_has_not_stopped(plenty):
    quiet = replace(plenty, last=NOW - timedelta(days=40), complete_until=NOW)
    assert gate(quiet).carries == "model"


def test_a_team_may_need_less(plenty):
    small = replace(plenty, buyers=120)
    assert gate(small).carries == "btyd"
    assert gate(small, buyers=100).carries == "model"


@pytest.mark.parametrize(
    ("needs", "what"),
    [({"byers": 3}, "called 'byers'"), ({"buyers": 0}, "is 0"), ({"buyers": True}, "is True")],
)
def test_a_need_that_is_none_is_refused(needs, what):
    with pytest.raises(ConfigurationError, match=what):
        DataNeeds.of(needs)


def test_a_market_without_orders_in_the_past_carries_nothing(market):
    history = order_history(market, as_of=datetime(2024, 1, 1, tzinfo=UTC))
    assert (history.buyers, history.first, history.span) == (0, None, timedelta(0))
    assert (
        hold_data_gate(
            history, as_of=datetime(2024, 1, 1, tzinfo=UTC), horizon=timedelta(days=30)
        ).carries
        == "nothing"
    )
