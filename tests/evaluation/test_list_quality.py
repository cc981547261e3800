import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.list_quality import catalogue_coverage, intra_list_diversity, novelty


def lists(seed, recipients=25, items=20, places=6):
    rng = np.random.default_rng(seed)
    found = np.array([rng.permutation(items)[:places] for _ in range(recipients)])
    found[rng.random(found.shape) < 0.2] = -1
    return found


def pair_by_pair(shown, distance):
    filled = [item for item in shown.tolist() if item >= 0]
    found = [distance(a, b) for a, b in itertools.combinations(filled, 2)]
    known = [one for one in found if one is not None]
    return np.mean(known) if known else np.nan


def test_coverage_counts_each_item_once():
    assert catalogue_coverage([[0, 1], [0, -1]], n_items=10) == 0.2
    assert catalogue_coverage(np.empty((0, 3), int), n_items=10) == 0.0


def test_what_half_of_the_contacts_know_is_one_bit_new():
    found = novelty([[0, -1], [1, 2], [-1, -1]], contacts_of=[8, 4, 2], n_contacts=16)
    assert found[:2].tolist() == [1.0, 2.5]
    assert np.isnan(found[2])


def test_an_item_that_nobody_knows_is_as_new_as_one_that_one_contact_knows():
    assert novelty([[0], [1]], contacts_of=[0, 1], n_contacts=8).tolist() == [3.0, 3.0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_diversity_by_category_is_that_of_all_pairs(seed):
    shown = lists(seed)
    categories = np.random.default_rng(seed).integers(-1, 4, 20)

    def distance(a, b):
        if min(categories[a], categories[b]) < 0:
            return None
        return float(categories[a] != categories[b])

    expected = [pair_by_pair(row, distance) for row in shown]
    assert intra_list_diversity(shown, categories=categories) == pytest.approx(
        expected, nan_ok=True
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), sparse=st.booleans())
def test_diversity_by_attributes_is_that_of_all_pairs(seed, sparse):
    shown = lists(seed)
    vectors = np.random.default_rng(seed).integers(0, 3, (20, 5)).astype(float)
    vectors[3] = 0.0
    length = np.linalg.norm(vectors, axis=1)

    def distance(a, b):
        if min(length[a], length[b]) == 0.0:
            return None
        return 1.0 - vectors[a] @ vectors[b] / length[a] / length[b]

    expected = [pair_by_pair(row, distance) for row in shown]
    given_vectors = csr_array(vectors) if sparse else vectors
    found = intra_list_diversity(shown, vectors=given_vectors)
    assert found == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_a_list_of_one_has_no_diversity():
    assert np.isnan(intra_list_diversity([[3, -1]], categories=[0, 0, 0, 0]))[0]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: catalogue_coverage([[4]], n_items=4), "holds item 4"),
        (lambda: catalogue_coverage([[4]], n_items=0), "'n_items'"),
        (lambda: novelty([[0]], contacts_of=[9], n_contacts=8), "'contacts_of'"),
        (lambda: novelty([[1]], contacts_of=[1], n_contacts=8), "holds item 1"),
        (lambda: intra_list_diversity([[0, 1]]), "either 'categories' or 'vectors'"),
        (lambda: intra_list_diversity([[0, 1]], categories=[0.5, 1.0]), "holds float64"),
        (lambda: intra_list_diversity([[0, 2]], categories=[0, 1]), "holds item 2"),
        (lambda: intra_list_diversity([[0, 2]], vectors=np.eye(2)), "holds item 2"),
    ],
)
def test_what_does_not_fit_is_refused(call, told):
    with pytest.raises(ConfigurationError, match=told):
        call()
