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
import sqlite3
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
from mlmarket.orchestration.tables import OUTBOX

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
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


class Store:
    """An outbox in a file of SQLite."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def run(self, statement: str, values: Any = ()) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    def claim(self, worker, *, now, limit, kinds=None, channels=None, check=None):  # noqa: ARG002
        moment = _text(now.replace(tzinfo=None))
        self.run("BEGIN IMMEDIATE")
        found = self.run(
            "SELECT key, content, attempts + 1 FROM outbox WHERE status = 'pending'"
            " AND next_attempt_at <= ? ORDER BY key LIMIT ?",
            (moment, limit),
        )
        for key, _, attempts in found:
            self.run(
                "UPDATE outbox SET status = 'claimed', attempts = ? WHERE key = ?", (attempts, key)
            )
        self.run("COMMIT")
        schema = OUTBOX.append(pa.field("attempts", pa.int32()))
        return pa.Table.from_pylist([_row(*one[1:]) for one in found], schema=schema)

    def settle(self, results, *, now):
        self.run("BEGIN IMMEDIATE")
        for one in results.to_pylist():
            again = one["next_attempt_at"] or now.replace(tzinfo=None)
            self.run(
                "UPDATE outbox SET status = ?, next_attempt_at = ? WHERE key = ?",
                (one["status"], _text(again), one["idempotency_key"]),
            )
        self.run("COMMIT")

    def outbox(self, *statuses):
        found = self.run("SELECT content, attempts, status FROM outbox ORDER BY key")
        schema = OUTBOX.append(pa.field("attempts", pa.int32()))
        rows = [_row(*one[:2]) for one in found if one[2] in statuses]
        return pa.Table.from_pylist(rows, schema=schema)

    def statuses(self) -> dict[str, str]:
        return dict(self.run("SELECT key, status FROM outbox"))


def _text(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="microseconds")


def _row(content: str, attempts: int) -> dict[str, Any]:
    row = json.loads(content)
    times = {name: datetime.fromisoformat(row[name]) for name in ("not_before", "expires_at")}
    return {**row, **times, "attempts": attempts}


def filled(path: Path, rows: int) -> None:
    """Make a store with rows that are due."""
    store = Store(path)
    store.run(
        "CREATE TABLE outbox (key TEXT PRIMARY KEY, content TEXT, attempts INTEGER, status TEXT,"
        " next_attempt_at TEXT)"
    )
    begins = NOW.replace(tzinfo=None)
    for number in range(rows):
        key = f"key-{number:04}"
        row = dict.fromkeys(OUTBOX.names) | {
            "idempotency_key": key,
            "kind": "message",
            "contact_id": f"c-{number}",
            "journey": "win_back",
            "version": "v1",
            "enrolment_id": f"e-{number}",
            "step": "first",
            "channel": "email",
            "email": f"{number}@example.com",
            "transactional": False,
            "payload": '{"title": "Shoes"}',
            "not_before": _text(begins),
            "expires_at": _text(begins + timedelta(days=365)),
        }
        store.run(
            "INSERT INTO outbox VALUES (?, ?, 0, 'pending', ?)",
            (key, json.dumps(row), _text(begins)),
        )


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
        killer.around(Store, "run")
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
            return Counter(_in_table(self.folder / "crm.duckdb"))
        host, _, path = self.url.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", f"/{path}")
        found = Counter(json.loads(connection.getresponse().read()))
        connection.close()
        return found


def _in_table(path: Path) -> list[str]:
    # In a child: what forks must not have opened a database.
    told = path.with_name("keys.json")

    def read() -> None:
        import duckdb

        with duckdb.connect(str(path)) as connection:
            rows = connection.execute("SELECT idempotency_key FROM to_do").fetchall()
        told.write_text(json.dumps([row[0] for row in rows]))

    in_child(read)
    return [str(key) for key in json.loads(told.read_text())]


def in_child(work: Callable[[], None]) -> int:
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
    store = Store(trial.folder / "store")
    trial.watch(killer)
    deliver(store, trial.adapter(), now=at)
    if at == NOW:
        (trial.folder / "moments").write_text(str(killer.passed))


def killed_at(trial: Trial, moment: int) -> dict[str, int]:
    """Kill a process at a moment, let another go on, and count what went wrong."""
    first = in_child(lambda: hand_over(trial, moment, NOW))
    if first != (signal.SIGKILL if moment else 0):
        message = f"{trial.kind}: the process that was to die at {moment} ended with {first}"
        raise RuntimeError(message)
    for days in (1, 2):
        if in_child(lambda days=days: hand_over(trial, 0, NOW + timedelta(days=days))):
            raise RuntimeError(trial.kind)
    statuses, done = Store(trial.folder / "store").statuses(), trial.done()
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
    filled(folder / "filled", rows)
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
    with tempfile.TemporaryDirectory() as folder, receivers() as server:
        for kind in sys.argv[4:] or KINDS:
            place = Path(folder) / str(KINDS.index(kind))
            place.mkdir()
            found = trials(kind, server, place, rows=rows, batch=batch, step=step)
            print(json.dumps(found), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
