"""What would tonight do, if it were run?"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mlmarket.market import Market
from mlmarket.nightly.decisions import load_night_playbook
from mlmarket.nightly.models import ModelStore, predictors_of
from mlmarket.nightly.night import Night
from mlmarket.nightly.predictions import join_predictions
from mlmarket.orchestration import State, StateStore, tick

if TYPE_CHECKING:
    from mlmarket.orchestration import Decisions

__all__ = ["DryRun", "Readiness", "dry_run", "readiness"]


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
    """
    market = night.market()
    answering = ModelStore(night.workspace).answering(
        market, night.settings, as_of=night.as_of, night=night.day, save=False
    )
    answers = [one.predict(market, as_of=night.as_of) for one in answering.predictors]
    joined = join_predictions(market, answers, as_of=night.as_of)
    playbook = load_night_playbook(night.config, night.settings)
    decisions: Decisions = tick(
        _state(night).under(playbook), joined.contacts, market, now=night.as_of
    )
    new = set(answering.trained)
    return DryRun(
        {one.name: one.version_ + (" (new)" if one.name in new else "") for one in answering.predictors},
        {one.predictor: one.reason for one in answering.skipped},
        {"contacts": joined.contacts.num_rows, **decisions.counts()},
    )


def _state(night: Night) -> State:
    """Return where everybody stands, read from a copy so that the state file stays untouched."""
    import shutil

    if not night.workspace.state.is_file():
        return State()
    with TemporaryDirectory() as name:
        copy = Path(name) / "state.duckdb"
        shutil.copyfile(night.workspace.state, copy)
        log = night.workspace.state.with_name(night.workspace.state.name + ".wal")
        if log.is_file():
            shutil.copyfile(log, copy.with_name(copy.name + ".wal"))
        with StateStore.open(copy) as store:
            return store.load()


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
        found.append(Readiness(predictor.name, predictor.question.text, missing))
    return found
