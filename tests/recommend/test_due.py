"""What is due is read by contact and item, and never taken for somebody else's."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.recommend.due import DueItems
from mlmarket.recommend.identity import IdKind

ITEMS = pa.array(["w", "x", "y", "z"])


def frame(**changes):
    rows = {
        "contact_id": ["b", "a", "a", "a"],
        "item_id": ["x", "z", "w", "gone"],
        "due_date": pd.to_datetime(["2026-06-03", "2026-06-05", None, "2026-06-01"]),
        "probability": [0.5, 0.2, 0.7, 0.9],
    }
    return pd.DataFrame(rows | changes)


def test_days_and_chances_are_found_by_contact_and_item():
    due = DueItems.read(frame(), ITEMS)
    day, chance = due.of(pa.array(["c", "b", "a"]), np.array([[1, 1], [1, 0], [3, -1]], np.int32))
    assert np.isnat(day[0]).all()
    assert day[1, 0] == np.datetime64("2026-06-03")
    assert np.isnat(day[1, 1])
    assert day[2, 0] == np.datetime64("2026-06-05")
    np.testing.assert_allclose(chance, [[np.nan, np.nan], [0.5, np.nan], [0.2, np.nan]])


def test_the_mask_says_the_same_for_the_whole_catalogue():
    mask = DueItems.read(frame(), ITEMS).mask(pa.array(["b", "nobody", "a"]), 4)
    assert mask.tolist() == [
        [False, True, False, False],
        [False] * 4,
        [True, False, False, True],
    ]


def test_of_two_days_the_earlier_counts():
    twice = pd.concat([frame(), frame(due_date=pd.to_datetime(["2026-06-01"] * 4))])
    day, _ = DueItems.read(twice, ITEMS).of(pa.array(["b"]), np.array([[1]], np.int32))
    assert day[0, 0] == np.datetime64("2026-06-01")


def test_an_empty_frame_says_nothing():
    due = DueItems.read(frame().iloc[:0], ITEMS)
    day, chance = due.of(pa.array(["a"]), np.array([[1]], np.int32))
    assert np.isnat(day).all()
    assert np.isnan(chance).all()
    assert not due.mask(pa.array(["a"]), 4).any()


def test_a_frame_that_says_nothing_of_days_is_refused():
    rows = frame().drop(columns=["due_date", "probability"])
    with pytest.raises(ConfigurationError, match="no column 'due_date'"):
        DueItems.read(rows, ITEMS)


def test_dates_that_are_none_are_refused():
    with pytest.raises(ConfigurationError, match="due_date"):
        DueItems.read(frame(due_date=["soon"] * 4), ITEMS)


def test_numbers_do_not_meet_text():
    kind = IdKind("item_id", integer=True, table="interactions")
    with pytest.raises(ConfigurationError, match="'due'"):
        DueItems.read(frame(), ITEMS, kinds=[kind])


def test_what_is_due_much_later_is_left_out():
    due = DueItems.read(frame(), ITEMS, until=datetime(2026, 6, 4, tzinfo=UTC))
    assert due.mask(pa.array(["a", "b"]), 4).tolist() == [
        [True, False, False, False],
        [False, True, False, False],
    ]


@pytest.mark.parametrize("chance", [-0.1, 1.5, 70.0])
def test_a_probability_that_is_none_is_refused(chance):
    with pytest.raises(DataContractError, match=f"{chance:g} of contact 'a'") as told:
        DueItems.read(frame(probability=[0.5, 0.2, chance, None]), ITEMS)
    assert len(str(told.value).splitlines()) == 3
