from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.recommend import Exploration, ItemFacts, Rules
from mlmarket.recommend.rules import Slots

ITEMS = 6
IDS = pa.array([f"i-{place}" for place in range(ITEMS)])
NIGHT = date(2026, 3, 1)
WEIGHT = np.array([0.0, 0.0, 1.0, 3.0, 0.0, 4.0])


def shown(item, people, sources=("ranking", "pinned", "exploration"), source=None):
    slots = np.tile(np.array(item, np.int32), (people, 1))
    return Slots(
        contacts=pa.array([f"c-{place}" for place in range(people)]),
        items=IDS,
        item=slots,
        score=np.ones(slots.shape, np.float32),
        source=np.tile(np.array(source or [0] * len(item), np.int8), (people, 1)),
        propensity=(slots >= 0).astype(np.float32),
        sources=sources,
        is_fallback=(False,) * len(sources),
        occasions=np.zeros(people, np.int32),
        short=pa.table({}),
    )


def rules(**settings):
    table = pa.table({"item_id": IDS, "category": ["a", "b", "a", "b", "c", "c"]})
    return Rules(**settings).compile(ItemFacts.from_frame(table, IDS))


def explored(slots, made=None, allowed=None, night=NIGHT, **settings):
    everything = np.ones((len(slots.contacts), ITEMS), bool)
    allowed = everything if allowed is None else allowed
    plan = Exploration(**{"share": 0.3, **settings})
    return plan.apply(slots, made or rules(), allowed, WEIGHT, night=night)


@pytest.mark.parametrize("stood", [1, 3])
def test_items_are_shown_as_often_as_their_propensities_say(stood):
    people = 40_000
    found = explored(shown([0, stood], people))
    exact = 0.3 * WEIGHT / WEIGHT.sum()
    exact[stood] += 0.7
    counts = np.bincount(found.item[:, 1], minlength=ITEMS) / people
    np.testing.assert_allclose(counts, exact, atol=4 * np.sqrt(0.25 / people))
    np.testing.assert_allclose(found.propensity[:, 1], exact[found.item[:, 1]], rtol=1e-6)
    assert (found.item[:, 0] == 0).all()
    assert (found.propensity[:, 0] == 1).all()


def test_weighing_by_propensity_recovers_what_showing_an_item_to_all_would_earn():
    people = 60_000
    found = explored(shown([0, 1], people))
    worth = np.array([0.0, 1.0, 5.0, 2.0, 0.0, 7.0])[found.item[:, 1]]
    for item, truth in ((2, 5.0), (3, 2.0), (5, 7.0), (1, 1.0)):
        weighed = np.where(found.item[:, 1] == item, worth / found.propensity[:, 1], 0.0)
        assert abs(weighed.mean() - truth) < 4 * weighed.std() / np.sqrt(people)


def test_a_night_draws_the_same_again_and_another_night_draws_anew():
    one, again = explored(shown([0, 1], 500)), explored(shown([0, 1], 500))
    other = explored(shown([0, 1], 500), night=date(2026, 3, 2))
    np.testing.assert_array_equal(one.item, again.item)
    assert (one.item != other.item).any()


def test_what_is_drawn_depends_on_nobody_else():
    slots = shown([0, 1], 300)
    few = Slots(
        **{name: getattr(slots, name) for name in ("items", "sources", "is_fallback", "short")},
        contacts=slots.contacts.slice(100, 50),
        item=slots.item[100:150],
        score=slots.score[100:150],
        source=slots.source[100:150],
        propensity=slots.propensity[100:150],
        occasions=slots.occasions[100:150],
    )
    np.testing.assert_array_equal(explored(few).item, explored(slots).item[100:150])


def test_only_allowed_items_that_fit_are_drawn():
    people = 2_000
    allowed = np.ones((people, ITEMS), bool)
    allowed[:, 5] = False
    found = explored(shown([0, 4], people), rules(category_cap=1), allowed, share=1.0)
    # 2 is of the category of 0, 5 is not allowed: only 3 is left
    assert set(found.item[:, 1]) == {3}
    assert (found.propensity[:, 1] == 1).all()
    assert {found.sources[one] for one in found.source[:, 1]} == {"exploration"}


def test_a_pin_stays_and_an_empty_slot_stays_empty():
    found = explored(shown([0, 1, 4, -1], 500, source=[0, 0, 1, -1]), share=1.0)
    assert (found.item[:, [0, 2, 3]] == [0, 4, -1]).all()
    assert set(found.item[:, 1]) == {2, 3, 5}
    assert (found.propensity[:, 3] == 0).all()


def test_where_nothing_can_be_drawn_nothing_was_left_to_chance():
    found = explored(shown([0, 1], 50), allowed=np.zeros((50, ITEMS), bool), share=1.0)
    assert (found.item == [0, 1]).all()
    assert (found.propensity == 1).all()


@pytest.mark.parametrize("settings", [{"share": 1.1}, {"share": True}, {"rank": 0}, {"salt": ""}])
def test_a_slip_in_the_plan_is_refused(settings):
    with pytest.raises(ConfigurationError, match="of the exploration is"):
        Exploration(**settings)


def test_weights_that_are_no_chances_are_refused():
    slots = shown([0, 1], 2)
    allowed = np.ones((2, ITEMS), bool)
    with pytest.raises(ConfigurationError, match="below 0"):
        Exploration().apply(slots, rules(), allowed, -WEIGHT, night=NIGHT)
    with pytest.raises(ConfigurationError, match="weights of the shape"):
        Exploration().apply(slots, rules(), allowed, WEIGHT[:3], night=NIGHT)
