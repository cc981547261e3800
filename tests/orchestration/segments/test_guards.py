"""A table that arrived broken changes nobody's segment."""

import pytest

PEOPLE = [f"p{n}" for n in range(10)]


def inside(town, count):
    return town.risks(**{name: float(n < count) for n, name in enumerate(PEOPLE)})


@pytest.mark.parametrize(
    ("guard", "then", "words"),
    [
        ({"least": 3}, 2, "2 people would be in it, and the least is 3"),
        ({"most": 8}, 9, "9 people would be in it, and the most is 8"),
        ({"change": 0.5}, 1, "0 would come and 3 would go, and a change of 50% of 4 is the most"),
        ({"change": 0.5}, 7, "3 would come and 0 would go"),
    ],
)
def test_outside_its_guard_a_segment_stays_as_it_was_and_says_so(town, guard, then, words):
    segment = town.segment("vip", when="risk > 0.5", guard=guard)
    made = town.nights([segment], inside(town, 4), inside(town, then))
    assert town.members(made[1], "vip") == set(PEOPLE[:4])
    assert len(made[1].changes) == 0
    (said,) = made[1].skipped.to_pylist()
    assert said["segment"] == "vip"
    assert said["reason"].startswith("guarded: ")
    assert words in said["reason"]
    assert said["reason"].endswith("; the 4 of the last time stay")
    assert made[1].results[0].status == "guarded"


@pytest.mark.parametrize(
    ("guard", "then"), [({"least": 3}, 3), ({"most": 9}, 9), ({"change": 0.5}, 6)]
)
def test_at_the_limit_a_result_is_believed(town, guard, then):
    segment = town.segment("vip", when="risk > 0.5", guard=guard)
    made = town.nights([segment], inside(town, 4), inside(town, then))
    assert town.members(made[1], "vip") == set(PEOPLE[:then])


def test_people_who_are_replaced_by_others_count_as_a_change(town):
    segment = town.segment("vip", when="risk > 0.5", guard={"change": 0.9})
    made = town.nights([segment], town.risks(a=1.0, b=0.0), town.risks(a=0.0, b=1.0))
    assert town.members(made[1], "vip") == {"a"}


def test_a_table_that_lost_its_people_empties_no_guarded_segment(town):
    guarded = town.segment("vip", when="risk > 0.5", guard={"change": 0.5})
    made = town.nights([guarded], inside(town, 4), inside(town, 4).slice(3, 1))
    assert town.members(made[1], "vip") == set(PEOPLE[:4])


def test_the_first_time_no_change_is_asked(town):
    segment = town.segment("vip", when="risk > 0.5", guard={"change": 0.1})
    assert town.members(town.decide(inside(town, 4), [segment]), "vip") == set(PEOPLE[:4])


def test_the_first_time_too_few_let_nobody_in(town):
    segment = town.segment("vip", when="risk > 0.5", guard={"least": 5})
    assert town.members(town.decide(inside(town, 4), [segment]), "vip") == set()


@pytest.mark.parametrize("guard", [{}, {"least": 0}, {"change": 0}, {"least": 5, "most": 3}])
def test_a_guard_that_guards_nothing_is_refused(town, guard):
    with pytest.raises(ValueError, match="guard"):
        town.segment("vip", when="risk > 0.5", guard=guard)


def test_a_guarded_member_counts_for_other_segments(town):
    guarded = town.segment("vip", when="risk > 0.5", guard={"least": 3})
    rest = town.segment("rest", not_in=["vip"])
    made = town.nights([rest, guarded], inside(town, 4), inside(town, 0))
    assert town.members(made[1], "rest") == set(PEOPLE[4:])


def test_an_unread_list_keeps_its_members(town):
    unread = town.segment("listed", list={"file": "vip.csv", "by": "contact_id"})
    before = town.memberships([{"segment": "listed", "contact_id": "p1"}])
    found = town.decide(inside(town, 1), [unread], before)
    assert town.members(found, "listed") == {"p1"}
    assert found.skipped["reason"].to_pylist() == ["the list vip.csv was not read"]
