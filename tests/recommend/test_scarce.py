"""No item is allotted more often than there are pieces."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.recommend.scarce import allot, read_stock

ITEMS = pa.array(["w", "x", "y", "z"])


def test_what_is_not_named_has_no_limit():
    stock = pd.DataFrame({"item_id": ["x"], "capacity": [3]})
    np.testing.assert_array_equal(read_stock(stock, ITEMS), [np.inf, 3.0, np.inf, np.inf])


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ({"item_id": ["x"], "capacity": [-2]}, DataContractError, "-2 of item 'x'"),
        ({"item_id": ["x"], "capacity": [1.5]}, DataContractError, "no whole number"),
        ({"item_id": ["x", "x"], "capacity": [1, 2]}, DataContractError, "more than once"),
        ({"item_id": ["xx"], "capacity": [1]}, ConfigurationError, "(?s)such as 'xx'.*mean 'x'"),
        ({"item_id": ["x"], "pieces": [1]}, ConfigurationError, "'capacity'"),
        ({"item_id": ["x"], "capacity": [None]}, DataContractError, "missing"),
    ],
)
def test_stock_that_cannot_be_meant_is_refused(rows, error, words):
    with pytest.raises(error, match=words) as told:
        read_stock(pd.DataFrame(rows), ITEMS)
    assert len(str(told.value).splitlines()) == 3


@settings(deadline=None)  # the first call compiles
@given(
    value=st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=1, max_size=12),
    pieces=st.lists(st.integers(0, 4) | st.just(np.inf), min_size=4, max_size=4),
    k=st.integers(1, 3),
)
def test_capacities_hold_and_only_scarce_items_are_masked(value, pieces, k):
    worth = np.array(value)
    item = np.tile(np.arange(4, dtype=np.int32), (len(worth), 1))
    capacity = np.array(pieces, dtype=np.float64)
    mask = allot(item, worth, capacity, k).mask(0, len(worth))
    scarce = np.isfinite(capacity)
    assert (mask[:, scarce].sum(axis=0) <= capacity[scarce]).all()
    assert mask[:, ~scarce].all()


def test_who_wants_it_most_gets_it():
    item = np.array([[0, 1], [0, 1], [0, 1]], np.int32)
    value = np.array([[0.9, 0.1], [0.8, 0.7], [0.5, 0.4]])
    found = allot(item, value, np.array([1.0, np.inf]), 1)
    # the second loses least by taking the other item, the third gains least by the first
    assert found.mask(0, 3)[:, 0].tolist() == [True, False, False]
