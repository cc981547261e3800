"""A row gives the same numbers whether it comes as a frame or as an Arrow batch."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlmarket.churn.purchase.rfm import RfmCells
from mlmarket.prediction.columns import FeatureColumns, has_column, numbers_of
from mlmarket.prediction.estimator import EstimatorLearner
from mlmarket.prediction.learner import BaseRate, Blend
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.trees import BoostedTrees


def _trees():
    return BoostedTrees(trees=10, rows_a_leaf=5)


MAKE = {
    "base_rate": BaseRate,
    "blend": lambda: Blend([_trees(), LogisticModel()]),
    "boosted_trees": _trees,
    "estimator": lambda: EstimatorLearner(make_pipeline(SimpleImputer(), LogisticRegression())),
    "logistic": LogisticModel,
    "rfm_cells": RfmCells,
}
ROWS = 60
MILD = [0.0, 1.0, 2.5, 17.0, 1e3, -4.0, None]
WILD = [*MILD, -0.0, 1e308, -1e308, 1e-300, np.nan, np.inf, -np.inf]
EXACT = [-1.5, 0.0, 2.0, 3.25]


def _batch(seed, numbers):
    """Draw a batch with a column of each kind that may come."""
    kinds = {
        "order_recency": (pa.float64(), numbers),
        "order_days_active": (pa.float64(), [1.0, 2.0, 3.0, 8.0, 20.0]),
        "order_total": (pa.float64(), numbers),
        "amount": (pa.float64(), numbers),
        "exact": (pa.float64(), EXACT),
        "short": (pa.float32(), [*EXACT, None]),
        "whole": (pa.int64(), [-(2**63), -1, 0, 5, 2**53 + 1, 2**63 - 1]),
        "gaps": (pa.int32(), [-9, 0, 9, None]),
        "yes": (pa.bool_(), [True, False]),
        "maybe": (pa.bool_(), [True, False, None]),
        "nothing": (pa.float64(), [None]),
        "no_text": (pa.string(), [None]),
        "country": (pa.string(), ["PT", "ES", "", "nan", "Ålesund", None]),
        "coded": (pa.dictionary(pa.int8(), pa.string()), ["a", "b", None, f"new {seed}"]),
    }
    draw = np.random.default_rng(seed)
    return pa.RecordBatch.from_pydict(
        {
            name: pa.array([values[place] for place in draw.integers(0, len(values), ROWS)], kind)
            for name, (kind, values) in kinds.items()
        }
    )


def _label(seed):
    label = (np.random.default_rng(seed).random(ROWS) < 0.4).astype(np.int8)
    label[:2] = 0, 1
    return label


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize("name", sorted(MAKE))
def test_a_frame_and_a_batch_of_the_same_rows_give_the_same_numbers(name, seed):
    taught = _batch(seed, MILD)
    learner = MAKE[name]().fit(taught.to_pandas(), _label(seed))
    for batch in (taught, _batch(seed + 1, WILD)):
        by_frame, by_batch = learner.predict(batch.to_pandas()), learner.predict(batch)
        assert by_frame.tobytes() == by_batch.tobytes()


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, ROWS), max_size=5), seed=st.integers(0, 10**6))
@pytest.mark.parametrize("name", sorted(MAKE))
def test_where_a_batch_begins_and_ends_changes_no_number(name, cuts, seed):
    batch = _batch(seed, MILD)
    learner = MAKE[name]().fit(batch.to_pandas(), _label(seed))
    borders = [0, *sorted(cuts), ROWS]
    parts = [
        learner.predict(batch.slice(start, end - start))
        for start, end in itertools.pairwise(borders)
    ]
    assert np.concatenate(parts).tobytes() == learner.predict(batch).tobytes()


def test_a_category_may_come_as_anything_that_has_a_text():
    columns = FeatureColumns((), {"kind": ("True", "7", "a")})

    def codes(values, kind):
        batch = pa.RecordBatch.from_pydict({"kind": pa.array(values, kind)})
        found = columns.codes(batch, "kind").tolist()
        assert columns.codes(batch.to_pandas(), "kind").tolist() == found
        return found

    assert codes([True, False, None], pa.bool_()) == [0, -1, -1]
    assert codes([7, 8], pa.int64()) == [1, -1]
    assert codes(["a", None, "b"], pa.large_string()) == [2, -1, -1]
    assert codes(["b", None, "a"], pa.dictionary(pa.int32(), pa.string())) == [-1, -1, 2]
    assert codes([None, None], pa.null()) == [-1, -1]
    assert codes([float("nan"), None], pa.float64()) == [-1, -1]
    assert codes([], pa.string()) == []


def test_the_matrix_of_trees_is_one_piece_of_single_precision():
    batch = pa.RecordBatch.from_pydict({"x": [1.0, None, 1e300], "kind": ["a", "b", None]})
    trees = _trees()
    trees._columns = FeatureColumns(("x",), {"kind": ("a",)})
    matrix = trees._matrix(batch)
    assert matrix.dtype == np.float32
    assert matrix.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(matrix, np.float32([[1, 0], [np.nan, np.nan], [1e30, np.nan]]))


def test_numbers_without_gaps_are_not_copied():
    batch = pa.RecordBatch.from_pydict({"x": pa.array([1.0, 2.0, 3.0])})
    numbers = numbers_of(batch, "x")
    assert numbers.ctypes.data == batch.column("x").buffers()[1].address
    assert numbers_of(batch.slice(1), "x").tolist() == [2.0, 3.0]


def test_a_column_is_looked_up_by_name_in_both():
    batch = pa.RecordBatch.from_pydict({"x": [1.0], "y": [None]})
    for features in (batch, batch.to_pandas()):
        assert has_column(features, "y")
        assert not has_column(features, "z")
        with pytest.raises(KeyError):
            numbers_of(features, "z")
    assert isinstance(batch.to_pandas(), pd.DataFrame)
