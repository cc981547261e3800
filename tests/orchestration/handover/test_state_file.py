"""Delivery out of a real state file."""

from datetime import timedelta

import pytest

from mlmarket.orchestration.arbitration.reasons import Reason
from mlmarket.orchestration.handover import (
    FileAdapter,
    Result,
    dead_letters,
    deliver,
    in_doubt,
    requeue,
    retry_unknown,
)
from mlmarket.orchestration.state.store import StateStore


@pytest.fixture
def store(faults, tmp_path):
    """Return a state file with five messages that are due."""
    faults.filled(tmp_path / "state.duckdb", 5)
    with StateStore.open(tmp_path / "state.duckdb") as store:
        yield store


def statuses(store):
    return store.outbox()["status"].to_pylist()


def test_a_state_file_is_handed_over_once(outbox, store, tmp_path):
    way = FileAdapter("mail", tmp_path / "out", batch=2)
    assert deliver(store, way, now=outbox.NOW).total("sent") == 5
    assert deliver(store, way, now=outbox.NOW).total("sent") == 0
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert statuses(store) == ["sent"] * 5


def test_dead_letters_and_doubts_come_back_from_a_state_file_when_told(outbox, store):
    def do(batch):
        status = {"key-0001": "failed", "key-0003": "unknown"}
        return [Result(one.key, status.get(one.key, "sent"), "why") for one in batch]

    deliver(store, outbox.Noting(do=do), now=outbox.NOW)
    (letter,) = dead_letters(store).to_pylist()
    assert (letter["idempotency_key"], letter["last_error"]) == ("key-0001", "why")
    assert in_doubt(store)["idempotency_key"].to_pylist() == ["key-0003"]
    requeue(store, ["key-0001"], now=outbox.NOW)
    retry_unknown(store, ["key-0003"], now=outbox.NOW)
    way = outbox.Noting()
    deliver(store, way, now=outbox.NOW)
    assert way.given == ["key-0001", "key-0003"]
    assert statuses(store) == ["sent"] * 5


def test_eight_attempts_at_a_state_file_end_in_a_dead_letter(outbox, store):
    way = outbox.Noting(do=lambda batch: [Result(one.key, "retry", "busy") for one in batch])
    for days in range(10):
        now = outbox.NOW + timedelta(days=days)
        deliver(store, way, now=now, clock=lambda: 0.0)
    assert len(way.batches) == 8
    assert statuses(store) == ["failed"] * 5


def test_what_speaks_against_a_row_by_now_is_asked_at_the_claim(outbox, store):
    def check(rows):
        against = {"key-0000": Reason.CONSENT_REFUSED, "key-0001": Reason.QUIET_HOURS}
        return [int(against.get(key, 0)) for key in rows["idempotency_key"].to_pylist()]

    way = outbox.Noting()
    deliver(store, way, now=outbox.NOW, check=check)
    assert way.given == ["key-0002", "key-0003", "key-0004"]
    assert statuses(store) == ["cancelled", "pending", "sent", "sent", "sent"]


def test_what_was_in_the_middle_and_only_has_to_wait_is_not_in_doubt(outbox, store):
    store.claim("before", now=outbox.NOW, limit=1)

    def check(rows):
        return [int(Reason.QUIET_HOURS)] * len(rows)

    way = outbox.Noting()
    deliver(store, way, now=outbox.NOW, check=check)
    assert (way.given, statuses(store)) == ([], ["pending"] * 5)
