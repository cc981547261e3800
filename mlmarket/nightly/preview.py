"""What would tonight do, if it were run?"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlmarket.market import Market, record_contacts
from mlmarket.nightly.declared import check_declared
from mlmarket.nightly.models import ModelStore, predictors_of
from mlmarket.nightly.night import Night
from mlmarket.nightly.parts import Parts
from mlmarket.nightly.playbook import check_playbook
from mlmarket.nightly.predictions import join_predictions, read_predictions
from mlmarket.nightly.quality import hold_gate
from mlmarket.nightly.retention import retention_of
from mlmarket.nightly.workspace import Workspace
from mlmarket.orchestration import StateStore, decide

__all__ = ["DryRun", "Readiness", "copy_of_state", "dry_run", "readiness"]


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a night would do.

    Parameters
    ----------
    predictors : dict of str to str
        Those that would answer, and their version; "(new)" behind those that would be trained.
    skipped : dict of str to str
        Those that would not, and why.
    counts : dict of str to int
        Contacts, members, decisions by outcome, messages.
    """

    predictors: dict[str, str]
    skipped: dict[str, str]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a predictor can answer.

    Parameters
    ----------
    predictor : str
        Its name.
    question : str
        What it answers.
    missing : str
        What it lacks; empty where it is ready.
    """

    predictor: str
    question: str
    missing: str


def dry_run(night: Night) -> DryRun:
    """Do everything a night does, and write nothing.

    Parameters
    ----------
    night : Night
        Which.

    Returns
    -------
    DryRun
        The counts.

    Raises
    ------
    MlmarketError
        As the night itself would.
    """
    night.refuse_future()
    with TemporaryDirectory() as scratch:
        return _rehearse(night, Path(scratch))


def _rehearse(night: Night, scratch: Path) -> DryRun:
    """Run the night on a copy of everything it would write to."""
    market = night.market()
    playbook = check_playbook(night, market)
    check_declared(night, market)
    history = scratch / "history"
    if night.workspace.history.is_dir():
        shutil.copytree(night.workspace.history, history)
    record_contacts(market, history, as_of=night.as_of)
    market = market.with_history(history)
    answering = ModelStore(night.workspace, night.settings).answering(
        market, as_of=night.as_of, night=night.day, save=False
    )
    parts = Parts.take_up(scratch / "parts", market, as_of=night.as_of, inputs="rehearsed")
    for one in answering.predictors:
        parts.answer(one, market, as_of=night.as_of)
    names = [one.name for one in answering.predictors]
    retention = retention_of(night.settings, answering.predictors)
    join_predictions(parts, names, scratch, as_of=night.as_of, retention=retention)
    hold_gate(night, scratch, answering.predictors)
    contacts = read_predictions(scratch).contacts
    with copy_of_state(night.workspace) as store:
        decisions = decide(store, playbook, contacts, market, now=night.as_of)
    new = set(answering.trained)
    versions = {
        one.name: one.version_ + (" (new)" if one.name in new else "")
        for one in answering.predictors
    }
    skipped = {one.predictor: one.reason for one in answering.skipped}
    counts = {"contacts": contacts.num_rows, **decisions.counts()}
    return DryRun(versions, skipped, counts)


@contextmanager
def copy_of_state(workspace: Workspace) -> Iterator[StateStore]:
    """Open a copy of the state of journeys, so that the file itself stays untouched.

    Parameters
    ----------
    workspace : Workspace
        Whose state.

    Yields
    ------
    StateStore
        An empty one where nothing was ever decided.
    """
    with TemporaryDirectory() as name:
        for file in sorted(workspace.state.parent.glob(f"{workspace.state.name}*")):
            if file.is_file():  # beside the state may lie what DuckDB has not merged into it yet
                shutil.copyfile(file, Path(name) / file.name)
        with StateStore.open(Path(name) / workspace.state.name) as store:
            yield store


def readiness(night: Night, market: Market) -> list[Readiness]:
    """Return, for every predictor, whether it can answer and what it lacks.

    Parameters
    ----------
    night : Night
        Its configuration.
    market : Market
        The tables.

    Returns
    -------
    list of Readiness
        In the order in which they would run.
    """
    found = []
    for predictor in predictors_of(night.settings):
        absent = sorted(table for table in predictor.needs if not market.has(table))
        missing = f"the table '{absent[0]}'" if absent else ""
        if not missing:
            missing = predictor.shortfall(market, as_of=night.as_of)
        found.append(Readiness(predictor.name, predictor.text, missing))
    return found
