"""What each generator knows that the others do not."""

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.recommend import (
    AttributeNeighbours,
    CategoryPopularity,
    Ease,
    History,
    ItemFacts,
    LargeCatalogueError,
    LatelyNeighbours,
    LatelyRegression,
    Neighbours,
    Popularity,
    SegmentPopularity,
    Sequential,
    Together,
    Transitions,
)


@pytest.fixture
def asked(made):
    """Return the scores of a fitted generator for one history of (item, day)."""

    def ask(generator, *history):
        rows = [("me", item, day) for item, day in history] or [("me", "i00", 1.0)]
        mine = made(rows)
        return generator.scores(mine if history else mine.rows(np.zeros(len(mine), np.bool_)))[0]

    return ask


def test_the_history_counts_how_often_and_how_lately(made, asked):
    fitted = History(power=1.0, half_life=None).fit(made([]))
    scores = asked(fitted, ("i01", 1.0), ("i02", 2.0), ("i01", 3.0))
    assert scores[1] == pytest.approx(1 + 1 / 3)
    assert scores[2] == pytest.approx(1 / 2)
    fitted = History(power=0.0, half_life=10.0).fit(made([]))
    assert asked(fitted, ("i01", 90.0))[1] == pytest.approx(0.5)  # seen from day 100


def test_one_contact_does_not_make_a_trend(made, asked):
    rows = [("fan", "i01", float(day)) for day in range(50, 90)]
    rows += [("a", "i02", 89.0), ("b", "i02", 89.0)]
    scores = asked(Popularity(half_life=14.0).fit(made(rows)))
    assert scores[2] == 1.0
    assert scores[1] == pytest.approx(0.5, abs=0.01)


def test_what_was_popular_long_ago_fades(made, asked):
    rows = [("a", "i01", 10.0), ("b", "i01", 10.0), ("c", "i01", 10.0), ("d", "i02", 95.0)]
    scores = asked(Popularity(half_life=14.0).fit(made(rows)))
    assert scores[2] > 10 * scores[1]


def test_of_two_popular_items_the_one_of_the_own_category_comes_first(made, asked):
    category = np.array([0, 0, 1, 1, *[-1] * 8], np.int32)
    rows = [("a", "i01", 95.0), ("b", "i01", 95.0), ("c", "i03", 95.0), ("d", "i03", 95.0)]
    fitted = CategoryPopularity(category).fit(made(rows))
    scores = asked(fitted, ("i02", 90.0))
    assert scores[3] > scores[1] > 0
    assert scores[5] == 0
    nobody = asked(fitted)
    assert nobody[1] == nobody[3] > 0


def test_a_segment_has_its_own_popularity_and_strangers_that_of_all(made):
    rows = [(f"a{i}", "i01", 95.0) for i in range(9)] + [(f"b{i}", "i02", 95.0) for i in range(5)]
    known = made(rows)
    of = np.array([0] * 9 + [1] * 5, np.int32)
    fitted = SegmentPopularity(known.contacts, of, prior=1.0).fit(known)
    best = fitted.candidates(made([("a0", "i05", 1.0), ("b0", "i05", 1.0), ("z", "i05", 1.0)]), 1)
    assert best.item[:, 0].tolist() == [1, 2, 1]
    moved = fitted.with_members(pa.array(["z"]), np.array([1], np.int32))
    assert moved.candidates(made([("z", "i05", 1.0)]), 1).item[0, 0] == 2


@pytest.mark.parametrize("make", [Transitions, lambda: Sequential(regularisation=1.0)])
def test_what_follows_is_not_what_precedes(made, asked, make):
    rows = [
        (f"c{who}", item, float(day)) for who in range(9) for day, item in enumerate(["i01", "i02"])
    ]
    fitted = make().fit(made(rows))
    assert asked(fitted, ("i01", 1.0))[2] > 0
    assert asked(fitted, ("i02", 1.0))[1] <= 0


def test_transitions_of_two_occasions_apart_count_by_distance(made):
    known = made([("a", "i01", 1.0), ("a", "i02", 2.0), ("a", "i03", 3.0)])
    fitted = Transitions(distance_power=1.0, popularity_power=0.0, shrink=0.0, memory=None).fit(
        known
    )
    row = dict(zip(fitted.neighbour_[:2].tolist(), fitted.weight_[:2].tolist(), strict=True))
    assert row == {2: pytest.approx(1 / 2), 3: pytest.approx(1 / 4)}


def test_items_of_one_order_are_together_and_do_not_follow_each_other(made, asked):
    rows = [(f"c{who}", item, 5.0) for who in range(9) for item in ("i01", "i02")]
    known = made(rows)
    assert asked(Together().fit(known), ("i01", 1.0))[2] > 0
    assert asked(Neighbours().fit(known), ("i01", 1.0))[2] > 0
    assert not asked(Transitions().fit(known), ("i01", 1.0)).any()


def test_items_of_different_days_are_not_together(made, asked):
    known = made([("a", "i01", 1.0), ("a", "i02", 2.0)])
    assert not asked(Together().fit(known), ("i01", 1.0)).any()


def test_neighbours_further_apart_in_days_count_less(made, asked):
    rows = [("a", "i01", 1.0), ("a", "i02", 2.0), ("b", "i01", 1.0), ("b", "i03", 60.0)]
    fitted = Neighbours(apart=30.0, memory=None, shrink=0.0).fit(made(rows))
    scores = asked(fitted, ("i01", 1.0))
    assert scores[3] == pytest.approx(scores[2] * 0.5 ** (58 / 30), rel=0.2)


def test_ease_is_the_closed_form(made, rows):
    known = made(rows, timed=False)
    fitted = Ease(regularisation=5.0, power=0.0, neighbours=100).fit(known)
    x = np.zeros((len(known.contacts), len(known.items)))
    x[known.contact, known.item] = 1.0
    precision = np.linalg.inv(x.T @ x + 5.0 * np.eye(x.shape[1]))
    weights = -precision / np.diag(precision)
    np.fill_diagonal(weights, 0.0)
    counts = np.zeros_like(x)
    np.add.at(counts, (known.contact, known.item), 1.0)
    np.testing.assert_allclose(fitted.scores(known), counts @ weights, atol=1e-5)


def test_the_sequential_regression_is_that_of_decayed_histories_on_what_comes_next(made):
    long = [("a", f"i{place % 7:02d}", float(place)) for place in range(3_000)]
    known = made([(who, item, day) for who, item, day in long], timed=False)
    fitted = Sequential(
        regularisation=3.0, window=3, distance_power=1.0, popularity_power=0.0, neighbours=100
    ).fit(known)
    size, near = len(known.items), np.array([1.0, 1 / 2, 1 / 3])
    decayed, wanted = np.zeros((3_000, size)), np.zeros((3_000, size))
    for row, item in enumerate(known.item):
        wanted[row, item] = 1.0
        for later in range(3):
            if row + 1 + later < 3_000:
                decayed[row + 1 + later, item] += near[later]
    expected = np.linalg.solve(decayed.T @ decayed + 3.0 * np.eye(size), decayed.T @ wanted)
    np.fill_diagonal(expected, 0.0)
    found = np.zeros((size, size))
    for item in range(size):
        part = slice(fitted.start_[item], fitted.start_[item + 1])
        found[item, fitted.neighbour_[part]] = fitted.weight_[part]
    np.testing.assert_allclose(found, expected, atol=5e-3)  # but for both ends


def test_what_is_taken_lately_is_regressed_on_what_was_taken_before(made, rows):
    known = made(rows)
    fitted = LatelyRegression(
        days=80.0, regularisation=2.0, neighbours=100, half_life=None, power=0.0
    ).fit(known)
    earlier, late = np.zeros((2, len(known.contacts), len(known.items)))
    age = known.age
    earlier[known.contact[age >= 80], known.item[age >= 80]] = 1.0
    late[known.contact[age < 80], known.item[age < 80]] = 1.0
    assert earlier.sum() > 20
    assert late.sum() > 20
    gram = earlier.T @ earlier + 2.0 * np.eye(len(known.items))
    expected = np.linalg.solve(gram, earlier.T @ late)
    counts = np.zeros_like(earlier)
    np.add.at(counts, (known.contact, known.item), 1.0)
    np.testing.assert_allclose(fitted.scores(known), counts @ expected, atol=1e-5)


@pytest.mark.parametrize(
    "make", [lambda: LatelyRegression(regularisation=1.0), lambda: LatelyNeighbours(memory=7.0)]
)
def test_what_is_no_longer_taken_is_left_behind(made, asked, make):
    then = [(f"c{who}", item, 1.0) for who in range(20) for item in ("i01", "i02", "i04")]
    now = [(f"c{who}", "i03", 95.0) for who in range(20)]
    scores = asked(make().fit(made(then + now)), ("i01", 1.0))
    assert scores[3] > 0
    assert scores[2] < 0.01 * scores[3]


@pytest.mark.parametrize("make", [Ease, LatelyNeighbours, LatelyRegression, Sequential])
def test_a_large_catalogue_is_refused_with_numbers(made, rows, make):
    with pytest.raises(LargeCatalogueError, match="12 by 12 items; its limit is 11") as refused:
        make(limit=11).fit(made(rows))
    assert (refused.value.items, refused.value.limit) == (12, 11)


def test_a_new_item_is_reached_by_what_it_is(made, asked):
    ids = made([]).items
    frame = pa.table(
        {
            "item_id": ["i01", "i02", "i09", "i10"],
            "category": ["tea", "tea", "tea", "mugs"],
            "tags": ["green", "black", "green", "green"],
        }
    )
    own = ItemFacts.from_frame(frame, ids).attributes
    known = made([("a", "i01", 1.0), ("b", "i02", 1.0)])
    scores = asked(AttributeNeighbours(own.start, own.attribute).fit(known), ("i01", 90.0))
    assert scores[9] > scores[10] > 0  # tea and green, against green alone
    assert scores[3] == 0


def test_the_latest_item_of_a_history_counts_most(made, asked):
    rows = [
        row
        for who in range(9)
        for row in (
            (f"a{who}", "i01", 1.0),
            (f"a{who}", "i02", 2.0),
            (f"b{who}", "i03", 1.0),
            (f"b{who}", "i04", 2.0),
        )
    ]
    scores = asked(Transitions().fit(made(rows)), ("i03", 1.0), ("i01", 2.0))
    assert scores[2] > scores[4] > 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"power": -1.0}, "power of the decay"), ({"half_life": 0.0}, "half-life is 0")],
)
def test_a_decay_that_grows_is_refused(made, rows, arguments, told):
    known = made(rows)
    with pytest.raises(ConfigurationError, match=told):
        History(**arguments).fit(known).scores(known)
