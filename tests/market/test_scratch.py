"""What a killed process left is cleared away; what is in use, or somebody else's, never."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market.scratch import Scratch, clear_scratch

DIE = """\
import os, signal, sys
from pathlib import Path
from mlmarket.market.connect import Workbench
bench = Workbench(Path(sys.argv[1]))
(bench.folder / "spilled").write_text("…")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(
    tmp_path: Path,
) -> None:
    done = subprocess.run([sys.executable, "-c", DIE, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    left = next(tmp_path.iterdir())
    assert (left / "spilled").is_file()
    alive = Scratch(tmp_path)
    assert clear_scratch(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [alive.folder]
    assert clear_scratch(tmp_path) == 0
    alive.remove()
    alive.remove()
    assert list(tmp_path.iterdir()) == []


def _folder(parent: Path, name: str, *, lock: bool = True) -> Path:
    folder = parent / name
    folder.mkdir()
    if lock:
        (folder / ".lock").touch()
    return folder


def test_only_folders_that_were_made_here_are_removed(tmp_path: Path) -> None:
    elsewhere = _folder(tmp_path, "elsewhere")
    kept = [
        _folder(tmp_path, "mlmarket-without-a-lock", lock=False),
        _folder(tmp_path, "other-program"),
        elsewhere,
    ]
    (tmp_path / "mlmarket-file").touch()
    (tmp_path / "mlmarket-link").symlink_to(elsewhere)
    linked = _folder(tmp_path, "mlmarket-linked-lock", lock=False)
    (linked / ".lock").symlink_to(elsewhere / ".lock")
    _folder(tmp_path, "mlmarket-left")
    assert clear_scratch(tmp_path) == 1
    assert not (tmp_path / "mlmarket-left").exists()
    assert all(folder.is_dir() for folder in [*kept, linked])
    assert (elsewhere / ".lock").is_file()


def test_a_folder_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _folder(tmp_path, "mlmarket-theirs")
    monkeypatch.setattr(os, "getuid", lambda: 123_456)
    assert clear_scratch(tmp_path) == 0
    assert folder.is_dir()


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No temporary file can be written") as refused:
        Scratch(tmp_path / "nowhere")
    assert "`scratch` in [engine]" in refused.value.fix
    assert str(refused.value).count("\n") == 2
    assert clear_scratch(tmp_path / "nowhere") == 0
