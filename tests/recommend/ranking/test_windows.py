import numpy as np
import pyarrow as pa

from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.ranking.windows import (
    next_occasions,
    periods,
    sampled,
    share_repeated,
    wanted,
)

HISTORIES = Interactions(
    contacts=pa.array(["ada", "bob", "cyd"]),
    items=pa.array(["a", "b", "c", "d"]),
    start=np.array([0, 4, 6, 7], dtype=np.int64),
    item=np.array([0, 1, 2, 0, 3, 1, 2], dtype=np.int32),
    at=np.array([1.0, 2.0, 3.0, 3.0, 1.0, 9.0, 2.0]),
    weight=np.ones(7, dtype=np.float32),
    now=10.0,
)


def test_the_next_occasion_is_asked_with_all_its_items() -> None:
    first, second = next_occasions(HISTORIES, 2)
    assert second.recipients.contacts.to_pylist() == ["ada", "bob"]
    assert second.start.tolist() == [0, 2, 3]
    assert second.item.tolist() == [0, 2, 1]
    assert first.recipients.contacts.to_pylist() == ["ada"]
    assert len(first.known) == len(second.known) == 1


def test_nothing_in_a_window_is_known_before_it() -> None:
    for window in periods(HISTORIES, 4.0, 2):
        assert window.known.at.max() <= window.known.now
        assert window.recipients.at.max() <= window.known.now
    last = periods(HISTORIES, 4.0, 2)[-1]
    assert last.known.now == 6.0
    assert (last.recipients.contacts.to_pylist(), last.item.tolist()) == (["bob"], [1])


def test_earlier_periods_are_asked_where_the_latest_have_few_recipients() -> None:
    few = periods(HISTORIES, 1.0, 2)
    assert sum(len(window) for window in few) == 1
    more = periods(HISTORIES, 1.0, 2, most=9, enough=2)
    assert [window.known.now for window in more[-2:]] == [window.known.now for window in few]
    assert sum(len(window) for window in more) >= 2
    assert sum(len(window) for window in more[1:]) < 2
    assert len(periods(HISTORIES, 1.0, 2, most=9, enough=1)) == 2
    assert len(periods(HISTORIES, 1.0, 2, most=4, enough=100)) == 4


def test_new_and_repeated_answers_are_told_apart() -> None:
    window = next_occasions(HISTORIES, 2)[-1]
    assert share_repeated([window]) == 1 / 3
    assert wanted(window, "repeat").item.tolist() == [0]
    assert wanted(window, "new").item.tolist() == [2, 1]
    assert wanted(window, "all") is window


def test_fewer_recipients_are_drawn_with_their_answers() -> None:
    window = next_occasions(HISTORIES, 2)[-1]
    one = sampled(window, 1, np.random.default_rng(0))
    assert len(one) == 1
    assert len(one.item) == one.start[-1]
