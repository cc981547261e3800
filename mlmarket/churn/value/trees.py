"""Small gradient-boosted trees for amounts: what is expected of whom?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.value.learners import Lesson, kept_from_outliers
from mlmarket.prediction.columns import FeatureRows
from mlmarket.prediction.learner import THREADS, read_json, write_json
from mlmarket.prediction.trees import BoostedTrees

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AmountTrees", "RegressionTrees"]

Floats = npt.NDArray[np.float64]
Objective = Literal["tweedie", "poisson", "regression"]

_POWER: Final = 1.5


class RegressionTrees(BoostedTrees):
    """Small trees like those for probabilities, with another objective.

    Parameters
    ----------
    objective : {"tweedie", "poisson", "regression"}
        Of LightGBM; Tweedie with variance power 1.5.
    leaves : int, default 15
        Leaves of each tree.
    """

    def __init__(self, objective: Objective, *, leaves: int = 15) -> None:
        super().__init__(leaves=leaves)
        self.objective = objective

    def _parameters(self) -> dict[str, Any]:
        power = {"tweedie_variance_power": _POWER} if self.objective == "tweedie" else {}
        return {**super()._parameters(), "objective": self.objective, **power}

    def learn(self, features: "pd.DataFrame", target: Floats) -> Self:
        """Learn the trees.

        Parameters
        ----------
        features : pandas.DataFrame
            Numbers, and text for categories.
        target : ndarray of float64, shape (rows,)
            What is to be predicted.

        Returns
        -------
        Self
        """
        return super().fit(features, target)  # type: ignore[arg-type]  # any numbers will do

    def predict(self, features: FeatureRows) -> Floats:
        """Return the prediction for each row.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`learn`.

        Returns
        -------
        ndarray of float64, shape (rows,)
            In the unit of the target.
        """
        booster = self._trained()
        if not len(features):
            return np.empty(0)
        predicted = booster.predict(self._matrix(features), num_threads=THREADS)
        return np.asarray(predicted, dtype=np.float64)


class AmountTrees:
    """Small gradient-boosted trees whose loss fits amounts that are often zero.

    For values the Tweedie deviance: a Poisson number of Gamma amounts. For counts the Poisson
    deviance.

    Parameters
    ----------
    objective : {"tweedie", "poisson"}
        Which of them.

    References
    ----------
    Yang, Qian and Zou (2018), Insurance premium prediction via gradient tree-boosted Tweedie
    compound Poisson models, Journal of Business and Economic Statistics 36(3).
    """

    _FILE: Final = "amount_trees.json"

    def __init__(self, objective: Literal["tweedie", "poisson"]) -> None:
        self._trees = RegressionTrees(objective)
        self._scale = 1.0

    @property
    def name(self) -> str:
        """What it is called in evidence."""
        return f"{self._trees.objective}_trees"

    def fit(self, lesson: Lesson) -> Self:
        """Learn the trees in units of the mean; see :class:`AmountLearner`."""
        amount = kept_from_outliers(lesson.amount)
        # The penalty of leaves, and so the trees, must not depend on the currency.
        self._scale = float(amount.mean())
        self._trees.learn(lesson.features, amount / self._scale)
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the expected amount of each row; see :class:`AmountLearner`."""
        return self._scale * np.maximum(self._trees.predict(features), 0.0)

    def save(self, folder: Path) -> None:
        """Write LightGBM's own text format, the columns and the scale."""
        self._trees.save(folder)
        write_json(folder / self._FILE, {"scale": self._scale})

    def restore(self, folder: Path) -> Self:
        """Read them back."""
        self._trees.restore(folder)
        self._scale = float(read_json(folder / self._FILE)["scale"])
        return self
