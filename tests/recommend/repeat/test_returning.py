from dataclasses import replace

import numpy as np

from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.repeat import Returning

CONSUMABLES = 10


def learned(shop, **arguments):
    return Returning.learn(shop, ItemFacts.from_frame(None, shop.items), **arguments)


def test_consumables_return_and_durables_do_not(shop):
    returning = learned(shop)
    assert returning.rate[:CONSUMABLES].min() > 3.0 * returning.rate[CONSUMABLES:].max()
    assert returning.lately[:CONSUMABLES].min() > 3.0 * returning.lately[CONSUMABLES:].max()


def test_the_gap_of_a_consumable_is_its_cycle(shop):
    np.testing.assert_allclose(learned(shop).gap[:CONSUMABLES], 30.0, atol=1.0)


def test_where_nothing_comes_back_the_share_is_zero(shop):
    pairs = shop.contact.astype(np.int64) * len(shop.items) + shop.item
    first = np.zeros(len(shop), dtype=np.bool_)
    first[np.unique(pairs, return_index=True)[1]] = True
    returning = learned(shop.rows(first))
    assert returning.share == 0.0
    assert returning.rate.max() == 0.0
    assert learned(shop).share > 0.5


def test_rows_after_the_instant_change_nothing(shop):
    cut = shop.before(200.0)
    again = replace(shop, now=200.0).rows(shop.at <= 200.0)
    for name, value in learned(cut).to_state().items():
        np.testing.assert_array_equal(value, learned(again).to_state()[name])


def test_an_empty_shop_has_rates_of_zero(shop):
    nobody = shop.rows(np.zeros(len(shop), dtype=np.bool_))
    returning = learned(nobody)
    assert returning.share == 0.0
    assert np.isfinite(returning.gap).all()


def test_items_without_returns_of_their_own_learn_from_their_category(shop):
    import pyarrow as pa

    kinds = ["food" if name.startswith("c") else "tools" for name in shop.items.to_pylist()]
    facts = ItemFacts.from_frame(pa.table({"item_id": shop.items, "category": kinds}), shop.items)
    unseen = shop.rows(shop.item != 3)
    returning = Returning.learn(unseen, facts)
    assert returning.rate[3] > 3.0 * returning.rate[CONSUMABLES:].max()
