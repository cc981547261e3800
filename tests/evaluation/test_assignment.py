import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import in_holdout, stable_fraction, stable_fractions

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("salt", "contact_id", "digits"),
    [
        ("global-holdout", "c-000001", "b17346ba"),
        ("welcome", "17850", "3cb18633"),
        ("welcome", "Zoë|ß", "7c09e7a3"),
    ],
)
def test_known_contacts_keep_their_number(salt, contact_id, digits):
    assert stable_fraction(salt, contact_id) == int(digits, 16) / 2**32


@settings(max_examples=100, deadline=None)
@given(salt=texts, contact_ids=st.lists(texts, max_size=5))
def test_the_numbers_are_the_head_of_the_hash_one_by_one_and_together(salt, contact_ids):
    expected = [
        int(hashlib.sha256(f"{salt}|{contact_id}".encode()).hexdigest()[:8], 16) / 2**32
        for contact_id in contact_ids
    ]
    assert stable_fractions(salt, contact_ids).tolist() == expected
    assert [stable_fraction(salt, contact_id) for contact_id in contact_ids] == expected
    assert all(0.0 <= number < 1.0 for number in expected)


@settings(max_examples=100, deadline=None)
@given(salt=texts, contact_id=texts, share=st.floats(0, 1), more=st.floats(0, 1))
def test_nobody_leaves_a_holdout_that_grows(salt, contact_id, share, more):
    small, large = sorted([share, more])
    assert in_holdout(salt, contact_id, small) <= in_holdout(salt, contact_id, large)
    assert not in_holdout(salt, contact_id, 0.0)
    assert in_holdout(salt, contact_id, 1.0)


def test_a_tenth_is_about_a_tenth_and_salts_are_independent():
    contacts = [f"c-{number:06d}" for number in range(20_000)]
    first = stable_fractions("a", contacts) < 0.1
    second = stable_fractions("b", contacts) < 0.1
    assert abs(first.mean() - 0.1) < 0.01
    assert abs((first & second).mean() - 0.01) < 0.004


def test_nobody_gives_no_numbers():
    assert stable_fractions("a", []).shape == (0,)


@pytest.mark.parametrize("contact_id", [17850, None, np.float64(17850.0), b"c-1"])
def test_an_id_that_is_not_text_is_refused(contact_id):
    with pytest.raises(ConfigurationError, match=r"not text\.(?s:.*)Fix: "):
        stable_fraction("a", contact_id)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(ConfigurationError, match="'share'"):
        in_holdout("a", "c-1", share)


def test_one_text_in_place_of_many_is_not_read_letter_by_letter():
    with pytest.raises(ConfigurationError, match="is one text"):
        stable_fractions("a", "c-1")
