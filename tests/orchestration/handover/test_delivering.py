"""Delivery: batch by batch, nothing lost, nothing twice."""

import os
import signal
import threading
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.arbitration.reasons import Reason
from mlmarket.orchestration.handover import Result, Retries, Route, deliver

MAIL = Route(frozenset({"message"}), frozenset({"email"}))
SMS = Route(frozenset({"message"}), frozenset({"sms"}))
TASKS = Route(frozenset({"task", "alert"}))


def rows_of(outbox, count, **changes):
    return [outbox.row(f"k{number:03}", **changes) for number in range(count)]


def failing(*bad, error=ValueError):
    """Return what an adapter does that breaks wherever one of these rows is in the batch."""

    def do(batch):
        if any(one.key in bad for one in batch):
            raise error("no reason that may be shown")
        return [Result(one.key, "sent") for one in batch]

    return do


def test_what_is_due_is_handed_over_once_and_settled_batch_by_batch(outbox):
    store, way = outbox.Store(*rows_of(outbox, 25)), outbox.Noting(batch=10)
    done = deliver(store, way, now=outbox.NOW)
    assert [len(batch) for batch in way.batches] == [10, 10, 5]
    assert way.given == sorted(store.rows)
    assert done.total("sent") == 25
    assert str(done) == "25 handed over."
    assert [what for what, keys in store.calls if keys] == ["claim", "settle"] * 3
    assert deliver(store, way, now=outbox.NOW).total("sent") == 0
    assert len(way.given) == 25


def test_what_is_not_due_or_expired_is_not_handed_over(outbox):
    later = outbox.NOW.replace(tzinfo=None) + timedelta(minutes=1)
    store = outbox.Store(
        outbox.row("due"),
        outbox.row("early", not_before=later),
        outbox.row("late", expires_at=outbox.NOW.replace(tzinfo=None)),
    )
    way = outbox.Noting()
    deliver(store, way, now=outbox.NOW)
    assert way.given == ["due"]
    assert store.statuses() == {"due": "sent", "early": "pending", "late": "cancelled"}


def test_the_moment_moves_on_while_a_delivery_takes_long(outbox):
    soon = outbox.NOW.replace(tzinfo=None) + timedelta(seconds=30)
    store = outbox.Store(outbox.row("a"), outbox.row("b", expires_at=soon))
    ticks = iter(range(0, 10_000, 60))
    way = outbox.Noting(batch=1)
    deliver(store, way, now=outbox.NOW, clock=lambda: next(ticks))
    assert store.statuses()["b"] == "cancelled"


def test_one_failed_contact_does_not_send_its_batch_again(outbox):
    # https://github.com/mautic/mautic/issues/7226
    def refuse_one(batch):
        return [
            Result(one.key, "failed", "no such contact")
            if one.key == "k003"
            else Result(one.key, "sent")
            for one in batch
        ]

    store, way = outbox.Store(*rows_of(outbox, 10)), outbox.Noting(do=refuse_one)
    for hours in (0, 24, 48):
        deliver(store, way, now=outbox.NOW + timedelta(hours=hours))
    assert way.given == sorted(store.rows)
    assert [key for key, status in store.statuses().items() if status != "sent"] == ["k003"]
    assert store.rows["k003"]["last_error"] == "no such contact"


def test_a_row_that_breaks_its_batch_is_found_and_the_others_go_out(outbox):
    store = outbox.Store(*rows_of(outbox, 32))
    way = outbox.Noting(batch=32, do=failing("k013"))
    done = deliver(store, way, now=outbox.NOW, clock=lambda: 0.0)
    assert (done.total("sent"), done.total("retry")) == (31, 1)
    assert store.rows["k013"]["last_error"] == "'noting' raised ValueError."
    sent = [key for batch in way.batches if "k013" not in batch for key in batch]
    assert sorted(sent) == sorted(set(store.rows) - {"k013"})


def test_looking_for_rows_that_break_a_batch_comes_to_an_end(outbox):
    def broken(batch):
        raise OSError

    store = outbox.Store(*rows_of(outbox, 500))
    way = outbox.Noting(batch=500, do=broken)
    done = deliver(store, way, now=outbox.NOW, clock=lambda: 0.0)
    assert done.total("retry") == 500
    assert len(way.batches) < 130


def test_a_batch_that_breaks_where_keys_are_not_honoured_is_in_doubt_and_not_repeated(outbox):
    store = outbox.Store(*rows_of(outbox, 4))
    way = outbox.Noting(idempotent=False, do=failing("k002"))
    for days in range(3):
        deliver(store, way, now=outbox.NOW + timedelta(days=days))
    assert way.batches == [("k000", "k001", "k002", "k003")]
    assert set(store.statuses().values()) == {"unknown"}


@pytest.mark.parametrize(("idempotent", "status"), [(True, "pending"), (False, "unknown")])
def test_silence_about_a_row_is_not_success(outbox, idempotent, status):
    # https://github.com/knadh/listmonk/issues/3022
    def all_but_one(batch):
        return [Result(one.key, "sent") for one in batch if one.key != "k001"]

    store = outbox.Store(*rows_of(outbox, 3))
    deliver(store, outbox.Noting(idempotent=idempotent, do=all_but_one), now=outbox.NOW)
    assert store.statuses() == {"k000": "sent", "k001": status, "k002": "sent"}
    assert store.rows["k001"]["last_error"] == "'noting' did not say what became of it."


def test_a_claim_is_not_a_checkpoint_so_a_crash_loses_nothing(outbox):
    # https://github.com/knadh/listmonk/issues/3022
    def dying(batch):
        raise KeyboardInterrupt

    store = outbox.Store(*rows_of(outbox, 12))
    with pytest.raises(KeyboardInterrupt):
        deliver(store, outbox.Noting(do=dying), now=outbox.NOW)
    assert list(store.statuses().values()).count("claimed") == 10
    way = outbox.Noting()
    done = deliver(store, way, now=outbox.NOW)
    assert way.asked == [tuple(f"k{number:03}" for number in range(10))]
    assert way.given == sorted(store.rows)
    assert done.recovered == 10
    assert "10 of them left by a process that ended before" in str(done)


def test_what_was_in_the_middle_is_not_repeated_where_keys_are_not_honoured(outbox):
    store = outbox.Store(*rows_of(outbox, 3))
    store.claim("before", now=outbox.NOW, limit=2)
    way = outbox.Noting(idempotent=False)
    done = deliver(store, way, now=outbox.NOW)
    assert way.given == ["k002"]
    assert store.statuses() == {"k000": "unknown", "k001": "unknown", "k002": "sent"}
    assert (done.total("unknown"), done.total("sent")) == (2, 1)


@pytest.mark.parametrize(
    ("reason", "status"), [(Reason.CONSENT_REFUSED, "unknown"), (Reason.QUIET_HOURS, "cancelled")]
)
def test_what_was_in_the_middle_and_is_forbidden_by_now_is_in_doubt(outbox, reason, status):
    # The store of the tests cancels what a real one puts off.
    store = outbox.Store(*rows_of(outbox, 2))
    store.claim("before", now=outbox.NOW, limit=2)

    def check(rows):
        return [int(reason) * (key == "k001") for key in rows["idempotency_key"].to_pylist()]

    way = outbox.Noting()
    deliver(store, way, now=outbox.NOW, check=check)
    assert way.given == ["k000"]
    assert store.statuses() == {"k000": "sent", "k001": status}


def test_what_was_in_the_middle_and_expired_is_in_doubt(outbox):
    store = outbox.Store(*rows_of(outbox, 1))
    store.claim("before", now=outbox.NOW, limit=1)
    way = outbox.Noting()
    deliver(store, way, now=outbox.NOW + timedelta(days=30))
    assert (way.given, store.statuses()) == ([], {"k000": "unknown"})


def test_what_certainly_did_not_arrive_is_simply_due_again(outbox):
    store = outbox.Store(*rows_of(outbox, 1))
    store.claim("before", now=outbox.NOW, limit=1)
    way = outbox.Noting()
    way.recover = lambda batch: [Result(one.key, "retry", tried=False) for one in batch]
    deliver(store, way, now=outbox.NOW + timedelta(days=30))
    assert (way.given, store.statuses()) == ([], {"k000": "cancelled"})


def test_a_retry_waits_and_after_eight_attempts_it_is_a_dead_letter(outbox):
    store = outbox.Store(outbox.row("a", expires_at=outbox.NOW.replace(tzinfo=None, year=2027)))
    way = outbox.Noting(do=lambda batch: [Result(one.key, "retry", "busy") for one in batch])
    now, waits = outbox.NOW, []
    for _ in range(20):
        deliver(store, way, now=now, clock=lambda: 0.0)
        again = store.rows["a"]["next_attempt_at"]
        if again is None:
            break
        waits.append(again - now.replace(tzinfo=None))
        now = again.replace(tzinfo=now.tzinfo)
    assert len(way.batches) == 8
    assert store.statuses() == {"a": "failed"}
    assert store.rows["a"]["last_error"] == "Given up after 8 attempts. busy"
    assert waits == [Retries().wait("a", attempt) for attempt in range(1, 8)]


def test_a_receiver_says_how_long_it_is_to_be_left_alone(outbox):
    asked = timedelta(hours=5)

    def busy(batch):
        return [Result(one.key, "retry", "busy", retry_after=asked) for one in batch]

    store = outbox.Store(*rows_of(outbox, 1))
    deliver(store, outbox.Noting(do=busy), now=outbox.NOW)
    assert store.rows["k000"]["next_attempt_at"] >= outbox.NOW.replace(tzinfo=None) + asked


def test_a_receiver_that_is_down_rests_and_its_rows_keep_their_attempts(outbox):
    def down(batch):
        first, *others = batch
        refused = Result(first.key, "retry", "refused", receiver_answers=False)
        rest = [Result(one.key, "retry", "not tried", tried=False) for one in others]
        return [refused, *rest]

    tasks = [outbox.row(f"t{number}", kind="task", channel=None) for number in range(25)]
    store = outbox.Store(*rows_of(outbox, 30), *tasks)
    mail = outbox.Noting("mail", route=MAIL, do=down)
    crm = outbox.Noting("crm", route=TASKS)
    done = deliver(store, [mail, crm], now=outbox.NOW, clock=lambda: 0.0)
    assert len(mail.batches) == 1
    assert len(crm.given) == 25
    assert done.resting == ("mail",)
    untouched = [one for one in store.rows.values() if one["attempts"] == 0]
    assert len(untouched) == 20
    assert "mail took nothing more" in str(done)


def test_each_row_goes_its_own_way_and_strange_ones_wait(outbox):
    store = outbox.Store(
        outbox.row("mail"),
        outbox.row("text", channel="sms"),
        outbox.row("push", channel="push"),
        outbox.row("call", kind="task", channel=None),
    )
    ways = [
        outbox.Noting("mail", route=MAIL),
        outbox.Noting("text", route=SMS),
        outbox.Noting("crm", route=TASKS),
    ]
    done = deliver(store, ways, now=outbox.NOW)
    assert [way.given for way in ways] == [["mail"], ["text"], ["call"]]
    assert store.statuses()["push"] == "pending"
    assert done.to_frame().to_dict("list") == {
        "handover": ["crm", "mail", "text"],
        "status": ["sent"] * 3,
        "rows": [1, 1, 1],
    }
    assert "<table" in done._repr_html_()


def test_nobody_waits_until_all_of_another_receiver_is_done(outbox):
    tasks = [outbox.row(f"t{number}", kind="task", channel=None) for number in range(3)]
    store = outbox.Store(*rows_of(outbox, 50), *tasks)
    ways = [outbox.Noting("mail", route=MAIL), outbox.Noting("crm", route=TASKS)]
    deliver(store, ways, now=outbox.NOW, limit=13)
    assert [len(way.given) for way in ways] == [10, 3]


def test_two_ways_for_the_same_row_are_refused(outbox):
    everything, mail = outbox.Noting("all"), outbox.Noting("mail", route=MAIL)
    with pytest.raises(ConfigurationError, match=r"\[handover.all\] and \[handover.mail\] both"):
        deliver(outbox.Store(), [everything, mail], now=outbox.NOW)


def test_a_row_that_its_adapter_cannot_take_is_a_dead_letter(outbox):
    store, way = outbox.Store(*rows_of(outbox, 3)), outbox.Noting()
    way.accepts = lambda row: row.key != "k001"
    deliver(store, way, now=outbox.NOW)
    assert way.given == ["k000", "k002"]
    assert store.statuses()["k001"] == "failed"


@pytest.mark.parametrize("payload", ["{", "[]", '"text"'])
def test_a_payload_that_cannot_be_read_is_that_rows_failure_only(outbox, payload):
    store = outbox.Store(outbox.row("a"), outbox.row("b", payload=payload), outbox.row("c"))
    deliver(store, outbox.Noting(), now=outbox.NOW)
    assert store.statuses() == {"a": "sent", "b": "failed", "c": "sent"}


def test_a_payload_that_cannot_be_read_is_settled_after_a_crash_too(outbox):
    store = outbox.Store(outbox.row("a"), outbox.row("b", payload="{"))
    store.claim("before", now=outbox.NOW, limit=2)
    ways = [outbox.Noting("mail", route=MAIL), outbox.Noting("crm", route=TASKS)]
    deliver(store, ways, now=outbox.NOW)
    assert store.statuses() == {"a": "sent", "b": "failed"}


def test_being_asked_to_end_ends_it_between_two_batches(outbox):
    def asked(batch):
        os.kill(os.getpid(), signal.SIGTERM)
        return [Result(one.key, "sent") for one in batch]

    before = signal.getsignal(signal.SIGTERM)
    store = outbox.Store(*rows_of(outbox, 25))
    done = deliver(store, outbox.Noting(do=asked), now=outbox.NOW)
    assert done.stopped
    assert (done.total("sent"), done.batches) == (10, 1)
    assert "claimed" not in store.statuses().values()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_delivery_outside_the_main_thread_leaves_signals_alone(outbox):
    store, found = outbox.Store(*rows_of(outbox, 3)), []
    work = threading.Thread(
        target=lambda: found.append(deliver(store, outbox.Noting(), now=outbox.NOW))
    )
    work.start()
    work.join()
    assert found[0].total("sent") == 3


def test_a_time_without_a_zone_or_a_limit_of_nothing_is_refused(outbox):
    with pytest.raises(ConfigurationError, match="has no zone"):
        deliver(outbox.Store(), outbox.Noting(), now=outbox.NOW.replace(tzinfo=None))
    with pytest.raises(ConfigurationError, match="limit of a delivery is 0"):
        deliver(outbox.Store(), outbox.Noting(), now=outbox.NOW, limit=0)


def test_nothing_due_is_said_in_words(outbox):
    assert str(deliver(outbox.Store(), outbox.Noting(), now=outbox.NOW)) == "nothing was due."


FATES = st.sampled_from(["sent", "retry", "failed", "unknown", "raise", "silence"])


@settings(max_examples=60, deadline=None)
@given(fates=st.lists(FATES, max_size=24), batch=st.integers(1, 9), idempotent=st.booleans())
def test_whatever_a_receiver_does_each_row_is_accounted_for(outbox, fates, batch, idempotent):
    told = {f"k{number:03}": fate for number, fate in enumerate(fates)}

    def do(rows):
        if any(told[one.key] == "raise" for one in rows):
            raise RuntimeError
        return [Result(one.key, told[one.key]) for one in rows if told[one.key] != "silence"]

    store = outbox.Store(*rows_of(outbox, len(fates)))
    way = outbox.Noting(batch=batch, idempotent=idempotent, do=do)
    done = deliver(store, way, now=outbox.NOW, clock=lambda: 0.0)
    statuses = store.statuses()
    assert sum(done.counts.values()) == len(fates)
    assert not {"claimed", "cancelled"} & set(statuses.values())
    arrived = [key for rows in way.batches for key in rows if told[key] == "sent"]
    if not idempotent:
        # Nothing that may have arrived comes to the receiver a second time.
        assert len(way.given) == len(set(way.given))
    else:
        assert set(arrived) == {key for key, status in statuses.items() if status == "sent"}


def test_the_order_of_rows_does_not_matter(outbox):
    from mlmarket.orchestration.handover.rows import handovers, outbox_table
    from mlmarket.orchestration.tables import OUTBOX

    rows = rows_of(outbox, 5)
    forth = handovers(pa.Table.from_pylist(rows, schema=OUTBOX))[0]
    back = handovers(pa.Table.from_pylist(rows[::-1], schema=OUTBOX))[0]
    assert outbox_table(forth).equals(outbox_table(back))
