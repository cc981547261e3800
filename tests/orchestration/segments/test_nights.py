"""Segments as a tick decides them, from contacts, predictions and behaviour."""

import ibis
import pyarrow as pa
import pytest

from mlmarket.orchestration import Segment, State, load_segments, tick
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


def test_a_rule_may_read_attributes_and_predictions_together(kit):
    shop = kit.Shop(contacts=[kit.person("ana", country="PT"), kit.person("rui", country="ES")])
    segment = Segment(
        name="leaving", title="x", when="country = 'PT' and churn_probability_90d > 0.5"
    )
    (decided,) = run(kit, book(segment), shop, kit.scores(ana=0.9, rui=0.9))
    assert members(decided) == {"ana"}


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


def test_a_segment_may_ask_what_people_did_and_who_is_in_another(kit):
    did = [kit.did("ana", "order", -1), kit.did("rui", "order", -60)]
    shop = kit.Shop(contacts=[kit.person("ana"), kit.person("rui")], activity=did)
    buyers = Segment(name="buyers", title="x", when="count(order, within='30d') > 0")
    others = Segment(name="others", title="x", when="not in_segment(buyers)")
    (decided,) = run(kit, book(others, buyers), shop, kit.scores())
    assert (members(decided, "buyers"), members(decided, "others")) == ({"ana"}, {"rui"})


def test_a_list_of_addresses_is_met_in_a_tick(kit, tmp_path):
    (tmp_path / "vip.csv").write_text("email\nANA@example.com\n", encoding="utf-8")
    path = tmp_path / "segments.yaml"
    path.write_text("segments: {vip: {title: VIP, list: vip.csv}}", encoding="utf-8")
    shop = kit.Shop(contacts=[kit.person("ana"), kit.person("rui")])
    (decided,) = run(kit, Playbook(segments=load_segments(path)), shop, kit.scores())
    assert members(decided, "vip") == {"ana"}
