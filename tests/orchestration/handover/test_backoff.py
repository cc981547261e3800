"""How long something waits before it is tried again."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover import Retries


@given(key=st.text(max_size=20), attempt=st.integers(1, 10_000))
def test_a_wait_is_the_same_each_time_and_within_its_limit(key, attempt):
    retries = Retries()
    wait = retries.wait(key, attempt)
    assert timedelta(0) <= wait <= retries.longest
    assert wait == retries.wait(key, attempt)


def test_those_that_failed_together_do_not_come_back_together():
    waits = sorted(Retries().wait(f"k{number}", 4).total_seconds() for number in range(2000))
    limit = 60 * 4**3
    shares = [sum(low <= one / limit * 10 < low + 1 for one in waits) for low in range(10)]
    assert min(shares) > 150
    assert max(shares) < 250


def test_waits_grow_until_the_longest():
    means = [
        sum(Retries().wait(f"k{number}", attempt).total_seconds() for number in range(500)) / 500
        for attempt in range(1, 10)
    ]
    assert all(later > 3 * earlier for earlier, later in pairwise(means[:5]))
    assert means[-1] < 12 * 3600


def test_what_the_receiver_asked_for_comes_first():
    asked = timedelta(hours=3)
    assert Retries().wait("a", 1, at_least=asked) - Retries().wait("a", 1) == asked


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first": timedelta(0)}, {"factor": 0.5}])
def test_retries_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        Retries(**wrong)
