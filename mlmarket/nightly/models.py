"""Which trained model answers tonight?

Models live in ``models/PREDICTOR/DATE``. A night uses the last one trained at or before its date from
the same question, and trains what is missing, broken or too old. A backfilled night never uses a model
from its future.
"""

import importlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from mlmarket import churn, recommend
from mlmarket.errors import ConfigurationError, RunError
from mlmarket.market import Market
from mlmarket.nightly.safe_files import TEMPORARY, fsync, fsync_tree
from mlmarket.nightly.settings import BUILT_IN, RECOMMEND, NightSettings, PredictSettings
from mlmarket.nightly.workspace import Workspace
from mlmarket.prediction import BatchPredictor, DeclinedError, SnapshotPredictor, TargetModel
from mlmarket.prediction.distributed import is_on_spark

__all__ = ["Answering", "ModelStore", "Skipped", "predictors_of"]

_ASKED: Final = "asked.json"
"""Beside the model: how it was asked for, of which the model itself keeps only a part."""


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
    predictors : tuple of BatchPredictor
        Trained.
    trained : tuple of str
        Names of those trained tonight.
    skipped : tuple of Skipped
        The others.
    """

    predictors: tuple[BatchPredictor, ...]
    trained: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def predictors_of(settings: NightSettings) -> list[BatchPredictor]:
    """Return every predictor a configuration asks for, not trained yet.

    Parameters
    ----------
    settings : NightSettings
        With ``[predict.NAME]``.

    Returns
    -------
    list of BatchPredictor
        Those of the question packages first, then the team's own, by name.
    """
    asked = {name: _arguments(name, settings) for name in settings.built_in()}
    own = [
        _target(name, question, settings)
        for name, question in sorted(settings.predict.items())
        if name not in BUILT_IN and question.enabled
    ]
    shown = {name: asked.pop(name) for name in RECOMMEND if name in asked}
    # What is due is asked first: recommendations are told.
    return [*churn.predictors(asked), *recommend.predictors(shown), *own]


def _arguments(name: str, settings: NightSettings) -> dict[str, Any]:
    question = settings.predict.get(name, PredictSettings())
    content = question.model_dump(include=set(BUILT_IN[name]), exclude_none=True)
    if "features" in BUILT_IN[name]:
        content["features"] = settings.features_of(name)
    return content


def _obstacle(predictor: BatchPredictor, market: Market) -> str:
    """Return why a predictor cannot be asked in this market at all; empty where it can."""
    absent = sorted(table for table in predictor.needs if not market.has(table))
    if absent:
        return f"it needs the table '{absent[0]}'"
    if is_on_spark(market) and not isinstance(predictor, SnapshotPredictor):
        return "Spark's workers cannot answer it; a night on one machine does"
    return ""


def _target(name: str, question: PredictSettings, settings: NightSettings) -> TargetModel:
    return TargetModel(
        name,
        label=str(question.label),
        horizon=str(question.horizon),
        eligible=question.eligible,
        features=settings.features_of(name),
        estimator=_estimator(name, question.estimator),
    )


def _estimator(name: str, place: str | None) -> Any:  # noqa: ANN401 - untyped upstream
    if place is None:
        return None
    module, _, function = place.partition(":")
    try:
        make: Callable[[], Any] = getattr(importlib.import_module(module), function)
        return make()
    except Exception as error:  # the user's own code may raise anything
        raise ConfigurationError(
            f"[predict.{name}] names the estimator '{place}', which gives none: "
            f"{type(error).__name__}: {error}.",
            "It is called for a new classifier before each night.",
            "write module:function, with the module's folder on PYTHONPATH.",
        ) from error


class ModelStore:
    """Trained models on disk.

    Parameters
    ----------
    workspace : Workspace
        Where they are kept.
    settings : NightSettings
        The questions, and when to train again.
    """

    def __init__(self, workspace: Workspace, settings: NightSettings) -> None:
        self._workspace = workspace
        self._settings = settings

    def answering(
        self,
        market: Market,
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
        for predictor in predictors_of(self._settings):
            obstacle = _obstacle(predictor, market)
            if obstacle:
                skipped.append(Skipped(predictor.name, obstacle))
                continue
            known = None if retrain else self._latest(predictor, night, tell)
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

    def load(self, night: date, versions: Mapping[str, str]) -> tuple[BatchPredictor, ...]:
        """Return the trained predictors that a night uses.

        Parameters
        ----------
        night : date
            The date of the night.
        versions : mapping of str to str
            Which ones, by name.

        Returns
        -------
        tuple of BatchPredictor
            In the order in which they run.

        Raises
        ------
        RunError
            Where one of them is not there any more.
        """
        found = self._usable(night, versions)
        gone = sorted(name for name in versions if name not in found)
        if gone:
            raise RunError(
                f"The model of '{gone[0]}' that tonight began with is not there any more.",
                "Half a night with one model and half with another would be neither.",
                "run the same night again; what is missing is trained.",
            )
        return tuple(found.values())

    def has(self, night: date, versions: Mapping[str, str]) -> bool:
        """Return whether :meth:`load` would find all of them.

        Parameters
        ----------
        night : date
            The date of the night.
        versions : mapping of str to str
            Which ones, by name.

        Returns
        -------
        bool
            False where one is missing, broken, or replaced by a newer one.
        """
        return self._usable(night, versions).keys() == versions.keys()

    def _usable(self, night: date, versions: Mapping[str, str]) -> dict[str, BatchPredictor]:
        asked = [one for one in predictors_of(self._settings) if one.name in versions]
        latest = {one.name: self._latest(one, night) for one in asked}
        return {
            name: model
            for name, model in latest.items()
            if model is not None and model.version_ == versions[name]
        }

    def _latest(
        self,
        predictor: BatchPredictor,
        night: date,
        tell: Callable[[str], None] = lambda _: None,
    ) -> BatchPredictor | None:
        """Return the newest training that may answer: same question, not too old, not later."""
        for trained, folder in self._trainings(predictor.name, night):
            try:
                found = type(predictor).load(folder)
                asked = json.loads((folder / _ASKED).read_text(encoding="utf-8"))
            except (ConfigurationError, OSError, ValueError):
                tell(f"passing over the model of '{predictor.name}' of {trained}: it is not whole")
                continue
            same = (
                found.parameters == predictor.parameters
                and found.features == predictor.features
                and asked == self._asked(predictor)
            )
            return found if same and night - trained <= self._settings.models.age else None
        return None

    def _trainings(self, name: str, night: date) -> Iterator[tuple[date, Path]]:
        """Yield the trainings up to a night, the newest first."""
        for folder in sorted((self._workspace.models / name).glob("*"), reverse=True):
            try:
                trained = date.fromisoformat(folder.name)
            except ValueError:
                continue
            if trained <= night:
                yield trained, folder

    def _asked(self, predictor: BatchPredictor) -> dict[str, str | None]:
        question = self._settings.predict.get(predictor.name, PredictSettings())
        return {"estimator": question.estimator}

    def _keep(self, predictor: BatchPredictor, night: date) -> None:
        target = self._workspace.models / predictor.name / night.isoformat()
        place = target.parent / f"{TEMPORARY}{target.name}"
        shutil.rmtree(place, ignore_errors=True)
        predictor.save(place)
        text = json.dumps(self._asked(predictor), sort_keys=True) + "\n"
        (place / _ASKED).write_text(text, encoding="utf-8")
        fsync_tree(place)
        shutil.rmtree(target, ignore_errors=True)
        place.rename(target)
        fsync(target.parent)
