"""A message is handed over once, by whichever run of whichever night gets that far."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.nightly import Night, backfill, run_night
from mlmarket.orchestration import StateStore

Opens = Callable[..., Night]
pytestmark = pytest.mark.usefixtures("quick_page")


def keys(night: Night) -> list[str]:
    """Return what a receiver that keeps the keys it has seen would see."""
    with (night.folder.path / "outbox.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row["idempotency_key"] for row in csv.DictReader(file)]


def test_no_message_is_ever_handed_over_by_two_nights(own_shop: Path, night_of: Opens) -> None:
    handed = []
    run_night(night_of(own_shop, 20))
    for day in (20, 21, 22):
        night = night_of(own_shop, day)
        run_night(night)
        handed.append(keys(night))
    flat = [key for night in handed for key in night]
    assert len(flat) == len(set(flat))
    assert handed[0]
    assert handed[2], "two days after the first, the second message is due"


def test_a_night_decided_again_with_other_segments_keeps_what_it_had_to_hand_over(
    own_shop: Path, night_of: Opens
) -> None:
    night = night_of(own_shop, 20)
    before = keys(night)
    file = own_shop / "segments.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("0.30", "0.50"), encoding="utf-8")
    run_night(night)
    after = keys(night)
    assert len(after) == len(set(after))
    assert set(before) < set(after), "people who came in with the change are told too"


def test_messages_of_a_night_killed_after_its_tick_are_handed_over_by_the_next(
    own_shop: Path, night_of: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(keys(night_of(own_shop, 20)))
    with monkeypatch.context() as broken:
        broken.setattr("mlmarket.nightly.decisions.write_csv", _die)
        with pytest.raises(KeyboardInterrupt):
            run_night(night_of(own_shop, 22))
    assert not (night_of(own_shop, 22).folder.path / "outbox.csv").exists()
    with StateStore.open(night_of(own_shop, 22).workspace.state) as store:
        decided = store.decisions_of(str(store.load().last_tick_id))
    owed = set(decided.outbox["idempotency_key"].to_pylist())
    assert owed
    run_night(night_of(own_shop, 23))
    handed = set(keys(night_of(own_shop, 23)))
    assert owed <= handed
    assert not handed & before
    run_night(night_of(own_shop, 24))
    assert not set(keys(night_of(own_shop, 24))) & (handed | before)


def _die(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_pruned_night_hands_nothing_over_again(own_shop: Path, night_of: Opens) -> None:
    before = keys(night_of(own_shop, 20))
    assert before
    shutil.rmtree(night_of(own_shop, 20).folder.path)
    run_night(night_of(own_shop, 21))
    assert not set(keys(night_of(own_shop, 21))) & set(before)


def test_a_night_made_afresh_hands_nothing_over_again_to_the_next(
    own_shop: Path, night_of: Opens
) -> None:
    night = night_of(own_shop, 20)
    before = keys(night)
    night.folder.forget()
    run_night(night_of(own_shop, 21))
    assert not set(keys(night_of(own_shop, 21))) & set(before)


def test_a_night_before_the_last_decided_is_refused_but_can_be_backfilled(
    own_shop: Path, night_of: Opens
) -> None:
    with pytest.raises(ConfigurationError, match="A later night than 2026-06-18") as caught:
        run_night(night_of(own_shop, 18))
    assert "mlmarket backfill --from 2026-06-18" in str(caught.value)
    night = night_of(own_shop, 18)
    done = list(backfill(night.config, night.day, night.day))
    assert [result.stage for result in done[0].stages][-2:] == ["report", "publish"]
    assert not (night.folder.path / "outbox.csv").exists()


def test_a_night_backfilled_first_is_decided_when_it_is_run(
    own_shop: Path, night_of: Opens
) -> None:
    night = night_of(own_shop, 22)
    list(backfill(night.config, night.day, night.day))
    history = sorted((own_shop / "history" / "contacts").iterdir())
    summary = run_night(night)
    assert "decisions" in [result.stage for result in summary.stages]
    assert (night.folder.path / "outbox.csv").is_file()
    with StateStore.open(night.workspace.state) as store:
        assert store.load().last_now == night.as_of
    assert set(history) <= set((own_shop / "history" / "contacts").iterdir())


def test_a_segment_of_a_column_that_will_not_be_there_stops_the_night_before_it_trains(
    new_shop: Path, night_of: Opens
) -> None:
    file = new_shop / "segments.yaml"
    text = file.read_text(encoding="utf-8").replace("{column: churn_prob", "{column: chrun_prob")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="chrun_probability_30d"):
        run_night(night_of(new_shop, 20))
    assert not (new_shop / "models").exists()


def test_a_night_that_has_not_come_is_refused(own_shop: Path, night_of: Opens) -> None:
    night = night_of(own_shop, 20)
    with pytest.raises(ConfigurationError, match="has not come yet"):
        run_night(
            Night(night.config, night.settings, night.workspace, night.day.replace(year=2999))
        )


def test_a_spreadsheet_runs_nothing_that_a_contact_wrote(own_shop: Path, night_of: Opens) -> None:
    contacts = own_shop / "tables" / "contacts.parquet"
    table = pq.read_table(contacts)
    place = table.schema.get_field_index("email")
    hostile = ['=HYPERLINK("http://x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "Zoë"]
    values = [hostile[row % len(hostile)] for row in range(len(table))]
    table = table.set_column(place, "email", [values])
    pq.write_table(table, contacts)
    night = night_of(own_shop, 22)
    run_night(night)
    cells = []
    for path in [
        *sorted((night.folder.path / "segments").iterdir()),
        night.folder.path / "outbox.csv",
    ]:
        raw = path.read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        cells += [value for row in rows for value in row.values()]
    written = {cell for cell in cells if any(text in cell for text in hostile)}
    assert {"'" + text for text in hostile if text != "Zoë"} | {"Zoë"} == written
    assert not [cell for cell in cells if cell[:1] in tuple("=@") or cell[:2] == "+1"]


def test_a_goal_that_nobody_ever_reached_stops_the_night_before_it_trains(
    own_shop: Path, night_of: Opens
) -> None:
    journey = next((own_shop / "journeys").glob("*.yaml"))
    journey.write_text(
        journey.read_text(encoding="utf-8").replace("goal: order", "goal: oder"), encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match="did you mean 'order'"):
        run_night(night_of(own_shop, 20))
