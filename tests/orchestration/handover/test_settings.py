"""What ``[handover.NAME]`` may say."""

import tomllib
from pathlib import Path

import pytest
from pydantic import Field, TypeAdapter

from mlmarket.errors import ConfigurationError
from mlmarket.market.settings import Settings, validate_settings
from mlmarket.orchestration.handover import (
    FileAdapter,
    HandoverSettings,
    Retries,
    Route,
    TableAdapter,
    WebhookAdapter,
    adapters,
)

SECRETS = {"CRM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
WHOLE = """
[handover.mail]
type = "csv"
kinds = ["message"]
channels = ["email", "sms"]
folder = "to_mailer"

[handover.crm]
type = "webhook"
kinds = ["task", "alert"]
url = "https://crm.example.com/hooks"
secret = "CRM_SECRET"
honours_keys = true
attempts = 5
first_wait = "5min"
longest_wait = "2H"

[handover.ads]
type = "table"
kinds = ["audience"]
connection = "duckdb://ads.duckdb"
"""


class Book(Settings):
    """A configuration that has nothing else."""

    handover: dict[str, HandoverSettings] = Field(default_factory=dict)


def settings_of(text):
    return validate_settings(Book, tomllib.loads(text), file="mlmarket.toml").handover


def test_each_type_becomes_its_adapter(tmp_path):
    ads, crm, mail = adapters(settings_of(WHOLE), tmp_path, SECRETS)
    assert isinstance(ads, TableAdapter)
    assert (ads.name, ads.folder, ads.table) == ("ads", tmp_path, "mlmarket_outbox")
    assert isinstance(crm, WebhookAdapter)
    assert (crm.idempotent, crm.batch) == (True, 100)
    assert (crm.retries.attempts, crm.retries.first.seconds) == (5, 300)
    assert isinstance(mail, FileAdapter)
    assert (mail.folder, mail.batch, mail.retries) == (tmp_path / "to_mailer", 50_000, Retries())
    assert mail.route == Route(frozenset({"message"}), frozenset({"email", "sms"}))


def test_a_webhook_asks_for_its_secret():
    with pytest.raises(ConfigurationError, match="environment has no CRM_SECRET"):
        adapters(settings_of(WHOLE), Path(), {})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kinds = ["audience"]', 'kinds = ["audiences"]', "did you mean 'audience'"),
        ('"email", "sms"', '"emial"', "did you mean 'email'"),
        ('kinds = ["audience"]', "kinds = []", "kinds"),
        ('type = "csv"', 'type = "excel"', "excel"),
        ('folder = "to_mailer"', 'foldr = "to_mailer"', "foldr"),
        ('secret = "CRM_SECRET"', 'secret = "whsec_abc+/="', "secret"),
        ("attempts = 5", "attempts = 0", "attempts"),
        ('"5min"', '"5"', "not a duration"),
        ('"duckdb://ads.duckdb"', '"duckdb://ads.duckdb"\ntable = "a; DROP"', "table"),
    ],
)
def test_what_cannot_be_followed_is_refused(old, new, words):
    assert old in WHOLE
    with pytest.raises(ConfigurationError) as caught:
        settings_of(WHOLE.replace(old, new))
    assert words in str(caught.value)


def test_two_ways_for_the_same_row_are_refused():
    text = WHOLE.replace('kinds = ["audience"]', 'kinds = ["audience", "task"]')
    with pytest.raises(
        ConfigurationError, match=r"\[handover.ads\] and \[handover.crm\] both take task"
    ):
        adapters(settings_of(text), Path(), SECRETS)


def test_settings_never_show_a_filled_in_secret():
    one = TypeAdapter(HandoverSettings).validate_python(
        {"type": "webhook", "kinds": ["task"], "url": "https://x.example", "secret": "NAME"}
    )
    assert "whsec" not in repr(one)
