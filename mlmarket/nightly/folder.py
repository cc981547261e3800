"""Where does a night write, and how does it know what is already done?

A stage writes into a temporary place; its outputs are moved to their names when they are complete
and safe on the disk, and its manifest is written last. What has a manifest is done; what has none
never happened.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mlmarket.nightly.safe_files import TEMPORARY, fsync, fsync_tree, replace_file, writing

__all__ = ["RunFolder", "StageResult"]

_UNFINISHED: Final = ""
"""Inputs of a stage that was done once and has to be done again; no digest is empty."""


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
class RunFolder:
    """The folder of one night.

    Parameters
    ----------
    path : Path
        ``runs/DATE``.
    """

    path: Path

    @property
    def parts(self) -> Path:
        """Where predictions are kept until the night has them all; gone when it has."""
        return self.path / "parts"

    def result(self, stage: str) -> StageResult | None:
        """Return what a finished stage left.

        Parameters
        ----------
        stage : str
            Its name.

        Returns
        -------
        StageResult or None
            None where it is not finished.
        """
        content = self._manifest(stage)
        names = StageResult.__dataclass_fields__
        if content.get("inputs", _UNFINISHED) == _UNFINISHED or not names.keys() <= content.keys():
            return None
        return StageResult(**{name: content[name] for name in names})

    def stages(self) -> list[StageResult]:
        """Return all finished stages.

        Returns
        -------
        list of StageResult
            In the order in which they finished.
        """
        found = [
            (str(self._manifest(file.stem).get("finished_at", "")), self.result(file.stem))
            for file in (self.path / "manifests").glob("*.json")
        ]
        done = [(at, result) for at, result in found if result is not None]
        return [result for _, result in sorted(done, key=lambda one: (one[0], one[1].stage))]

    def has_decided(self) -> bool:
        """Return whether the outbox of a tick was written here.

        Returns
        -------
        bool
            True also where the stage has to be done again.
        """
        return "tick_id" in self._manifest("decisions").get("details", {})

    def forget(self) -> None:
        """Make every stage unfinished; outputs stay until they are replaced."""
        shutil.rmtree(self.parts, ignore_errors=True)
        for file in sorted((self.path / "manifests").glob("*.json")):
            self._unfinish(file.stem)

    @contextmanager
    def staging(self, stage: str) -> Iterator[Path]:
        """Give a stage an empty temporary folder, gone afterwards whatever happens.

        Parameters
        ----------
        stage : str
            Its name.

        Yields
        ------
        Path
            The folder.

        Raises
        ------
        RunError
            Where the disk is full or cannot be written.
        """
        place = self.path / f"{TEMPORARY}{stage}"
        with writing(self.path):
            try:
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir(parents=True)
                yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)

    def publish(self, stage: str, place: Path) -> None:
        """Move everything a stage wrote to its name in the run folder.

        Parameters
        ----------
        stage : str
            Its name.
        place : Path
            Its temporary folder.
        """
        fsync_tree(place)
        # From here on the outputs are neither the old ones nor the new ones.
        self._unfinish(stage)
        for source in sorted(place.iterdir()):
            target = self.path / source.name
            if source.is_dir() and target.exists():
                # A folder cannot be replaced in one step.
                aside = self.path / f"{TEMPORARY}old-{source.name}"
                shutil.rmtree(aside, ignore_errors=True)
                target.rename(aside)
                source.rename(target)
                shutil.rmtree(aside, ignore_errors=True)
            else:
                source.replace(target)

    def finish(self, result: StageResult, *, versions: Mapping[str, str]) -> None:
        """Write a stage's manifest, by which it counts as done.

        Parameters
        ----------
        result : StageResult
            What it left.
        versions : mapping of str to str
            Of the libraries that made it.
        """
        content = {name: getattr(result, name) for name in StageResult.__dataclass_fields__}
        content |= {"versions": dict(versions), "finished_at": datetime.now(UTC).isoformat()}
        self._write_manifest(result.stage, content)

    def _manifest(self, stage: str) -> dict[str, Any]:
        file = self.path / "manifests" / f"{stage}.json"
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _unfinish(self, stage: str) -> None:
        content = self._manifest(stage)
        if content:
            self._write_manifest(stage, content | {"inputs": _UNFINISHED})

    def _write_manifest(self, stage: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, indent=1, sort_keys=True, default=str) + "\n"
        target = self.path / "manifests" / f"{stage}.json"
        # Its folder is made safe after the outputs lie in it, so that no manifest outlives them.
        if self.path.is_dir():
            fsync(self.path)
        replace_file(target, lambda path: path.write_text(text, encoding="utf-8"))
