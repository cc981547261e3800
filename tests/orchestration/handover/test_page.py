"""What docs/handover.md says is so."""

import re
import tomllib
from pathlib import Path

import pytest

from mlmarket.market.settings import Settings, validate_settings
from mlmarket.orchestration.handover import HandoverSettings, Secret, adapters, signed_headers

PAGE = (Path(__file__).parents[3] / "docs" / "handover.md").read_text(encoding="utf-8")
TEXT = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Book(Settings):
    """A configuration that has nothing else."""

    handover: dict[str, HandoverSettings]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_configuration_of_the_page_can_be_followed(tmp_path):
    (text,) = blocks("toml")
    content = tomllib.loads(text.replace("${ADS_DATABASE}", "duckdb://ads.duckdb"))
    settings = validate_settings(Book, content, file="mlmarket.toml").handover
    ways = adapters(settings, tmp_path, {"CRM_WEBHOOK_SECRET": TEXT})
    assert [way.name for way in ways] == ["ads", "crm", "mailer"]


def test_the_receiver_of_the_page_knows_our_requests(outbox, monkeypatch):
    (code,) = [block for block in blocks("python") if "def is_ours" in block]
    names = {}
    exec(code, names)  # noqa: S102 - a page of our own
    secret = Secret.from_environment("NAME", {"NAME": TEXT})
    headers = signed_headers([secret], "key-1", b"{}", at=outbox.NOW)
    monkeypatch.setattr(names["time"], "time", lambda: outbox.NOW.timestamp() + 10)
    assert names["is_ours"](headers, b"{}", TEXT)
    assert not names["is_ours"](headers, b"{ }", TEXT)
    monkeypatch.setattr(names["time"], "time", lambda: outbox.NOW.timestamp() + 1000)
    assert not names["is_ours"](headers, b"{}", TEXT)


@pytest.mark.parametrize("code", blocks("python"))
def test_the_examples_of_the_page_are_python(code):
    compile(code, "handover.md", "exec")
