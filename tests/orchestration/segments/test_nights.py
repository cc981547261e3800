"""Segments, night after night."""

import ibis
import pyarrow as pa
import pytest

from mlmarket.orchestration import DocumentError, Segment, State, tick
from mlmarket.orchestration.playbook import Playbook

NAMES = tuple(f"p{n:02}" for n in range(20))


def book(*segments):
    return Playbook(segments=segments)


def run(kit, playbook, shop, *tables):
    """Run one night a table; return the decisions."""
    state, made = State().under(playbook), []
    for day, table in enumerate(tables):
        decided = tick(state, table, shop, now=kit.when(day))
        state = state.after(decided)
        made.append(decided)
    return made


def members(decided, segment="leaving"):
    rows = decided.memberships.to_pylist()
    return {row["contact_id"] for row in rows if row["segment"] == segment}


@pytest.fixture(scope="module")
def shop(kit):
    return kit.Shop(contacts=[kit.person(name, country="PT") for name in NAMES])


def test_who_entered_and_left_is_told_with_the_reason(kit, shop):
    made = run(
        kit,
        book(kit.LEAVING),
        shop,
        kit.scores(p00=0.6, p01=0.2),
        kit.scores(p00=0.7, p01=0.9),
        kit.scores(p00=0.1, p01=0.9),
    )
    assert [decided.changes.to_pylist() for decided in made] == [
        [
            {
                "segment": "leaving",
                "contact_id": "p00",
                "change": "entered",
                "why": "60% risk of leaving",
            }
        ],
        [
            {
                "segment": "leaving",
                "contact_id": "p01",
                "change": "entered",
                "why": "90% risk of leaving",
            }
        ],
        [
            {
                "segment": "leaving",
                "contact_id": "p00",
                "change": "left",
                "why": "10% risk of leaving",
            }
        ],
    ]
    stayed = made[1].memberships.to_pylist()[0]
    assert (stayed["entered_at"], stayed["why"]) == (kit.at(0), "70% risk of leaving")


def test_who_comes_back_enters_anew(kit, shop):
    made = run(kit, book(kit.LEAVING), shop, *(kit.scores(p00=risk) for risk in (0.9, 0.1, 0.9)))
    assert made[2].memberships["entered_at"].to_pylist() == [kit.at(2)]


def test_an_unknown_condition_makes_nobody_a_member(kit, shop):
    without = Segment(name="safe", title="Safe", when="not churn_probability_90d >= 0.5")
    table = kit.scores(p00=None, p01=0.1, p02=float("nan"))
    (decided,) = run(kit, book(kit.LEAVING, without), shop, table)
    assert members(decided) == set()
    assert members(decided, "safe") == {"p01"}


def test_a_rule_may_read_attributes_and_predictions_together(kit):
    shop = kit.Shop(contacts=[kit.person("ana", country="PT"), kit.person("rui", country="ES")])
    segment = Segment(
        name="leaving", title="x", when="country = 'PT' and churn_probability_90d > 0.5"
    )
    (decided,) = run(kit, book(segment), shop, kit.scores(ana=0.9, rui=0.9))
    assert members(decided) == {"ana"}


def test_a_rule_over_attributes_alone_needs_no_prediction(kit, shop):
    segment = Segment(name="leaving", title="x", when="country = 'PT'")
    (decided,) = run(kit, book(segment), shop, kit.scores())
    assert members(decided) == set(NAMES)


def test_a_segment_whose_prediction_is_missing_tonight_keeps_its_members(kit, shop):
    other = Segment(name="rich", title="x", when="value_365d > 1 and not grade = 'C'")
    full = kit.scores(p00=0.9, p01=0.9)
    full = full.append_column("value_365d", pa.array([5.0, 0.0]))
    full = full.append_column("grade", pa.array(["A", "A"]))
    made = run(kit, book(kit.LEAVING, other), shop, full, kit.scores(p01=0.9))
    assert members(made[1], "rich") == {"p00"}
    assert members(made[1]) == {"p01"}
    assert made[1].skipped.to_pylist() == [
        {"segment": "rich", "reason": "tonight's tables have no grade, value_365d"}
    ]
    assert made[1].changes["segment"].to_pylist() == ["leaving"]


def test_a_column_without_any_value_counts_as_missing(kit, shop):
    untyped = pa.table({"contact_id": ["p00"], "churn_probability_90d": pa.nulls(1)})
    for empty in (untyped, kit.scores(p00=None), kit.scores()):
        made = run(kit, book(kit.LEAVING), shop, kit.scores(p00=0.9), empty)
        assert members(made[1]) == {"p00"}
        assert len(made[1].skipped) == 1


def test_nobody_leaves_a_journey_because_a_prediction_is_missing(kit, one_shop):
    state, _ = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), [0])
    nothing = pa.table({"contact_id": ["ana"]})
    decided = tick(state, nothing, one_shop(), now=kit.when(1))
    assert kit.sent([decided]) == [("ana", "first")]


@pytest.mark.parametrize(
    "wrong",
    ["nowhere >", "churn_probability_90d = 'x'", "missing_30d + 'x' > 1", "lower(nowhere) = 'x'"],
)
def test_a_condition_that_could_never_be_read_is_an_error_not_a_skip(kit, shop, wrong):
    segment = Segment(name="wrong", title="x", when=wrong)
    with pytest.raises(DocumentError, match="segment 'wrong', key 'when'"):
        run(kit, book(segment), shop, kit.scores(p00=0.9))


def test_a_segment_that_is_removed_lets_its_members_go(kit, shop):
    (first,) = run(kit, book(kit.LEAVING), shop, kit.scores(p00=0.9))
    state = State().after(first).under(book())
    decided = tick(state, kit.scores(p00=0.9), shop, now=kit.when(1))
    assert decided.memberships.num_rows == 0
    assert decided.changes["why"].to_pylist() == ["the segment was removed"]


def test_a_contact_who_is_gone_leaves(kit, shop):
    (first,) = run(kit, book(kit.LEAVING), shop, kit.scores(p00=0.9))
    state = State().after(first)
    decided = tick(state, kit.scores(p00=0.9), kit.Shop(contacts=[]), now=kit.when(1))
    assert decided.changes["why"].to_pylist() == ["the contact is not known any more"]


def best(share, **rest):
    return Segment(
        name="best", title="x", top={"column": "churn_probability_90d", "share": share}, **rest
    )


@pytest.mark.parametrize(
    ("limits", "count"), [({"most": 3}, 3), ({"most": 99}, 20), ({"share": 0.5, "most": 3}, 3)]
)
def test_a_ranking_ends_where_the_budget_does(kit, shop, limits, count):
    rule = {"column": "churn_probability_90d", **limits}
    table = kit.scores(**{name: n / 20 for n, name in enumerate(NAMES)})
    (decided,) = run(kit, book(Segment(name="best", title="x", top=rule)), shop, table)
    assert members(decided, "best") == set(NAMES[20 - count :])


@pytest.mark.parametrize(("share", "count"), [(0.1, 2), (0.29, 6), (0.125, 3), (0.02, 0), (1, 20)])
def test_the_top_share_is_rounded_half_up(kit, shop, share, count):
    table = kit.scores(**{name: n / 20 for n, name in enumerate(NAMES)})
    (decided,) = run(kit, book(best(share)), shop, table)
    assert members(decided, "best") == set(NAMES[20 - count :])


def test_the_top_is_sought_among_those_for_whom_the_condition_holds(kit, shop):
    table = kit.scores(**{name: n / 20 for n, name in enumerate(NAMES)})
    (decided,) = run(kit, book(best(0.5, when="churn_probability_90d < 0.2")), shop, table)
    assert members(decided, "best") == {"p02", "p03"}


def test_people_without_a_value_have_no_place_in_the_ranking(kit, shop):
    table = kit.scores(p00=None, p01=float("nan"), p02=0.1, p03=0.2)
    (decided,) = run(kit, book(best(0.5)), shop, table)
    assert members(decided, "best") == {"p03"}


def test_equal_values_do_not_favour_the_oldest_customers(kit, shop):
    table = kit.scores(**dict.fromkeys(NAMES, 0.5))
    (decided,) = run(kit, book(best(0.5)), shop, table)
    chosen = members(decided, "best")
    assert len(chosen) == 10
    assert chosen != set(NAMES[:10])
    (again,) = run(kit, book(best(0.5)), shop, table.take(list(range(20))[::-1]))
    assert members(again, "best") == chosen


def test_attributes_are_those_that_hold_tonight(kit):
    rows = {
        "contact_id": ["ana", "ana", "ana", "rui"],
        "stage": ["lead", "customer", "lost", "customer"],
        "valid_from": pa.array([None, kit.at(0), kit.at(5), kit.at(5)], pa.timestamp("us")),
    }

    class History(kit.Shop):
        def table(self, name):
            return {"contacts": ibis.memtable(pa.table(rows))}[name]

    segment = Segment(name="leaving", title="x", when="stage = 'customer'")
    (decided,) = run(kit, book(segment), History(contacts=[]), kit.scores())
    assert members(decided) == {"ana"}
