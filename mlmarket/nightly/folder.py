"""Where does a night write, and how does it know what is already done?

A stage writes into a temporary place; its outputs are moved to their names when they are complete
and safe on the disk, and its manifest is written last. What has a manifest is done; what has none
never happened.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from mlmarket.errors import RunError

__all__ = ["RunFolder", "StageResult", "Workspace", "fsync_tree", "replace_file"]

_TEMPORARY: Final = ".tmp-"


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage left behind.

    Parameters
    ----------
    stage : str
        Its name.
    inputs : str
        Digest of everything it was made of.
    counts : mapping of str to int
        Rows in and out.
    details : mapping of str to object
        Versions and the like.
    seconds, cpu_seconds : float
        How long it took.
    peak_megabytes : int
        The most memory the process had used by its end.
    """

    stage: str
    inputs: str
    counts: Mapping[str, int]
    details: Mapping[str, Any]
    seconds: float
    cpu_seconds: float
    peak_megabytes: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of a business: runs, models, history and state.

    Parameters
    ----------
    root : Path
        The folder.
    """

    root: Path

    @property
    def runs(self) -> Path:
        """A folder a night."""
        return self.root / "runs"

    @property
    def models(self) -> Path:
        """A folder a predictor, and in it one a training."""
        return self.root / "models"

    @property
    def history(self) -> Path:
        """What contacts looked like."""
        return self.root / "history"

    @property
    def state(self) -> Path:
        """Where journeys stand."""
        return self.root / "state" / "journeys.duckdb"

    @property
    def database(self) -> Path:
        """The file for people who write SQL."""
        return self.root / "mlmarket.duckdb"

    def run(self, night: date) -> "RunFolder":
        """Return the folder of a night."""
        return RunFolder(self.runs / night.isoformat())

    def nights(self) -> list[date]:
        """Return the nights that have a folder, ascending."""
        found = []
        for path in sorted(self.runs.glob("*")):
            try:
                found.append(date.fromisoformat(path.name))
            except ValueError:
                continue
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the workspace, so that two nights never write at once.

        Raises
        ------
        RunError
            Where another process holds it.
        """
        from filelock import FileLock, Timeout

        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / ".mlmarket.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"Another run is working in '{self.root}'.",
                "Two runs at once would decide about the same people twice.",
                "wait until it ends; a run that died holds no lock.",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def sweep(self) -> None:
        """Remove what a killed run left in temporary places. Call it only while locked."""
        for path in [*self.root.glob(f"**/{_TEMPORARY}*")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one night.

    Parameters
    ----------
    path : Path
        ``runs/DATE``.
    """

    path: Path

    def result(self, stage: str) -> StageResult | None:
        """Return what a finished stage left, None where it is not finished."""
        file = self.path / "manifests" / f"{stage}.json"
        if not file.is_file():
            return None
        content = json.loads(file.read_text(encoding="utf-8"))
        names = StageResult.__dataclass_fields__
        return StageResult(**{name: content[name] for name in names})

    def stages(self) -> list[StageResult]:
        """Return all finished stages, in the order in which they finished."""
        files = sorted(
            (self.path / "manifests").glob("*.json"), key=lambda file: file.stat().st_mtime_ns
        )
        results = [self.result(file.stem) for file in files]
        return [result for result in results if result is not None]

    def forget(self) -> None:
        """Make every stage unfinished; outputs stay until they are replaced."""
        shutil.rmtree(self.path / "manifests", ignore_errors=True)

    @contextmanager
    def staging(self, stage: str) -> Iterator[Path]:
        """Give a stage an empty temporary folder, gone afterwards whatever happens.

        Raises
        ------
        RunError
            Where the disk is full or cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        place = self.path / f"{_TEMPORARY}{stage}"
        shutil.rmtree(place, ignore_errors=True)
        try:
            place.mkdir()
            yield place
        except OSError as error:
            raise _disk_error(error, self.path) from error
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def publish(self, place: Path) -> None:
        """Move everything a stage wrote to its name in the run folder.

        Parameters
        ----------
        place : Path
            The temporary folder of the stage.
        """
        fsync_tree(place)
        for source in sorted(place.iterdir()):
            target = self.path / source.name
            if source.is_dir() and target.exists():
                # A folder cannot be replaced in one step; without its manifest it does not count.
                aside = self.path / f"{_TEMPORARY}old-{source.name}"
                shutil.rmtree(aside, ignore_errors=True)
                target.rename(aside)
                source.rename(target)
                shutil.rmtree(aside, ignore_errors=True)
            else:
                source.replace(target)
        _fsync(self.path)

    def finish(self, result: StageResult, *, versions: Mapping[str, str]) -> None:
        """Write a stage's manifest, by which it counts as done."""
        content = {name: getattr(result, name) for name in StageResult.__dataclass_fields__}
        content |= {"versions": dict(versions), "finished_at": datetime.now(UTC).isoformat()}
        text = json.dumps(content, indent=1, sort_keys=True, default=str) + "\n"
        target = self.path / "manifests" / f"{result.stage}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, lambda path: path.write_text(text, encoding="utf-8"))


def replace_file(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that it is there as a whole or as it was before.

    Parameters
    ----------
    target : Path
        The file.
    write : callable
        Writes the new content to the path it is given.

    Raises
    ------
    RunError
        Where the disk is full or cannot be written.
    """
    temporary = target.parent / f"{_TEMPORARY}{os.getpid()}-{target.name}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        _fsync(temporary)
        temporary.replace(target)
        _fsync(target.parent)
    except OSError as error:
        raise _disk_error(error, target.parent) from error
    finally:
        temporary.unlink(missing_ok=True)


def fsync_tree(folder: Path) -> None:
    """Make everything below a folder safe on the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        _fsync(path)
    _fsync(folder)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_error(error: OSError, place: Path) -> RunError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return RunError(
            f"The disk of '{place}' is full.",
            "The stage was not finished; what earlier stages wrote is whole.",
            "free some space (`mlmarket prune` removes old nights), then run the same night again.",
        )
    return RunError(
        f"'{place}' cannot be written: {error.strerror or error}.",
        "The stage was not finished; what earlier stages wrote is whole.",
        "check the folder's permissions, then run the same night again.",
    )
