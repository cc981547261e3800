"""Numbers in one table and text in another are told apart."""

import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.identity import kind_of


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
