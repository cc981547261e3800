"""A shop of three aisles whose customers walk along one of them."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

NIGHT = datetime(2026, 6, 1, tzinfo=UTC)
AISLES = 3
LONG = 12


def walks(people=600, *, seed=0, steps=(3, 11)):
    """Return rows of people who take one item after the other along an aisle, some days apart."""
    draw = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        aisle, at = draw.integers(AISLES), draw.integers(LONG)
        day = draw.integers(20, 120)
        for step in range(draw.integers(*steps)):
            item = (at + step) % LONG
            rows.append((f"C{person:04}", f"A{aisle}-{item:02}", day))
            day -= draw.integers(3, 8)
            if day < 0:
                break
    contact, item, back = zip(*rows, strict=True)
    when = pd.Timestamp(NIGHT).tz_localize(None) - pd.to_timedelta(back, unit="D")
    return pd.DataFrame({"contact_id": contact, "item_id": item, "occurred_at": when})


def shelf():
    """Return the items of the aisles."""
    names = [f"A{aisle}-{item:02}" for aisle in range(AISLES) for item in range(LONG)]
    return pd.DataFrame(
        {
            "item_id": names,
            "title": [f"Thing {name}" for name in names],
            "category": [f"aisle {name[1]}" for name in names],
            "price": [float(2 + place % 7) for place in range(len(names))],
            "in_stock": True,
        }
    )


@pytest.fixture(scope="session")
def shop():
    """Return interactions, items and contacts."""
    rows = walks()
    people = rows["contact_id"].unique()
    country = np.where(np.arange(len(people)) % 2, "PT", "DE")
    return rows, shelf(), pd.DataFrame({"contact_id": people, "country": country})


@pytest.fixture(scope="session")
def fitted(shop):
    """Return a recommender that knows the shop."""
    from mlmarket.recommend import Recommender

    return Recommender().fit(*shop, as_of=NIGHT)
