import numpy as np
import pytest

from mlmarket.recommend.repeat import RepeatAndNew, own_and_new


def lessons(rows: int = 1500, m: int = 10, seed: int = 0):
    """Own items come back with probability 0.5 where the second feature is high and 0.1 elsewhere; new ones 0.05."""
    rng = np.random.default_rng(seed)
    own = rng.random((rows, m)) < 0.5
    due = rng.random((rows, m)) < 0.5
    truth = np.where(own, np.where(due, 0.5, 0.1), 0.05)
    taken = rng.random((rows, m)) < truth
    features = np.stack([own, due], axis=-1).astype(np.float32)
    return features, taken, truth


def test_both_heads_stand_on_one_scale_of_probability():
    features, taken, _ = lessons()
    heads = RepeatAndNew(0).fit(features, taken)
    told = heads.probability(lessons(seed=1)[0])
    np.testing.assert_allclose(told, lessons(seed=1)[2], atol=0.04)


def test_log_odds_and_probabilities_say_the_same():
    features, taken, _ = lessons(300)
    heads = RepeatAndNew(0).fit(features, taken)
    chance = heads.probability(features)
    np.testing.assert_allclose(1 / (1 + np.exp(-heads.predict(features))), chance, rtol=1e-4)


def test_where_nothing_comes_back_own_items_are_last():
    features, taken, _ = lessons()
    never = taken & (features[:, :, 0] == 0)
    heads = RepeatAndNew(0).fit(features, never)
    told = heads.probability(features)
    own = features[:, :, 0] > 0
    assert heads.rates_[1] == 0.0
    assert told[own].max() < told[~own].min()


def test_few_labels_leave_each_head_with_its_rate():
    features, taken, _ = lessons(10)
    heads = RepeatAndNew(0).fit(features, taken)
    assert len(np.unique(heads.predict(features))) == 2


def test_kept_heads_say_the_same():
    features, taken, _ = lessons(300)
    heads = RepeatAndNew(0, random_state=3).fit(features, taken)
    read = RepeatAndNew.from_state(heads.to_state())
    np.testing.assert_array_equal(heads.predict(features), read.predict(features))


def test_shuffled_labels_teach_nothing():
    features, taken, _ = lessons()
    shuffled = np.random.default_rng(5).permutation(taken.ravel()).reshape(taken.shape)
    told = RepeatAndNew(0).fit(features, shuffled).probability(features)
    assert told.max() - told.min() < 0.06


def test_places_without_a_candidate_are_not_learned_from():
    features, taken, _ = lessons()
    there = np.ones(taken.shape, dtype=np.bool_)
    there[:, 5:] = False
    wrong = np.where(there, taken, True)
    heads = RepeatAndNew(0).fit(features, wrong, there)
    assert heads.probability(features)[features[:, :, 0] == 0].mean() < 0.1


def test_places_whose_features_are_unknown_are_empty():
    features, taken, _ = lessons()
    features[:, 5:] = np.nan
    heads = RepeatAndNew(0).fit(features, taken & (np.arange(10) < 5))
    told = RepeatAndNew(0).fit(features[:, :5], taken[:, :5])
    assert heads.boosters_ == told.boosters_
    np.testing.assert_array_equal(heads.rates_, told.rates_)


def test_the_order_among_own_items_leaves_probabilities_on_their_scale():
    features, taken, truth = lessons()
    size = np.full(len(taken), taken.shape[1])
    plain = RepeatAndNew(0).fit(features, taken)
    heads = RepeatAndNew(0).fit(features, taken, size=size)
    own = features[:, :, 0] > 0
    np.testing.assert_allclose(heads.probability(features), truth, atol=0.06)
    np.testing.assert_array_equal(heads.predict(features)[~own], plain.predict(features)[~own])
    assert heads.order_
    assert not plain.order_
    read = RepeatAndNew.from_state(heads.to_state())
    np.testing.assert_array_equal(heads.predict(features), read.predict(features))


def test_the_order_among_own_items_is_that_of_each_recipient():
    """How much each recipient takes back is noise of tenfold size; what is due comes before what is not."""
    rng = np.random.default_rng(4)
    eager, due = rng.random((1500, 1)) < 0.5, rng.random((1500, 10)) < 0.5
    taken = rng.random((1500, 10)) < np.where(eager, 0.7, 0.05) * np.where(due, 1.3, 0.8)
    features = np.stack([np.ones((1500, 10)), due], axis=-1).astype(np.float32)
    told = RepeatAndNew(0).fit(features, taken, size=np.full(1500, 10)).predict(features)
    assert told[due].min() > told[~due].max()


def test_own_items_never_drive_out_new_ones(made):
    history = made([0, 0, 0], [1, 2, 3], [1.0, 2.0, 3.0], contacts=1, now=5.0)
    total = np.zeros((1, len(history.items)), np.float32)
    total[0, 1:4] = [9.0, 8.0, 7.0]
    fresh = np.zeros_like(total)
    fresh[0, 1:8] = [1, 1, 1, 4, 3, 2, 1]
    item, blend = own_and_new(total, fresh, history, 2)
    assert item.tolist() == [[1, 2, 4, 5]]
    assert (np.diff(blend[0]) < 0).all()


def test_fewer_items_than_asked_leave_places_empty(made):
    history = made([0], [1], [1.0], contacts=1, now=5.0)
    total = np.zeros((1, len(history.items)), np.float32)
    total[0, 1] = 1.0
    item, blend = own_and_new(total, total, history, 2)
    assert item.tolist() == [[1, -1, -1, -1]]
    assert np.isneginf(blend[0, 1:]).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_lessons_give_the_same_trees(seed):
    features, taken, _ = lessons(300, seed=seed)
    one, other = (RepeatAndNew(0).fit(features, taken) for _ in range(2))
    assert one.boosters_ == other.boosters_
