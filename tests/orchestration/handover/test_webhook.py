"""Signed requests to a real receiver, and what each kind of failure means."""

import json
from datetime import timedelta

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover import Secret, WebhookAdapter, signature_is_valid
from mlmarket.orchestration.handover.replies import Reply, judged, waiting_time

SECRET = Secret(b"s" * 24)


@pytest.fixture
def adapter(outbox):
    def make(url, **options):
        options = {"timeout": 5.0, "clock": lambda: outbox.NOW, **options}
        return WebhookAdapter("crm", url, (SECRET,), **options)

    return make


def statuses(results):
    return [one.status for one in results]


@pytest.mark.parametrize("honours_keys", [True, False])
def test_each_row_is_one_signed_request(adapter, outbox, receiver, honours_keys):
    there = receiver()
    batch = outbox.batch_of("a", "b", "c")
    results = adapter(there.url, honours_keys=honours_keys).send(batch)
    assert statuses(results) == ["sent"] * 3
    assert [one.receiver_id for one in results] == ["r-1"] * 3
    assert there.acted == ["a", "b", "c"]
    for headers, body in there.requests:
        assert signature_is_valid(headers, body, SECRET, now=outbox.NOW)
        assert headers["content-type"] == "application/json"
    event = json.loads(there.requests[0][1])
    assert event["type"] == "handover.message"
    assert event["timestamp"] == "2026-03-01T07:00:00Z"
    assert event["data"]["payload"] == {"rec_1_title": "Shoes for a"}
    assert event["data"]["email"] == "a@example.com"


def test_another_attempt_has_the_same_id_and_body(adapter, outbox, receiver):
    there = receiver(answer=lambda number: 500 if number == 1 else 200)
    way = adapter(there.url)
    assert statuses(way.send(outbox.batch_of("a")) + way.send(outbox.batch_of("a"))) == [
        "retry",
        "sent",
    ]
    (first, body), (second, again) = there.requests
    assert body == again
    assert first["webhook-id"] == second["webhook-id"] == "a"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        *[(status, "sent") for status in (200, 204, 299)],
        *[(status, "failed") for status in (301, 307, 400, 401, 404, 410, 422)],
        *[(status, "retry") for status in (408, 425, 429, 500, 503)],
    ],
)
def test_an_answer_means_what_http_says(outbox, status, meaning):
    assert judged("a", Reply(status), now=outbox.NOW).status == meaning


@pytest.mark.parametrize("honours_keys", [True, False])
def test_one_row_that_is_refused_does_not_stop_the_others(adapter, outbox, receiver, honours_keys):
    there = receiver(
        answer=lambda number: (422, {"body": b"no such\x00 field"}) if number == 2 else 200
    )
    results = adapter(there.url, honours_keys=honours_keys).send(outbox.batch_of("a", "b", "c"))
    assert statuses(results) == ["sent", "failed", "sent"]
    assert results[1].error == "The receiver answered 422: no such field"


def test_a_redirect_is_not_followed(adapter, outbox, receiver):
    other = receiver()
    there = receiver(answer=lambda _: (307, {"location": other.url}))
    results = adapter(there.url).send(outbox.batch_of("a", "b"))
    assert statuses(results) == ["failed", "retry"]
    assert not results[1].tried
    assert len(there.requests) == 1
    assert other.requests == []


def test_a_receiver_that_is_too_busy_is_left_alone(adapter, outbox, receiver):
    there = receiver(answer=lambda _: (429, {"retry-after": "90"}))
    results = adapter(there.url).send(outbox.batch_of("a", "b", "c"))
    assert statuses(results) == ["retry"] * 3
    assert [one.tried for one in results] == [True, False, False]
    assert results[0].retry_after == timedelta(seconds=90)
    assert len(there.requests) == 1


def test_nobody_listening_is_no_doubt(adapter, outbox):
    url = f"http://127.0.0.1:{outbox.unused_port()}/"
    results = adapter(url).send(outbox.batch_of("a", "b"))
    assert statuses(results) == ["retry"] * 2
    assert "could not be reached" in results[0].error
    assert not results[0].receiver_answers


@pytest.mark.parametrize(("honours_keys", "meaning"), [(True, "retry"), (False, "unknown")])
def test_a_connection_that_breaks_after_the_request_is_in_doubt(
    adapter, outbox, receiver, honours_keys, meaning
):
    there = receiver(answer=lambda number: "drop" if number == 1 else 200)
    results = adapter(there.url, honours_keys=honours_keys).send(outbox.batch_of("a", "b"))
    assert statuses(results) == [meaning, "sent"]
    assert "no answer came" in results[0].error


@pytest.mark.parametrize(("honours_keys", "meaning"), [(True, "retry"), (False, "unknown")])
def test_a_silent_receiver_is_in_doubt_and_not_called_again(
    adapter, outbox, receiver, honours_keys, meaning
):
    there = receiver(answer=lambda _: "hang")
    way = adapter(there.url, honours_keys=honours_keys, timeout=0.2)
    results = way.send(outbox.batch_of("a", "b"))
    assert statuses(results) == [meaning, "retry"]
    assert [one.tried for one in results] == [True, False]
    assert len(there.requests) == 1


def test_a_kept_connection_is_used_for_a_receiver_that_honours_keys(adapter, outbox, receiver):
    there = receiver(answer=lambda number: (200, {"connection": "close"}) if number == 2 else 200)
    results = adapter(there.url, honours_keys=True).send(outbox.batch_of("a", "b", "c", "d"))
    assert statuses(results) == ["sent"] * 4


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "http://example.com/",
        "http://10.0.0.1/",
        "http://localhost.example.com/",
        "https://user:secret@example.com/",
        "https://example.com/#part",
        "https:///path",
        "https://exa mple.com/",
        "https://example.com/\r\nx: y",
        "https://example.com:99999/",
        "https://[::1",
        "",
    ],
)
def test_an_address_that_nothing_may_be_sent_to_is_refused(adapter, url):
    with pytest.raises(ConfigurationError) as caught:
        adapter(url)
    assert caught.value.what.startswith("[handover.crm] has a `url` that")
    assert "secret" not in caught.value.what


@pytest.mark.parametrize(
    "url", ["https://example.com", "http://localhost:8080/x", "http://127.0.0.1/", "http://[::1]/"]
)
def test_an_encrypted_address_or_this_machine_is_taken(adapter, url):
    assert adapter(url).batch == 1
    assert adapter(url, honours_keys=True).batch == 100


def test_an_address_is_never_shown(adapter):
    assert "token" not in repr(adapter("https://example.com/?token=1"))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Sun, 01 Mar 2026 08:01:00 GMT", 60),
        ("Sun, 01 Mar 2026 07:00:00 GMT", 0),
        ("99999999999", 86_400),
        ("soon", None),
        ("-5", None),
        (None, None),
    ],
)
def test_a_receiver_says_when_to_come_back(outbox, header, seconds):
    waits = waiting_time(header, now=outbox.NOW)
    assert waits == (None if seconds is None else timedelta(seconds=seconds))


def test_what_was_left_in_the_middle_is_repeated_only_where_keys_are_honoured(adapter, outbox):
    batch = outbox.batch_of("a", "b")
    assert (
        statuses(adapter("https://example.com", honours_keys=True).recover(batch)) == ["retry"] * 2
    )
    assert statuses(adapter("https://example.com").recover(batch)) == ["unknown"] * 2
