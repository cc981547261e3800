"""People who are near the border of a segment do not come and go."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BAND = {"when": "risk >= 0.6", "stay": "risk >= 0.5"}


def test_members_stay_while_the_weaker_condition_holds(town):
    made = town.nights(
        [town.segment("leaving", **BAND)],
        *(town.risks(p=risk) for risk in (0.55, 0.6, 0.55, 0.5, 0.49, 0.55, 0.61)),
    )
    inside = [bool(town.members(found, "leaving")) for found in made]
    assert inside == [False, True, True, True, False, False, True]


def test_a_member_whose_condition_to_stay_is_unknown_leaves(town):
    made = town.nights([town.segment("leaving", **BAND)], town.risks(p=0.9), town.risks(p=None))
    assert not town.members(made[1], "leaving")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(0.5, 0.75), min_size=3, max_size=3), min_size=2, max_size=8))
def test_noise_inside_the_band_changes_a_membership_at_most_once(town, noise):
    tables = [town.risks(**{f"p{n}": risk for n, risk in enumerate(night)}) for night in noise]
    made = town.nights([town.segment("leaving", **BAND)], *tables)
    moves = [contact for found in made for _, contact, _, _ in town.changes(found)]
    assert all(moves.count(contact) <= 1 for contact in moves)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.permutations([8, 9, 10, 11]), min_size=2, max_size=8))
def test_changing_places_inside_the_band_of_a_ranking_changes_a_membership_at_most_once(
    town, orders
):
    # Twenty people; the four around the border at place 10 change places, band down to 12.
    top = town.segment("best", top={"column": "risk", "share": 0.5, "stay_share": 0.6})
    tables = []
    for order in orders:
        ranks = list(range(20))
        ranks[8:12] = order
        tables.append(town.risks(**{f"p{n:02}": 1 - rank / 20 for n, rank in enumerate(ranks)}))
    made = town.nights([top], *tables)
    moves = [contact for found in made for _, contact, _, _ in town.changes(found)]
    assert all(moves.count(contact) <= 1 for contact in moves)
    assert all(10 <= len(town.members(found, "best")) <= 12 for found in made)


def test_a_budget_is_never_exceeded_by_those_who_stay(town):
    top = {"column": "risk", "share": 0.5, "stay_share": 1.0, "most": 2}
    made = town.nights(
        [town.segment("best", top=top)],
        town.risks(a=0.9, b=0.8, c=0.1, d=0.1),
        town.risks(a=0.9, b=0.1, c=0.8, d=0.1),
    )
    assert town.members(made[1], "best") == {"a", "c"}


def test_a_budget_has_a_band_of_its_own(town):
    top = {"column": "risk", "most": 1, "stay_most": 2}
    made = town.nights(
        [town.segment("best", top=top)], town.risks(a=0.9, b=0.8), town.risks(a=0.8, b=0.9)
    )
    assert town.members(made[1], "best") == {"a", "b"}


def test_a_member_stays_at_least_as_long_as_is_written(town):
    week = town.segment("leaving", when="risk >= 0.6", at_least="3D")
    made = town.nights([week], *(town.risks(p=risk) for risk in (0.9, 0.1, 0.1, 0.1)))
    assert [bool(town.members(found, "leaving")) for found in made] == [True, True, True, False]


def test_an_excluded_member_leaves_at_once(town):
    week = town.segment("leaving", when="risk >= 0.6", at_least="30D", not_in=["safe"])
    safe = town.segment("safe", when="risk < 0.2")
    made = town.nights([week, safe], town.risks(p=0.9), town.risks(p=0.1))
    assert not town.members(made[1], "leaving")


def test_a_ranked_member_whose_condition_weakens_keeps_the_place(town):
    top = town.segment("best", **BAND, top={"column": "risk", "most": 2})
    made = town.nights([top], town.risks(a=0.9, b=0.6), town.risks(a=0.9, b=0.55, c=0.55))
    assert town.members(made[1], "best") == {"a", "b"}


@pytest.mark.parametrize("column", [pa.array([0.9, None]), pa.array([0.9, float("nan")])])
def test_a_member_without_a_value_loses_the_place(town, column):
    top = town.segment("best", top={"column": "risk", "most": 2, "stay_most": 2})
    first = town.decide(town.risks(a=0.9, b=0.8), [top])
    people = pa.table({"contact_id": ["a", "b"], "risk": column})
    assert town.members(town.decide(people, [top], first.memberships), "best") == {"a"}
