"""Old nights can be made, listed and removed without disturbing the nights that count."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.nightly import Night, Workspace, backfill, prune, run_night, runs

Opens = Callable[..., Night]
Trees = Callable[[Path], dict[str, tuple[int, bytes]]]
pytestmark = pytest.mark.usefixtures("quick_page")


def test_a_backfill_predicts_records_nothing_and_publishes_nothing_old(
    own_shop: Path, night_of: Opens, tree_of: Trees
) -> None:
    kept = [own_shop / name for name in ("history", "state", "runs/2026-06-20")]
    before = [tree_of(folder) for folder in kept]
    database = (own_shop / "mlmarket.duckdb").read_bytes()
    night = night_of(own_shop, 19)
    done = list(backfill(night.config, night.day, date(2026, 6, 20)))
    assert [one.night.day for one in done] == [19, 20]
    assert [tree_of(folder) for folder in kept] == before
    assert (own_shop / "mlmarket.duckdb").read_bytes() == database
    assert done[0].headline
    assert done[1].headline
    assert (night.folder.path / "predictions" / "contacts.parquet").is_file()
    assert sorted(path.name for path in (own_shop / "models/churn").iterdir()) == [
        "2026-06-19",
        "2026-06-20",
    ]


def test_a_backfill_ends_after_it_begins(own_shop: Path) -> None:
    with pytest.raises(ConfigurationError, match="before it begins"):
        list(backfill(own_shop / "mlmarket.toml", date(2026, 6, 2), date(2026, 6, 1)))


@pytest.fixture
def many_nights(tmp_path: Path) -> Workspace:
    """Return a workspace with six nights in name, and things beside them."""
    for day in range(1, 7):
        (tmp_path / "runs" / f"2026-06-0{day}" / "manifests").mkdir(parents=True)
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "models" / "churn").mkdir(parents=True)
    return Workspace(tmp_path)


@pytest.mark.parametrize("keep", [1, 2, 6, 30])
def test_prune_removes_the_oldest_nights_and_nothing_else(
    many_nights: Workspace, keep: int
) -> None:
    removed = prune(many_nights, keep=keep)
    assert [day.day for day in removed] == list(range(1, 7))[: max(6 - keep, 0)]
    assert [day.day for day in many_nights.nights()] == list(range(1, 7))[-keep:]
    assert (many_nights.runs / "notes").is_dir()
    assert (many_nights.models / "churn").is_dir()


def test_prune_waits_for_a_run_that_is_at_work(many_nights: Workspace) -> None:
    with many_nights.locked(), pytest.raises(RunError, match="Another run is working"):
        prune(many_nights, keep=1)
    assert len(many_nights.nights()) == 6


@pytest.mark.parametrize("keep", [0, -1])
def test_prune_keeps_at_least_one_night(many_nights: Workspace, keep: int) -> None:
    with pytest.raises(ConfigurationError, match="nights cannot be kept"):
        prune(many_nights, keep=keep)


def test_prune_makes_no_folder_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No night has been run"):
        prune(Workspace(tmp_path / "nothing"), keep=1)
    assert list(tmp_path.iterdir()) == []


def test_runs_lists_every_night_with_its_stages(own_shop: Path, night_of: Opens) -> None:
    (own_shop / "runs" / "2026-06-01").mkdir()
    listed = runs(night_of(own_shop, 20).workspace)
    assert [(day.day, len(stages)) for day, stages in listed] == [(1, 0), (20, 6)]


def test_a_manifest_that_cannot_be_read_means_that_the_stage_is_not_done(
    own_shop: Path, night_of: Opens
) -> None:
    folder = night_of(own_shop, 20).folder
    for text in ("", "{", "[]", "{}", '{"stage": "check", "inputs": "x"}'):
        (folder.path / "manifests" / "check.json").write_text(text, encoding="utf-8")
        assert folder.result("check") is None
    run_night(night_of(own_shop, 20))
    assert folder.result("check") is not None


def test_only_what_a_night_leaves_behind_is_swept(tmp_path: Path) -> None:
    ours = ["runs/2026-06-01/.tmp-check", "models/churn/.tmp-x", "history/contacts/a.1.tmp"]
    theirs = [".tmp-notes", "data/.tmp-export", "runs/2026-06-01/deep/down/.tmp-x"]
    for name in [*ours, *theirs, ".tmp-9-mlmarket.duckdb"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    with Workspace(tmp_path).locked():
        left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {*theirs, ".mlmarket.lock"}
