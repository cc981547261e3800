"""Who allowed what, and how people come to a new version."""

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.state.store import StateStore


def test_what_was_approved_is_released_and_logged(hand, path):
    one = hand.journey()
    with StateStore.open(path) as store:
        assert dict(store.releases()) == {}
        store.approve(one, by="eva", at=hand.when(1))
    with StateStore.open(path) as store:
        (release,) = store.load().releases.values()
        assert (release.journey, release.version) == ("win_back", one.version)
        assert (release.status, release.by, release.at) == ("approved", "eva", hand.when(1))
        assert store.load().versions[one.version] == one
        (row,) = store.release_log().to_pylist()
        assert (row["at"], row["by"], row["action"]) == (hand.at(1), "eva", "approved")
        assert row["version"] == one.version


def test_events_count_from_the_first_approval_while_the_entry_is_the_same(hand, path):
    edited = hand.journey(title="Win them back")
    moved = hand.journey(entry={"event": "cart"}, title="Another door")
    with StateStore.open(path) as store:
        store.approve(hand.journey(), by="eva", at=hand.when(1))
        again = store.approve(edited, by="tom", at=hand.when(5))
        assert (again.version, again.by, again.at) == (edited.version, "tom", hand.when(1))
        other = store.approve(moved, by="tom", at=hand.when(6))
        assert (other.version, other.at) == (moved.version, hand.when(6))
        assert store.release_log()["at"].to_pylist() == [hand.at(1), hand.at(5), hand.at(6)]


def test_a_pause_ends_without_answering_what_happened_in_it(hand, path):
    with StateStore.open(path) as store:
        store.approve(hand.journey(), by="eva", at=hand.when(1))
        paused = store.pause("win_back", by="tom", at=hand.when(2))
        assert (paused.status, paused.by, paused.at) == ("paused", "tom", hand.when(1))
        resumed = store.resume("win_back", by="eva", at=hand.when(9))
        assert (resumed.status, resumed.at) == ("approved", hand.when(9))
        assert store.release_log()["action"].to_pylist() == ["approved", "paused", "resumed"]
        with pytest.raises(ConfigurationError, match="is not paused"):
            store.resume("win_back", by="eva", at=hand.when(9))


def test_a_journey_that_nobody_approved_cannot_be_paused(hand, path):
    with StateStore.open(path) as store:
        store.approve(hand.journey(), by="eva", at=hand.when(1))
        with pytest.raises(ConfigurationError, match="did you mean 'win_back'"):
            store.pause("win_bakc", by="eva", at=hand.when(1))
        with pytest.raises(ConfigurationError, match="Nobody is named"):
            store.approve(hand.journey(), by=" ", at=hand.when(1))
        assert len(store.release_log()) == 1


def newer(hand):
    def step(name):
        return {"message": {"name": name, "channel": "email", "topic": "x", "template": "t"}}

    steps = [
        step("hello"),
        step("first"),
        {"wait": {"duration": "3D", "name": "pause"}},
        step("last"),
    ]
    return hand.journey(steps=steps, expires_after="40D")


@pytest.fixture
def under_way(hand, path):
    """Return an open store with people at each step of the older version."""
    places = {"a": 0, "b": 1, "c": 2, "d": 2, "e": 3}
    came = [hand.enrolment(who, position=place, due_at=hand.at(8)) for who, place in places.items()]
    came.append(hand.enrolment("z", position=4, status="completed"))
    with StateStore.open(path) as store:
        store.commit(hand.made(0, enrolments=came))
        yield store


def told(plan):
    return {move.from_step: (move.to_step, move.people) for move in plan.moves}


def test_people_move_to_the_step_of_the_same_name_and_wait_as_long(hand, under_way):
    to = newer(hand)
    tick_id = under_way.load().last_tick_id
    before = hand.content(under_way.decisions_of(tick_id))
    under_way.approve(to, by="eva", at=hand.when(2))
    plan = under_way.migrate(to, by="eva", at=hand.when(2))
    wanted = {
        "wait_1": (None, 1),
        "first": ("first", 1),
        "pause": ("pause", 2),
        "second": (None, 1),
    }
    assert told(plan) == wanted
    assert (plan.moving, plan.staying, plan.done) == (3, 2, True)
    rows = {row["contact_id"]: row for row in under_way.load().enrolments.to_pylist()}
    assert len(rows) == 6
    assert [rows[who]["version"] == to.version for who in "abcdez"] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    assert (rows["c"]["position"], rows["c"]["due_at"]) == (2, hand.at(8))
    assert rows["c"]["expires_at"] == hand.at(40)
    assert hand.content(under_way.decisions_of(tick_id)) == before
    assert under_way.release_log()["detail"].to_pylist()[-1] == "3 people moved, 2 stayed"
    assert under_way.migrate(to, by="eva", at=hand.when(2)).moving == 0


def test_a_dry_run_counts_and_changes_nothing(hand, under_way):
    before = under_way.load()
    plan = under_way.migrate(
        newer(hand),
        mapping={"second": "last", "wait_1": "hello"},
        by="eva",
        at=hand.when(2),
        dry_run=True,
    )
    assert told(plan)["second"] == ("last", 1)
    assert told(plan)["wait_1"] == ("hello", 1)
    assert (plan.moving, plan.staying, plan.done) == (5, 0, False)
    assert hand.same_state(under_way.load(), before)


def test_a_mapping_moves_those_whose_step_is_gone(hand, under_way):
    to = newer(hand)
    under_way.approve(to, by="eva", at=hand.when(2))
    mapping = {"second": "last", "wait_1": "hello"}
    assert under_way.migrate(to, mapping=mapping, by="eva", at=hand.when(2)).staying == 0
    rows = {row["contact_id"]: row for row in under_way.load().enrolments.to_pylist()}
    assert [rows[who]["position"] for who in "abcde"] == [0, 1, 2, 2, 3]


def test_a_migration_to_what_nobody_approved_is_refused(hand, under_way):
    with pytest.raises(ConfigurationError, match="is not approved"):
        under_way.migrate(newer(hand), by="eva", at=hand.when(2))


def test_a_mapping_to_or_from_no_step_is_refused(hand, under_way):
    for mapping, near in (({"secnod": "last"}, "second"), ({"second": "lats"}, "last")):
        with pytest.raises(ConfigurationError, match=f"did you mean '{near}'"):
            under_way.migrate(newer(hand), mapping=mapping, by="eva", at=hand.when(2), dry_run=True)


def test_a_person_is_suppressed_once_and_it_is_logged(hand, path):
    with StateStore.open(path) as store:
        assert store.suppress("ana", None, "asked by phone", hand.when(1), by="eva") is True
        assert store.suppress("ana", None, "again", hand.when(2), by="eva") is False
        assert store.suppress("ana", "sms", "wrong number", hand.when(2)) is True
        rows = store.load().suppressions.to_pylist()
        assert [(row["channel"], row["reason"]) for row in rows] == [
            ("sms", "wrong number"),
            (None, "asked by phone"),
        ]
        assert store.release_log()["contact_id"].to_pylist() == ["ana", "ana"]
