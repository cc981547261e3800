"""A night is made once, whole, and the same each time, whatever happens to the machine."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlmarket.errors import RunError
from mlmarket.nightly import Night, run_night
from mlmarket.nightly.folder import StageResult

Opens = Callable[..., Night]
Reads = Callable[[Path, date], dict[str, object]]
FIRST = date(2026, 6, 20)
STAGES = ("check", "models", "predictions", "decisions", "report", "publish")
DRIVER = Path(__file__).with_name("kill_driver.py")


class Witness:
    """Remembers which stages were skipped, and interferes where it is asked to."""

    def __init__(self, at: str = "", what: Callable[[], None] = lambda: None) -> None:
        self.at, self.what = at, what
        self.done: dict[str, bool] = {}

    def started(self, stage: str) -> None:
        if stage == self.at:
            self.what()

    def working(self, stage: str, what: str) -> None:
        """Remember nothing."""

    def finished(self, result: StageResult, *, skipped: bool) -> None:
        self.done[result.stage] = skipped


def test_a_night_in_another_empty_folder_gives_the_same_bytes(
    new_shop: Path, first_night: Path, night_of: Opens, results_of: Reads
) -> None:
    witness = Witness()
    run_night(night_of(new_shop, 20), progress=witness)
    assert witness.done == dict.fromkeys(STAGES, False)
    found, expected = results_of(new_shop, FIRST), results_of(first_night, FIRST)
    assert found.keys() == expected.keys()
    assert {name for name in found if found[name] != expected[name]} == set()
    assert {"report.html", "outbox.csv", "segments/leaving.csv"} <= found.keys()


def test_a_night_that_is_run_again_does_nothing(
    own_shop: Path, night_of: Opens, tree_of: Callable[[Path], object]
) -> None:
    before = tree_of(own_shop)
    witness = Witness()
    summary = run_night(night_of(own_shop, 20), progress=witness)
    assert witness.done == dict.fromkeys(STAGES, True)
    assert tree_of(own_shop) == before
    assert summary.headline
    assert [result.stage for result in summary.stages] == list(STAGES)


def test_a_night_that_is_killed_at_every_step_ends_with_the_same_bytes(
    new_shop: Path,
    shop: Path,
    first_night: Path,
    tmp_path: Path,
    results_of: Reads,
    leftovers_of: Callable[[Path], list[str]],
) -> None:
    unbroken = Path(shutil.copytree(shop, tmp_path / "unbroken"))
    command = [sys.executable, str(DRIVER), str(new_shop / "mlmarket.toml"), str(FIRST), unbroken]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps = done.stdout.splitlines()
    assert len(steps) > 25
    assert [step for step in steps if not step.startswith("killed at ")] == []
    for stage in STAGES:
        assert f"killed at {stage}: begins" in steps
        assert f"killed at {stage}: move {stage}.json" in steps
    found, expected = results_of(new_shop, FIRST), results_of(first_night, FIRST)
    assert found.keys() == expected.keys()
    assert {name for name in found if found[name] != expected[name]} == set()
    assert results_of(unbroken, FIRST) == expected
    assert leftovers_of(new_shop) == []


def test_of_two_nights_at_once_the_second_is_refused_and_the_first_unharmed(
    own_shop: Path, night_of: Opens
) -> None:
    refused: list[subprocess.CompletedProcess[str]] = []
    command = [sys.executable, "-m", "mlmarket", "nightly", "--date", "2026-06-22", "--config"]

    def second() -> None:
        refused.append(
            subprocess.run(
                [*command, str(own_shop / "mlmarket.toml")],
                capture_output=True,
                text=True,
                check=False,
            )
        )

    summary = run_night(night_of(own_shop, 22), progress=Witness("predictions", second))
    assert len(summary.stages) == len(STAGES)
    assert refused[0].returncode == 1
    assert refused[0].stderr.startswith("Another run is working in")
    assert len(refused[0].stderr.strip().splitlines()) == 3


def test_a_disk_that_takes_no_more_is_told_in_three_lines_and_earlier_stages_stay(
    own_shop: Path, night_of: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(pq, "write_table", refuse)
        with pytest.raises(RunError, match="is full") as caught:
            run_night(night_of(own_shop, 22))
    assert len(str(caught.value).splitlines()) == 3
    folder = night_of(own_shop, 22).folder
    assert [result.stage for result in folder.stages()] == ["check", "models"]
    assert not (folder.path / "predictions").exists()
    witness = Witness()
    run_night(night_of(own_shop, 22), progress=witness)
    assert [stage for stage, skipped in witness.done.items() if skipped] == ["check", "models"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 200 kB, where this process may."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        yield place
    finally:
        subprocess.run([str(shutil.which("umount")), "-l", str(place)], check=False)


def test_a_disk_that_is_really_full_stops_the_night_and_room_lets_it_go_on(
    first_night: Path, night_of: Opens, small_disk: Path, leftovers_of: Callable[[Path], list[str]]
) -> None:
    shutil.copytree(first_night / "models", small_disk / "models")
    padding = small_disk / "padding"
    left = shutil.disk_usage(small_disk).free - 24_000
    padding.write_bytes(b"0" * left)
    night = night_of(first_night, 22, output=small_disk)
    with pytest.raises(RunError, match="is full") as caught:
        run_night(night)
    assert "Fix: free some space" in str(caught.value)
    assert "publish" not in [result.stage for result in night.folder.stages()]
    remount = ["-o", "remount,size=20m", str(small_disk)]
    subprocess.run([str(shutil.which("mount")), *remount], check=True)
    padding.unlink()
    assert len(run_night(night).stages) == len(STAGES)
    assert leftovers_of(small_disk) == []


def test_a_folder_that_cannot_be_written_is_named(first_night: Path, night_of: Opens) -> None:
    place = first_night / "mlmarket.toml"  # no folder can be made below a file
    with pytest.raises(RunError, match="cannot be written") as caught:
        run_night(night_of(first_night, 22, output=place / "results"))
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_named(
    first_night: Path, night_of: Opens, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(RunError, match="cannot be written: Permission denied"):
        run_night(night_of(first_night, 22, output=closed / "results"))


def test_a_changed_table_is_noticed_and_only_what_follows_from_it_is_made_again(
    own_shop: Path, night_of: Opens
) -> None:
    file = own_shop / "segments.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("0.10", "0.20"), encoding="utf-8")
    witness = Witness()
    run_night(night_of(own_shop, 20), progress=witness)
    assert [stage for stage, skipped in witness.done.items() if skipped] == list(STAGES[:3])
    orders = own_shop / "tables" / "orders.parquet"
    table = pq.read_table(orders)
    pq.write_table(table.slice(0, len(table) - 1), orders)
    witness = Witness()
    run_night(night_of(own_shop, 20), progress=witness)
    assert not witness.done["predictions"]


def test_manifests_say_how_long_and_how_much_memory_a_stage_took(
    first_night: Path, night_of: Opens
) -> None:
    results = night_of(first_night, 20).folder.stages()
    assert [result.stage for result in results] == list(STAGES)
    assert all(result.seconds > 0 and result.peak_megabytes > 50 for result in results)
    assert all(result.cpu_seconds >= 0 for result in results)


def test_a_shop_without_consents_gets_segments_and_no_message(
    own_shop: Path, night_of: Opens
) -> None:
    config = own_shop / "mlmarket.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(
        text.replace("[tables.consents]", "[tables.items]").replace(
            "consents.parquet", "items.parquet"
        ),
        encoding="utf-8",
    )
    run_night(night_of(own_shop, 22))
    run = night_of(own_shop, 22).folder.path
    assert pq.read_table(run / "outbox.parquet").num_rows == 0
    assert pq.read_table(run / "segments.parquet").num_rows > 0
    assert pq.read_table(run / "predictions" / "contacts.parquet").num_rows > 300
    assert "consent" in (run / "report.html").read_text(encoding="utf-8")


def test_predictions_have_one_row_a_contact_sorted_and_reasons_beside_what_is_missing(
    first_night: Path, night_of: Opens
) -> None:
    folder = night_of(first_night, 20).folder.path / "predictions"
    table = pq.read_table(folder / "contacts.parquet")
    people = table.column("contact_id").to_pylist()
    assert people == sorted(set(people))
    assert table.schema.field("purchase_probability_30d").type == pa.float64()
    assert table.schema.field("as_of").type == pa.timestamp("us")
    rows = zip(people, table.column("purchase_probability_30d").to_pylist(), strict=True)
    silent = {contact for contact, value in rows if value is None}
    missing = pq.read_table(folder / "missing.parquet").to_pylist()
    assert silent == {row["contact_id"] for row in missing if row["predictor"] == "purchase"}
    assert all(row["reason"] for row in missing)
