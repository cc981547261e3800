"""An outbox in memory, rows for it, and receivers that answer as they are told."""

import importlib.util
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from mlmarket.orchestration.handover.adapter import ALL_ROWS
from mlmarket.orchestration.handover.backoff import Retries
from mlmarket.orchestration.handover.rows import Result, handovers
from mlmarket.orchestration.state.claims import RESULTS
from mlmarket.orchestration.tables import OUTBOX

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
PLAIN = NOW.replace(tzinfo=None)
CLAIMED = OUTBOX.append(pa.field("attempts", pa.int32()))
KEPT = CLAIMED.append(pa.field("status", pa.string())).append(pa.field("last_error", pa.string()))


def row(key: str, **changes: Any) -> dict[str, Any]:
    """Return a row of the outbox: a message by e-mail that is due."""
    content = {
        "idempotency_key": key,
        "kind": "message",
        "contact_id": f"c-{key}",
        "external_id": None,
        "email": f"{key}@example.com",
        "phone": None,
        "journey": "win_back",
        "version": "v1",
        "enrolment_id": f"e-{key}",
        "step": "first",
        "channel": "email",
        "topic": "offers",
        "legal_basis": "consent",
        "transactional": False,
        "template": "t_first",
        "payload": json.dumps({"rec_1_title": f"Shoes for {key}"}),
        "priority": 0,
        "not_before": PLAIN - timedelta(hours=1),
        "expires_at": PLAIN + timedelta(days=7),
    }
    return {**content, **changes}


def batch_of(*keys: str, **changes: Any) -> list[Any]:
    """Return handovers as an adapter gets them."""
    table = pa.Table.from_pylist([row(key, **changes) for key in keys], schema=OUTBOX)
    return handovers(table)[0]


class Outbox:
    """What a store does with an outbox, in memory; notes each claim and settlement."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        fresh = {"status": "pending", "attempts": 0, "last_error": None, "next_attempt_at": None}
        self.rows = {one["idempotency_key"]: {**fresh, **one} for one in rows}
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def claim(self, worker, *, now, limit, kinds=None, channels=None, check=None):  # noqa: ARG002
        moment, taken = now.astimezone(UTC).replace(tzinfo=None), []
        for _, one in sorted(self.rows.items()):
            fits = (kinds is None or one["kind"] in kinds) and (
                channels is None or one["channel"] in channels
            )
            due = max(one["not_before"], one["next_attempt_at"] or one["not_before"]) <= moment
            if one["status"] != "pending" or not fits or not due or len(taken) == limit:
                continue
            alone = pa.Table.from_pylist([one], schema=CLAIMED)
            if one["expires_at"] <= moment or (check is not None and any(check(alone))):
                one["status"] = "cancelled"
                continue
            one["status"] = "claimed"
            one["attempts"] += 1
            taken.append(one)
        self.calls.append(("claim", tuple(one["idempotency_key"] for one in taken)))
        return pa.Table.from_pylist(taken, schema=CLAIMED)

    def settle(self, results, *, now):  # noqa: ARG002
        assert results.schema == RESULTS
        told = results.to_pylist()
        for one in told:
            assert self.rows[one["idempotency_key"]]["status"] != "sent"
            one["last_error"] = one.pop("error")
            self.rows[one["idempotency_key"]].update(one)
        self.calls.append(("settle", tuple(one["idempotency_key"] for one in told)))

    def outbox(self, *statuses):
        found = [one for _, one in sorted(self.rows.items()) if one["status"] in statuses]
        return pa.Table.from_pylist(found, schema=KEPT)

    def statuses(self) -> dict[str, str]:
        return {key: one["status"] for key, one in sorted(self.rows.items())}


class Noting:
    """An adapter that keeps what it was given, and does as it is told."""

    def __init__(self, name="noting", *, route=ALL_ROWS, batch=10, idempotent=True, do=None):
        self.name, self.route, self.batch, self.idempotent = name, route, batch, idempotent
        self.retries = Retries()
        self.batches: list[tuple[str, ...]] = []
        self.asked: list[tuple[str, ...]] = []
        self.do = do or (lambda batch: [Result(one.key, "sent") for one in batch])

    def accepts(self, row):  # noqa: ARG002
        return True

    def send(self, batch):
        self.batches.append(tuple(one.key for one in batch))
        return self.do(batch)

    def recover(self, batch):
        self.asked.append(tuple(one.key for one in batch))
        status = "retry" if self.idempotent else "unknown"
        return [Result(one.key, status, "The process ended.") for one in batch]

    @property
    def given(self) -> list[str]:
        return sorted(key for batch in self.batches for key in batch)


class Receiver:
    """A real HTTP server on this machine.

    ``answer`` gets the number of the request, from 1, and returns a status, or a status and
    headers; ``"drop"`` closes the connection unanswered after acting, ``"hang"`` waits.
    """

    def __init__(self, *, honours_keys: bool = False, answer: Callable[[int], Any] | None = None):
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.acted: list[str] = []
        self.answer = answer or (lambda _: 200)
        self.released = threading.Event()
        receiver, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                key = headers["webhook-id"]
                with lock:
                    receiver.requests.append((headers, body))
                    told = receiver.answer(len(receiver.requests))
                    status, more = told if isinstance(told, tuple) else (told, {})
                    acts = status in ("drop", "hang") or status < 300
                    if acts and not (honours_keys and key in receiver.acted):
                        receiver.acted.append(key)
                if status == "hang":
                    receiver.released.wait(30)
                if status in ("drop", "hang"):
                    self.close_connection = True
                    return
                content = more.pop("body", b'{"id": "r-1"}')
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks?tenant=1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def unused_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def outbox() -> SimpleNamespace:
    """Return what makes rows, batches, stores and adapters for tests."""
    return SimpleNamespace(
        NOW=NOW, row=row, batch_of=batch_of, Store=Outbox, Noting=Noting, unused_port=unused_port
    )


@pytest.fixture(scope="session")
def faults() -> Any:
    """Return the script that kills processes, for the state file that it makes."""
    spec = importlib.util.spec_from_file_location("faults", Path(__file__).with_name("faults.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    """Return a function that starts a receiver, stopped at the end."""
    with ExitStack() as running:

        def start(**options: Any) -> Receiver:
            one = Receiver(**options)
            running.callback(one.close)
            return one

        yield start
