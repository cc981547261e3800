import lightgbm as lgb
import numpy as np
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.ranking.forest import Forest

SETTINGS = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5, "deterministic": True}


def rows(count: int = 2000, seed: int = 0) -> np.ndarray:
    """Numbers with ties, zeros, very small ones and missing ones; the last feature is never missing."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(count, 8)).astype(np.float32)
    made[:, 1] = np.round(made[:, 1])
    made[:, 2] *= np.float32(1e-38)
    made[rng.random(made.shape) < 0.2] = np.nan
    made[:, 7] = rng.integers(0, 3, count)
    return made


def learned(leaves: int, trees: int = 30, **settings: object) -> lgb.Booster:
    told = rows()
    label = np.nan_to_num(told[:, 0]) + told[:, 7] * np.isnan(told[:, 3]) > 0.5
    kind = {"objective": "binary", "num_leaves": leaves, **SETTINGS, **settings}
    table = lgb.Dataset(told, label=label, params=kind)
    return lgb.train(kind, table, num_boost_round=trees)


@pytest.mark.parametrize("leaves", [2, 15, 31, 64])
def test_answers_are_lightgbms_to_the_last_bit(leaves: int) -> None:
    booster, asked = learned(leaves), rows(seed=1)
    told = Forest.from_text(booster.model_to_string()).raw(asked)
    np.testing.assert_array_equal(told, booster.predict(asked, raw_score=True))


def test_rows_that_stand_exactly_on_a_threshold_go_where_lightgbm_sends_them() -> None:
    booster = learned(31)
    limits = booster.trees_to_dataframe().dropna(subset=["threshold"])
    asked = np.zeros((len(limits), 8), dtype=np.float32)
    place = limits["split_feature"].str.removeprefix("Column_").astype(int).to_numpy()
    limit = limits["threshold"].to_numpy(np.float64).clip(-1e38, 1e38)
    asked[np.arange(len(limits)), place] = limit
    told = Forest.from_text(booster.model_to_string()).raw(asked)
    np.testing.assert_array_equal(told, booster.predict(asked, raw_score=True))


def test_what_is_missing_where_nothing_ever_was_is_taken_for_zero() -> None:
    booster, asked = learned(15), rows(seed=2)
    asked[:, 7] = np.nan
    told = Forest.from_text(booster.model_to_string()).raw(asked)
    np.testing.assert_array_equal(told, booster.predict(asked, raw_score=True))


def test_a_tree_of_one_leaf_says_one_number() -> None:
    booster, asked = learned(15, trees=3, min_data_in_leaf=1500), rows(5)
    told = Forest.from_text(booster.model_to_string()).raw(asked)
    np.testing.assert_array_equal(told, booster.predict(asked, raw_score=True))


def test_trees_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="Fix: "):
        Forest.from_text(learned(15, zero_as_missing=True).model_to_string())
    noise = lgb.Dataset(rows(), label=np.random.default_rng(0).normal(size=2000))
    large = lgb.train({**SETTINGS, "num_leaves": 100}, noise, num_boost_round=1)
    with pytest.raises(ConfigurationError, match="64 leaves"):
        Forest.from_text(large.model_to_string())
