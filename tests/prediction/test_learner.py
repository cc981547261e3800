"""What holds for every learner, and what is particular to one."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlmarket.prediction.columns import FeatureColumns
from mlmarket.prediction.learner import BaseRate, Blend
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.trees import BoostedTrees


def _small_trees():
    return BoostedTrees(trees=10, rows_a_leaf=5)


MAKE = {
    "base_rate": BaseRate,
    "logistic": LogisticModel,
    "boosted_trees": _small_trees,
    "blend": lambda: Blend([_small_trees(), LogisticModel()]),
}


@pytest.fixture(scope="module")
def rows(simulated_past, plan):
    return simulated_past(seed=1, slope=1.5).at(plan.cutoffs[:1])


@pytest.fixture(params=sorted(MAKE))
def learner(request):
    return MAKE[request.param]()


EXTREME = st.sampled_from([0.0, -0.0, 1e308, -1e308, np.inf, -np.inf, np.nan, 1e-300]) | st.floats()


@settings(max_examples=15, deadline=None)
@given(numbers=hnp.arrays(float, (40, 3), elements=EXTREME), seed=st.integers(0, 99))
@pytest.mark.parametrize("name", sorted(MAKE))
def test_a_probability_is_one_whatever_the_numbers(name, numbers, seed):
    features = pd.DataFrame(numbers, columns=["a", "b", "c"])
    features["kind"] = pd.Series(["x", None] * 20, dtype="str")
    label = (np.random.default_rng(seed).random(40) < 0.4).astype(np.int8)
    label[:2] = 0, 1
    probability = MAKE[name]().fit(features, label).predict(features)
    assert ((probability > 0) & (probability < 1)).all()


def test_what_is_restored_predicts_the_same_numbers(learner, rows, tmp_path):
    learner.fit(rows.features, rows.label).save(tmp_path)
    restored = MAKE[learner.name]().restore(tmp_path)
    before, after = learner.predict(rows.features), restored.predict(rows.features)
    np.testing.assert_array_equal(before, after)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".txt"}


def test_the_same_rows_teach_the_same(learner, rows, tmp_path):
    again = MAKE[learner.name]()
    for number, one in enumerate((learner, again)):
        (tmp_path / str(number)).mkdir()
        one.fit(rows.features, rows.label).save(tmp_path / str(number))
    for path in (tmp_path / "0").iterdir():
        assert path.read_bytes() == (tmp_path / "1" / path.name).read_bytes()


def test_the_answer_for_a_row_does_not_depend_on_other_rows(learner, rows):
    learner.fit(rows.features, rows.label)
    together = learner.predict(rows.features)
    places = [0, 17, 399]
    alone = [learner.predict(rows.features.iloc[[place]])[0] for place in places]
    assert alone == together[places].tolist()


@pytest.mark.parametrize("name", ["base_rate", "logistic"])
def test_the_order_of_rows_teaches_nothing(name, rows):
    order = np.random.default_rng(0).permutation(len(rows))
    straight = MAKE[name]().fit(rows.features, rows.label)
    mixed = MAKE[name]().fit(rows.features.iloc[order], rows.label[order])
    difference = straight.predict(rows.features) - mixed.predict(rows.features)
    assert np.abs(difference).max() < 1e-9


def test_a_category_never_seen_counts_as_missing(learner, rows):
    learner.fit(rows.features, rows.label)
    unseen = learner.predict(rows.features.assign(country="Atlantis"))
    missing = learner.predict(rows.features.assign(country=pd.Series([None] * 800, dtype="str")))
    np.testing.assert_array_equal(unseen, missing)


def test_columns_without_any_value_do_no_harm(learner, rows):
    empty = rows.features.assign(
        country=pd.Series([None] * 800, dtype="str"), noise=np.full(800, np.nan)
    )
    probability = learner.fit(empty, rows.label).predict(empty)
    assert np.isfinite(probability).all()


def test_nobody_to_predict_gives_no_numbers(learner, rows):
    learner.fit(rows.features, rows.label)
    assert learner.predict(rows.features.iloc[:0]).shape == (0,)


def test_the_base_rate_is_the_share_with_half_a_row_of_each_kind():
    label = np.array([1, 0, 0], dtype=np.int8)
    features = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    assert BaseRate().fit(features, label).predict(features).tolist() == [1.5 / 4] * 3


def test_trees_say_which_features_they_used(rows):
    importance = _small_trees().fit(rows.features, rows.label).importance()
    assert max(importance, key=importance.get) == "x"
    assert sum(importance.values()) == pytest.approx(1.0)


def test_the_logistic_model_leans_the_right_way(rows):
    model = LogisticModel().fit(rows.features, rows.label)
    low, high = model.predict(rows.features.iloc[[0, 0]].assign(x=[-2.0, 2.0]))
    assert low < 0.2 < 0.6 < high


def test_beyond_what_was_seen_the_line_stays_flat(rows):
    model = LogisticModel().fit(rows.features, rows.label)
    far, further = model.predict(rows.features.iloc[[0, 0]].assign(x=[1e6, 1e9]))
    assert far == further


def test_unfitted_trees_say_so():
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError, match="call fit"):
        BoostedTrees().predict(pd.DataFrame({"x": [1.0]}))


def test_columns_are_written_and_read_back(rows):
    columns = FeatureColumns.learn(rows.features)
    assert FeatureColumns.from_dict(json.loads(json.dumps(columns.to_dict()))) == columns


def test_only_the_most_frequent_values_are_told_apart():
    features = pd.DataFrame({"kind": ["b", "b", "a", "c", None]})
    columns = FeatureColumns.learn(features, most=2)
    assert columns.categories == {"kind": ("b", "a")}
    assert columns.codes(features, "kind").tolist() == [0, 0, 1, -1, -1]
