"""Who tries to say which contracts will end: hazards month by month, a classifier, and simple rules?

All learn from the same rows of contracts, whose labels are the codes of
:class:`~mlmarket.churn.subscription.contracts.ContractRows`, and all answer for the whole horizon.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

import numpy as np
import numpy.typing as npt

from mlmarket.churn.subscription.contracts import CLOSED_FROM, CONTRACT_DAYS
from mlmarket.churn.subscription.hazard import DiscreteHazard, TenureHazard, period_hazards
from mlmarket.churn.subscription.reasons import Part, Usual
from mlmarket.prediction.columns import FeatureRows
from mlmarket.prediction.learner import (
    BaseRate,
    Blend,
    Floats,
    Learner,
    kept_from_certainty,
    read_json,
    write_json,
)
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.trees import BoostedTrees

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BASELINES", "CHALLENGERS", "ContractModel", "teaches"]

Codes = npt.NDArray[np.int8]

_FILE: Final = "usual.json"


class _Model(Learner, Protocol):
    def parts(self, features: FeatureRows) -> list[Part]: ...


def _ended_first(label: Codes) -> Codes:
    """Return which contracts ended in their first period, over rows that are open too."""
    return np.isin(label, (1, -2)).astype(np.int8)


def teaches(label: Codes) -> bool:
    """Return whether rows teach both a hazard and a classifier of the whole horizon.

    Parameters
    ----------
    label : ndarray of int8
        Codes.

    Returns
    -------
    bool
        True where some ended and some lasted, in the first period and in the horizon.
    """
    closed = label[label >= CLOSED_FROM]
    return all(0 < int(ended.sum()) < len(ended) for ended in (_ended_first(label), closed > 0))


class DirectChurn:
    """A classifier of the whole horizon, which learns from rows whose horizon is over.

    Parameters
    ----------
    learner : Learner
        Of labels 0 and 1.
    name : str
        What it is called in evidence.
    """

    def __init__(self, learner: Learner, *, name: str) -> None:
        self.learner = learner
        self.name = name

    def fit(self, features: "pd.DataFrame", label: Codes) -> Self:
        """Learn from closed rows; see :class:`~mlmarket.prediction.learner.Learner`."""
        closed = label >= CLOSED_FROM
        rows = features[closed].reset_index(drop=True)
        self.learner.fit(rows, (label[closed] > 0).astype(np.int8))
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return a probability for each row."""
        return self.learner.predict(features)

    def parts(self, features: FeatureRows) -> list[Part]:
        """Return what its models say; features add nothing to a rule."""
        whole = np.ones(1)
        models = self.learner.parts if isinstance(self.learner, Blend) else (self.learner,)
        return [
            Part(model.predict(features)[:, None], whole, _contributions(model, features))
            for model in models
        ]

    def save(self, folder: Path) -> None:
        """Write its model."""
        self.learner.save(folder)

    def restore(self, folder: Path) -> Self:
        """Read it back."""
        self.learner.restore(folder)
        return self


class HazardChurn:
    """Chances to end month by month, over the months of the horizon.

    Parameters
    ----------
    hazard : DiscreteHazard or TenureHazard
        Of a period.
    horizon : timedelta
        How far to look.
    name : str
        What it is called in evidence.
    """

    def __init__(
        self, hazard: DiscreteHazard | TenureHazard, horizon: timedelta, *, name: str
    ) -> None:
        self.hazard = hazard
        self.horizon = horizon
        self.name = name

    def fit(self, features: "pd.DataFrame", label: Codes) -> Self:
        """Learn from the first period of all rows; see :class:`~mlmarket.prediction.learner.Learner`."""
        self.hazard.fit(features, _ended_first(label))
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return a probability for each row: one minus the chance to last all periods."""
        if not len(features):
            return np.empty(0)
        return kept_from_certainty(
            1.0 - self.hazard.predict_survival(features, horizon=self.horizon)
        )

    def parts(self, features: FeatureRows) -> list[Part]:
        """Return its chances by period, and what each feature adds to the first of them."""
        hazard, share = period_hazards(self.hazard, features, horizon=self.horizon)
        return [Part(hazard, share, _contributions(self.hazard, features))]

    def save(self, folder: Path) -> None:
        """Write its model."""
        self.hazard.save(folder)

    def restore(self, folder: Path) -> Self:
        """Read it back."""
        self.hazard.restore(folder)
        return self


class HazardBlend(Blend):
    """The mean of several hazards' probabilities."""

    def parts_of(self, features: FeatureRows) -> list[Part]:
        """Return what all of them say."""
        return [part for one in self.parts for part in cast("_Model", one).parts(features)]


class ContractModel:
    """A model, and what is usual among the rows it learned from.

    Parameters
    ----------
    name : str
        Of `CHALLENGERS` or `BASELINES`.
    horizon, period : timedelta
        How far to look, in steps of what length.
    """

    def __init__(self, name: str, *, horizon: timedelta, period: timedelta) -> None:
        self.name = name
        self.model = _MAKERS[name](horizon, period)
        self.usual = Usual()

    def fit(self, features: "pd.DataFrame", label: Codes) -> Self:
        """Learn from rows of contracts; see :class:`~mlmarket.prediction.learner.Learner`."""
        self.model.fit(features, label)
        return self

    def learn_usual(self, features: "pd.DataFrame") -> Self:
        """Look at what is usual among some rows, for reasons in words.

        Parameters
        ----------
        features : pandas.DataFrame
            The rows.

        Returns
        -------
        Self
        """
        self.usual = Usual.learn(self.parts(features), features)
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the probability to end within the horizon, for each row."""
        return self.model.predict(features)

    def parts(self, features: FeatureRows) -> list[Part]:
        """Return what the models behind the probability say, which is their mean."""
        if isinstance(self.model, HazardBlend):
            return self.model.parts_of(features)
        return cast("_Model", self.model).parts(features)

    def save(self, folder: Path) -> None:
        """Write the model's own files and what is usual."""
        self.model.save(folder)
        write_json(folder / _FILE, self.usual.to_dict())

    def restore(self, folder: Path) -> Self:
        """Read them back."""
        self.model.restore(folder)
        self.usual = Usual.from_dict(read_json(folder / _FILE))
        return self


def _contributions(model: Any, features: FeatureRows) -> Mapping[str, Floats]:  # noqa: ANN401
    return model.contributions(features) if hasattr(model, "contributions") else {}


def _hazard(name: str, horizon: timedelta, period: timedelta) -> HazardChurn:
    kind = {"logistic_hazard": "logistic", "tree_hazard": "trees"}[name]
    hazard = DiscreteHazard(kind, tenure=CONTRACT_DAYS, period=period, strength=10.0)
    return HazardChurn(hazard, horizon, name=name)


def _base_rate(_: timedelta, __: timedelta) -> Learner:
    return DirectChurn(BaseRate(), name="base_rate")


def _tenure(horizon: timedelta, period: timedelta) -> Learner:
    table = TenureHazard(tenure=CONTRACT_DAYS, period=period)
    return HazardChurn(table, horizon, name="tenure_hazard")


def _both_hazards(horizon: timedelta, period: timedelta) -> Learner:
    both = [_hazard(name, horizon, period) for name in ("logistic_hazard", "tree_hazard")]
    return HazardBlend(both, name="hazard")


def _direct(_: timedelta, __: timedelta) -> Learner:
    blend = Blend([BoostedTrees(), LogisticModel(strength=30.0)])
    return DirectChurn(blend, name="direct")


_MAKERS: Final[Mapping[str, Callable[[timedelta, timedelta], Learner]]] = {
    "base_rate": _base_rate,
    "tenure_hazard": _tenure,
    "logistic_hazard": lambda horizon, period: _hazard("logistic_hazard", horizon, period),
    "tree_hazard": lambda horizon, period: _hazard("tree_hazard", horizon, period),
    "hazard": _both_hazards,
    "direct": _direct,
}

BASELINES: Final = ("base_rate", "tenure_hazard")
"""Simple rules that a model must beat, the coarser one first."""

CHALLENGERS: Final = ("hazard", "logistic_hazard", "tree_hazard", "direct")
"""Models; another than the first is used only where it is clearly better."""
