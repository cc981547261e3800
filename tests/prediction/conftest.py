"""A past of known truth, and a small shop, both drawn from a seed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from mlmarket.market import Market
from mlmarket.prediction.training import Rows, TrainingPlan

DAY = timedelta(days=1)
MONTH = 30 * DAY
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


class SimulatedPast:
    """Snapshots whose labels are drawn with a known probability.

    Parameters
    ----------
    slope : float
        How much the first feature says about the label; 0 for nothing at all.
    drift : float
        By how much the log odds move from one month to the next.
    """

    def __init__(self, *, seed: int, slope: float, drift: float = 0.0, people: int = 800) -> None:
        self.seed, self.slope, self.drift, self.people = seed, slope, drift, people
        self.asked: list[tuple[datetime, datetime | None]] = []

    def truth(self, month: int, x: np.ndarray) -> np.ndarray:
        return expit(-1.0 + self.slope * x + self.drift * month)

    def one(self, cutoff: datetime) -> Rows:
        month = (cutoff - FIRST) // MONTH
        draw = np.random.default_rng([self.seed, month])
        x = draw.normal(size=self.people)
        features = pd.DataFrame(
            {
                "x": x,
                "noise": draw.normal(size=self.people),
                "often_missing": np.where(draw.random(self.people) < 0.5, np.nan, 1.0),
                "country": draw.choice(["PT", "ES", None], self.people),
                "order_recency": draw.exponential(50.0, self.people),
                "order_days_active": draw.poisson(3.0, self.people).astype(float),
                "order_total": draw.gamma(2.0, 40.0, self.people),
            }
        )
        label = (draw.random(self.people) < self.truth(month, x)).astype(np.int8)
        contacts = np.array([f"c{i:04d}" for i in range(self.people)], dtype=object)
        return Rows(features, label, contacts)

    def at(self, cutoffs: Sequence[datetime], *, known_at: datetime | None = None) -> Rows:
        self.asked += [(cutoff, known_at) for cutoff in cutoffs]
        parts = [self.one(cutoff) for cutoff in cutoffs]
        return Rows(
            pd.concat([part.features for part in parts], ignore_index=True),
            np.concatenate([part.label for part in parts]),
            np.concatenate([part.contact_id for part in parts]),
        )


@pytest.fixture(scope="session")
def simulated_past() -> Callable[..., SimulatedPast]:
    """Return the class of simulated pasts."""
    return SimulatedPast


@pytest.fixture(scope="session")
def plan() -> TrainingPlan:
    """Return a plan of three origins with two or more closed windows before each."""
    months = [FIRST + n * MONTH for n in range(6)]
    return TrainingPlan(MONTH, MONTH, FIRST, tuple(months[3:]), tuple(months[:6]), 12)


@pytest.fixture(scope="module")
def shop_tables() -> dict[str, pd.DataFrame]:
    """Return a shop of 300 people over 200 days: who looks at prices upgrades soon after."""
    draw = np.random.default_rng(7)
    people, days = 300, 200
    ids = np.array([f"c{i:03d}" for i in range(people)])
    start = np.datetime64("2025-01-01T00:00:00", "us")

    def at(day: np.ndarray) -> np.ndarray:
        return start + (day * 86_400_000_000).astype("timedelta64[us]")

    keen = draw.gamma(0.7, 1.0, people)
    visits = np.repeat(np.arange(people), draw.poisson(3 + 20 * keen))
    visit_day = draw.uniform(0, days, visits.size)
    upgraded = draw.random(visits.size) < 0.12
    upgrade_day = np.minimum(visit_day + draw.exponential(8, visits.size), days - 0.001)[upgraded]
    who = np.concatenate([visits, visits[upgraded]])
    events = pd.DataFrame(
        {
            "contact_id": ids[who],
            "event_type": ["price view"] * visits.size + ["upgrade"] * int(upgraded.sum()),
            "occurred_at": at(np.concatenate([visit_day, upgrade_day])),
            "value": np.round(draw.gamma(2, 20, who.size), 2),
        }
    )
    contacts = pd.DataFrame(
        {"contact_id": ids, "country": draw.choice(["PT", "ES"], people), "seats": keen.round(2)}
    )
    return {"contacts": contacts, "events": events}


@pytest.fixture(scope="module")
def now() -> datetime:
    """Return the last day of the shop."""
    return FIRST + 200 * DAY


@pytest.fixture(scope="module")
def shop(shop_tables, now) -> Market:
    """Return the shop as a market."""
    return Market.from_tables(**shop_tables, now=now)
