"""A small shop of known truth: orders come at a rate of each person's own, until the person leaves."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mlmarket.churn import ChurnModel, PurchaseModel
from mlmarket.market import Market

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 190


def _at(day):
    start = np.datetime64(START.replace(tzinfo=None), "us")
    return start + (np.asarray(day) * 86_400_000_000).astype("timedelta64[us]")


def simulate(*, seed: int, people: int = 350, alike: bool = False) -> dict[str, pd.DataFrame]:
    """Return tables; with `alike`, everybody buys at the same rate and nobody leaves."""
    draw = np.random.default_rng(seed)
    ids = np.array([f"c{i:03d}" for i in range(people)])
    rate = np.full(people, 0.02) if alike else draw.gamma(1.0, 0.04, people)
    leaves = np.full(people, np.inf) if alike else draw.exponential(200, people)
    buyer = np.repeat(np.arange(people), draw.poisson(rate * DAYS))
    day = draw.uniform(0, DAYS - 0.01, buyer.size)
    kept = day < leaves[buyer]
    buyer, day = buyer[kept], day[kept]
    lines = draw.integers(1, 4, buyer.size)
    orders = pd.DataFrame(
        {
            "contact_id": np.repeat(ids[buyer], lines),
            "order_id": np.repeat(np.arange(buyer.size), lines).astype(str),
            "ordered_at": np.repeat(_at(day), lines),
            "amount": np.round(draw.gamma(2, 20, lines.sum()), 2),
        }
    )
    visitor = draw.integers(0, people, 600)
    events = pd.DataFrame(
        {
            "contact_id": ids[visitor],
            "event_type": draw.choice(["visit", "cart"], 600),
            "occurred_at": _at(draw.uniform(0, DAYS - 0.01, 600)),
        }
    )
    sent = _at(draw.uniform(0, DAYS - 2, 300))
    messages = pd.DataFrame(
        {
            "contact_id": ids[draw.integers(0, people, 300)],
            "message_id": np.arange(300).astype(str),
            "channel": "email",
            "sent_at": sent,
            "opened_at": np.where(draw.random(300) < 0.5, sent + np.timedelta64(1, "D"), pd.NaT),
        }
    ).astype({"opened_at": "datetime64[us]"})
    contacts = pd.DataFrame({"contact_id": ids, "country": draw.choice(["PT", "ES"], people)})
    return {"contacts": contacts, "orders": orders, "events": events, "messages": messages}


@pytest.fixture(scope="session")
def simulated_shop():
    """Return the function that draws the tables of a shop."""
    return simulate


@pytest.fixture(scope="session")
def now() -> datetime:
    """Return the end of the shop's data."""
    return START + timedelta(days=DAYS)


@pytest.fixture(scope="session")
def tables() -> dict[str, pd.DataFrame]:
    """Return the tables of the shop."""
    return simulate(seed=11)


@pytest.fixture(scope="session")
def shop(tables, now) -> Market:
    """Return the shop."""
    return Market.from_tables(**tables, now=now)


@pytest.fixture(scope="session")
def earlier(now) -> datetime:
    """Return a moment in the middle, after which rows may change as they like."""
    return now - timedelta(days=40)


@pytest.fixture(scope="session")
def purchase(shop, earlier) -> PurchaseModel:
    """Return a purchase model that stands at the moment in the middle."""
    return PurchaseModel("30D", needs={"buyers": 100}).fit(shop, as_of=earlier)


@pytest.fixture(scope="session")
def churn(shop, now) -> ChurnModel:
    """Return a churn model of today."""
    return ChurnModel("45D", needs={"buyers": 100}).fit(shop, as_of=now)
