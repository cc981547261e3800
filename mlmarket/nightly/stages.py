"""How is one stage of a night run, skipped or taken up again?"""

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Protocol

from mlmarket.nightly.folder import RunFolder, StageResult

__all__ = ["Progress", "Silent", "StageOutput", "StageRunner", "digest_of", "library_versions"]

_LIBRARIES: Final = ("mlmarket", "duckdb", "ibis-framework", "lightgbm", "numpy", "scikit-learn")


class Progress(Protocol):
    """Somebody who wants to know how far the night is."""

    def started(self, stage: str) -> None:
        """Say that a stage begins."""
        ...

    def working(self, stage: str, what: str) -> None:
        """Say what a stage is doing now."""
        ...

    def finished(self, result: StageResult, *, skipped: bool) -> None:
        """Say that a stage ended, or was done before."""
        ...


class Silent:
    """Tells nobody."""

    def started(self, stage: str) -> None:
        """Say nothing."""

    def working(self, stage: str, what: str) -> None:
        """Say nothing."""

    def finished(self, result: StageResult, *, skipped: bool) -> None:
        """Say nothing."""


@dataclass(slots=True)
class StageOutput:
    """What a stage reports about its work.

    Parameters
    ----------
    counts : dict of str to int
        Rows in and out.
    details : dict of str to object
        Versions, reasons and the like.
    """

    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageRunner:
    """Runs the stages of one night.

    Parameters
    ----------
    folder : RunFolder
        Where they write.
    progress : Progress
        Who is told.
    """

    folder: RunFolder
    progress: Progress

    def run(
        self,
        stage: str,
        inputs: str,
        work: Callable[[Path, StageOutput], None],
        *,
        still_good: Callable[[StageResult], bool] = lambda _: True,
    ) -> StageResult:
        """Run a stage, unless it was finished before from the same inputs.

        Parameters
        ----------
        stage : str
            Its name.
        inputs : str
            Digest of everything it is made of.
        work : callable
            Writes its outputs into the folder it is given, and its counts.
        still_good : callable, optional
            Whether what a finished stage left outside the run folder is still there.

        Returns
        -------
        StageResult
            Of this run or the one before.
        """
        done = self.folder.result(stage)
        if done is not None and done.inputs == inputs and still_good(done):
            self.progress.finished(done, skipped=True)
            return done
        self.progress.started(stage)
        wall, cpu = time.perf_counter(), time.process_time()
        output = StageOutput()
        with self.folder.staging(stage) as place:
            work(place, output)
            self.progress.working(stage, "moving results into place")
            self.folder.publish(stage, place)
            result = StageResult(
                stage=stage,
                inputs=inputs,
                counts=output.counts,
                details=output.details,
                seconds=round(time.perf_counter() - wall, 3),
                cpu_seconds=round(time.process_time() - cpu, 3),
                peak_megabytes=_peak_megabytes(),
            )
            self.folder.finish(result, versions=library_versions())
        self.progress.finished(result, skipped=False)
        return result


def _peak_megabytes() -> int:
    """Return the most memory this process has used; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // (1 << 20 if sys.platform == "darwin" else 1 << 10))


def digest_of(*parts: object) -> str:
    """Return a digest of plain values.

    Parameters
    ----------
    *parts : object
        Texts, numbers, lists and mappings.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def library_versions() -> Mapping[str, str]:
    """Return the versions of mlmarket and of what decides its numbers."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
