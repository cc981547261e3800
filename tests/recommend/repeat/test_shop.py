"""What the ranking model recommends in a shop of known truth."""

import numpy as np
import pytest

from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.model import RankingModel
from mlmarket.recommend.ranking.standard import standard_blocks, standard_generators

CONSUMABLES = 10


@pytest.fixture(scope="module")
def ranked(simulated):
    shop = simulated(800, now=360.0, seed=3).before(300.0)
    facts = ItemFacts.from_frame(None, shop.items)
    model = RankingModel(
        generators=standard_generators(shop, facts),
        blocks=standard_blocks(),
        horizon=7.0,
        ranker="lambdarank",
        windows=3,
    ).fit(shop, facts)
    return shop, model.rank(shop, m=10)


def first_place(shop, ranked, item):
    """Place of one item of each recipient in the list; 10 where it is not in it."""
    hit = ranked.item == item[:, None]
    return np.where(hit.any(axis=1), hit.argmax(axis=1), 10)


def latest(shop):
    """Days since each contact had each item; inf where never."""
    age = np.full((len(shop.contacts), len(shop.items)), np.inf)
    np.minimum.at(age, (shop.contact, shop.item), shop.now - shop.at)
    return age


def test_durables_are_not_recommended_again(ranked):
    shop, lists = ranked
    had = np.isfinite(latest(shop))
    top = lists.item[:, :5]
    again = np.take_along_axis(had, top, axis=1) & (top >= CONSUMABLES)
    assert again.mean() < 0.01


def test_consumables_return_when_they_are_due(ranked):
    shop, lists = ranked
    age = latest(shop)[:, :CONSUMABLES]
    due = (age > 25.0) & (age < 31.0)
    just_bought = age < 15.0
    place = np.stack(
        [first_place(shop, lists, np.full(len(age), item)) for item in range(CONSUMABLES)], axis=1
    )
    assert (place[due] < 2).mean() > 0.95
    assert (place[just_bought] < 2).mean() < 0.15


def test_new_items_are_in_the_list_beside_what_is_due(ranked):
    shop, lists = ranked
    had = np.isfinite(latest(shop))
    new = ~np.take_along_axis(had, lists.item, axis=1) & (lists.item >= 0)
    assert new.any(axis=1).mean() > 0.95
