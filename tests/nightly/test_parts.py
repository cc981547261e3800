"""Predictions are kept part by part; whatever happens, no part is made twice or twice otherwise."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mlmarket.market import Market
from mlmarket.nightly import Night, parts, run_night
from mlmarket.nightly.folder import StageResult
from mlmarket.nightly.models import ModelStore
from mlmarket.nightly.parts import Parts
from mlmarket.nightly.predictions import contacts_file, join_predictions, read_predictions
from mlmarket.prediction import SupervisedPredictor
from mlmarket.prediction.fitted import Fitted

Opens = Callable[..., Night]
Reads = Callable[[Path, date], dict[str, object]]
SECOND = date(2026, 6, 22)
KILLER = Path(__file__).with_name("part_killer.py")
SIZE = 60


class Listener:
    """Remembers what predictors were asked, and how many rows they answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        self.rows: dict[str, int] = {}
        original = Fitted.answer

        def answer(fitted: Fitted, batch: Any, question: Any) -> Any:
            self.rows[question.name] = self.rows.get(question.name, 0) + batch.num_rows
            return original(fitted, batch, question)

        monkeypatch.setattr(Fitted, "answer", answer)

    def started(self, stage: str) -> None:
        """Remember nothing."""

    def working(self, stage: str, what: str) -> None:
        if stage == "predictions":
            self.told.append(what)

    def finished(self, result: StageResult, *, skipped: bool) -> None:
        """Remember nothing."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, quick_page: None) -> None:
    """Make parts so small that a shop of 400 has several."""
    monkeypatch.setattr(parts, "CONTACTS_A_PART", SIZE)


def _kill(shop: Path, after: int) -> None:
    command = [sys.executable, KILLER, shop / "mlmarket.toml", str(SECOND), str(after), str(SIZE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_night_killed_in_the_middle_of_predictions_goes_on_at_the_first_unfinished_part(
    own_shop: Path,
    tmp_path: Path,
    night_of: Opens,
    results_of: Reads,
    leftovers_of: Callable[[Path], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unbroken = Path(shutil.copytree(own_shop, tmp_path / "unbroken"))
    run_night(night_of(unbroken, 22), decide=False)
    file = pq.ParquetFile(contacts_file(night_of(unbroken, 22).folder.path))
    buckets = file.num_row_groups
    assert buckets > 4
    night = night_of(own_shop, 22)
    _kill(own_shop, 3)
    assert night.folder.result("predictions") is None
    assert _finished(night) == {"purchase": 2}  # the third was not counted any more
    before = _written(night)
    _kill(own_shop, buckets)  # all others of the first predictor, and two of the second
    assert _finished(night) == {"purchase": buckets, "churn": 1}
    after = _written(night)
    assert {name: after[name] for name in list(before)[:2]} == dict(list(before.items())[:2])
    listener = Listener(monkeypatch)
    run_night(night, decide=False, progress=listener)
    assert listener.told[0] == f"asking 'churn' from bucket 2 of {buckets} on"
    table = pq.read_table(contacts_file(night.folder.path))
    rest = table.slice(SIZE).column("churn_probability_30d")
    assert listener.rows == {"churn": len(rest) - rest.null_count}
    assert results_of(own_shop, SECOND) == results_of(unbroken, SECOND)
    assert not night.folder.parts.exists()
    assert leftovers_of(own_shop) == []


def _finished(night: Night) -> dict[str, int]:
    content = json.loads((night.folder.parts / "parts.json").read_text(encoding="utf-8"))
    return dict(content["finished"])


def _written(night: Night) -> dict[str, int]:
    files = sorted(night.folder.parts.glob("*.parquet"))
    return {path.name: path.stat().st_mtime_ns for path in files}


def test_parts_left_by_a_kill_behind_the_manifest_are_cleared_away(
    own_shop: Path, night_of: Opens
) -> None:
    night = night_of(own_shop, 20)
    night.folder.parts.mkdir()
    run_night(night)
    assert not night.folder.parts.exists()


def test_a_night_made_afresh_trusts_no_part(own_shop: Path, night_of: Opens) -> None:
    folder = night_of(own_shop, 20).folder
    folder.parts.mkdir()
    folder.forget()
    assert not folder.parts.exists()


@pytest.fixture(scope="module")
def ready(
    first_night: Path, night_of: Opens
) -> tuple[Market, tuple[SupervisedPredictor, ...], datetime]:
    """Return a market, its trained predictors, and an instant."""
    night = night_of(first_night, 22)
    result = night_of(first_night, 20).folder.result("models")
    assert result is not None
    models = ModelStore(night.workspace, night.settings).load(night.day, result.details["versions"])
    return night.market(), models, night.as_of


Ready = tuple[Market, tuple[SupervisedPredictor, ...], datetime]


def _joined(ready: Ready, folder: Path, *, inputs: str = "tonight") -> dict[str, bytes]:
    """Answer what is not answered yet, and return the bytes of the result."""
    market, predictors, as_of = ready
    kept = Parts.take_up(folder / "parts", market, as_of=as_of, inputs=inputs)
    for one in predictors:
        kept.answer(one, market, as_of=as_of)
    shutil.rmtree(folder / "predictions", ignore_errors=True)
    join_predictions(kept, [one.name for one in predictors], folder, as_of=as_of)
    return {path.name: path.read_bytes() for path in (folder / "predictions").iterdir()}


@pytest.mark.parametrize("what", ["other inputs", "no manifest", "no part", "other libraries"])
def test_parts_that_cannot_be_trusted_are_made_again(
    what: str, ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _joined(ready, tmp_path)
    listener = Listener(monkeypatch)
    assert _joined(ready, tmp_path) == whole
    assert listener.rows == {}
    folder = tmp_path / "parts"
    if what == "other inputs":
        assert _joined(ready, tmp_path, inputs="of another night") == whole
    elif what == "no manifest":
        (folder / "parts.json").write_text("{", encoding="utf-8")
    elif what == "no part":
        (folder / "churn-00001.parquet").unlink()
    else:
        monkeypatch.setattr(parts, "library_versions", lambda: {"duckdb": "9.9"})
    assert _joined(ready, tmp_path) == whole
    assert listener.rows.keys() == ({"churn"} if what == "no part" else {"churn", "purchase"})


def test_how_many_contacts_a_part_holds_changes_no_row(
    ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for size in (1_000, 37):
        monkeypatch.setattr(parts, "CONTACTS_A_PART", size)
        (tmp_path / str(size)).mkdir()
        _joined(ready, tmp_path / str(size))
        found.append(read_predictions(tmp_path / str(size)))
    for name in ("contacts", "missing"):
        assert getattr(found[0], name).equals(getattr(found[1], name))
    one, two = found[0].contacts, found[0].missing
    for predictor in ready[1]:
        answers = predictor.predict(ready[0], as_of=ready[2])
        scored = one.select(["contact_id", *predictor.outputs]).filter(
            pc.is_valid(one.column(f"{predictor.name}_model_version"))
        )
        assert scored.equals(answers.contacts)
        mine = two.filter(pc.equal(two.column("predictor"), predictor.name))
        assert mine.equals(answers.missing)


def test_without_a_predictor_everybody_has_a_row(ready: Ready, tmp_path: Path) -> None:
    files = _joined((ready[0], (), ready[2]), tmp_path)
    assert files.keys() == {"contacts.parquet", "missing.parquet"}
    table = read_predictions(tmp_path)
    assert table.contacts.column_names == ["contact_id", "as_of"]
    assert table.contacts.num_rows > 300
    assert table.missing.column_names == ["contact_id", "predictor", "reason"]
