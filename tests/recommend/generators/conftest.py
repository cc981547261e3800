"""Small histories that every generator is tried on."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.recommend import (
    AttributeNeighbours,
    CategoryPopularity,
    Ease,
    History,
    Interactions,
    LatelyNeighbours,
    LatelyRegression,
    Neighbours,
    Popularity,
    SegmentPopularity,
    Sequential,
    Together,
    Transitions,
)

SIZE = 12
ITEMS = pa.array([f"i{place:02d}" for place in range(SIZE)])
CATEGORY = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, -1, 0, 1], np.int32)
OWN = np.array([0, 1, 1, 2, 3, 3, 4, 4, 5, 0, 1, 2], np.int32)


def _made(rows, *, timed=True, items=ITEMS):
    """Return interactions of (contact, item, day) rows."""
    contact, item, day = zip(*rows, strict=True) if rows else ((), (), ())
    at = np.asarray(day, np.float64)
    if not timed:
        return Interactions.from_frame(
            pa.table({"contact_id": contact, "item_id": item, "order": at}), items=items
        )
    times = (at * 86_400_000_000).astype("datetime64[us]")
    frame = pa.table(
        {
            "contact_id": pa.array(contact, pa.string()),
            "item_id": pa.array(item, pa.string()),
            "occurred_at": pa.array(times),
        }
    )
    return Interactions.from_frame(frame, as_of=datetime(1970, 4, 11, tzinfo=UTC), items=items)


def _random_rows(people=60, seed=0):
    """Return rows in which an item is often followed by its neighbour, in baskets; the last item has none."""
    random = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        place, day = int(random.integers(SIZE - 1)), float(random.integers(50))
        for _ in range(int(random.integers(1, 8))):
            rows.append((f"c{person:03d}", f"i{place:02d}", day))
            place = (place + int(random.integers(1, 3))) % (SIZE - 1)
            day += float(random.integers(3))
    return rows


START = np.arange(SIZE + 1, dtype=np.int64)
MEMBERS = pa.array([f"c{person:03d}" for person in range(60)])
SEGMENT = (np.arange(60) % 3 - 1).astype(np.int32)

GENERATORS = {
    "attributes": lambda: AttributeNeighbours(START, OWN),
    "category": lambda: CategoryPopularity(CATEGORY),
    "ease": lambda: Ease(regularisation=1.0),
    "history": History,
    "lately": lambda: LatelyRegression(regularisation=1.0),
    "lately_neighbours": LatelyNeighbours,
    "neighbours": Neighbours,
    "popularity": Popularity,
    "segment": lambda: SegmentPopularity(MEMBERS, SEGMENT),
    "sequential": Sequential,
    "together": Together,
    "transitions": Transitions,
}
LINEAR = [
    "attributes",
    "ease",
    "history",
    "lately",
    "lately_neighbours",
    "neighbours",
    "sequential",
    "together",
    "transitions",
]


@pytest.fixture
def made():
    return _made


@pytest.fixture
def rows():
    return _random_rows()


@pytest.fixture(params=[True, False], ids=["timed", "order-only"])
def known(request):
    return _made(_random_rows(), timed=request.param)


@pytest.fixture(params=sorted(GENERATORS))
def make(request):
    return GENERATORS[request.param]


@pytest.fixture(params=LINEAR)
def make_linear(request):
    return GENERATORS[request.param]
