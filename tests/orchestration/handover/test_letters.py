"""Dead letters and rows in doubt: only a person puts them back."""

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover import (
    Result,
    dead_letters,
    deliver,
    in_doubt,
    requeue,
    retry_unknown,
)


@pytest.fixture
def store(outbox):
    """Return a store with a row of each end."""
    store = outbox.Store(*[outbox.row(name) for name in ("bad", "doubt", "good")])
    ends = {"bad": "failed", "doubt": "unknown", "good": "sent"}
    way = outbox.Noting(do=lambda batch: [Result(one.key, ends[one.key], "why") for one in batch])
    deliver(store, way, now=outbox.NOW)
    return store


def test_dead_letters_and_doubts_are_listed_with_their_errors(store):
    (letter,) = dead_letters(store).to_pylist()
    assert (letter["idempotency_key"], letter["last_error"]) == ("bad", "why")
    assert in_doubt(store)["idempotency_key"].to_pylist() == ["doubt"]


def test_neither_is_ever_repeated_by_itself(outbox, store):
    way = outbox.Noting()
    deliver(store, way, now=outbox.NOW)
    assert way.given == []


def test_a_dead_letter_that_is_put_back_is_handed_over(outbox, store):
    assert requeue(store, ["bad"], now=outbox.NOW) == 1
    way = outbox.Noting()
    deliver(store, way, now=outbox.NOW)
    assert way.given == ["bad"]
    assert dead_letters(store).num_rows == 0


def test_a_doubt_is_repeated_when_told_to(outbox, store):
    assert retry_unknown(store, "doubt", now=outbox.NOW) == 1
    way = outbox.Noting()
    deliver(store, way, now=outbox.NOW)
    assert way.given == ["doubt"]


@pytest.mark.parametrize(
    ("put_back", "keys"),
    [(requeue, ["bad", "good"]), (requeue, ["doubt"]), (retry_unknown, ["bad"])],
)
def test_what_has_another_status_is_not_put_back(outbox, store, put_back, keys):
    before = store.statuses()
    with pytest.raises(ConfigurationError, match=rf"1 of {len(keys)} keys are not"):
        put_back(store, keys, now=outbox.NOW)
    assert store.statuses() == before


def test_putting_nothing_back_writes_nothing(outbox, store):
    calls = len(store.calls)
    assert requeue(store, [], now=outbox.NOW) == 0
    assert len(store.calls) == calls


def test_a_dead_letter_that_was_put_back_has_all_its_attempts_again(outbox):
    store = outbox.Store(outbox.row("a"))
    way = outbox.Noting(do=lambda batch: [Result(one.key, "retry", "busy") for one in batch])
    for attempts in (8, 16):
        while store.statuses() == {"a": "pending"}:
            store.rows["a"]["next_attempt_at"] = None
            deliver(store, way, now=outbox.NOW)
        assert store.rows["a"]["attempts"] == attempts
        requeue(store, ["a"], now=outbox.NOW)
