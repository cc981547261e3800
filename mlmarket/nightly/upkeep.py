"""Which nights were run, what do they say of one person, and which can go?"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from mlmarket.errors import ConfigurationError
from mlmarket.nightly.folder import StageResult, Workspace
from mlmarket.nightly.night import Night, NightSummary, open_night, run_night
from mlmarket.nightly.predictions import read_predictions
from mlmarket.nightly.stages import Progress
from mlmarket.orchestration import Explanation, StateStore, explain

__all__ = ["PersonReport", "backfill", "explain_person", "last_night", "prune", "runs"]


@dataclass(frozen=True, slots=True)
class PersonReport:
    """What is known and decided about one person.

    Parameters
    ----------
    night : date
        The night whose predictions these are.
    predictions : dict
        Column to value.
    missing : tuple of (str, str)
        Predictors without an answer, and why.
    decided : Explanation or None
        Segments, journeys and every decision; None where nothing was ever decided.
    """

    night: date
    predictions: dict[str, Any]
    missing: tuple[tuple[str, str], ...]
    decided: Explanation | None


def backfill(
    config: Path,
    first: date,
    last: date,
    *,
    output: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[NightSummary]:
    """Predict for past nights, one after the other, as they would have been.

    Rows that became available later are not seen, models are never from a night's future, and nothing
    is decided or sent.

    Parameters
    ----------
    config : Path
        ``mlmarket.toml``.
    first, last : date
        Both included.
    output : Path, optional
        In place of ``[output] folder``.
    progress : Progress, optional
        Who is told.

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
        yield run_night(night, decide=False, progress=progress)
        day += timedelta(days=1)


def runs(workspace: Workspace) -> list[tuple[date, list[StageResult]]]:
    """Return every night with its finished stages, the oldest first."""
    return [(day, workspace.run(day).stages()) for day in workspace.nights()]


def last_night(workspace: Workspace) -> date:
    """Return the newest night that has predictions.

    Raises
    ------
    ConfigurationError
        Where there is none.
    """
    done = [
        day
        for day in workspace.nights()
        if workspace.run(day).result("predictions") is not None
    ]
    if not done:
        raise ConfigurationError(
            f"No night has been run in '{workspace.root}'.",
            "There is nothing to show yet.",
            "run `mlmarket nightly` first, or pass --output.",
        )
    return max(done)


def prune(workspace: Workspace, *, keep: int) -> list[date]:
    """Remove the run folders of old nights; models, history and state stay.

    Parameters
    ----------
    workspace : Workspace
        Where they are.
    keep : int
        How many of the newest nights stay.

    Returns
    -------
    list of date
        The nights removed.
    """
    old = workspace.nights()[: -keep or None] if keep else workspace.nights()
    with workspace.locked():
        for day in old:
            # Without manifests a night does not count, should this be killed half-way.
            workspace.run(day).forget()
            shutil.rmtree(workspace.run(day).path)
    return old


def explain_person(night: Night, contact_id: str) -> PersonReport:
    """Return what the last night says of one person, and everything that was decided.

    Parameters
    ----------
    night : Night
        Whose predictions to show.
    contact_id : str
        The person.

    Returns
    -------
    PersonReport
        Without addresses.

    Raises
    ------
    ConfigurationError
        Where nobody of that id is known.
    """
    tables = read_predictions(night.folder.path)
    rows = _of(tables.contacts, contact_id)
    if not rows:
        raise ConfigurationError(
            f"Nobody with the contact_id '{contact_id}' was known on {night.day}.",
            "There is nothing to explain.",
            "check the id: it is the one of your contacts table, not an e-mail address.",
        )
    missing = tuple((row["predictor"], row["reason"]) for row in _of(tables.missing, contact_id))
    decided = None
    if night.workspace.state.is_file():
        with StateStore.open(night.workspace.state) as store:
            about = store.decisions_about(contact_id)
            decided = explain(store.load(), contact_id, decisions=about)
    return PersonReport(night.day, rows[0], missing, decided)


def _of(table: Any, contact_id: str) -> list[dict[str, Any]]:  # noqa: ANN401 - an Arrow table
    import pyarrow.compute as pc

    rows: list[dict[str, Any]] = table.filter(
        pc.equal(table.column("contact_id"), contact_id)
    ).to_pylist()
    return rows
