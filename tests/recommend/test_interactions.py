"""Rows of frames become histories, and nothing after the instant asked about is read."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.recommend import Interactions
from mlmarket.recommend.histories import histories_of, joined

NIGHT = datetime(2026, 6, 1, tzinfo=UTC)


def frame(rows):
    """Return a frame of (contact, item, day of May 2026)."""
    contact, item, day = zip(*rows, strict=True) if rows else ((), (), ())
    days = [pd.Timestamp("2026-05-01") + pd.Timedelta(days=number - 1) for number in day]
    return pd.DataFrame(
        {
            "contact_id": pd.array(contact, dtype="str"),
            "item_id": pd.array(item, dtype="str"),
            "occurred_at": pd.to_datetime(days),
        }
    )


def read(rows, as_of=NIGHT, **options):
    return Interactions.from_frame(frame(rows), as_of=as_of, **options)


def ordered(rows):
    contact, item, order = zip(*rows, strict=True)
    return pd.DataFrame({"contact_id": contact, "item_id": item, "order": order})


def test_rows_are_sorted_by_contact_and_time():
    known = read([("b", "x", 3), ("a", "y", 9), ("a", "x", 2)])
    assert known.contacts.to_pylist() == ["a", "b"]
    assert known.items.to_pylist() == ["x", "y"]
    assert known.start.tolist() == [0, 2, 3]
    assert known.item.tolist() == [0, 1, 0]


def test_ages_are_days_before_the_night():
    assert read([("a", "x", 1), ("a", "y", 31)]).age.tolist() == [31.0, 1.0]


def test_ages_are_occasions_where_only_an_order_is_known():
    known = Interactions.from_frame(ordered([("a", "x", 10), ("a", "y", 10), ("a", "z", 20)]))
    assert not known.timed
    assert known.age.tolist() == [2.0, 2.0, 1.0]


def test_rows_after_the_night_are_left_out_and_counted():
    known = read([("a", "x", 1), ("a", "y", 30)], as_of=datetime(2026, 5, 20, tzinfo=UTC))
    assert known.left_out == {"after as_of": 1}
    assert known.items.to_pylist() == ["x"]


def test_rows_that_repeat_count_once_with_their_weights_together():
    rows = frame([("a", "x", 1), ("a", "x", 1), ("a", "x", 2)]).assign(weight=[1.0, 2.0, 4.0])
    known = Interactions.from_frame(rows, as_of=NIGHT)
    assert known.weight.tolist() == [3.0, 4.0]
    assert known.left_out == {"repeated": 1}


def test_items_that_are_not_in_the_catalogue_are_left_out_and_counted():
    known = read([("a", "x", 1), ("a", "gone", 2)], items=pa.array(["x", "z"]))
    assert known.left_out == {"of items that are not known": 1}
    assert known.items.to_pylist() == ["x", "z"]


def test_whole_numbers_are_ids():
    rows = ordered([(7, 10, 1), (7, 9, 2)])
    assert Interactions.from_frame(rows).contacts.to_pylist() == ["7"]


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas, lambda rows: rows])
def test_every_kind_of_frame_is_read_alike(convert):
    rows = frame([("a", "x", 1), ("b", "y", 2)])
    known = Interactions.from_frame(convert(rows), as_of=NIGHT)
    assert known.item.tolist() == [0, 1]
    assert known.age.tolist() == [31.0, 30.0]


def test_an_empty_frame_is_no_history():
    known = read([])
    assert (len(known), len(known.contacts), len(known.items)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda rows: rows.drop(columns="item_id"), ConfigurationError, "no column 'item_id'"),
        (lambda rows: rows.drop(columns="occurred_at"), ConfigurationError, "no 'order'"),
        (lambda rows: rows.assign(item_id=[1.0, 2.5]), ConfigurationError, "holds double"),
        (lambda rows: rows.assign(item_id=[None, "x"]), DataContractError, "1 of 2 rows"),
        (lambda rows: rows.assign(weight=[1.0, -6.0]), DataContractError, "-6 of contact 'b'"),
        (lambda rows: rows.assign(weight=["much", "2"]), ConfigurationError, "no number"),
        (lambda rows: rows.assign(weight=[1.0, np.inf]), DataContractError, "not finite"),
        (lambda rows: rows.assign(occurred_at=["1 May", "x"]), ConfigurationError, "no time"),
        (
            lambda rows: rows.assign(occurred_at=pd.to_datetime(["2026-05-01", None])),
            DataContractError,
            "without a time",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_refused_in_words(change, error, words):
    rows = change(frame([("a", "x", 1), ("b", "y", 2)]))
    with pytest.raises(error, match=words) as told:
        Interactions.from_frame(rows, as_of=NIGHT)
    assert len(str(told.value).splitlines()) == 3


def test_times_without_as_of_are_refused():
    with pytest.raises(ConfigurationError, match="no as_of"):
        Interactions.from_frame(frame([("a", "x", 1)]))


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("wxyz"), st.integers(1, 31)), max_size=30
)


@given(rows=ROWS, cut=st.integers(1, 31))
def test_what_is_known_at_an_instant_does_not_depend_on_later_rows(rows, cut):
    instant = datetime(2026, 5, cut, tzinfo=UTC)
    early = [row for row in rows if row[2] <= cut]
    all_items = pa.array(list("wxyz"))
    with_later, without = (read(some, instant, items=all_items) for some in (rows, early))
    assert with_later.contacts.equals(without.contacts)
    for column in ("start", "item", "at", "weight"):
        np.testing.assert_array_equal(getattr(with_later, column), getattr(without, column))


@given(rows=ROWS, back=st.integers(0, 4))
def test_the_latest_occasions_can_be_held_out(rows, back):
    known = read(rows)
    shorter = known.without_last(back)
    before, after = known.at, shorter.at
    for contact in range(len(known.contacts)):
        mine = slice(known.start[contact], known.start[contact + 1])
        days = np.unique(before[mine])
        kept = after[shorter.start[contact] : shorter.start[contact + 1]]
        assert np.unique(kept).tolist() == days[: max(len(days) - back, 0)].tolist()


@given(rows=ROWS)
def test_pieces_of_histories_are_what_they_were(rows):
    known = read(rows)
    people = len(known.contacts)
    backwards = np.arange(people)[::-1]
    taken = known.take(backwards).take(backwards)
    np.testing.assert_array_equal(taken.item, known.item)
    parts = [known.chunk(place, place + 1) for place in range(people)]
    np.testing.assert_array_equal(
        np.concatenate([np.empty(0, np.int32), *[part.item for part in parts]]), known.item
    )


@given(rows=ROWS, later=ROWS)
def test_fresh_rows_join_the_history_once(rows, later):
    items = pa.array(list("wxyz"))
    both = joined(read(rows, items=items), read(later, items=items))
    together = read(sorted(set(rows) | set(later)), items=items)
    assert both.contacts.equals(together.contacts)
    np.testing.assert_array_equal(both.start, together.start)
    np.testing.assert_array_equal(both.item, together.item)


def test_a_history_from_an_earlier_instant_is_refused():
    early = read([("a", "x", 1)], as_of=datetime(2026, 5, 2, tzinfo=UTC))
    with pytest.raises(ConfigurationError, match="from an instant before"):
        joined(read([("a", "x", 1)]), early)


def test_who_was_never_seen_has_an_empty_history():
    known = histories_of(pa.array(["nobody", "a"]), read([("a", "x", 1)]))
    assert known.start.tolist() == [0, 0, 1]
    empty = histories_of(pa.array(["nobody"]), read([]))
    assert empty.start.tolist() == [0, 0]
