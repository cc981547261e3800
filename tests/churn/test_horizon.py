"""A horizon is proposed from how long those who came back took."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mlmarket.churn import suggest_horizon
from mlmarket.errors import ConfigurationError
from mlmarket.market import Market

NOW = datetime(2026, 1, 1, tzinfo=UTC)
END = "2026-01-01"


def shop(*gaps_in_days, people=200, years=3):
    """Return a shop in which each customer orders at a gap of their own, the gaps in turn."""
    draw = np.random.default_rng(0)
    rows = []
    for person in range(people):
        gap = gaps_in_days[person % len(gaps_in_days)]
        for day in np.arange(draw.uniform(0, gap), 365 * years, gap):
            rows += [(f"c{person:03d}", pd.Timestamp(END) - pd.Timedelta(days=365 * years - day))]
    orders = pd.DataFrame(rows, columns=["contact_id", "ordered_at"])
    return Market.from_tables(orders=orders.assign(order_id=range(len(orders))), now=NOW)


def test_a_shop_of_monthly_customers_gets_a_month():
    found = suggest_horizon(shop(28), as_of=NOW)
    assert (found.horizon, found.share, found.limited) == (timedelta(days=30), 1.0, False)
    assert "30D: of" in found.in_words
    assert found.to_frame()["days"].between(27, 29).all()


def test_a_short_history_limits_the_proposal_and_says_so():
    found = suggest_horizon(shop(50, years=0.5, people=400), as_of=NOW)
    assert found.horizon == timedelta(days=60)
    slow = suggest_horizon(shop(70, years=0.5, people=400), as_of=NOW)
    assert (slow.horizon, slow.limited) == (timedelta(days=60), True)
    assert "A longer one would fit better" in slow.in_words


def test_a_gap_that_had_no_time_to_end_takes_none_of_its_kind_away():
    # Of 3 years, gaps that began in the first two are looked at. People with gaps of 300 days begin
    # two or three in that time, those with 60 days about twelve: near one in six is long.
    found = suggest_horizon(shop(60, 300), as_of=NOW, share=0.8)
    assert found.horizon == timedelta(days=60)
    assert found.share == pytest.approx(5 / 6, abs=0.02)


def test_later_orders_change_nothing():
    market = shop(28)
    early = NOW - timedelta(days=400)
    orders = market.table("orders").to_pandas()
    past = orders[orders["ordered_at"] <= pd.Timestamp(early.replace(tzinfo=None))]
    known = Market.from_tables(orders=past, now=NOW)
    assert suggest_horizon(market, as_of=early) == suggest_horizon(known, as_of=early)


def test_too_few_gaps_are_no_ground_for_a_proposal():
    with pytest.raises(ConfigurationError, match="gaps that had the time to end"):
        suggest_horizon(shop(100, people=5), as_of=NOW)


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigurationError, match="'share' is"):
        suggest_horizon(shop(100, people=5), as_of=NOW, share=share)
