import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp

from mlmarket.errors import ConfigurationError
from mlmarket.prediction import Campaigns, allocate


def exact_value(who, what, value, capacity, slots, campaigns):
    """Return the best total value by integer programming; None where minima cannot be reached."""
    rows, low, high = [], [], []

    def hold(mask, least, most):
        rows.append(mask.astype(float))
        low.append(least)
        high.append(most)

    for contact in np.unique(who):
        hold(who == contact, 0, slots)
    for item, room in enumerate(capacity):
        hold(what == item, 0, room)
    for place, (least, most) in enumerate(zip(campaigns.minimum, campaigns.maximum, strict=True)):
        hold(np.asarray(campaigns.of_item)[what] == place, least, most)
    found = milp(
        -value,
        constraints=LinearConstraint(np.array(rows), low, high),
        integrality=np.ones(len(value)),
        bounds=Bounds(0, 1),
    )
    return -found.fun if found.status == 0 else None


@given(seed=st.integers(0, 10_000), whole=st.booleans(), with_minima=st.booleans())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_the_total_value_is_the_best_there_is_and_caps_hold(seed, whole, with_minima):
    chance = np.random.default_rng(seed)
    people, items = chance.integers(1, 14), chance.integers(1, 8)
    who, what = np.argwhere(chance.random((people, items)) < chance.uniform(0.2, 1)).T
    value = chance.normal(1, 1, len(who))
    value = np.round(value * 3) if whole else value
    capacity = chance.integers(0, 6, items)
    slots = int(chance.integers(1, 4))
    maximum = chance.integers(0, 8, 3)
    minimum = np.minimum(chance.integers(0, 3, 3), maximum) * with_minima
    campaigns = Campaigns(chance.integers(-1, 3, items), maximum, minimum)
    if not len(who):
        return
    best = exact_value(who, what, value, capacity, slots, campaigns)
    if best is None:
        with pytest.raises(ConfigurationError, match=r"places filled|write minima"):
            allocate(who, what, value, capacity=capacity, slots=slots, campaigns=campaigns)
        return
    found = allocate(who, what, value, capacity=capacity, slots=slots, campaigns=campaigns)
    assert found.value == pytest.approx(best, abs=1e-9)
    assert found.bound == pytest.approx(best, abs=1e-8)
    assert found.value == pytest.approx(value[found.chosen].sum())
    assert (np.bincount(what[found.chosen], minlength=items) <= capacity).all()
    assert (np.bincount(who[found.chosen], minlength=people) <= slots).all()
    places = np.asarray(campaigns.of_item)[what[found.chosen]]
    counts = np.bincount(places[places >= 0], minlength=3)
    assert (minimum <= counts).all()
    assert (counts <= maximum).all()


@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_square_assignment_is_that_of_the_hungarian_method(size):
    value = np.random.default_rng(size).random((size, size))
    rows, columns = linear_sum_assignment(value, maximize=True)
    who, what = np.divmod(np.arange(size * size), size)
    found = allocate(who, what, value.ravel(), capacity=np.ones(size))
    assert found.value == pytest.approx(value[rows, columns].sum(), abs=1e-9)
    assert found.gap < 1e-9


def crowd(people=4_000, items=600, wide=20):
    chance = np.random.default_rng(5)
    what = np.concatenate([chance.choice(items, wide, replace=False) for _ in range(people)])
    who = np.repeat(np.arange(people), wide)
    value = chance.gamma(2.0, 1.0, len(who)) * chance.gamma(4.0, 0.25, items)[what]
    capacity = np.where(chance.random(items) < 0.5, 6.0, np.inf)
    campaign = chance.integers(-1, 5, items)
    return who, what, value, capacity, Campaigns(campaign, np.full(5, 900), np.full(5, 40))


def test_a_crowd_too_large_to_search_is_within_the_gap_it_states():
    who, what, value, capacity, campaigns = crowd()
    found = allocate(who, what, value, capacity=capacity, slots=2, campaigns=campaigns)
    assert 0.0 <= found.gap < 1e-3
    counts = np.bincount(what[found.chosen], minlength=len(capacity))
    assert (counts <= capacity).all()
    for place in range(5):
        assert 40 <= counts[np.asarray(campaigns.of_item) == place].sum() <= 900


def test_the_order_of_the_rows_changes_nothing():
    who, what, value, capacity, campaigns = crowd(people=300, items=50, wide=8)
    order = np.random.default_rng(0).permutation(len(who))
    one = allocate(who, what, value, capacity=capacity, campaigns=campaigns)
    other = allocate(who[order], what[order], value[order], capacity=capacity, campaigns=campaigns)
    np.testing.assert_array_equal(one.chosen[order], other.chosen)
    np.testing.assert_array_equal(one.prices, other.prices)


def test_what_is_scarce_goes_to_whom_it_makes_the_greater_difference():
    # Both like item 0 best; the second has nothing else.
    found = allocate([0, 0, 1], [0, 1, 0], [5.0, 4.0, 3.0], capacity=[1, 1])
    assert found.chosen.tolist() == [False, True, True]
    assert 1.0 <= found.prices[0] <= 3.0


def test_a_minimum_is_filled_by_those_who_lose_least():
    campaigns = Campaigns([0, -1], [5], [1])
    who, what = [0, 0, 1, 1], [0, 1, 0, 1]
    found = allocate(who, what, [1.0, 5.0, 2.0, 9.0], capacity=[9, 9], campaigns=campaigns)
    assert found.chosen.tolist() == [True, False, False, True]
    assert found.campaign_prices[0] == pytest.approx(-4.0)


def test_no_rows_give_nothing():
    nothing = np.zeros(0, int)
    found = allocate(nothing, nothing, np.zeros(0), capacity=[1])
    assert (found.value, found.gap, len(found.chosen)) == (0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"capacity": [-2, 1]}, "negative stock is none"),
        ({"capacity": [np.nan, 1]}, "Unknown or negative"),
        ({"capacity": [1.5, 1]}, "whole numbers"),
        ({"capacity": [1]}, "has 1 items"),
        ({"value": [1.0, np.nan]}, "missing or not finite"),
        ({"item": [0, -1]}, "-1 in row 1"),
        ({"item": [0, 0], "contact": [0, 0]}, "twice"),
        ({"contact": ["a", "b"]}, "whole number a row"),
        ({"value": [1.0]}, "three columns"),
        ({"slots": -1}, "'slots' is -1"),
        ({"slots": [1]}, "for 2 contacts"),
        ({"tolerance": 0.0}, "above 0"),
        ({"campaigns": Campaigns([0], [1])}, "for 2 items"),
        ({"campaigns": Campaigns([0, 1], [1])}, "maximum for each campaign"),
        ({"campaigns": Campaigns([0, 0], [1], [2])}, "minima up to the maxima"),
        ({"campaigns": Campaigns([-1, 0], [2], [2])}, "needs 2 places filled, and 1 could be"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_three_lines(changed, words):
    given = {"contact": [0, 1], "item": [0, 1], "value": [1.0, 2.0], "capacity": [1, 1], **changed}
    with pytest.raises(ConfigurationError, match=words) as raised:
        allocate(given.pop("contact"), given.pop("item"), given.pop("value"), **given)
    assert len(str(raised.value).splitlines()) == 3
