"""Which nights were run, which are missing, and which can go?"""

import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

from mlmarket.errors import ConfigurationError
from mlmarket.nightly.folder import StageResult
from mlmarket.nightly.night import open_night
from mlmarket.nightly.run import NightSummary, run_night
from mlmarket.nightly.safe_files import writing
from mlmarket.nightly.stages import Progress, Silent
from mlmarket.nightly.workspace import Workspace

__all__ = ["backfill", "prune", "runs"]


def backfill(
    config: Path,
    first: date,
    last: date,
    *,
    output: Path | None = None,
    progress: Callable[[date], Progress] = lambda _: Silent(),
) -> Iterator[NightSummary]:
    """Predict for past nights, one after the other, as they would have been.

    Rows that became available later are not seen, models are never from a night's future, and nothing
    is decided or sent. A night that was decided when it came is left as it is.

    Parameters
    ----------
    config : Path
        ``mlmarket.toml``.
    first, last : date
        Both included.
    output : Path, optional
        In place of ``[output] folder``.
    progress : callable, optional
        Returns, for a night, who is told how far it is.

    Yields
    ------
    NightSummary
        After each night.

    Raises
    ------
    ConfigurationError
        Where `last` lies before `first`.
    """
    if last < first:
        raise ConfigurationError(
            f"The backfill ends on {last}, before it begins on {first}.",
            "There is no night in between.",
            "pass --from the earlier and --to the later date.",
        )
    day = first
    while day <= last:
        night = open_night(config, day, output=output)
        yield run_night(night, decide=False, progress=progress(day))
        day += timedelta(days=1)


def runs(workspace: Workspace) -> list[tuple[date, list[StageResult]]]:
    """Return every night with its finished stages.

    Parameters
    ----------
    workspace : Workspace
        Where they are.

    Returns
    -------
    list of (date, list of StageResult)
        The oldest night first; its stages in the order in which they finished.
    """
    return [(day, workspace.run(day).stages()) for day in workspace.nights()]


def prune(workspace: Workspace, *, keep: int) -> list[date]:
    """Remove the run folders of old nights; models, history and state stay.

    Parameters
    ----------
    workspace : Workspace
        Where they are.
    keep : int
        How many of the newest nights stay, at least 1.

    Returns
    -------
    list of date
        The nights removed.

    Raises
    ------
    ConfigurationError
        Where `keep` is less than 1, or there is no such workspace.
    RunError
        Where a run is at work.
    """
    if keep < 1:
        raise ConfigurationError(
            f"{keep} nights cannot be kept.",
            "Tonight is compared with the night before it.",
            "keep at least 1.",
        )
    if not workspace.runs.is_dir():
        raise ConfigurationError(
            f"No night has been run in '{workspace.root}'.",
            "There is nothing to remove.",
            "pass the --output of the nights.",
        )
    with workspace.locked(), writing(workspace.runs):
        old = workspace.nights()[:-keep]
        for day in old:
            # Without manifests a night does not count, should this be killed half-way.
            workspace.run(day).forget()
            shutil.rmtree(workspace.run(day).path)
    return old
