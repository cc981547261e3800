"""Signatures as Standard Webhooks has them."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover import Secret, signature_is_valid, signed_headers

# The example that the libraries of Standard Webhooks are tested with.
PUBLISHED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
IDENTITY, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
AT = datetime.fromtimestamp(TIMESTAMP, UTC)


def secret(text=PUBLISHED):
    return Secret.from_environment("HOOK", {"HOOK": text})


def test_the_published_example_is_signed_as_published():
    headers = signed_headers([secret()], IDENTITY, BODY, at=AT)
    assert headers == {
        "webhook-id": IDENTITY,
        "webhook-timestamp": str(TIMESTAMP),
        "webhook-signature": SIGNATURE,
    }
    assert signature_is_valid(headers, BODY, secret(), now=AT)


def test_while_secrets_are_changed_both_receivers_are_content():
    new = secret("whsec_" + base64.b64encode(b"n" * 32).decode())
    headers = signed_headers([new, secret()], IDENTITY, BODY, at=AT)
    assert headers["webhook-signature"].split(" ")[1] == SIGNATURE
    assert signature_is_valid(headers, BODY, new, now=AT)
    assert signature_is_valid(headers, BODY, secret(), now=AT)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(TIMESTAMP + 1)},
        {"webhook-timestamp": "٣"},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "9" * 30},
        {"webhook-signature": SIGNATURE.replace("v1,", "v1a,")},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,é"},
    ],
)
def test_a_request_that_was_changed_is_not_ours(changes):
    headers = signed_headers([secret()], IDENTITY, BODY, at=AT) | changes
    assert not signature_is_valid(headers, BODY, secret(), now=AT)


def test_another_body_or_another_secret_is_not_ours():
    headers = signed_headers([secret()], IDENTITY, BODY, at=AT)
    other = secret("whsec_" + base64.b64encode(b"o" * 24).decode())
    assert not signature_is_valid(headers, BODY + b" ", secret(), now=AT)
    assert not signature_is_valid(headers, BODY, other, now=AT)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_request_of_another_time_is_not_ours(minutes):
    headers = signed_headers([secret()], IDENTITY, BODY, at=AT)
    assert not signature_is_valid(headers, BODY, secret(), now=AT + timedelta(minutes=minutes))
    assert not signature_is_valid(headers, BODY, secret())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_not base64!",
        "whsec_" + base64.b64encode(b"s" * 23).decode(),
        "whsec_" + base64.b64encode(b"s" * 65).decode(),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_shown(text):
    with pytest.raises(ConfigurationError) as caught:
        secret(text)
    assert "HOOK" in caught.value.what
    if text:
        assert text.removeprefix("whsec_")[:8] not in str(caught.value) or text == "whsec_"
    assert "openssl rand" in caught.value.fix


def test_a_secret_never_shows_itself():
    assert repr(secret()) == "Secret()"
