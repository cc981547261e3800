"""How does a team ask a question of its own?

A label and a horizon are enough: ``TargetModel("upgrade", label="event upgrade", horizon="30D")``.
Whoever has a scikit-learn estimator of their own hands it in through :func:`from_estimator`.
"""

import importlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.features import Behaviour, Feature
from mlmarket.market.time import duration_text, parse_duration
from mlmarket.prediction.contest import Candidates
from mlmarket.prediction.learner import BaseRate, Blend, BoostedTrees, LogisticModel
from mlmarket.prediction.supervised import Answer, Question, SupervisedPredictor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EstimatorLearner", "TargetModel", "blend", "from_estimator"]

_FILE: Final = "estimator.skops"


def blend() -> Blend:
    """Return the default model: the mean of small boosted trees and a logistic regression."""
    return Blend([BoostedTrees(), LogisticModel(strength=30.0)])


class EstimatorLearner:
    """A scikit-learn classifier as a learner.

    Categories reach it as whole numbers, in the order of how frequent they are, and missing values
    as NaN, so that a pipeline with an imputer can take any table.

    Parameters
    ----------
    estimator : sklearn.base.ClassifierMixin, optional
        With ``predict_proba``; None only to be restored from a file.
    """

    name = "estimator"

    def __init__(self, estimator: Any = None) -> None:  # noqa: ANN401 - untyped upstream
        self.estimator = estimator
        self._fitted: Any = None
        self._categories: dict[str, list[str]] = {}

    def _numeric(self, features: "pd.DataFrame") -> "pd.DataFrame":
        import pandas as pd

        coded = {}
        for name, values in self._categories.items():
            codes = pd.Categorical(features[name].astype("object"), categories=values).codes
            coded[name] = np.where(codes < 0, np.nan, codes.astype(np.float64))
        return features.assign(**coded)

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Fit a clone of the estimator."""
        from sklearn.base import clone

        names = [name for name in features.columns if features[name].dtype.kind not in "fiub"]
        self._categories = {}
        for name in names:
            counts = features[name].value_counts()
            self._categories[name] = sorted(counts.index, key=lambda v, c=counts: (-c[v], v))
        try:
            self._fitted = clone(self.estimator).fit(self._numeric(features), label)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"The estimator refused the features: {str(error).splitlines()[0]}",
                "It is fitted on a frame of numbers, in which some are missing.",
                "put an imputer before it, such as make_pipeline(SimpleImputer(), …).",
            ) from error
        return self

    def predict(self, features: "pd.DataFrame") -> npt.NDArray[np.float64]:
        """Return the probability of the second class."""
        if not len(features):
            return np.empty(0)
        probability = self._fitted.predict_proba(self._numeric(features))[:, 1]
        return np.clip(np.asarray(probability, dtype=np.float64), 1e-6, 1 - 1e-6)

    def save(self, folder: Path) -> None:
        """Write the fitted estimator in the format of skops, which runs no code when read."""
        state = {"estimator": self._fitted, "categories": self._categories}
        _skops().dump(state, folder / _FILE)

    def restore(self, folder: Path) -> Self:
        """Read it back; only types of scikit-learn, numpy and scipy are accepted."""
        skops = _skops()
        unknown = skops.get_untrusted_types(file=folder / _FILE)
        foreign = [
            name for name in unknown if not name.startswith(("sklearn.", "numpy.", "scipy."))
        ]
        if foreign:
            raise ConfigurationError(
                f"The saved estimator holds types that are not trusted: {', '.join(foreign[:3])}.",
                "A file could run code through them.",
                "train it again in this run, or build it from scikit-learn's own parts.",
            )
        state = skops.load(folder / _FILE, trusted=unknown)
        self._fitted = state["estimator"]
        self._categories = state["categories"]
        return self


def _skops() -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module("skops.io")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "Estimators of your own are kept in the format of skops, which is not installed.",
            "Without it the trained estimator could not be used by the next night.",
            'pip install "mlmarket[estimators]"',
        ) from error


class TargetModel(SupervisedPredictor):
    """Will a contact do this within the horizon?

    Parameters
    ----------
    name : str
        Name of the predictor and first word of its columns.
    label : str
        What is asked, such as ``event upgrade``, ``no order`` or ``outcome won``.
    horizon : str or timedelta
        Within which time, such as ``30D``.
    eligible : str, optional
        Of whom, such as ``event login within 90D``; by default of every contact.
    features : sequence of Feature, optional
        By default all that the tables allow.
    estimator : sklearn.base.ClassifierMixin, optional
        In place of the default model.
    """

    def __init__(
        self,
        name: str,
        *,
        label: str,
        horizon: str | timedelta,
        eligible: str | None = None,
        features: Sequence[Feature] | None = None,
        estimator: Any = None,  # noqa: ANN401 - untyped upstream
        own_estimator: bool = False,
    ) -> None:
        behaviour = Behaviour.parse(label)
        span = parse_duration(horizon)
        column = f"{name}_probability_{duration_text(span).lower()}"
        gate = None if eligible in {None, "contact"} else Behaviour.parse(str(eligible))
        own = own_estimator or estimator is not None
        question = Question(
            name=name,
            text=f"Who will show '{behaviour}' within {duration_text(span)}?",
            label=behaviour,
            horizon=span,
            eligible=gate,
            needs=frozenset(_tables_of(behaviour)),
            answer=Answer(
                column,
                f"probability of '{behaviour}' within {duration_text(span)}",
                f"people with '{behaviour}' within {span.days} days",
            ),
            candidates=Candidates(
                challenger=(lambda: EstimatorLearner(estimator)) if own else blend,
                baselines={"base_rate": BaseRate},
            ),
        )
        parameters: Mapping[str, object] = {
            "name": name,
            "label": str(behaviour),
            "horizon": duration_text(span),
            "eligible": eligible,
            "own_estimator": own,
        }
        super().__init__(question, parameters=parameters, features=features)


def _tables_of(behaviour: Behaviour) -> set[str]:
    from mlmarket.features.labels import label_table

    return {label_table(behaviour)}


def from_estimator(
    estimator: Any,  # noqa: ANN401 - untyped upstream
    *,
    name: str,
    label: str,
    horizon: str | timedelta,
    eligible: str | None = None,
) -> TargetModel:
    """Return a predictor that uses a scikit-learn classifier.

    Parameters
    ----------
    estimator : sklearn.base.ClassifierMixin
        A classifier or pipeline with ``predict_proba``; it is cloned, never changed.
    name, label, horizon, eligible
        As for :class:`TargetModel`.

    Returns
    -------
    TargetModel
        With backtest, evidence, night and segments like any other; it is used only where it
        beats the base rate.
    """
    return TargetModel(name, label=label, horizon=horizon, eligible=eligible, estimator=estimator)
