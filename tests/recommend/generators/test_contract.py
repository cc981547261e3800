"""What holds of every generator, whatever it knows."""

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.recommend import Generator


def test_it_is_a_generator(make):
    assert isinstance(make(), Generator)


def test_scores_are_finite_and_of_every_item(make, known):
    scores = make().fit(known).scores(known)
    assert scores.shape == (len(known.contacts), len(known.items))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_the_order_of_the_rows_changes_nothing(make, made, rows):
    mixed = [rows[place] for place in np.random.default_rng(1).permutation(len(rows))]
    known = made(rows)
    once = make().fit(known).scores(known)
    again = make().fit(made(mixed)).scores(known)
    assert once.tobytes() == again.tobytes()


def test_the_histories_stay_as_they_are(make, known):
    before = [part.copy() for part in (known.start, known.item, known.at, known.weight)]
    make().fit(known).candidates(known, 3)
    for part, old in zip((known.start, known.item, known.at, known.weight), before, strict=True):
        np.testing.assert_array_equal(part, old)


def test_recipients_do_not_see_each_other(make, known):
    fitted = make().fit(known)
    order = np.random.default_rng(2).permutation(len(known.contacts))
    np.testing.assert_array_equal(fitted.scores(known.take(order)), fitted.scores(known)[order])
    np.testing.assert_array_equal(fitted.scores(known.chunk(5, 9)), fitted.scores(known)[5:9])


def test_candidates_are_the_items_with_the_largest_scores(make, known):
    fitted = make().fit(known)
    found = fitted.candidates(known, 4)
    scores = fitted.scores(known)
    assert found.item.shape == (len(known.contacts), 4)
    for row, items in enumerate(found.item):
        kept = items[items >= 0]
        np.testing.assert_array_equal(found.score[row, : len(kept)], scores[row, kept])
        assert (np.diff(found.score[row, : len(kept)]) <= 0).all()
        left = np.delete(scores[row], kept)
        if len(kept) == 4:
            assert left.max() <= scores[row, kept].min()
        else:
            assert left.max() <= 0


def test_more_candidates_than_items_are_all_items(make, known):
    assert make().fit(known).candidates(known, 100).item.shape == (
        len(known.contacts),
        len(known.items),
    )


def test_a_stored_generator_gives_the_same_scores(make, known):
    fitted = make().fit(known)
    state = fitted.to_state()
    assert all(isinstance(value, np.ndarray | float | int | str) for value in state.values())
    again = type(fitted).from_state(state)
    if hasattr(fitted, "with_members"):
        again = again.with_members(fitted.contacts, fitted.segment)
    assert again.scores(known).tobytes() == fitted.scores(known).tobytes()


def test_rows_of_others_after_the_cut_change_nothing(make, made, rows):
    late = [("c000", "i05", 101.0), ("c999", "i03", 200.0)]
    known = made(rows)
    assert (
        make().fit(made(rows + late[:1])).scores(known).tobytes()
        == make().fit(known).scores(known).tobytes()
    )


def test_somebody_without_a_history_gets_finite_scores(make, known):
    nobody = known.rows(np.zeros(len(known), np.bool_))
    scores = make().fit(known).scores(nobody)
    assert np.isfinite(scores).all()


def test_nothing_known_at_all_is_no_reason_for_anything(make, known):
    nothing = known.rows(np.zeros(len(known), np.bool_))
    assert (make().fit(nothing).candidates(nothing, 3).item == -1).all()


def test_one_contact_and_one_item_are_enough(make, made):
    one = made([("c000", "i00", 1.0), ("c000", "i00", 2.0)])
    assert np.isfinite(make().fit(one).scores(one)).all()


def test_another_catalogue_is_refused(make, made, known):
    other = made([("c000", "i00", 1.0)], items=known.items[:5])
    with pytest.raises(ConfigurationError, match="catalogue of 5 items"):
        make().fit(known).scores(other)


def test_a_contact_with_ten_thousand_rows_is_one_contact(make, made, rows):
    long = [("c000", f"i{place % 11:02d}", place / 200) for place in range(10_000)]
    known = made(rows + long)
    assert np.isfinite(make().fit(known).scores(known)).all()


def test_the_reason_is_what_the_score_falls_by_without_it(make_linear, known):
    fitted = make_linear().fit(known)
    items = fitted.candidates(known, 3).item
    cause, share = fitted.contributions(known, items)
    scores = fitted.scores(known)
    assert ((cause >= 0) == (items >= 0)).mean() > 0.95
    for contact in range(0, len(known.contacts), 3):
        for place in range(3):
            if cause[contact, place] < 0:
                continue
            keep = (known.contact != contact) | (known.item != cause[contact, place])
            without = fitted.scores(known.rows(keep))[contact, items[contact, place]]
            before = scores[contact, items[contact, place]]
            assert without < before
            assert share[contact, place] == pytest.approx(
                min(1.0, (before - without) / before), abs=2e-5
            )


def test_nothing_recommended_has_no_reason(make_linear, known):
    fitted = make_linear().fit(known)
    nothing = np.full((len(known.contacts), 2), -1, np.int32)
    cause, share = fitted.contributions(known, nothing)
    assert (cause == -1).all()
    assert (share == 0).all()


def test_fewer_neighbours_are_the_strongest_of_more(make_linear, known):
    whole = make_linear().fit(known)
    if not hasattr(whole, "neighbours"):
        pytest.skip("keeps one entry an item")
    few = make_linear()
    few.neighbours = 2
    few.fit(known)
    assert np.diff(few.start_).max(initial=0) <= len(known.items)
    pairs = {
        (row, column): weight
        for row in range(len(known.items))
        for column, weight in zip(
            whole.neighbour_[whole.start_[row] : whole.start_[row + 1]],
            whole.weight_[whole.start_[row] : whole.start_[row + 1]],
            strict=True,
        )
    }
    for row in range(len(known.items)):
        part = slice(few.start_[row], few.start_[row + 1])
        for column, weight in zip(few.neighbour_[part], few.weight_[part], strict=True):
            assert pairs[row, column] == weight


def test_ids_of_recipients_may_be_new(make, made, known):
    fitted = make().fit(known)
    stranger = made([("new", "i01", 3.0)], timed=known.timed)
    found = fitted.candidates(stranger, 2)
    assert found.contacts.equals(pa.array(["new"]))
