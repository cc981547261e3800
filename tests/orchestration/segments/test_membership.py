"""Who is in, who came and who went, night after night."""

import pyarrow as pa
import pytest

from mlmarket.orchestration.documents import DocumentError

NAMES = tuple(f"p{n:02}" for n in range(20))
LEAVING = {"when": "risk >= 0.5", "why": "{risk:percent} risk"}


def test_who_entered_and_left_is_told_with_the_reason(town):
    made = town.nights(
        [town.segment("leaving", **LEAVING)],
        town.risks(p00=0.6, p01=0.2),
        town.risks(p00=0.7, p01=0.9),
        town.risks(p00=0.1, p01=0.9),
    )
    assert [town.changes(found) for found in made] == [
        [("leaving", "p00", "entered", "60% risk")],
        [("leaving", "p01", "entered", "90% risk")],
        [("leaving", "p00", "left", "10% risk")],
    ]
    stayed = made[1].memberships.to_pylist()[0]
    assert (stayed["entered_at"], stayed["why"]) == (town.START, "70% risk")


def test_without_words_of_its_own_a_segment_says_its_title_or_that_the_rule_no_longer_holds(town):
    made = town.nights(
        [town.segment("leaving", when="risk >= 0.5")], town.risks(p00=0.9), town.risks(p00=0.1)
    )
    assert town.changes(made[0]) == [("leaving", "p00", "entered", "leaving")]
    assert town.changes(made[1]) == [("leaving", "p00", "left", "the rule no longer holds")]


def test_who_comes_back_enters_anew(town):
    made = town.nights(
        [town.segment("leaving", **LEAVING)], *(town.risks(p00=risk) for risk in (0.9, 0.1, 0.9))
    )
    (row,) = made[2].memberships.to_pylist()
    assert (row["entered_at"] - town.START).days == 2


def test_an_unknown_condition_makes_nobody_a_member(town):
    people = town.risks(p00=None, p01=0.1, p02=float("nan"))
    leaving = town.segment("leaving", **LEAVING)
    safe = town.segment("safe", when="not risk >= 0.5")
    found = town.decide(people, [leaving, safe])
    assert town.members(found, "leaving") == set()
    assert town.members(found, "safe") == {"p01"}


def test_a_segment_whose_column_is_missing_tonight_keeps_its_members(town):
    rich = town.segment("rich", when="value > 1 and not grade = 'C'")
    full = town.risks(p00=0.9, p01=0.9)
    full = full.append_column("value", pa.array([5.0, 0.0]))
    full = full.append_column("grade", pa.array(["A", "A"]))
    made = town.nights(
        [town.segment("leaving", **LEAVING), rich], full, town.risks(p00=0.1, p01=0.9)
    )
    assert town.members(made[1], "rich") == {"p00"}
    assert town.members(made[1], "leaving") == {"p01"}
    assert made[1].skipped.to_pylist() == [
        {"segment": "rich", "reason": "tonight's tables have no grade, value"}
    ]
    assert [result.status for result in made[1].results] == ["decided", "skipped"]


@pytest.mark.parametrize(
    "wrong", ["nowhere >", "risk = 'x'", "missing_30d + 'x' > 1", "lower(nowhere) = 'x'"]
)
def test_a_condition_that_could_never_be_read_is_an_error_not_a_skip(town, wrong):
    with pytest.raises(DocumentError, match="segment 'wrong', key 'when'"):
        town.decide(town.risks(p00=0.9), [town.segment("wrong", when=wrong)])


def test_a_segment_that_is_removed_lets_its_members_go(town):
    first = town.decide(town.risks(p00=0.9), [town.segment("leaving", **LEAVING)])
    found = town.decide(town.risks(p00=0.9), [], first.memberships)
    assert found.memberships.num_rows == 0
    assert town.changes(found) == [("leaving", "p00", "left", "the segment was removed")]


def test_a_contact_who_is_gone_leaves(town):
    leaving = town.segment("leaving", **LEAVING)
    made = town.nights([leaving], town.risks(p00=0.9, p01=0.9), town.risks(p01=0.9))
    gone = ("leaving", "p00", "left", "the contact is not known any more")
    assert town.changes(made[1]) == [gone]
    assert town.members(made[1], "leaving") == {"p01"}


def best(town, share, **rest):
    return town.segment("best", top={"column": "risk", "share": share}, **rest)


@pytest.mark.parametrize(
    ("limits", "count"), [({"most": 3}, 3), ({"most": 99}, 20), ({"share": 0.5, "most": 3}, 3)]
)
def test_a_ranking_ends_where_the_budget_does(town, limits, count):
    people = town.risks(**{name: n / 20 for n, name in enumerate(NAMES)})
    found = town.decide(people, [town.segment("best", top={"column": "risk", **limits})])
    assert town.members(found, "best") == set(NAMES[20 - count :])


@pytest.mark.parametrize(("share", "count"), [(0.1, 2), (0.29, 6), (0.125, 3), (0.02, 0), (1, 20)])
def test_the_top_share_is_rounded_half_up(town, share, count):
    people = town.risks(**{name: n / 20 for n, name in enumerate(NAMES)})
    found = town.decide(people, [best(town, share)])
    assert town.members(found, "best") == set(NAMES[20 - count :])


def test_the_top_is_sought_among_those_for_whom_the_rest_holds(town):
    people = town.risks(**{name: n / 20 for n, name in enumerate(NAMES)})
    low = town.segment("low", when="risk < 0.3")
    few = town.segment("few", when="risk >= 0.2")
    both = best(town, 0.5, when="risk < 0.25", all_of=["low"], not_in=["few"])
    found = town.decide(people, [both, few, low])
    assert town.members(found, "best") == {"p02", "p03"}


def test_people_without_a_value_have_no_place_in_the_ranking(town):
    people = town.risks(p00=None, p01=float("nan"), p02=0.1, p03=0.2)
    assert town.members(town.decide(people, [best(town, 0.5)]), "best") == {"p03"}


def test_equal_values_do_not_favour_the_oldest_customers(town):
    people = town.risks(**dict.fromkeys(NAMES, 0.5))
    chosen = town.members(town.decide(people, [best(town, 0.5)]), "best")
    assert len(chosen) == 10
    assert chosen != set(NAMES[:10])
    again = town.decide(people.take(list(range(20))[::-1]), [best(town, 0.5)])
    assert town.members(again, "best") == chosen


def test_whole_numbers_are_ranked_exactly(town):
    large = 2**53
    people = pa.table({"contact_id": ["a", "b", "c"], "points": [large, large + 1, large - 1]})
    top = town.segment("top", top={"column": "points", "most": 1})
    assert town.members(town.decide(people, [top]), "top") == {"b"}


def test_equal_people_in_any_order_give_equal_bytes(town):
    people = town.risks(**{name: (n * 7 % 20) / 20 for n, name in enumerate(NAMES)})
    segments = [town.segment("leaving", **LEAVING), best(town, 0.3)]
    forth = town.decide(people, segments)
    back = town.decide(people.take(list(range(20))[::-1]), segments[::-1])
    assert forth.memberships.equals(back.memberships)
    assert forth.changes.equals(back.changes)


def test_the_number_of_a_person_may_be_given(town):
    people = town.risks(b=0.9, a=0.9).append_column("person", pa.array([1, 0]))
    found = town.decide(people, [town.segment("leaving", **LEAVING)])
    assert found.memberships["contact_id"].to_pylist() == ["a", "b"]


def test_nobody_at_all_is_a_night_too(town):
    found = town.decide(town.risks(), [town.segment("leaving", **LEAVING), best(town, 0.5)])
    assert (len(found.memberships), len(found.changes)) == (0, 0)
