"""A process that hands over an outbox is killed at one moment after the other.

Run as a script, it prints as JSON, for each kind of receiver, at how many moments a process was
killed and how many rows were lost, done twice or left in doubt after another process went on.
Tests and the benchmark run it so, because what forks must not have opened anything before.
"""

import http.client
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import ibis.backends.duckdb  # noqa: F401 - so that each child need not
import pyarrow as pa

from mlmarket.orchestration.handover import (
    FileAdapter,
    Secret,
    TableAdapter,
    WebhookAdapter,
    database,
    deliver,
    files,
    webhook,
)
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.standing import Decisions
from mlmarket.orchestration.state.store import StateStore
from mlmarket.orchestration.tables import SCHEMAS, canonical, empty

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
MESSAGE = {"name": "first", "channel": "email", "topic": "offers", "template": "t"}
JOURNEY = Journey.model_validate(
    {
        "journey": "win_back",
        "title": "Win back",
        "entry": {"event": "visit"},
        "reentry": "never",
        "steps": [{"message": MESSAGE}],
        "goal": "order",
        "expires_after": "365D",
    }
)
TICK = ("memberships", "changes", "skipped", "enrolments", "decisions", "outbox")
KINDS = ("webhook, keys honoured", "webhook", "csv", "table")
"""What there is to hand over to."""


class Killer:
    """Ends the process at the moment with a given number; moments are counted from 1."""

    def __init__(self, moment: int) -> None:
        self.moment, self.passed = moment, 0

    def tick(self) -> None:
        self.passed += 1
        if self.passed == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, place: Any, name: str) -> None:
        """Make each call of a function two moments: before it and after it."""
        plain = getattr(place, name)

        def watched(*args: Any, **options: Any) -> Any:
            self.tick()
            found = plain(*args, **options)
            self.tick()
            return found

        setattr(place, name, watched)


def filled(path: Path, rows: int) -> None:
    """Make a state file with a tick that wants so many messages sent."""
    begins = NOW.replace(tzinfo=None)
    times = {"entered_at": begins, "expires_at": begins + timedelta(days=365)}
    whom = [
        {"enrolment_id": f"{number:032x}", "contact_id": f"c-{number}"} for number in range(rows)
    ]
    same = {"journey": JOURNEY.journey, "version": JOURNEY.version}
    tables = {name: empty(name) for name in TICK}
    standing = {**same, **times, "position": 1, "arrived_at": begins, "status": "completed"}
    tables["enrolments"] = _table("enrolments", [{**one, **standing} for one in whom])
    message = {
        **same,
        "kind": "message",
        "step": "first",
        "channel": "email",
        "transactional": False,
        "payload": '{"title":"Shoes"}',
        "not_before": begins,
        "expires_at": times["expires_at"],
    }
    tables["outbox"] = _table(
        "outbox",
        [
            {
                **one,
                **message,
                "idempotency_key": f"key-{number:04}",
                "email": f"{number}@x.example",
            }
            for number, one in enumerate(whom)
        ],
    )
    book = Playbook(journeys=(JOURNEY,))
    versions = {JOURNEY.version: JOURNEY}
    tick = Decisions("t" * 64, NOW, "f" * 64, None, book, versions, **tables)
    with StateStore.open(path) as store:
        store.commit(tick)


def _table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    return canonical(name, pa.Table.from_pylist(rows, schema=SCHEMAS[name]))


@contextmanager
def receivers() -> Iterator[str]:
    """Give the address of a server in a process of its own.

    ``/honouring/NAME`` does nothing twice with the same ``webhook-id``, ``/other/NAME`` does; a GET
    of the same address tells how often each was done.
    """
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    child = os.fork()
    if child == 0:
        server.serve_forever()
    server.server_close()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class _Handler(BaseHTTPRequestHandler):
    done: ClassVar[dict[str, Counter[str]]] = {}

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        done, key = self.done.setdefault(self.path, Counter()), self.headers["webhook-id"]
        if not (self.path.startswith("/honouring/") and key in done):
            done[key] += 1
        self._answer(b"{}")

    def do_GET(self) -> None:
        self._answer(json.dumps(self.done.get(self.path, {})).encode())

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


class Trial:
    """One kind of receiver, its address or folder, and what it has done."""

    def __init__(self, kind: str, server: str, folder: Path, batch: int) -> None:
        self.kind, self.folder, self.batch = kind, folder, batch
        way = "honouring" if "honoured" in kind else "other"
        self.url = f"{server}/{way}/{folder.name}"

    def adapter(self) -> Any:
        if self.kind == "csv":
            return FileAdapter("mail", self.folder / "out", batch=self.batch)
        if self.kind == "table":
            address = "duckdb://crm.duckdb"
            return TableAdapter("crm", address, "to_do", folder=self.folder, batch=self.batch)
        honours = "honoured" in self.kind
        size = self.batch if honours else 1
        secrets = (Secret(b"s" * 32),)
        return WebhookAdapter("crm", self.url, secrets, honours_keys=honours, batch=size)

    def watch(self, killer: Killer) -> None:
        """Make each statement and each step of a receiver's adapter a moment to die at."""
        killer.around(Database, "run")
        killer.around(type(self.adapter()), "send")
        if self.kind == "csv":
            killer.around(files, "_make_safe")
            killer.around(files, "write_csv")
            killer.around(Path, "replace")
        elif self.kind == "table":
            killer.around(database.TableAdapter, "_insert")
        else:
            killer.around(webhook._Line, "pick_up")
            killer.around(http.client.HTTPConnection, "request")
            killer.around(http.client.HTTPConnection, "getresponse")

    def done(self) -> Counter[str]:
        """Return how often each key was done."""
        if self.kind == "csv":
            found = sorted((self.folder / "out").glob("mail-*.csv"))
            lines = [line for one in found for line in one.read_text("utf-8-sig").splitlines()]
            return Counter(line.split(",")[0] for line in lines if line.startswith("key-"))
        if self.kind == "table":
            return Counter(told_by_child(lambda: keys_in(self.folder / "crm.duckdb"), self.folder))
        host, _, path = self.url.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", f"/{path}")
        found = Counter(json.loads(connection.getresponse().read()))
        connection.close()
        return found


def keys_in(path: Path) -> list[str]:
    """Return the keys in the table that rows are handed over into."""
    with duckdb.connect(str(path)) as connection:
        rows = connection.execute("SELECT idempotency_key FROM to_do").fetchall()
    return [row[0] for row in rows]


def told_by_child(work: Callable[[], Any], folder: Path) -> Any:
    """Return what another process finds: what forks must not have opened a database."""
    told = folder / "told.json"
    if in_child(lambda: told.write_text(json.dumps(work()))):
        message = f"a process that was to look into {folder} ended early"
        raise RuntimeError(message)
    return json.loads(told.read_text())


def in_child(work: Callable[[], object]) -> int:
    """Do something in another process; return how it ended."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def hand_over(trial: Trial, moment: int, at: datetime) -> None:
    """Deliver, and die at a moment; 0 for not at all."""
    killer = Killer(moment)
    trial.watch(killer)
    with StateStore.open(trial.folder / "store") as store:
        deliver(store, trial.adapter(), now=at)
    if at == NOW:
        (trial.folder / "moments").write_text(str(killer.passed))


def go_on(trial: Trial) -> dict[str, str]:
    """Deliver what is left a day later; return the status of each row."""
    hand_over(trial, 0, NOW + timedelta(days=1))
    with StateStore.open(trial.folder / "store") as store:
        rows = store.outbox().select(["idempotency_key", "status"]).to_pylist()
    return {row["idempotency_key"]: row["status"] for row in rows}


def killed_at(trial: Trial, moment: int) -> dict[str, int]:
    """Kill a process at a moment, let another go on, and count what went wrong."""
    first = in_child(lambda: hand_over(trial, moment, NOW))
    if first != (signal.SIGKILL if moment else 0):
        message = f"{trial.kind}: the process that was to die at {moment} ended with {first}"
        raise RuntimeError(message)
    statuses = told_by_child(lambda: go_on(trial), trial.folder)
    done = trial.done()
    arrived = {key for key, times in done.items() if times}
    doubt = {key for key, status in statuses.items() if status == "unknown"}
    return {
        "lost": len(set(statuses) - arrived - doubt),
        "twice": sum(times > 1 for times in done.values()),
        "unknown": len(doubt),
        "unknown_arrived": len(doubt & arrived),
        "not_ended": sum(status not in ("sent", "unknown") for status in statuses.values()),
    }


def trials(
    kind: str, server: str, folder: Path, *, rows: int, batch: int, step: int
) -> dict[str, Any]:
    """Kill at each step-th moment there is; return the sums."""
    if in_child(lambda: filled(folder / "filled", rows)):
        message = "the outbox could not be filled"
        raise RuntimeError(message)
    totals: Counter[str] = Counter()
    begun, moment, moments, killed, most = time.perf_counter(), 0, 0, 0, 0
    while moment <= moments:
        place = folder / f"{KINDS.index(kind)}-{moment}"
        place.mkdir()
        shutil.copy(folder / "filled", place / "store")
        found = killed_at(Trial(kind, server, place, batch), moment)
        if moment == 0:  # nobody was killed: how many moments there are
            moments = int((place / "moments").read_text())
        totals.update(found)
        most = max(most, found["unknown"])
        shutil.rmtree(place)
        killed += moment > 0
        moment += step if moment else 1
    seconds = round(time.perf_counter() - begun, 1)
    return {
        "receiver": kind,
        "moments": moments,
        "killed": killed,
        **totals,
        "most": most,
        "seconds": seconds,
    }


def main() -> None:
    """Print a line for each kind of receiver; ``faults.py ROWS BATCH STEP [KIND …]``."""
    rows, batch, step = (int(text) for text in sys.argv[1:4])
    # What a killed process wrote outlives it in memory too, and a disk is shared with others.
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a fresh folder in it
    with tempfile.TemporaryDirectory(dir=place) as folder, receivers() as server:
        for kind in sys.argv[4:] or KINDS:
            own = Path(folder) / str(KINDS.index(kind))
            own.mkdir()
            found = trials(kind, server, own, rows=rows, batch=batch, step=step)
            print(json.dumps(found), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
