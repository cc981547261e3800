"""Where does a business keep its nights, models, history and state?"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.nightly.folder import RunFolder
from mlmarket.nightly.safe_files import TEMPORARY, writing

__all__ = ["Workspace"]

_LEFTOVERS: Final = (
    f"runs/*/{TEMPORARY}*",
    f"runs/*/manifests/{TEMPORARY}*",
    f"models/*/{TEMPORARY}*",
    "history/contacts/*.tmp",
    f"{TEMPORARY}*-mlmarket.duckdb*",
)
"""Only names that a night gives: the folder may hold other people's files."""


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
    def store(self) -> Path:
        """Behaviour prepared for features: it can be deleted at any time."""
        return self.root / "store"

    @property
    def state(self) -> Path:
        """Where journeys stand."""
        return self.root / "state" / "journeys.duckdb"

    @property
    def database(self) -> Path:
        """The file for people who write SQL."""
        return self.root / "mlmarket.duckdb"

    def run(self, night: date) -> RunFolder:
        """Return the folder of a night.

        Parameters
        ----------
        night : date
            Its date.

        Returns
        -------
        RunFolder
            Whether or not it is there yet.
        """
        return RunFolder(self.runs / night.isoformat())

    def nights(self) -> list[date]:
        """Return the nights that have a folder.

        Returns
        -------
        list of date
            Ascending.
        """
        found = []
        for path in sorted(self.runs.glob("*")):
            try:
                found.append(date.fromisoformat(path.name))
            except ValueError:
                continue
        return found

    def predicted(self) -> list[date]:
        """Return the nights that have predictions.

        Returns
        -------
        list of date
            Ascending.
        """
        return [day for day in self.nights() if self.run(day).result("predictions") is not None]

    def last_night(self) -> date:
        """Return the newest night that has predictions.

        Returns
        -------
        date
            Of that night.

        Raises
        ------
        ConfigurationError
            Where there is none.
        """
        done = self.predicted()
        if not done:
            raise ConfigurationError(
                f"No night has been run in '{self.root}'.",
                "There is nothing to show yet.",
                "run `mlmarket nightly` first, or pass --output.",
            )
        return done[-1]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the workspace, so that two nights never write at once.

        Yields
        ------
        None
            While it is held; what a killed run left behind has been removed.

        Raises
        ------
        RunError
            Where another process holds it, or it cannot be written.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.root / ".mlmarket.lock", timeout=0)
        with writing(self.root):
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                lock.acquire()
            except Timeout:
                raise RunError(
                    f"Another run is working in '{self.root}'.",
                    "Two runs at once would decide about the same people twice.",
                    "wait until it ends; a run that died holds no lock.",
                ) from None
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    def _sweep(self) -> None:
        """Remove what a killed run left in temporary places."""
        for pattern in _LEFTOVERS:
            for path in sorted(self.root.glob(pattern)):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
