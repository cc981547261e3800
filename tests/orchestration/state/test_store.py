"""The state file: whole ticks only, whatever happens."""

import subprocess
import sys
import textwrap
from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.standing import EarlierTickError, State
from mlmarket.orchestration.state.store import StateLockedError, StateMovedError, StateStore


def test_the_file_holds_what_the_state_in_memory_would_be(hand, path):
    state = State()
    for decided in hand.two_nights():
        with StateStore.open(path) as store:
            assert store.commit(decided) is True
            state = state.after(decided)
            assert hand.same_state(store.load(), state)


def test_a_new_file_holds_nobody(hand, path):
    with StateStore.open(path) as store:
        assert hand.same_state(store.load(), State())


def test_a_tick_comes_back_with_the_same_bytes(hand, path):
    ticks = hand.two_nights()
    with StateStore.open(path) as store:
        for decided in ticks:
            store.commit(decided, models={"churn_model_version": ["a", "b"]})
    with StateStore.open(path) as store:
        for decided, previous in zip(ticks, (None, ticks[0]), strict=True):
            again = store.decisions_of(decided.tick_id)
            assert hand.content(again) == hand.content(decided)
            assert again.previous == (previous.tick_id if previous else None)
            assert (again.now, again.fingerprint) == (decided.now, decided.fingerprint)
            assert dict(again.versions) == dict(decided.versions)
            assert again.touched is None
        wanted = (ticks[1].fingerprint, {"churn_model_version": ["a", "b"]})
        assert store.inputs_of(ticks[1].tick_id) == wanted


def test_an_id_that_does_not_follow_from_the_rest_is_kept(hand, path):
    came = hand.enrolment("ana")
    decided = hand.made(0, enrolments=[came], decisions=[hand.decision(came, decision_id="mine")])
    with StateStore.open(path) as store:
        store.commit(decided)
        assert store.decisions_about("ana")["decision_id"].to_pylist() == ["mine"]
        assert hand.content(store.decisions_of(decided.tick_id)) == hand.content(decided)


def test_a_commit_that_is_repeated_writes_nothing(hand, path):
    first, _ = hand.two_nights()
    with StateStore.open(path) as store:
        assert store.commit(first) is True
        before = store.load()
        assert store.commit(first) is False
        assert hand.same_state(store.load(), before)


def test_an_earlier_moment_is_refused(hand, path):
    with StateStore.open(path) as store:
        store.commit(hand.made(5))
        with pytest.raises(EarlierTickError):
            store.commit(hand.made(4))


def test_two_ticks_at_one_moment_are_both_known(hand, path):
    one = hand.made(1)
    with StateStore.open(path) as store:
        store.commit(one)
        store.commit(hand.made(1, one, salt="other"))
        assert len(store.load().tick_ids) == 2


def test_decisions_on_a_state_that_moved_on_are_refused(hand, path):
    one, other = hand.made(0), hand.made(0, salt="other")
    later = hand.made(1, other)
    with StateStore.open(path) as store:
        with pytest.raises(StateMovedError):
            store.commit(later)
        store.commit(one)
        for stale in (other, later):
            with pytest.raises(StateMovedError):
                store.commit(stale)
        assert store.load().last_tick_id == one.tick_id


def test_decisions_on_a_state_that_people_have_changed_are_refused(hand, path):
    first, second = hand.two_nights()
    with StateStore.open(path) as store:
        store.commit(first)
        changes = (
            lambda: store.approve(hand.journey(), by="eva", at=hand.when(1)),
            lambda: store.pause("win_back", by="eva", at=hand.when(1)),
            lambda: store.forget("rui", key=b"k" * 32, at=hand.when(1)),
        )
        for changed in changes:
            store.load()
            changed()
            with pytest.raises(StateMovedError):
                store.commit(second)


def test_the_file_itself_refuses_a_message_it_has_handed_over(hand, path):
    first, second = hand.two_nights()
    forged = replace(second, tick_id="f" * 64, previous=second.tick_id)
    forged = replace(
        forged, decisions=forged.decisions.slice(0, 0), enrolments=hand.empty("enrolments")
    )
    with StateStore.open(path) as store:
        store.commit(first)
        store.commit(second)
        before = store.load()
        with pytest.raises(RunError, match="hands over 1 rows a second time") as caught:
            store.commit(forged)
        assert len(str(caught.value).splitlines()) == 3
        assert hand.same_state(store.load(), before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"contact_id": "rui"},
        {"journey": "other"},
        {"enrolment_id": "0" * 32},
        {"tick_id": "0" * 64},
    ],
)
def test_a_row_that_could_not_be_told_again_is_refused(hand, path, wrong):
    came, other = hand.enrolment("ana"), hand.enrolment("rui")
    rows = {"enrolments": [came, other], "decisions": [hand.decision(came, **wrong)]}
    with StateStore.open(path) as store, pytest.raises(RunError, match="1 rows of its table"):
        store.commit(hand.made(0, **rows))


def test_an_enrolment_has_32_digits_and_keeps_its_beginning(hand, path):
    came = hand.enrolment("ana")
    with StateStore.open(path) as store:
        with pytest.raises(RunError):
            store.commit(hand.made(0, enrolments=[{**came, "enrolment_id": "short"}]))
        dashed = "01234567-89ab-cdef-0123-456789abcdef"
        with pytest.raises(RunError, match="'enrolments'"):
            store.commit(hand.made(0, enrolments=[{**came, "enrolment_id": dashed}]))
        first = hand.made(0, enrolments=[came])
        store.commit(first)
        with pytest.raises(RunError, match="'enrolments'"):
            store.commit(hand.made(1, first, enrolments=[{**came, "entered_at": hand.at(1)}]))


def test_only_what_changed_is_written(hand, path):
    ticks = [*hand.two_nights()]
    people = [hand.member(who) for who in ("ana", "rui")]
    for day in range(2, 8):
        ticks.append(hand.made(day, ticks[-1], memberships=people))
    with StateStore.open(path) as store:
        for decided in ticks:
            store.commit(decided)
    with duckdb.connect(str(path)) as connection:
        counts = {
            name: connection.table(name).count("*").fetchall()[0][0]
            for name in ("memberships", "enrolments", "standing", "playbooks", "journeys", "people")
        }
    assert counts == {
        "memberships": 2,
        "enrolments": 2,
        "standing": 4,
        "playbooks": 1,
        "journeys": 1,
        "people": 2,
    }


def test_a_tick_over_some_people_leaves_the_memberships_of_others_alone(hand, path):
    first = hand.made(0, memberships=[hand.member(who) for who in ("ana", "rui", "zoe")])
    second = hand.made(
        1,
        first,
        touched=["ana", "rui", "new"],
        memberships=[hand.member("rui", why="80%"), hand.member("new", 1)],
        changes=[hand.change("ana", "left"), hand.change("new")],
    )
    state = State()
    with StateStore.open(path) as store:
        for decided in (first, second):
            store.commit(decided)
            state = state.after(decided)
        assert hand.same_state(store.load(), state)
        members = store.load().members.to_pylist()
        assert {row["contact_id"]: row["why"] for row in members} == {
            "new": "90%",
            "rui": "80%",
            "zoe": "90%",
        }
        again = store.decisions_of(second.tick_id)
        assert hand.content(again) == hand.content(second)
        assert again.touched.equals(second.touched)


def test_a_minute_reads_only_who_is_touched_or_due(hand, path):
    names = ("ana", "rui", "zoe")
    came = [
        hand.enrolment("ana", due_at=hand.at(9)),
        hand.enrolment("rui", due_at=hand.at(2)),
        hand.enrolment("zoe", due_at=hand.at(9)),
        hand.enrolment("old", -60, status="completed", expires_at=hand.at(-30)),
    ]
    first = hand.made(
        0,
        memberships=[hand.member(who) for who in names],
        enrolments=came,
        outbox=[hand.handed(one) for one in came],
    )
    consents = pa.table(
        {"contact_id": names, "channel": ["email"] * 3, "changed_at": [hand.at(0)] * 3}
    )
    with StateStore.open(path) as store:
        store.commit(first)
        store.record_consent(consents)
        assert store.due(hand.when(2)).to_pylist() == ["rui"]
        state = store.load(now=hand.when(2), touched=pa.array(["ana", "unknown"]))
        for table in (state.members, state.enrolments, state.passes, state.sent):
            assert set(table["contact_id"].to_pylist()) == {"ana", "rui"}
        assert set(state.consent_events["contact_id"].to_pylist()) == {"ana", "rui"}
        night = store.load(now=hand.when(2))
        assert set(night.enrolments["contact_id"].to_pylist()) == set(names)
        assert set(night.passes["contact_id"].to_pylist()) == {*names, "old"}
        assert len(store.load().enrolments) == 4
        whole = store.load(touched=pa.array(["ana"]))
        assert set(whole.enrolments["contact_id"].to_pylist()) == {"ana"}


def test_what_was_sent_is_read_as_far_back_as_the_policy_looks(hand, path):
    came = [hand.enrolment("ana", day) for day in (-200, -50, -10)]
    rows = [hand.handed(one, not_before=one["entered_at"]) for one in came]
    keys = [row["idempotency_key"] for row in rows]
    with StateStore.open(path) as store:
        store.commit(hand.made(0, enrolments=came, outbox=rows))
        store.claim("mailer", now=hand.when(0), limit=9)
        settled = pa.table(
            {
                "idempotency_key": keys,
                "status": ["sent"] * 3,
                "error": pa.nulls(3),
                "next_attempt_at": pa.nulls(3),
            }
        )
        assert store.settle(settled, now=hand.when(0)) == 3
        policy = hand.playbook().policy
        longer = type(policy).model_validate({"caps": [{"name": "a", "most": 1, "per": "60D"}]})
        found = [
            len(store.load(now=hand.when(0), policy=one).sent) for one in (None, policy, longer)
        ]
        assert found == [1, 1, 2]
        assert len(store.load().sent) == 3


def test_a_cancelled_message_stays_in_the_outbox_and_does_not_go_out(hand, path):
    came = hand.enrolment("ana")
    row = hand.handed(came)
    first = hand.made(0, enrolments=[came], outbox=[row])
    gone = {"idempotency_key": row["idempotency_key"], "reason": "goal"}
    second = hand.made(1, first, cancelled=[gone])
    state = State()
    with StateStore.open(path) as store:
        for decided in (first, second):
            store.commit(decided)
            state = state.after(decided)
        assert hand.same_state(store.load(), state)
        assert store.load().sent["status"].to_pylist() == ["cancelled"]
        assert len(store.claim("mailer", now=hand.when(2), limit=9)) == 0
        assert hand.content(store.decisions_of(second.tick_id)) == hand.content(second)
        assert store.outbox("cancelled")["cancelled_for"].to_pylist() == ["goal"]


def test_an_unknown_tick_cannot_be_exported(path):
    with StateStore.open(path) as store:
        for asked in (store.decisions_of, store.inputs_of):
            with pytest.raises(ConfigurationError, match="no tick abc"):
                asked("abc")


def test_a_second_writer_is_refused(path):
    script = textwrap.dedent(f"""
        from mlmarket.orchestration.state.store import StateLockedError, StateStore
        try:
            StateStore.open({str(path)!r})
        except StateLockedError as error:
            print(error)
    """)
    with StateStore.open(path):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
    what, _, fix = done.stdout.strip().splitlines()
    assert what == f"The state file {path} is in use by another process."
    assert fix.startswith("Fix: ")
    assert issubclass(StateLockedError, RunError)


def test_a_file_that_is_no_state_is_refused(tmp_path, path):
    path.write_bytes(b"contact_id,email\n" * 1000)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        StateStore.open(path)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        StateStore.open(tmp_path / "nowhere" / "state.duckdb")
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE orders (order_id VARCHAR)")
    with pytest.raises(ConfigurationError, match="holds other tables"):
        StateStore.open(other)


def test_a_file_of_a_later_version_is_refused(path):
    StateStore.open(path).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE meta SET schema_version = 99")
    with pytest.raises(ConfigurationError, match="has version 99, not 2"):
        StateStore.open(path)


class Broken(Database):
    """A file whose statements fail from a certain one on."""

    left = 10**9

    def run(self, statement, **values):
        Broken.left -= 1
        if Broken.left == 0:
            raise duckdb.IOException("IO Error: no space left on the disk")
        return super().run(statement, **values)


def test_a_statement_that_fails_leaves_the_file_as_it_was(hand, path):
    first, second = hand.two_nights()
    with StateStore.open(path) as store:
        store.commit(first)
        before = store.load()
    store = StateStore(Broken(path))
    for left in range(1, 100):
        Broken.left = left
        try:
            store.commit(second)
        except RunError:
            Broken.left = 10**9
            assert hand.same_state(store.load(), before)
        else:
            break
    Broken.left = 10**9
    assert left > 20
    assert hand.content(store.decisions_of(second.tick_id)) == hand.content(second)
    store.close()
