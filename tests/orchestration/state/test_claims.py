"""Each row of the outbox reaches one worker, and nothing is lost or done twice on the way."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.arbitration.reasons import Reason
from mlmarket.orchestration.state.claims import CLAIMED, RESULTS, Worker
from mlmarket.orchestration.state.store import StateStore


@pytest.fixture
def filled(hand, path):
    """Return an open store whose outbox holds a row for each of twelve people."""
    names = [f"p{number:02}" for number in range(12)]
    came = [hand.enrolment(who) for who in names]
    rows = [
        hand.handed(one, priority=50 + number % 3, not_before=hand.at(number % 2))
        for number, one in enumerate(came)
    ]
    with StateStore.open(path) as store:
        store.commit(hand.made(0, enrolments=came, outbox=rows))
        yield store


def results(table, status="sent", error=None, again=None):
    rows = [
        {"idempotency_key": key, "status": status, "error": error, "next_attempt_at": again}
        for key in table["idempotency_key"].to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=RESULTS)


def statuses(store):
    return sorted(store.outbox()["status"].to_pylist())


def test_rows_come_by_priority_then_time_then_key(hand, filled):
    rows = filled.claim("mailer", now=hand.when(2), limit=99)
    assert rows.schema.equals(CLAIMED)
    order = [
        (-row["priority"], row["not_before"], row["idempotency_key"]) for row in rows.to_pylist()
    ]
    assert order == sorted(order)
    assert len(order) == 12
    assert set(rows["attempts"].to_pylist()) == {1}


def test_nothing_goes_out_before_its_time_or_after_it(hand, filled):
    assert len(filled.claim("mailer", now=hand.when(0.5), limit=99)) == 6
    assert len(filled.claim("mailer", now=hand.when(30), limit=99)) == 0
    assert statuses(filled) == ["cancelled"] * 6 + ["unknown"] * 6
    assert set(filled.outbox("cancelled")["last_error"].to_pylist()) == {"expired"}


def test_workers_that_run_at_once_share_the_rows_and_drop_none(hand, filled):
    taken = []
    for turn in range(20):
        rows = filled.claim(f"worker {turn % 3}", now=hand.when(2), limit=2)
        taken += rows["idempotency_key"].to_pylist()
    assert len(taken) == len(set(taken)) == 12


def test_reading_the_outbox_moves_nothing(hand, filled):
    assert len(filled.outbox("pending")) == 12
    filled.decisions_of(filled.load().last_tick_id)
    assert len(filled.claim("mailer", now=hand.when(2), limit=99)) == 12


def test_one_failed_contact_does_not_send_the_others_again(hand, filled):
    rows = filled.claim("mailer", now=hand.when(2), limit=99)
    assert filled.settle(results(rows[1:]), now=hand.when(2)) == 11
    assert filled.settle(results(rows[:1], "failed", "no such box"), now=hand.when(2)) == 1
    assert len(filled.claim("mailer", now=hand.when(3), limit=99)) == 0
    assert statuses(filled) == ["failed"] + ["sent"] * 11
    assert filled.outbox("failed")["last_error"].to_pylist() == ["no such box"]


def test_a_row_to_try_again_waits_until_its_time(hand, filled):
    rows = filled.claim("mailer", now=hand.when(2), limit=1)
    again = results(rows, "pending", "busy", hand.at(2.5))
    filled.settle(again, now=hand.when(2))
    filled.settle(results(filled.claim("mailer", now=hand.when(2), limit=99)), now=hand.when(2))
    assert len(filled.claim("mailer", now=hand.when(2.4), limit=99)) == 0
    later = filled.claim("mailer", now=hand.when(2.5), limit=99)
    assert later["idempotency_key"].to_pylist() == rows["idempotency_key"].to_pylist()
    assert later["attempts"].to_pylist() == [2]


def test_only_the_kinds_and_channels_asked_for_are_given(hand, path):
    came = [hand.enrolment(who) for who in "abc"]
    rows = [
        hand.handed(came[0]),
        hand.handed(came[1], channel="sms"),
        hand.handed(came[2], kind="alert", channel=None),
    ]
    with StateStore.open(path) as store:
        store.commit(hand.made(0, enrolments=came, outbox=rows))
        alerts = store.claim("a", now=hand.when(0), limit=9, kinds=["alert"])
        assert alerts["contact_id"].to_pylist() == ["c"]
        sms = store.claim("a", now=hand.when(0), limit=9, channels=["sms", "push"])
        assert sms["contact_id"].to_pylist() == ["b"]
        rest = store.claim("a", now=hand.when(0), limit=9)
        assert rest["contact_id"].to_pylist() == ["a"]


def test_what_speaks_against_a_row_now_is_asked_when_it_is_claimed(hand, filled):
    def check(rows):
        reasons = {
            "p00": Reason.NO_CONSENT | Reason.QUIET_HOURS,
            "p01": Reason.QUIET_HOURS,
            "p02": Reason.CAPPED,
        }
        return np.array([reasons.get(who, 0) for who in rows["contact_id"].to_pylist()])

    rows = filled.claim("mailer", now=hand.when(2), limit=99, check=check)
    assert not {"p00", "p01", "p02"} & set(rows["contact_id"].to_pylist())
    assert len(rows) == 9
    (stopped,) = filled.outbox("cancelled").to_pylist()
    assert (stopped["contact_id"], stopped["last_error"]) == ("p00", "no_consent, quiet_hours")
    put_off = {row["contact_id"]: row for row in filled.outbox("pending").to_pylist()}
    assert set(put_off) == {"p01", "p02"}
    assert put_off["p01"]["next_attempt_at"] == hand.at(2) + timedelta(minutes=15)
    after = hand.when(2) + timedelta(minutes=15)
    assert len(filled.claim("mailer", now=after, limit=99)) == 2


def test_rows_that_are_held_back_do_not_keep_a_worker_busy_for_ever(hand, filled):
    asked = []

    def check(rows):
        asked.extend(rows["contact_id"].to_pylist())
        return np.full(len(rows), int(Reason.QUIET_HOURS))

    for _ in range(3):
        assert len(filled.claim("mailer", now=hand.when(2), limit=5, check=check)) == 0
    assert sorted(asked) == [f"p{number:02}" for number in range(12)]


def test_rows_that_are_held_back_leave_room_for_others(hand, filled):
    def check(rows):
        return np.where(np.array(rows["priority"]) == 52, int(Reason.QUIET_HOURS), 0)

    rows = filled.claim("mailer", now=hand.when(2), limit=8, check=check)
    assert len(rows) == 8
    assert 52 not in rows["priority"].to_pylist()


def test_a_check_that_fails_or_miscounts_takes_nothing(hand, filled):
    def broken(rows):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        filled.claim("mailer", now=hand.when(2), limit=99, check=broken)
    with pytest.raises(ConfigurationError, match="answer of shape"):
        filled.claim("mailer", now=hand.when(2), limit=99, check=lambda _: np.zeros(1))
    assert statuses(filled) == ["pending"] * 12


def test_a_dead_workers_rows_are_tried_again_where_keys_are_honoured(hand, filled):
    dead = Worker("dead", honours_keys=True)
    filled.claim(dead, now=hand.when(2), limit=99)
    soon = hand.when(2) + timedelta(minutes=14)
    assert len(filled.claim("other", now=soon, limit=99)) == 0
    late = hand.when(2) + timedelta(minutes=15)
    rows = filled.claim("other", now=late, limit=99)
    assert len(rows) == 12
    assert set(rows["attempts"].to_pylist()) == {2}


def test_a_dead_workers_rows_are_unknown_where_they_are_not(hand, filled):
    filled.claim("dead", now=hand.when(2), limit=99)
    assert len(filled.claim("other", now=hand.when(3), limit=99)) == 0
    assert statuses(filled) == ["unknown"] * 12
    assert "'dead'" not in filled.outbox()["last_error"].to_pylist()[0]
    assert "dead did not say" in filled.outbox()["last_error"].to_pylist()[0]
    told = Worker("other", retry_unknown=True)
    assert len(filled.claim(told, now=hand.when(3), limit=99)) == 12


def test_what_may_have_arrived_is_put_off_rather_than_cancelled(hand, filled):
    filled.claim("dead", now=hand.when(2), limit=99)
    told = Worker("other", retry_unknown=True)

    def check(rows):
        return np.full(len(rows), int(Reason.NO_CONSENT))

    assert len(filled.claim(told, now=hand.when(3), limit=99, check=check)) == 0
    assert statuses(filled) == ["unknown"] * 12


def test_a_late_word_of_a_worker_is_heard_unless_another_has_the_row(hand, filled):
    slow = Worker("slow", honours_keys=True)
    rows = filled.claim(slow, now=hand.when(2), limit=99)
    filled.claim("quick", now=hand.when(3), limit=99)
    assert filled.settle(results(rows[:4], "failed"), now=hand.when(3), worker="slow") == 0
    assert filled.settle(results(rows[:4]), now=hand.when(3), worker="slow") == 4
    assert filled.settle(results(rows, "failed"), now=hand.when(3), worker="quick") == 8
    assert filled.settle(results(rows[:4]), now=hand.when(3)) == 0
    assert statuses(filled) == ["failed"] * 8 + ["sent"] * 4


def test_a_row_cancelled_while_a_worker_has_it_is_not_tried_again(hand, path):
    came = [hand.enrolment(who) for who in "abc"]
    rows = [hand.handed(one) for one in came]
    first = hand.made(0, enrolments=came, outbox=rows)
    gone = [{"idempotency_key": row["idempotency_key"], "reason": "goal"} for row in rows]
    with StateStore.open(path) as store:
        store.commit(first)
        taken = store.claim(Worker("m", honours_keys=True), now=hand.when(0), limit=2)
        store.commit(hand.made(0.001, first, cancelled=gone))
        assert statuses(store) == ["cancelled", "claimed", "claimed"]
        store.settle(results(taken[:1], "pending"), now=hand.when(0.001))
        assert len(store.claim("m", now=hand.when(1), limit=9)) == 0
        assert statuses(store) == ["cancelled", "cancelled", "unknown"]
        assert store.settle(results(taken), now=hand.when(1)) == 2
        assert statuses(store) == ["cancelled", "sent", "sent"]


def test_results_that_make_no_sense_are_refused(hand, filled):
    rows = filled.claim("mailer", now=hand.when(2), limit=2)
    with pytest.raises(ConfigurationError, match="did you mean 'sent'"):
        filled.settle(results(rows, "snet"), now=hand.when(2))
    twice = pa.concat_tables([results(rows), results(rows)])
    with pytest.raises(ConfigurationError, match="2 keys a second time"):
        filled.settle(twice, now=hand.when(2))
    assert filled.settle(results(rows), now=hand.when(2)) == 2
    assert len(filled.outbox("sent")["handed_over_at"].drop_null()) == 2


def test_a_dead_letter_is_put_back_by_people_alone(hand, filled):
    rows = filled.claim("mailer", now=hand.when(2), limit=1)
    filled.settle(results(rows, "failed"), now=hand.when(2))
    again = results(rows, "pending")
    assert filled.settle(again, now=hand.when(2), worker="mailer") == 0
    assert filled.settle(again, now=hand.when(2)) == 1
    assert statuses(filled) == ["pending"] * 12


def test_a_claim_of_no_rows_takes_none(hand, filled):
    assert len(filled.claim("m", now=hand.when(2), limit=0)) == 0
    assert statuses(filled) == ["pending"] * 12
