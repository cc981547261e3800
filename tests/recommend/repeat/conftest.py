from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.recommend.interactions import Interactions

CONSUMABLES = 10
DURABLES = 40
CYCLE = 30.0


def _made(contact: object, item: object, at: object, *, contacts: int, now: float) -> Interactions:
    contact, item, at = np.asarray(contact), np.asarray(item), np.asarray(at, np.float64)
    order = np.lexsort((item, at, contact))
    names = [
        f"{'c' if place < CONSUMABLES else 'd'}{place:03}"
        for place in range(CONSUMABLES + DURABLES)
    ]
    return Interactions(
        contacts=pa.array([f"p{place:05}" for place in range(contacts)]),
        items=pa.array(names),
        start=np.searchsorted(contact[order], np.arange(contacts + 1)).astype(np.int64),
        item=item[order].astype(np.int32),
        at=at[order],
        weight=np.ones(len(order), np.float32),
        now=now,
    )


def _simulated(contacts: int = 600, *, now: float = 300.0, seed: int = 0) -> Interactions:
    """A shop of known truth.

    Each contact uses two consumables and buys each again 30 days, give or take two, after the last time, and each
    durable at most once: fifteen of them, at any time.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, float]] = []
    for contact in range(contacts):
        for item in rng.choice(CONSUMABLES, 2, replace=False):
            day = rng.uniform(0.0, CYCLE)
            while day < now:
                rows.append((contact, int(item), round(day)))
                day += rng.normal(CYCLE, 2.0)
        owned = CONSUMABLES + rng.choice(DURABLES, 15, replace=False)
        rows += [(contact, int(item), float(rng.integers(0, int(now)))) for item in owned]
    contact, item, at = zip(*sorted(set(rows)), strict=True)
    return _made(contact, item, at, contacts=contacts, now=now)


@pytest.fixture(scope="session")
def shop() -> Interactions:
    return _simulated()


@pytest.fixture(scope="session")
def made() -> Callable[..., Interactions]:
    return _made


@pytest.fixture(scope="session")
def simulated() -> Callable[..., Interactions]:
    return _simulated
