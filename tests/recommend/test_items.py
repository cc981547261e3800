"""What is known of each item."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.recommend.items import ItemFacts, catalogue

IDS = pa.array(["a", "b", "c"])


def _facts(**columns):
    return ItemFacts.from_frame(pa.table(columns), IDS)


def test_facts_stand_in_the_order_of_the_catalogue():
    facts = _facts(item_id=["c", "z", "a"], price=[3, 9, 1], category=["x", "y", "w"])
    np.testing.assert_array_equal(facts.price, [1.0, np.nan, 3.0])
    assert facts.category.tolist() == [0, -1, 1]
    assert facts.categories.to_pylist() == ["w", "x"]


def test_nothing_known_is_unknown_and_not_zero():
    facts = ItemFacts.from_frame(None, IDS)
    assert np.isnan(facts.price).all()
    assert np.isnan(facts.published).all()
    assert facts.in_stock.tolist() == [-1, -1, -1]
    assert facts.category.tolist() == [-1, -1, -1]
    assert facts.attributes.names == ()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_any_frame_is_read_alike(frame):
    facts = ItemFacts.from_frame(
        frame({"item_id": ["b", "a"], "in_stock": [True, False], "tags": ["red|big", None]}), IDS
    )
    assert facts.in_stock.tolist() == [0, 1, -1]
    assert facts.attributes.names == ("tags=big", "tags=red")
    assert facts.attributes.start.tolist() == [0, 0, 2, 2]


def test_integer_ids_are_their_digits():
    facts = ItemFacts.from_frame(pa.table({"item_id": [7], "price": [2.0]}), pa.array(["7"]))
    assert facts.price.tolist() == [2.0]


def test_words_of_titles_lists_and_own_text_are_attributes():
    facts = _facts(
        item_id=["a", "b"],
        title=["Red TEAPOT, red", "Teapot of clay"],
        material=["clay", "clay"],
        tags=[["hot", "hot"], ["cold"]],
        url=["https://a", "https://b"],
        weight=[1.0, 2.0],
    )
    assert facts.attributes.names == (
        "material=clay",
        "tags=cold",
        "tags=hot",
        "title=clay",
        "title=red",
        "title=teapot",
    )
    assert facts.attributes.attribute[: facts.attributes.start[1]].tolist() == [0, 2, 4, 5]


def test_a_date_is_the_beginning_of_its_day_and_a_broken_price_is_unknown():
    facts = _facts(item_id=["a", "b"], published_at=[date(1970, 1, 3), None], price=[np.inf, 2.0])
    np.testing.assert_array_equal(facts.published, [2.0, np.nan, np.nan])
    np.testing.assert_array_equal(facts.price, [np.nan, 2.0, np.nan])


def test_an_item_in_two_rows_is_refused():
    with pytest.raises(DataContractError, match=r"1 values of 'item_id' .* such as 'a'"):
        _facts(item_id=["a", "a"])


def test_a_price_in_words_is_refused():
    with pytest.raises(ConfigurationError, match="cannot be read as money"):
        _facts(item_id=["a"], price=["cheap"])


def test_the_catalogue_holds_what_was_touched_and_what_was_not():
    frame = pa.table({"item_id": ["c", "b"]})
    assert catalogue(pa.array(["b", "a"]), frame).to_pylist() == ["a", "b", "c"]
    assert catalogue(pa.array(["b", "a"]), None).to_pylist() == ["a", "b"]


def test_ids_written_differently_in_two_tables_are_told():
    with pytest.raises(DataContractError, match=r"such as '12'.*such as 'SKU-12'"):
        catalogue(pa.array(["SKU-12"]), pa.table({"item_id": [12]}))
