"""A marketer's path: from a template to rows of the outbox, and through changes of the file."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mlmarket import cli
from mlmarket.errors import ConfigurationError
from mlmarket.nightly import Night, run_night
from mlmarket.nightly.authoring import (
    approve_journeys,
    journey_statuses,
    migrate_journey,
    pause_journey,
    preview_journey,
    resume_journey,
)
from mlmarket.nightly.why import explain_journey
from mlmarket.orchestration import StateStore

Opens = Callable[..., Night]
pytestmark = pytest.mark.usefixtures("quick_page")


@pytest.fixture(scope="module")
def draft_night(shop: Path, night_of: Opens, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop after a night in which nothing was approved."""
    folder = Path(shutil.copytree(shop, tmp_path_factory.mktemp("draft") / "shop"))
    shutil.rmtree(folder / "state")
    run_night(night_of(folder, 20))
    return folder


@pytest.fixture
def drafts(draft_night: Path, tmp_path: Path) -> Path:
    """Return a copy of one's own."""
    return Path(shutil.copytree(draft_night, tmp_path / "shop"))


def command(folder: Path, *arguments: str) -> Any:
    config = ("--config", str(folder / "mlmarket.toml"))
    return CliRunner().invoke(cli.app, ["journey", *arguments, *config])


def outbox(night: Night) -> list[dict[str, str]]:
    file = night.folder.path / "outbox.csv"
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def edit(shop: Path, old: str, new: str) -> None:
    file = shop / "journeys" / "win_back.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def status(night: Night) -> str:
    (one,) = journey_statuses(night)
    return one.status


def test_a_draft_does_nothing_in_a_whole_night_until_it_is_approved(
    drafts: Path, night_of: Opens
) -> None:
    night = night_of(drafts, 20)
    assert status(night) == "draft"
    assert outbox(night) == []
    result = night.folder.result("decisions")
    assert result is not None
    assert result.counts.get("entered", 0) == 0
    shown = command(drafts, "preview", "win_back", "--people", "3")
    assert shown.exit_code == 0, shown.output
    assert "hello: send" in shown.stdout
    assert status(night) == "draft"
    told = command(drafts, "approve", "win_back", "--by", "ana")
    assert told.exit_code == 0, told.output
    assert "is approved by ana" in told.stdout
    assert command(drafts, "status").stdout.split()[:2] == ["win_back", "approved"]
    run_night(night_of(drafts, 21))
    assert {row["step"] for row in outbox(night_of(drafts, 21))} == {"hello"}


def test_a_changed_file_goes_on_as_it_was_approved_until_it_is_approved_again(
    own_shop: Path, night_of: Opens
) -> None:
    night = night_of(own_shop, 21)
    edit(own_shop, "name: again", "name: once_more")
    assert status(night) == "changed"
    run_night(night_of(own_shop, 22))
    assert "again" in {row["step"] for row in outbox(night_of(own_shop, 22))}
    approve_journeys(night, ["win_back"], by="ana", at=night_of(own_shop, 22).as_of)
    assert status(night) == "approved"
    run_night(night_of(own_shop, 24))
    steps = {row["step"] for row in outbox(night_of(own_shop, 24))}
    assert "once_more" not in steps, "those under way finish the version that they came in on"
    with StateStore.open(night.workspace.state) as store:
        versions = set(store.load().enrolments["version"].to_pylist())
    assert len(versions) in {1, 2}


def test_people_in_flight_move_only_when_it_is_asked_for(own_shop: Path, night_of: Opens) -> None:
    night = night_of(own_shop, 20)
    edit(own_shop, "name: again", "name: once_more")
    approve_journeys(night, [], by="ana", at=night.as_of)
    dry = command(own_shop, "migrate", "win_back", "--by", "ana", "--map", "again=once_more")
    assert dry.exit_code == 0, dry.output
    assert dry.stdout.strip().endswith("Nothing was changed; add --apply to do it.")
    with StateStore.open(night.workspace.state) as store:
        before = store.load().enrolments["version"].to_pylist()
    plan = migrate_journey(
        night,
        "win_back",
        mapping={"wait_2": "wait_2", "again": "once_more"},
        by="ana",
        apply=True,
        at=night.as_of,
    )
    with StateStore.open(night.workspace.state) as store:
        after = store.load().enrolments["version"].to_pylist()
    assert set(before) != set(after)
    assert plan.to_text()
    run_night(night_of(own_shop, 22))
    assert "once_more" in {row["step"] for row in outbox(night_of(own_shop, 22))}
    assert command(own_shop, "migrate", "win_back", "--by", "ana", "--map", "a").exception


def test_a_paused_journey_stands_still_until_it_is_resumed(own_shop: Path, night_of: Opens) -> None:
    night = night_of(own_shop, 20)
    pause_journey(night, "win_back", by="ana", at=night.as_of)
    assert status(night) == "paused"
    run_night(night_of(own_shop, 22))
    assert outbox(night_of(own_shop, 22)) == []
    resume_journey(night, "win_back", by="ana", at=night_of(own_shop, 22).as_of)
    assert status(night) == "approved"
    run_night(night_of(own_shop, 23))
    assert "again" in {row["step"] for row in outbox(night_of(own_shop, 23))}


def test_a_file_that_cannot_work_is_not_approved_and_lint_leaves_with_two(
    drafts: Path, night_of: Opens
) -> None:
    clean = command(drafts, "lint")
    assert clean.exit_code == 0, clean.output
    edit(drafts, "goal: order", "goal: oder")
    done = command(drafts, "lint")
    assert done.exit_code == 2
    assert "oder" in done.stdout
    with pytest.raises(ConfigurationError, match="oder") as caught:
        approve_journeys(night_of(drafts, 20), ["win_back"], by="ana")
    assert len(str(caught.value).splitlines()) == 3
    assert status(night_of(drafts, 20)) == "draft"
    assert command(drafts, "lint", "--strict").exit_code == 2


def test_a_journey_that_is_not_there_is_answered_with_the_near_name(
    drafts: Path, night_of: Opens
) -> None:
    for name in ("preview", "graph"):
        assert "did you mean 'win_back'" in str(command(drafts, name, "win_bak").exception)
    with pytest.raises(ConfigurationError, match="no journey 'win_bak'"):
        preview_journey(night_of(drafts, 20), "win_bak")


def test_what_a_journey_did_with_a_person_is_told_with_what_is_asked_at_the_door(
    own_shop: Path, night_of: Opens
) -> None:
    night = night_of(own_shop, 20)
    contact = outbox(night)[0]["contact_id"]
    report = explain_journey(night, "win_back", contact)
    text = report.to_text()
    assert "hello: send by email" in text
    assert "yes the journey was approved by tests" in text
    assert "is in the segment 'leaving'" in text
    done = command(own_shop, "explain", "win_back", contact)
    assert done.stdout.strip() == text.strip()
    with StateStore.open(night.workspace.state) as store:
        members = {row["contact_id"] for row in store.load().members.to_pylist()}
    other = next(f"C{n:06}" for n in range(400) if f"C{n:06}" not in members)
    outside = command(own_shop, "explain", "win_back", other).stdout
    assert "not in it so far" in outside
    assert "NO  is not in the segment 'leaving'" in outside
    assert "churn_probability_30d" in outside
    assert "Nobody with the contact_id" in str(
        command(own_shop, "explain", "win_back", "nobody").exception
    )


def test_a_journey_is_drawn_with_those_who_are_in_it(own_shop: Path, tmp_path: Path) -> None:
    text = command(own_shop, "graph", "win_back").stdout
    assert text.startswith("flowchart")
    place = tmp_path / "journey.svg"
    assert (
        command(own_shop, "graph", "win_back", "--format", "svg", "--file", str(place)).exit_code
        == 0
    )
    assert place.read_text(encoding="utf-8").startswith("<svg")


def in_trial(shop: Path, first: int, last: int) -> list[str]:
    """Put some people who may be e-mailed on the free plan, and nobody else."""
    consents = pq.read_table(shop / "tables" / "consents.parquet").to_pylist()
    refused = {row["contact_id"] for row in consents if not row["granted"]}
    agreed = {row["contact_id"] for row in consents if row["channel"] == "email"} - refused
    chosen = sorted(agreed)[:last]
    file = shop / "tables" / "contacts.parquet"
    table = pq.read_table(file)
    plans = ["free" if one in chosen else "paid" for one in table["contact_id"].to_pylist()]
    pq.write_table(table.set_column(table.schema.get_field_index("plan"), "plan", [plans]), file)
    return chosen[first:last]


def test_from_a_template_to_the_outbox_and_through_a_change(drafts: Path, night_of: Opens) -> None:
    runner = CliRunner()
    assert "trial_onboarding" in runner.invoke(cli.app, ["journey", "templates"]).stdout
    asked = ["journey", "templates", "trial_onboarding", "--folder", str(drafts)]
    assert "journeys/trial_onboarding.yaml" in runner.invoke(cli.app, asked).stdout
    (drafts / "journeys" / "win_back.yaml").unlink()
    config = drafts / "mlmarket.toml"
    text = config.read_text(encoding="utf-8")
    text = text.replace('["segments.yaml"]', '["segments.yaml", "segments/*.yaml"]')
    events = '\n[tables.events]\nsource = "tables/events.parquet"\ntimezone = "UTC"\n'
    config.write_text(text + events, encoding="utf-8")
    in_trial(drafts, 0, 2)
    linted = command(drafts, "lint")
    assert linted.exit_code == 0, linted.stdout
    run_night(night_of(drafts, 21))
    shown = command(drafts, "preview", "trial_onboarding")
    assert shown.exit_code == 0, shown.output
    assert "get_started: send" in shown.stdout
    approved = approve_journeys(
        night_of(drafts, 21), ["trial_onboarding"], by="ana", at=night_of(drafts, 21).as_of
    )
    assert outbox(night_of(drafts, 21)) == []
    newcomers = in_trial(drafts, 2, 6)
    run_night(night_of(drafts, 22))
    handed = [row for row in outbox(night_of(drafts, 22)) if row["kind"] == "message"]
    assert {row["step"] for row in handed} == {"get_started"}
    assert {row["contact_id"] for row in handed} <= set(newcomers), "no backlog is released"
    file = drafts / "journeys" / "trial_onboarding.yaml"
    old = file.read_text(encoding="utf-8")
    file.write_text(old.replace("name: get_started", "name: hello"), encoding="utf-8")
    (now,) = journey_statuses(night_of(drafts, 22))
    assert now.status == "changed"
    again = approve_journeys(
        night_of(drafts, 22), ["trial_onboarding"], by="ana", at=night_of(drafts, 22).as_of
    )
    assert again[0].version != approved[0].version
    later = in_trial(drafts, 2, 9)[4:]
    run_night(night_of(drafts, 24))
    with StateStore.open(night_of(drafts, 24).workspace.state) as store:
        rows = store.load().enrolments.to_pylist()
    versions = {row["contact_id"]: row["version"] for row in rows}
    assert {versions[one] for one in newcomers} == {approved[0].version}
    assert {versions[one] for one in later if one in versions} == {again[0].version}
