"""Segments made of segments."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.orchestration.documents import DocumentError
from mlmarket.orchestration.playbook import Playbook

NAMES = [f"p{n}" for n in range(6)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.sampled_from(NAMES)), min_size=4, max_size=4),
    st.lists(
        st.tuples(
            st.sampled_from(["all_of", "any_of", "not_in"]),
            st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda pair: pair[0],
    ),
    st.randoms(use_true_random=False),
)
def test_a_set_of_segments_is_what_python_makes_of_the_sets(town, sets, keys, lot):
    columns = {f"in_{n}": [name in chosen for name in NAMES] for n, chosen in enumerate(sets)}
    people = pa.table({"contact_id": NAMES, **columns})
    plain = [town.segment(f"s{n}", when=f"in_{n} is true") for n in range(4)]
    mixed = town.segment("mixed", **{key: [f"s{n}" for n in chosen] for key, chosen in keys})
    further = town.segment("further", any_of=["mixed"], not_in=["s0"])
    segments = [*plain, mixed, further]
    lot.shuffle(segments)

    expected = set(NAMES)
    for key, chosen in keys:
        parts = [sets[n] for n in chosen]
        if key == "all_of":
            expected &= set.intersection(*parts)
        elif key == "any_of":
            expected &= set.union(*parts)
        else:
            expected -= set.union(*parts)
    found = town.decide(people, segments)
    assert town.members(found, "mixed") == expected
    assert town.members(found, "further") == expected - sets[0]


def test_a_segment_of_a_skipped_one_is_decided_from_its_last_members(town):
    rich = town.segment("rich", when="value > 1")
    both = town.segment("both", when="risk > 0.5", all_of="rich")
    full = town.risks(a=0.9, b=0.9).append_column("value", pa.array([5.0, 0.0]))
    made = town.nights([both, rich], full, town.risks(a=0.9, b=0.9))
    assert town.members(made[1], "both") == {"a"}


def test_a_circle_is_refused_with_its_way(town):
    one = town.segment("one", all_of=["two"])
    two = town.segment("two", when="not in_segment(three)")
    three = town.segment("three", not_in=["one"])
    with pytest.raises(DocumentError, match="depends on itself: one → two → three → one"):
        Playbook(segments=(one, two, three))


def test_a_segment_that_is_not_there_is_refused_with_the_near_one(town):
    one = town.segment("one", any_of=["twoo"])
    two = town.segment("two", when="risk > 0")
    with pytest.raises(DocumentError, match=r"segment 'one', key 'any_of'[\s\S]*'two'"):
        Playbook(segments=(one, two))
    asks = town.segment("asks", when="in_segment('twoo')")
    with pytest.raises(DocumentError, match="segment 'asks', key 'when'"):
        Playbook(segments=(asks, two))
