"""Numbers in one table and text in another are told apart."""

import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.identity import kind_of
from mlmarket.recommend.reading import ids


def test_numbers_and_text_do_not_meet():
    numbers = kind_of(pa.table({"item_id": [1]}), "item_id", name="interactions")
    text = kind_of(pa.table({"item_id": ["1"]}), "item_id", name="items")
    assert numbers is not None
    with pytest.raises(ConfigurationError, match="whole numbers in table 'interactions'") as told:
        numbers.require(text)
    assert "items['item_id'].astype(int)" in str(told.value)


def test_the_same_kind_meets():
    text = kind_of(pa.table({"item_id": ["1"]}), "item_id", name="items")
    coded = pa.table({"item_id": pa.array(["1"]).dictionary_encode()})
    assert text is not None
    text.require(kind_of(coded, "item_id", name="interactions"))


@pytest.mark.parametrize("table", [{"item_id": []}, {"other": [1]}])
def test_a_table_without_ids_says_nothing(table):
    assert kind_of(pa.table(table), "item_id", name="items") is None


def test_numbers_come_back_as_numbers():
    numbers = kind_of(pa.table({"item_id": [1]}), "item_id", name="interactions")
    assert numbers is not None
    assert numbers.restored(pa.array(["12"])).to_pylist() == [12]


@pytest.mark.parametrize("values", [[17850.0, 12.0], [17850, None]])
def test_whole_floats_are_whole_numbers(values):
    table = to_arrow(pd.DataFrame({"contact_id": values}), name="orders")
    found = kind_of(table, "contact_id", name="orders")
    assert found is not None
    assert found.integer
    if None in values:
        with pytest.raises(DataContractError, match="1 of 2 rows without"):
            ids(table, "contact_id", name="orders")
    else:
        assert ids(table, "contact_id", name="orders").to_pylist() == ["17850", "12"]


@pytest.mark.parametrize("value", [7.5, float("inf"), 2.0**60])
def test_other_floats_are_no_ids(value):
    table = pa.table({"contact_id": [7.0, value]})
    with pytest.raises(ConfigurationError, match="holds double, which is no id"):
        ids(table, "contact_id", name="orders")


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_is_no_id(blank):
    with pytest.raises(DataContractError, match="1 of 2 rows without 'item_id'"):
        ids(pa.table({"item_id": ["x", blank]}), "item_id", name="items")
