"""How the outbox leaves the house, who may be shown ads, and who is left alone."""

import csv
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mlmarket import cli
from mlmarket.errors import MlmarketError
from mlmarket.nightly import Night, run_night
from mlmarket.nightly.delivery import deliver_now, outbox_status, write_audience
from mlmarket.nightly.minute import tick_now
from mlmarket.nightly.privacy import suppress_person
from mlmarket.orchestration import StateStore

Opens = Callable[..., Night]
pytestmark = pytest.mark.usefixtures("quick_page")

HANDOVER = """
[handover.mailer]
type = "csv"
kinds = ["message"]
folder = "to_mailer"
"""


@pytest.fixture(scope="module")
def handing_night(shop: Path, night_of: Opens, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop after a first night whose outbox is handed over by deliveries."""
    folder = Path(shutil.copytree(shop, tmp_path_factory.mktemp("handing") / "shop"))
    with (folder / "mlmarket.toml").open("a", encoding="utf-8") as file:
        file.write(HANDOVER)
    run_night(night_of(folder, 20))
    return folder


@pytest.fixture
def handing(handing_night: Path, tmp_path: Path) -> Path:
    """Return a copy of one's own."""
    return Path(shutil.copytree(handing_night, tmp_path / "shop"))


def command(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, list(arguments))


def delivered(folder: Path) -> list[str]:
    """Return the keys in the files that the mailer found."""
    keys = []
    for path in sorted((folder / "to_mailer").rglob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            keys += [row["idempotency_key"] for row in csv.DictReader(file)]
    return keys


def outbox(night: Night, *statuses: str) -> pa.Table:
    with StateStore.open(night.workspace.state) as store:
        return store.outbox(*statuses)


def test_what_is_due_goes_into_files_once_and_counts_as_sent(
    handing: Path, night_of: Opens
) -> None:
    night = night_of(handing, 20)
    waiting = outbox(night, "pending")["idempotency_key"].to_pylist()
    assert waiting, "a night with a hand-over leaves its rows pending"
    shown = pq.read_table(night.folder.path / "outbox.parquet")
    assert set(shown["idempotency_key"].to_pylist()) == set(waiting)
    config = ("--config", str(handing / "mlmarket.toml"))
    moment = (night.as_of + timedelta(hours=14)).isoformat()
    first = command("deliver", *config, "--now", moment)
    assert first.exit_code == 0, first.output
    assert f"{len(waiting)} handed over" in first.stdout
    assert sorted(delivered(handing)) == sorted(waiting)
    again = command("deliver", *config, "--now", moment)
    assert again.exit_code == 0
    assert sorted(delivered(handing)) == sorted(waiting)
    assert set(outbox(night)["status"].to_pylist()) == {"sent"}
    status = command("outbox", *config)
    assert status.stdout.split() == ["sent", str(len(waiting))]
    late = (night.as_of + timedelta(hours=15)).isoformat()
    both = command("tick", *config, "--now", late, "--deliver")
    assert both.exit_code == 0, both.output
    assert "people looked at" in both.stdout


def test_a_dead_letter_is_listed_and_tried_again_when_it_is_asked_for(
    handing: Path, night_of: Opens
) -> None:
    night = night_of(handing, 20)
    now = night.as_of + timedelta(hours=14)
    with StateStore.open(night.workspace.state) as store:
        rows = store.claim("broken", now=now, limit=2)
        keys = rows["idempotency_key"].to_pylist()
        results = {
            "idempotency_key": keys,
            "status": ["failed", "unknown"],
            "error": ["no such address", "no answer"],
            "next_attempt_at": pa.nulls(2, pa.timestamp("us")),
        }
        store.settle(pa.table(results), now=now)
    status = outbox_status(night)
    assert (status.counts["failed"], status.counts["unknown"]) == (1, 1)
    text = status.to_text()
    assert f"failed  {keys[0]}  win_back.hello  no such address" in text
    assert f"unknown  {keys[1]}" in text
    assert "@" not in text
    config = ("--config", str(handing / "mlmarket.toml"))
    done = command("outbox", *config, "--requeue", keys[0], "--retry-unknown", keys[1])
    assert done.exit_code == 0, done.output
    assert "failed" not in done.stdout
    assert set(keys) <= set(outbox(night, "pending")["idempotency_key"].to_pylist())
    unknown = command("outbox", *config, "--requeue", "f" * 64)
    assert isinstance(unknown.exception, MlmarketError)


def test_who_is_suppressed_is_written_to_no_more(handing: Path, night_of: Opens) -> None:
    night = night_of(handing, 20)
    contact, another = sorted(set(outbox(night, "pending")["contact_id"].to_pylist()))[:2]
    config = ("--config", str(handing / "mlmarket.toml"))
    # The command's suppression counts from the present on, months after this night.
    done = command("suppress", another, "--by", "rui", *config)
    assert done.exit_code == 0, done.output
    assert "is written to no more" in done.stdout
    with StateStore.open(night.workspace.state) as store:
        store.suppress(contact, None, "asked", night.as_of, by="ana")
    deliver_now(night, now=night.as_of + timedelta(hours=14))
    mine = [row for row in outbox(night).to_pylist() if row["contact_id"] == contact]
    assert {row["status"] for row in mine} == {"cancelled"}
    assert {row["last_error"] for row in mine} == {"suppressed"}
    with StateStore.open(night.workspace.state) as store:
        log = store.release_log().to_pylist()
    assert [(row["action"], row["by"], row["contact_id"]) for row in log][-1] == (
        "suppressed",
        "ana",
        contact,
    )


def test_a_suppression_by_channel_leaves_the_others(handing: Path, night_of: Opens) -> None:
    night = night_of(handing, 20)
    contact = outbox(night, "pending")["contact_id"][0].as_py()
    suppress_person(night, contact, channel="sms", reason="asked", by="ana")
    deliver_now(night, now=night.as_of + timedelta(hours=14))
    mine = [row for row in outbox(night).to_pylist() if row["contact_id"] == contact]
    assert {row["status"] for row in mine} == {"sent"}


def test_without_a_handover_delivery_says_what_to_write(own_shop: Path, night_of: Opens) -> None:
    with pytest.raises(MlmarketError, match=r"has no \[handover.NAME\]"):
        deliver_now(night_of(own_shop, 20))


# --- audiences ------------------------------------------------------------------------------------


def consent_to_ads(shop: Path, contacts: list[str], day: datetime) -> None:
    file = shop / "tables" / "consents.parquet"
    content = pq.read_table(file)
    row = dict.fromkeys(content.schema.names) | {
        "channel": "ads",
        "granted": True,
        "legal_basis": "consent",
        "changed_at": day.replace(tzinfo=None),
    }
    rows = [{**row, "contact_id": one} for one in contacts]
    new = pa.Table.from_pylist(rows, schema=content.schema)
    pq.write_table(pa.concat_tables([content, new]), file)


def test_an_audience_holds_hashes_of_those_who_agreed_and_later_only_what_changed(
    own_shop: Path, night_of: Opens, tmp_path: Path
) -> None:
    night = night_of(own_shop, 20)
    with StateStore.open(night.workspace.state) as store:
        members = store.load().members.to_pylist()
    leaving = sorted(row["contact_id"] for row in members if row["segment"] == "leaving")
    agreed = leaving[:3]
    consent_to_ads(own_shop, agreed, datetime(2026, 6, 1, tzinfo=UTC))
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    told = write_audience(night, "leaving", "meta", first)
    said = pq.read_table(own_shop / "tables" / "consents.parquet").to_pylist()
    known = {row["contact_id"] for row in said if row["channel"] == "ads" and row["granted"]}
    count = len(set(leaving) & known)
    assert told.startswith(f"{count} rows from {len(leaving)} members")
    text = first.read_text(encoding="utf-8-sig")
    assert "@" not in text
    assert len(text.splitlines()) == 1 + count
    # A tick that looks at few people leaves the segment whole.
    tick_now(night, now=night.as_of + timedelta(hours=1))
    config = ("--config", str(own_shop / "mlmarket.toml"))
    arguments = ("--platform", "meta", "--file", str(second), "--earlier", str(first))
    done = command("audience", "leaving", *arguments, *config)
    assert done.exit_code == 0, done.output
    assert len(second.read_text(encoding="utf-8-sig").splitlines()) == 1
    consent_to_ads(own_shop, leaving[3:4], datetime(2026, 6, 1, tzinfo=UTC))
    command("audience", "leaving", *arguments, *config)
    rows = second.read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) == 2


def test_an_audience_of_no_segment_or_platform_is_refused_with_the_near_name(
    own_shop: Path, night_of: Opens, tmp_path: Path
) -> None:
    night = night_of(own_shop, 20)
    with pytest.raises(MlmarketError, match="did you mean 'leaving'"):
        write_audience(night, "leving", "meta", tmp_path / "a.csv")
    with pytest.raises(MlmarketError, match="did you mean 'meta'"):
        write_audience(night, "leaving", "mata", tmp_path / "a.csv")
    with pytest.raises(MlmarketError, match="cannot be read"):
        write_audience(
            night, "leaving", "meta", tmp_path / "a.csv", earlier=tmp_path / "absent.csv"
        )
