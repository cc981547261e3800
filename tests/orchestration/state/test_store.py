"""The state file: whole ticks only, whatever happens."""

import subprocess
import sys
import textwrap
from dataclasses import replace

import duckdb
import pytest

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.orchestration import (
    EarlierTickError,
    State,
    StateLockedError,
    StateMovedError,
    StateStore,
    decide,
    tick,
)
from mlmarket.orchestration.tables import SCHEMAS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.duckdb"


def run(kit, path, shop, book, days, risks=None):
    """Decide each day against the file; return the decisions."""
    risks = risks or {"ana": 0.9}
    with StateStore.open(path) as store:
        return [decide(store, book, kit.scores(**risks), shop, now=kit.when(day)) for day in days]


def same_state(one, other):
    return (
        one.members.equals(other.members)
        and one.enrolments.equals(other.enrolments)
        and (one.last_now, one.last_tick_id) == (other.last_now, other.last_tick_id)
        and one.tick_ids == other.tick_ids
        and one.playbook.playbook_id == other.playbook.playbook_id
        and dict(one.versions) == dict(other.versions)
    )


def test_the_file_holds_what_the_state_in_memory_would_be(kit, one_shop, path):
    shop = one_shop(activity=[kit.did("ana", "order", 3)])
    state = State().under(kit.playbook())
    for day in (0, 1, 1, 4, 9):
        risks = kit.scores(ana=0.9, rui=day / 10)
        with StateStore.open(path) as store:
            now = kit.when(day)
            expected = tick(state, risks, shop, now=now) if day != 1 else None
            decided = decide(store, kit.playbook(), risks, shop, now=now)
            if expected is not None:
                assert kit.content(decided) == kit.content(expected)
            elif decided.tick_id != state.last_tick_id:
                assert kit.content(decided) == kit.content(tick(state, risks, shop, now=now))
            if decided.tick_id != state.last_tick_id:
                state = state.after(decided)
            assert same_state(store.load(), state)


def test_a_new_file_holds_nobody(path):
    with StateStore.open(path) as store:
        assert same_state(store.load(), State())


def test_an_old_tick_is_exported_again_with_the_same_bytes(kit, one_shop, path):
    days = [0, 1, 2, 8, 9]
    made = run(kit, path, one_shop(), kit.playbook(), days)
    wanted = [kit.content(decided) for decided in made]
    again = run(kit, path, one_shop(consents=[]), kit.playbook(), days[::-1])
    assert [kit.content(decided) for decided in again[::-1]] == wanted
    with StateStore.open(path) as store:
        assert [kit.content(store.decisions_of(one.tick_id)) for one in made] == wanted
        restored = store.decisions_of(made[2].tick_id)
    assert (restored.now, restored.previous) == (kit.when(2), made[1].tick_id)
    assert (restored.fingerprint, dict(restored.versions)) == (
        made[2].fingerprint,
        dict(made[2].versions),
    )


def test_a_commit_that_is_repeated_writes_nothing(kit, one_shop, path):
    decided = tick(State().under(kit.playbook()), kit.scores(ana=0.9), one_shop(), now=kit.when(0))
    with StateStore.open(path) as store:
        assert store.commit(decided) is True
        before = store.load()
        assert store.commit(decided) is False
        assert same_state(store.load(), before)


def test_an_earlier_moment_is_refused(kit, one_shop, path):
    run(kit, path, one_shop(), kit.playbook(), [5])
    with pytest.raises(EarlierTickError):
        run(kit, path, one_shop(), kit.playbook(), [4])
    early = tick(State().under(kit.playbook()), kit.scores(ana=0.9), one_shop(), now=kit.when(4))
    with StateStore.open(path) as store, pytest.raises(EarlierTickError):
        store.commit(early)


def test_the_same_moment_with_other_predictions_sends_no_step_again(kit, one_shop, path):
    run(kit, path, one_shop(), kit.playbook(), [0, 1])
    (again,) = run(kit, path, one_shop(), kit.playbook(), [1], {"ana": 0.8})
    assert again.outbox.num_rows == 0
    with StateStore.open(path) as store:
        assert len(store.load().tick_ids) == 2


def test_decisions_on_a_state_that_moved_on_are_refused(kit, one_shop, path):
    state = State().under(kit.playbook())
    one = tick(state, kit.scores(ana=0.9), one_shop(), now=kit.when(0))
    other = tick(state, kit.scores(ana=0.8), one_shop(), now=kit.when(0))
    later = tick(state.after(other), kit.scores(ana=0.8), one_shop(), now=kit.when(1))
    with StateStore.open(path) as store:
        with pytest.raises(StateMovedError):
            store.commit(later)
        store.commit(one)
        for stale in (other, later):
            with pytest.raises(StateMovedError):
                store.commit(stale)
        assert store.load().last_tick_id == one.tick_id


def test_the_file_itself_refuses_a_message_it_has_handed_over(kit, one_shop, path):
    made = run(kit, path, one_shop(), kit.playbook(), [0, 1])
    forged = replace(made[1], tick_id="f" * 64, previous=made[1].tick_id)
    with StateStore.open(path) as store:
        before = store.load()
        with pytest.raises(RunError) as caught:
            store.commit(forged)
        assert "could not be written" in caught.value.what
        assert len(str(caught.value).splitlines()) == 3
        assert same_state(store.load(), before)


def test_only_what_changed_is_written(kit, one_shop, path):
    run(kit, path, one_shop(), kit.playbook(), range(8))
    with duckdb.connect(str(path)) as connection:
        counts = {
            name: connection.table(name).count("*").fetchall()[0][0]
            for name in ("memberships", "enrolments", "decisions", "outbox", "playbooks")
        }
    assert counts == {
        "memberships": 1,
        "enrolments": 2,
        "decisions": 4,
        "outbox": 1,
        "playbooks": 1,
    }


def test_an_unknown_tick_cannot_be_exported(path):
    with StateStore.open(path) as store, pytest.raises(ConfigurationError, match="no tick abc"):
        store.decisions_of("abc")


def test_a_second_writer_is_refused(path):
    script = textwrap.dedent(f"""
        from mlmarket.orchestration import StateLockedError, StateStore
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


def test_a_file_of_another_version_is_refused(path):
    StateStore.open(path).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE meta SET schema_version = 99")
    with pytest.raises(ConfigurationError, match="has version 99, not 1"):
        StateStore.open(path)


def test_the_tables_of_the_file_have_the_documented_columns(path):
    StateStore.open(path).close()
    with duckdb.connect(str(path)) as connection:
        for name, schema in SCHEMAS.items():
            columns = connection.table(name).columns
            assert columns[: len(schema.names)] == schema.names


KILLED = """
import os, shutil, signal
from mlmarket.orchestration import StateStore

class Dying(StateStore):
    left = 0

    def _run(self, statement, **values):
        Dying.left -= 1
        if Dying.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._run(statement, **values)

def commit(path, left):
    with StateStore.open({expected!r}) as store:
        decided = store.decisions_of({tick_id!r})
    with Dying.open(path) as store:
        Dying.left = left
        store.commit(decided)
        os.kill(os.getpid(), signal.SIGKILL)

# Nothing may have been opened before the forks: they would share its threads.
for left in range(1, {statements} + 2):
    path = os.path.join({folder!r}, f"state_{{left}}.duckdb")
    shutil.copy({before!r}, path)
    child = os.fork()
    if child == 0:
        commit(path, left)
    _, status = os.waitpid(child, 0)
    print(left, status)
"""


class Counting(StateStore):
    """A store that knows how many statements it has run."""

    count = 0

    def _run(self, statement, **values):
        Counting.count += 1
        return super()._run(statement, **values)


def test_a_run_killed_at_any_statement_loses_nothing_and_doubles_nothing(
    kit, one_shop, path, tmp_path
):
    book, risks = kit.playbook(), {"ana": 0.9, "rui": 0.7}
    run(kit, path, one_shop(), book, [0], risks)
    before, expected = tmp_path / "before.duckdb", tmp_path / "expected.duckdb"
    before.write_bytes(path.read_bytes())
    (decided,) = run(kit, path, one_shop(), book, [1], risks)
    expected.write_bytes(path.read_bytes())
    with StateStore.open(expected) as store:
        wanted = store.load()
    with Counting.open(tmp_path / "counted.duckdb") as store:
        first = tick(State().under(book), kit.scores(**risks), one_shop(), now=kit.when(0))
        Counting.count = 0
        store.commit(first)
    script = KILLED.format(
        expected=str(expected),
        tick_id=decided.tick_id,
        before=str(before),
        folder=str(tmp_path),
        statements=Counting.count,
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    died = [line.split() for line in done.stdout.splitlines()]
    assert died == [[str(left + 1), "9"] for left in range(Counting.count + 1)]
    for left in range(1, Counting.count + 2):
        with StateStore.open(tmp_path / f"state_{left}.duckdb") as store:
            # The last one died after the commit: it alone has the tick, and has it whole.
            was_committed = store.knows(decided.tick_id)
            assert was_committed is (left == Counting.count + 1)
            assert store.commit(decided) is not was_committed
            assert same_state(store.load(), wanted)
            assert kit.content(store.decisions_of(decided.tick_id)) == kit.content(decided)
