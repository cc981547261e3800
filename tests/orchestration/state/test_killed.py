"""A process that is killed at any statement loses nothing and does nothing twice.

For each kind of write the same is done in a child process that kills itself at its n-th statement,
for every n, and once after the last. The file must then be as before or as after, never between,
and doing it again must lead to the same end.
"""

import subprocess
import sys

import pytest

from mlmarket.orchestration.state.store import StateStore

SCRIPT = """
import os, shutil, signal
from datetime import UTC, datetime
from pathlib import Path
import pyarrow as pa
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.state.claims import RESULTS, Worker
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.store import StateStore

class Dying(Database):
    left = 0

    def run(self, statement, **values):
        Dying.left -= 1
        if Dying.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(statement, **values)

NOW = datetime(2026, 3, 2, tzinfo=UTC)
KEY = b"k" * 32
NEWER = Journey.model_validate_json({newer!r})

def settled(store):
    rows = store.outbox("claimed")
    said = [{{"idempotency_key": key, "status": "sent"}} for key in rows["idempotency_key"].to_pylist()]
    store.settle(pa.Table.from_pylist(said, schema=RESULTS), now=NOW)

WRITES = {{
    "commit": lambda store, other: store.commit(other),
    "claim": lambda store, _: store.claim(Worker("m", honours_keys=True), now=NOW, limit=9),
    "settle": lambda store, _: settled(store),
    "approve": lambda store, other: store.approve(NEWER, by="eva", at=NOW),
    "migrate": lambda store, other: store.migrate(NEWER, mapping={{"wait_1": "first"}}, by="eva", at=NOW),
    "consent": lambda store, _: store.record_consent(pa.table({{"contact_id": ["ana"], "channel": ["sms"], "changed_at": [datetime(2026, 3, 1)]}})),
    "suppress": lambda store, _: store.suppress("new", None, "asked", NOW),
    "forget": lambda store, _: store.forget("rui", key=KEY, at=NOW),
}}

def write(what, path, left):
    other = None
    if what == "commit":
        with StateStore.open({expected!r}) as store:
            other = store.decisions_of({tick_id!r})
    store = StateStore(Dying(Path(path)))
    Dying.left = left
    WRITES[what](store, other)
    store.close()
    os._exit(0)

# Nothing may have been opened before the forks: they would share its threads.
for what, before in {befores!r}.items():
    left = 0
    while True:
        left += 1
        path = os.path.join({folder!r}, f"{{what}}_{{left}}.duckdb")
        shutil.copy(before, path)
        child = os.fork()
        if child == 0:
            write(what, path, left)
        _, status = os.waitpid(child, 0)
        if status == 0:
            break
        assert status == signal.SIGKILL, status
    print(what, left)
"""
AT_LEAST = {
    "commit": 22,
    "claim": 5,
    "settle": 1,
    "approve": 3,
    "migrate": 5,
    "consent": 2,
    "suppress": 4,
    "forget": 15,
}


def told(path, content):
    """Return all that a file says, in a form that can be compared."""
    with StateStore.open(path) as store:
        state = store.load()
        tables = (state.members, state.enrolments, state.passes, state.sent, state.suppressions)
        return (
            [table.to_pylist() for table in (*tables, state.consent_events, store.outbox())],
            dict(state.releases),
            store.release_log().to_pylist(),
            store.tombstones(),
            state.last_tick_id,
            content(store.decisions_of(state.last_tick_id)),
        )


@pytest.fixture(scope="module")
def killed(hand, tmp_path_factory):
    """Kill each write at each statement; return the folder, the files before, and how many."""
    folder = tmp_path_factory.mktemp("killed")
    first, second = hand.two_nights()
    newer = hand.journey(title="Win them back")
    befores = {what: str(folder / f"{what}.duckdb") for what in AT_LEAST}
    for what, before in befores.items():
        with StateStore.open(before) as store:
            store.commit(first)
            if what != "commit":
                store.commit(second)
            if what == "migrate":
                store.approve(newer, by="eva", at=hand.when(1))
            if what == "settle":
                store.claim("m", now=hand.when(1), limit=9)
    script = SCRIPT.format(
        expected=befores["approve"],
        tick_id=second.tick_id,
        newer=newer.canonical(),
        folder=str(folder),
        befores=befores,
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = dict(line.split() for line in done.stdout.splitlines())
    return folder, {what: int(count) for what, count in counts.items()}


@pytest.mark.parametrize("what", list(AT_LEAST))
def test_killed_at_any_statement(hand, killed, what):
    folder, counts = killed
    count = counts[what]
    assert count > AT_LEAST[what]
    before, after = folder / f"{what}.duckdb", folder / f"{what}_{count}.duckdb"
    old, new = (told(path, hand.content) for path in (before, after))
    assert old != new
    places = [folder / f"{what}_{left}.duckdb" for left in range(1, count)]
    raw = [place.read_bytes() for place in places]
    seen = [told(place, hand.content) for place in places]
    assert all(one in (old, new) for one in seen)
    # What comes after the transaction, such as the new file of an erasure, is made good later.
    assert seen == sorted(seen, key=lambda one: one == new)
    if what == "forget":
        assert any(b"rui" in one for one, said in zip(raw, seen, strict=True) if said == new)
        assert not any(
            b"rui" in place.read_bytes()
            for place, said in zip(places, seen, strict=True)
            if said == new
        )
