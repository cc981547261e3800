"""Which trained model answers tonight?

Models live in ``models/PREDICTOR/DATE``. A night uses the last one trained at or before its date from
the same question, and trains what is missing or too old. A backfilled night never uses a model from
its future.
"""

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from mlmarket import churn
from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.nightly.folder import Workspace, fsync_tree
from mlmarket.nightly.settings import NightSettings, PredictSettings
from mlmarket.prediction import DeclinedError, SupervisedPredictor, TargetModel

__all__ = ["Answering", "ModelStore", "Skipped", "predictors_of"]

_CARD: Final = "card.json"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A predictor that does not answer tonight.

    Parameters
    ----------
    predictor, reason : str
        Which, and why.
    """

    predictor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answering:
    """The predictors that answer tonight, and those that do not.

    Parameters
    ----------
    predictors : tuple of SupervisedPredictor
        Trained.
    trained : tuple of str
        Names of those trained tonight.
    skipped : tuple of Skipped
        The others.
    """

    predictors: tuple[SupervisedPredictor, ...]
    trained: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def predictors_of(settings: NightSettings) -> list[SupervisedPredictor]:
    """Return every predictor a configuration asks for, not trained yet.

    Parameters
    ----------
    settings : NightSettings
        With ``[predict.NAME]``.

    Returns
    -------
    list of SupervisedPredictor
        Those of the question packages first, then the team's own, by name.
    """
    given = {name: _arguments(question) for name, question in settings.predict.items()}
    ours = churn.predictors(given)
    names = {predictor.name for predictor in ours}
    own = [
        _target(name, question)
        for name, question in sorted(settings.predict.items())
        if name not in names
    ]
    return [*(one for one in ours if isinstance(one, SupervisedPredictor)), *own]


def _arguments(question: PredictSettings) -> dict[str, str]:
    content = question.model_dump(include={"horizon", "eligible"}, exclude_none=True)
    return {name: str(value) for name, value in content.items()}


def _target(name: str, question: PredictSettings) -> TargetModel:
    return TargetModel(
        name,
        label=str(question.label),
        horizon=str(question.horizon),
        eligible=question.eligible,
        estimator=_estimator(name, question.estimator),
    )


def _estimator(name: str, place: str | None) -> Any:  # noqa: ANN401 - untyped upstream
    if place is None:
        return None
    module, _, function = place.partition(":")
    try:
        make: Callable[[], Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"[predict.{name}] names the estimator '{place}', which cannot be imported: {error}.",
            "It is called for a new classifier each time the model is trained.",
            "write module:function, and run from the folder that holds the module.",
        ) from error
    return make()


class ModelStore:
    """Trained models on disk.

    Parameters
    ----------
    workspace : Workspace
        Where they are kept.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def answering(
        self,
        market: Market,
        settings: NightSettings,
        *,
        as_of: datetime,
        night: date,
        save: bool = True,
        retrain: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Answering:
        """Return tonight's predictors, training those that are missing or too old.

        Parameters
        ----------
        market : Market
            The tables.
        settings : NightSettings
            The questions, and when to train again.
        as_of : datetime
            Tonight.
        night : date
            Its date.
        save : bool, default True
            Whether to keep what is trained.
        retrain : bool, default False
            Whether to train all of them.
        tell : callable, optional
            Called with a sentence before each training.

        Returns
        -------
        Answering
            With the reason of each predictor that does not answer.
        """
        ready, trained, skipped = [], [], []
        for predictor in predictors_of(settings):
            absent = sorted(table for table in predictor.needs if not market.has(table))
            if absent:
                skipped.append(Skipped(predictor.name, f"it needs the table '{absent[0]}'"))
                continue
            known = None if retrain else self._latest(predictor, night, settings)
            if known is not None:
                ready.append(known)
                continue
            tell(f"training '{predictor.name}'")
            try:
                predictor.fit(market, as_of=as_of)
            except DeclinedError as error:
                skipped.append(Skipped(predictor.name, f"{error.what} {error.fix}"))
                continue
            if save:
                self._keep(predictor, night)
            ready.append(predictor)
            trained.append(predictor.name)
        return Answering(tuple(ready), tuple(trained), tuple(skipped))

    def load(self, settings: NightSettings, night: date) -> tuple[SupervisedPredictor, ...]:
        """Return the trained predictors a night would use, without training any.

        Parameters
        ----------
        settings : NightSettings
            The questions.
        night : date
            The date of the night.

        Returns
        -------
        tuple of SupervisedPredictor
            Those that are trained.
        """
        found = (self._latest(one, night, settings) for one in predictors_of(settings))
        return tuple(one for one in found if one is not None)

    def versions(self, settings: NightSettings, night: date) -> dict[str, str]:
        """Return the versions of the predictors that :meth:`load` returns, by name."""
        return {one.name: one.version_ for one in self.load(settings, night)}

    def forget(self, night: date) -> None:
        """Remove what was trained for a night."""
        for path in self._workspace.models.glob(f"*/{night.isoformat()}"):
            shutil.rmtree(path)

    def _latest(
        self, predictor: SupervisedPredictor, night: date, settings: NightSettings
    ) -> SupervisedPredictor | None:
        folder = self._folder(predictor, night, settings)
        return None if folder is None else type(predictor).load(folder)

    def _folder(
        self, predictor: SupervisedPredictor, night: date, settings: NightSettings
    ) -> Path | None:
        """Return the newest training that may answer: same question, not too old, not later."""
        for folder in sorted((self._workspace.models / predictor.name).glob("*"), reverse=True):
            try:
                trained = date.fromisoformat(folder.name)
            except ValueError:
                continue
            if trained > night or not (folder / _CARD).is_file():
                continue
            card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
            fresh = night - trained <= settings.models.age
            return folder if fresh and card["parameters"] == predictor.parameters else None
        return None

    def _keep(self, predictor: SupervisedPredictor, night: date) -> None:
        target = self._workspace.models / predictor.name / night.isoformat()
        place = target.parent / f".tmp-{target.name}"
        shutil.rmtree(place, ignore_errors=True)
        predictor.save(place)
        fsync_tree(place)
        shutil.rmtree(target, ignore_errors=True)
        place.rename(target)
