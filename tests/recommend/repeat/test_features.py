from dataclasses import replace

import numpy as np
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.repeat import DemandFeatures, RepeatFeatures
from mlmarket.recommend.repeat.features import OWN


def named(block, recipients, item):
    item = np.asarray(item, dtype=np.int32)
    return dict(zip(block.names, np.moveaxis(block.values(recipients, item), -1, 0), strict=True))


def fitted(kind, interactions):
    return kind().fit(interactions, ItemFacts.from_frame(None, interactions.items))


def test_what_is_known_of_an_own_item_is_counted_by_hand(made):
    rows = made([0, 0, 0, 0], [1, 2, 1, 3], [10.0, 10.0, 30.0, 60.0], contacts=1, now=70.0)
    found = named(fitted(RepeatFeatures, rows), rows, [[1, 5, -1]])
    assert found[OWN][0].tolist()[:2] == [2.0, 0.0]
    assert found["own_since"][0, 0] == 40.0
    assert found["own_since_first"][0, 0] == 60.0
    assert found["own_gap"][0, 0] == 20.0
    assert found["own_occasions_since"][0, 0] == 1.0
    assert found["own_share"][0, 0] == pytest.approx(2 / 3)
    assert found["own_overdue"][0, 0] == pytest.approx(2.0)
    assert found["contact_occasions"][0, :2].tolist() == [3.0, 3.0]
    assert found["contact_gap"][0, 0] == 25.0
    assert np.isnan(found["own_since"][0, 1])
    assert np.isnan(found[OWN][0, 2])


def test_a_consumable_becomes_overdue_with_time(shop):
    block = fitted(RepeatFeatures, shop)
    item = shop.item[shop.start[:-1]][:, None]
    tonight = named(block, shop, item)["own_overdue"]
    next_week = named(block, replace(shop, now=shop.now + 7.0), item)["own_overdue"]
    assert (next_week > tonight).all()


@pytest.mark.parametrize("kind", [RepeatFeatures, DemandFeatures])
def test_rows_after_the_instant_change_nothing(shop, made, kind):
    early = shop.before(150.0)
    item = np.tile(np.arange(20, dtype=np.int32), (len(shop.contacts), 1))
    one = fitted(kind, early).values(early, item)
    later = made(
        np.append(shop.contact, 0),
        np.append(shop.item, 5),
        np.append(shop.at, 299.0),
        contacts=len(shop.contacts),
        now=shop.now,
    ).before(150.0)
    np.testing.assert_array_equal(one, fitted(kind, later).values(later, item))


@pytest.mark.parametrize("kind", [RepeatFeatures, DemandFeatures])
def test_a_kept_block_gives_the_same_values(shop, kind):
    block = fitted(kind, shop)
    item = np.tile(np.arange(20, dtype=np.int32), (len(shop.contacts), 1))
    read = kind().from_state(block.to_state())
    np.testing.assert_array_equal(block.values(shop, item), read.values(shop, item))


@pytest.mark.parametrize("kind", [RepeatFeatures, DemandFeatures])
def test_a_block_that_learned_nothing_says_so(shop, kind):
    with pytest.raises(ConfigurationError, match="has learned nothing yet"):
        kind().values(shop, np.zeros((len(shop.contacts), 1), np.int32))


def test_where_only_an_order_is_known_nothing_is_recent(shop):
    ordered = replace(shop, now=float("nan"))
    demand = named(fitted(DemandFeatures, ordered), ordered, np.zeros((len(shop.contacts), 1)))
    assert np.isnan(demand["demand_7d"]).all()
    assert (demand["demand_ever"] > 0).all()
    values = fitted(RepeatFeatures, ordered).values(ordered, np.zeros((600, 1), np.int32))
    assert np.isfinite(values[:, 0, 0]).all()


def test_an_item_that_rises_is_seen_to_rise(made):
    days = np.concatenate([np.arange(0.0, 90.0), np.linspace(84.0, 90.0, 30)])
    item = np.concatenate([np.full(90, 11), np.full(30, 12)])
    rows = made(np.arange(120), item, days, contacts=120, now=90.0)
    demand = named(fitted(DemandFeatures, rows), rows, np.tile([[11, 12]], (120, 1)))
    assert demand["demand_rise_30d"][0, 1] > 2.0 * demand["demand_rise_30d"][0, 0]
    assert demand["item_since_first"][0].tolist() == [90.0, 6.0]
