"""What is known of items, and of thin pairs of contact and item."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.churn.next_order.items import ITEM_FACTS, item_facts
from mlmarket.churn.next_order.purchases import PurchaseFile, Reader, Window
from mlmarket.churn.next_order.rows import Known, Past, describe
from mlmarket.market import Market

START = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = (START.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days


def market_of(rows: list[tuple[str, str, int]], late: dict[int, int] | None = None) -> Market:
    """Return orders of (contact, item, day since the start); some are known days later."""
    day = np.array([row[2] for row in rows])
    at = pd.Timestamp(START.replace(tzinfo=None)) + pd.to_timedelta(day, unit="D")
    orders = pd.DataFrame(
        {
            "contact_id": [row[0] for row in rows],
            "order_id": [str(place) for place in range(len(rows))],
            "item_id": [row[1] for row in rows],
            "ordered_at": at + pd.Timedelta(hours=10),
            "quantity": 1.0,
        }
    )
    wait = pd.to_timedelta([(late or {}).get(place, 0) for place in range(len(rows))], unit="D")
    return Market.from_tables(orders=orders.assign(available_at=orders["ordered_at"] + wait))


def file_of(market: Market, path, today: int) -> PurchaseFile:
    until = START + timedelta(days=today + 1, microseconds=-1)
    window = Window(EPOCH + today, until, None)
    return PurchaseFile.record(market, path, window=window, by_item=True)


def facts_of(file: PurchaseFile, day: int) -> pd.DataFrame:
    items = file.items()
    facts = item_facts(file, items, np.array([day]))[0]
    return pd.DataFrame(facts, columns=list(ITEM_FACTS), index=items.to_pylist())


ROWS = [
    *(("a", "milk", day) for day in range(0, 100, 10)),
    *(("b", "milk", day) for day in range(5, 100, 10)),
    ("a", "lamp", 3),
    ("b", "lamp", 70),
    ("c", "lamp", 99),
    ("c", "tea", 90),
    ("c", "tea", 97),
]


def test_an_item_is_known_by_the_purchases_of_all(tmp_path):
    facts = facts_of(file_of(market_of(ROWS), tmp_path / "f", 99), 0)
    usual = np.exp((18 * np.log(10) + np.log(7)) / 19)
    assert facts.loc["milk", "item_gap"] == pytest.approx(
        np.exp((18 * np.log(10) + 5 * np.log(usual)) / 23), rel=1e-5
    )
    # Nobody bought a lamp again: it has the gap of all items, and a share below theirs.
    assert facts.loc["lamp", "item_gap"] == pytest.approx(usual, rel=1e-5)
    assert facts["item_again_share"].idxmin() == "lamp"
    assert facts["item_buyers"].to_dict() == {"lamp": 3, "milk": 2, "tea": 1}
    assert facts["item_quiet"].to_dict() == {"lamp": 0, "milk": 4, "tea": 2}
    assert facts["item_age"].to_dict() == {"lamp": 96, "milk": 99, "tea": 9}
    assert facts.loc["milk", "item_days_28d"] == 5


def test_a_purchase_that_was_known_later_is_not_counted_before(tmp_path):
    late = {len(ROWS) - 1: 10}
    facts = facts_of(file_of(market_of(ROWS, late), tmp_path / "f", 120), -21)
    assert facts.loc["tea", "item_quiet"] == 9
    facts = facts_of(file_of(market_of(ROWS, late), tmp_path / "g", 120), 0)
    assert facts.loc["tea", "item_quiet"] == 23


def test_the_number_of_contacts_at_a_time_changes_nothing(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    rows = [
        (f"c{draw.integers(40):02d}", f"i{draw.integers(6)}", int(draw.integers(100)))
        for _ in range(800)
    ]
    file = file_of(market_of(rows), tmp_path / "f", 99)
    whole = facts_of(file, -5)
    people = pa.concat_arrays(list(file.people()))
    assert people.to_pylist() == sorted({row[0] for row in rows})
    monkeypatch.setattr(file, "people", lambda: (people.slice(n, 7) for n in range(0, 40, 7)))
    pd.testing.assert_frame_equal(facts_of(file, -5), whole)


def described(market: Market, path, today: int, people: list[str]) -> pd.DataFrame:
    past = Past(file_of(market, path, today), Known.of("item"))
    at = np.zeros(1, dtype=np.int64)
    chunk = past.chunk(Reader(past.file), pa.array(people))
    series = np.arange(len(chunk.pairs.item))
    numbers = describe(chunk, series, np.zeros_like(series), at, past.facts(at))
    frame = pd.DataFrame(numbers, columns=list(past.known.names))
    frame["item"] = past.items.take(pa.array(chunk.pairs.item)).to_pylist()
    frame["contact"] = [people[place] for place in chunk.pairs.contact]
    return frame.set_index(["contact", "item"])


def test_a_thin_pair_has_the_gap_of_its_item(tmp_path):
    rows = [*ROWS, ("d", "milk", 95), ("d", "lamp", 95)]
    frame = described(market_of(rows), tmp_path / "f", 99, ["a", "b", "c", "d"])
    once, often = frame.loc[("d", "milk")], frame.loc[("a", "milk")]
    assert once["gap_typical"] == pytest.approx(once["item_gap"])
    assert abs(once["gap_typical"] - 10) < 0.2
    assert abs(often["gap_typical"] - 10) < abs(once["gap_typical"] - 10)
    # Two purchases a week apart do not outweigh what holds of the item.
    thin = frame.loc[("c", "tea")]
    assert thin["gap_mean"] < thin["gap_typical"] < thin["item_gap"]


def test_a_pair_knows_the_rhythm_of_its_contact(tmp_path):
    frame = described(market_of(ROWS), tmp_path / "f", 99, ["a", "b", "c"])
    lamp = frame.loc[("a", "lamp")]
    assert lamp["contact_days"] == 11
    assert lamp["contact_since_last"] == 9
    assert lamp["orders_since_last"] == 9
    assert lamp["share_of_orders"] == pytest.approx(1 / 10)
    assert frame.loc[("a", "milk"), "orders_since_last"] == 0


def test_a_line_without_an_item_counts_for_its_contact_only(tmp_path):
    market = market_of([*ROWS, ("a", None, 98)])
    file = file_of(market, tmp_path / "f", 99)
    assert file.items().to_pylist() == ["lamp", "milk", "tea"]
    frame = described(market, tmp_path / "g", 99, ["a", "b", "c"])
    assert frame.loc[("a", "milk"), "contact_since_last"] == 1
    assert frame.loc[("a", "milk"), "since_last"] == 9
