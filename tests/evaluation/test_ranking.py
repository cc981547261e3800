import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.ranking import (
    RANKING_METRICS,
    mean_difference,
    mean_interval,
    mean_intervals,
    ranking_metrics,
)


def lists_and_relevant(seed, recipients=40, items=30, places=8):
    rng = np.random.default_rng(seed)
    lists = np.array([rng.permutation(items)[:places] for _ in range(recipients)])
    lists[rng.random(lists.shape) < 0.1] = -1
    relevant = [
        rng.choice(items, size=rng.integers(0, 12), replace=False) for _ in range(recipients)
    ]
    return lists, relevant


def as_rows(relevant):
    indptr = np.concatenate([[0], np.cumsum([len(one) for one in relevant])])
    return indptr, np.concatenate([np.empty(0, int), *relevant])


def one_by_one(shown, relevant, k):
    """Return the measures of one list, as a reader of the formulas would count them."""
    right = set(relevant.tolist())
    dcg = found = precisions = 0.0
    first = 0.0
    for place, item in enumerate(shown[:k].tolist(), start=1):
        if item in right:
            found += 1
            dcg += 1 / np.log2(place + 1)
            precisions += found / place
            first = first or 1 / place
    best = min(k, len(right))
    ideal = sum(1 / np.log2(place + 1) for place in range(1, best + 1))
    return {
        "recall": found / len(right),
        "capped_recall": found / best,
        "ndcg": dcg / ideal,
        "average_precision": precisions / best,
        "hit": float(found > 0),
        "reciprocal_rank": first,
    }


def test_a_list_counted_by_hand():
    # relevant in places 1 and 3 of four, of three relevant items
    scores = ranking_metrics([[5, 0, 7, 1]], [0, 3], [5, 7, 9], k=4)
    assert scores.recall[0] == pytest.approx(2 / 3)
    assert scores.ndcg[0] == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2))
    assert scores.average_precision[0] == pytest.approx((1 + 2 / 3) / 3)
    assert scores.hit[0] == 1.0
    assert scores.reciprocal_rank[0] == 1.0


def test_the_ideal_list_is_cut_where_the_list_is():
    perfect = ranking_metrics([[0, 1]], [0, 5], [0, 1, 2, 3, 4], k=2)
    assert perfect.ndcg[0] == 1.0
    assert perfect.average_precision[0] == 1.0
    assert perfect.capped_recall[0] == 1.0
    assert perfect.recall[0] == pytest.approx(0.4)


def test_one_relevant_item_in_place_two_has_its_textbook_values():
    scores = ranking_metrics([[4, 3, 2]], [0, 1], [3], k=3)
    assert scores.ndcg[0] == pytest.approx(0.6309297535714575)
    assert scores.average_precision[0] == scores.reciprocal_rank[0] == 0.5


@pytest.mark.parametrize("k", [1, 3, 8])
def test_ndcg_is_that_of_scikit_learn(k):
    rng = np.random.default_rng(5)
    items, recipients = 25, 60
    truth = rng.random((recipients, items)) < 0.2
    truth[:, 0] |= ~truth.any(axis=1)
    score = rng.permuted(np.tile(np.arange(items, dtype=float), (recipients, 1)), axis=1)
    lists = np.argsort(-score, axis=1)[:, :8]
    ours = ranking_metrics(lists, *as_rows([np.flatnonzero(row) for row in truth]), k=k)
    assert ours.ndcg.mean() == pytest.approx(ndcg_score(truth, score, k=k))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 12))
def test_every_measure_is_that_of_a_count_one_by_one(seed, k):
    lists, relevant = lists_and_relevant(seed)
    scores = ranking_metrics(lists, *as_rows(relevant), k=k)
    for row, mine in enumerate(relevant):
        if not len(mine):
            assert all(np.isnan(scores.values(metric)[row]) for metric in RANKING_METRICS)
            continue
        for metric, value in one_by_one(lists[row], mine, k).items():
            assert scores.values(metric)[row] == pytest.approx(value), metric


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_relevant_items_changes_nothing(seed):
    lists, relevant = lists_and_relevant(seed)
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(one) for one in relevant]
    one = ranking_metrics(lists, *as_rows(relevant), k=5).to_frame()
    other = ranking_metrics(lists, *as_rows(shuffled), k=5).to_frame()
    assert one.equals(other)


def test_an_empty_place_is_a_miss_and_moves_nothing_up():
    scores = ranking_metrics([[-1, 3]], [0, 1], [3], k=2)
    assert scores.reciprocal_rank[0] == 0.5


def test_lists_shorter_than_k_are_measured_at_k():
    scores = ranking_metrics([[3]], [0, 2], [3, 4], k=2)
    assert scores.capped_recall[0] == 0.5
    assert scores.ndcg[0] == pytest.approx(1 / (1 + 1 / np.log2(3)))


def test_nobody_to_recommend_to_is_no_error():
    scores = ranking_metrics(np.empty((0, 5), int), [0], [], k=5)
    assert scores.recall.size == 0
    assert np.isnan(mean_interval(scores.recall, random_state=0).value)


def test_items_of_another_recipient_are_no_hits():
    scores = ranking_metrics([[1], [2]], [0, 1, 2], [2, 1], k=1)
    assert scores.hit.tolist() == [0.0, 0.0]


def test_the_measures_are_shown_as_their_means():
    scores = ranking_metrics([[1], [2]], [0, 1, 2], [1, 1], k=1)
    assert "mean at 1" in scores._repr_html_()
    assert scores.to_frame()["hit"].to_list() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("recommended", "indptr", "indices", "told"),
    [
        ([[1, 1]], [0, 1], [1], "twice"),
        ([[0.5, 1.0]], [0, 1], [1], "holds float64"),
        ([1, 2], [0, 1], [1], "1 dimension"),
        ([[1, 2]], [0, 1, 2], [1, 2], "of 1 recipients"),
        ([[1, 2]], [0, 2], [1], "of 1 recipients"),
        ([[1, 2]], [0, 2], [3, 3], "same relevant item twice"),
        ([[1, 2]], [0, 1], [-1], "of 1 recipients"),
        ([[1, 2]], [0.0, 1.0], [1], "of 1 recipients"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(recommended, indptr, indices, told):
    with pytest.raises(ConfigurationError, match=told):
        ranking_metrics(recommended, indptr, indices, k=2)


def test_an_unknown_measure_is_refused():
    with pytest.raises(ConfigurationError, match="'nDCG'"):
        ranking_metrics([[1]], [0, 1], [1], k=1).values("nDCG")


# --- intervals ------------------------------------------------------------------------------------


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = [
        mean_interval(rng.beta(0.3, 1.2, 200), n_resamples=300, random_state=number).contains(0.2)
        for number in range(300)
    ]
    assert 0.91 <= np.mean(held) <= 0.98


def test_rows_of_one_recipient_are_drawn_together():
    values = np.repeat(np.random.default_rng(1).random(40), 10)
    apart = mean_interval(values, random_state=0)
    together = mean_interval(values, groups=np.repeat(np.arange(40), 10), random_state=0)
    assert together.value == apart.value
    assert together.high - together.low > 2.5 * (apart.high - apart.low)


def test_what_two_models_share_cancels_in_their_difference():
    rng = np.random.default_rng(2)
    ease = rng.random(300)
    gain = mean_difference(ease + 0.01 + rng.normal(0, 0.01, 300), ease, random_state=0)
    assert 0.0 < gain.low < 0.01 < gain.high
    assert not mean_interval(ease, random_state=0).high < ease.mean() + 0.01


def test_one_recipient_has_a_mean_and_no_interval():
    interval = mean_interval([0.25, 0.75, float("nan")], groups=["a", "a", "b"], random_state=0)
    assert interval.value == 0.5
    assert np.isnan(interval.low)
    assert interval.contains(0.0)


def test_models_measured_on_different_people_are_not_compared():
    with pytest.raises(ConfigurationError, match="same recipients"):
        mean_difference([0.5, float("nan")], [0.5, 0.5], random_state=0)
    with pytest.raises(ConfigurationError, match="same recipients"):
        mean_difference([0.5], [0.5, 0.5], random_state=0)


def test_groups_and_values_have_the_same_length():
    with pytest.raises(ConfigurationError, match="2 values and 1 groups"):
        mean_interval([0.5, 1.0], groups=["a"], random_state=0)


def test_numbers_without_end_have_no_mean():
    with pytest.raises(ConfigurationError, match="'values'"):
        mean_interval([float("inf"), 1.0], random_state=0)


def test_several_measures_are_drawn_with_the_same_recipients():
    rng = np.random.default_rng(3)
    one, other = rng.random(50), rng.random(50)
    other[:20] = np.nan
    together = mean_intervals({"one": one, "other": other}, n_resamples=200, random_state=0)
    assert together["one"] == mean_interval(one, n_resamples=200, random_state=0)
    assert together["other"].value == pytest.approx(np.nanmean(other))
    assert together["other"].low < np.nanmean(other) < together["other"].high
    assert mean_intervals({}, random_state=0) == {}


def test_one_measured_recipient_among_many_has_no_interval():
    found = mean_interval([0.5] + [float("nan")] * 30, random_state=0)
    assert found.value == 0.5
    assert np.isnan(found.low)
