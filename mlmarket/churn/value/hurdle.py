"""Will they buy at all, and for how much if they do?"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.value.learners import Lesson, kept_from_outliers, restore_part, save_part
from mlmarket.churn.value.trees import RegressionTrees
from mlmarket.prediction.columns import FeatureColumns, FeatureRows
from mlmarket.prediction.learner import BaseRate, one_thread, read_json, write_json
from mlmarket.prediction.target import blend

if TYPE_CHECKING:
    import pandas as pd

    from mlmarket.prediction.learner import Learner

__all__ = ["Hurdle", "LogLine"]

Floats = npt.NDArray[np.float64]

_FURTHEST: Final = 3.0
"""Predicted logarithms stay this many standard deviations within those that were seen."""


class LogLine:
    """Ridge regression of a logarithm on logarithms of the features.

    Parameters
    ----------
    strength : float, default 30.0
        L2 penalty of the coefficients.

    References
    ----------
    Hoerl and Kennard (1970), Ridge regression, Technometrics 12(1).
    """

    _FILE: Final = "log_line.json"

    def __init__(self, *, strength: float = 30.0) -> None:
        self.strength = strength
        self._columns = FeatureColumns((), {})
        self._center = np.empty(0)
        self._scale = np.empty(0)
        self._weights = np.empty(0)

    def _logs(self, features: FeatureRows) -> Floats:
        values = self._columns.values(features)
        return np.copysign(np.log1p(np.abs(values)), values)

    def _standard(self, logs: Floats) -> Floats:
        standard = np.clip((logs - self._center) / self._scale, -5.0, 5.0)
        # A missing value is the mean.
        return np.nan_to_num(standard, copy=False)

    def learn(self, features: "pd.DataFrame", logarithm: Floats) -> Self:
        """Learn the weights.

        Parameters
        ----------
        features : pandas.DataFrame
            Numbers; text is not looked at.
        logarithm : ndarray of float64, shape (rows,)
            What is to be predicted.

        Returns
        -------
        Self
        """
        self._columns = FeatureColumns(FeatureColumns.learn(features).numbers, {})
        logs = self._logs(features)
        seen = ~np.isnan(logs)
        count = np.maximum(seen.sum(axis=0), 1)
        self._center = np.where(seen, logs, 0.0).sum(axis=0) / count
        deviation = np.where(seen, logs - self._center, 0.0)
        self._scale = np.sqrt((deviation**2).sum(axis=0) / count)
        self._scale[self._scale < 1e-9] = 1.0
        design = self._standard(logs)
        level = float(logarithm.mean())
        with one_thread():
            square = design.T @ design + self.strength * np.eye(design.shape[1])
            square += np.outer(means := design.sum(axis=0), -means / len(design))
            slopes = np.linalg.solve(square, design.T @ (logarithm - level))
        self._weights = np.concatenate([[level - slopes @ design.mean(axis=0)], slopes])
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the logarithm of each row.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`learn`.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Row by row: the answer does not depend on other rows.
        """
        terms = self._standard(self._logs(features)) * self._weights[1:]
        logarithm: Floats = terms.sum(axis=1) + self._weights[0]
        return logarithm

    def save(self, folder: Path) -> None:
        """Write the weights as JSON."""
        content = {
            "columns": self._columns.to_dict(),
            "center": self._center.tolist(),
            "scale": self._scale.tolist(),
            "weights": self._weights.tolist(),
        }
        write_json(folder / self._FILE, content)

    def restore(self, folder: Path) -> Self:
        """Read them back."""
        content = read_json(folder / self._FILE)
        self._columns = FeatureColumns.from_dict(content["columns"])
        self._center = np.asarray(content["center"], dtype=np.float64)
        self._scale = np.asarray(content["scale"], dtype=np.float64)
        self._weights = np.asarray(content["weights"], dtype=np.float64)
        return self


class Hurdle:
    r"""The probability of buying, times the value expected of those who buy.

    The probability is that of the purchase model: boosted trees and a logistic regression. The
    logarithm of the value is the mean of a ridge regression and small trees. Back in currency it is
    multiplied by the smearing factor, the mean of :math:`e^{\text{residual}}`, since the mean of a
    skewed amount lies above the middle of its logarithms.

    References
    ----------
    Cragg (1971), Some statistical models for limited dependent variables, Econometrica 39(5).
    Duan (1983), Smearing estimate: a nonparametric retransformation method, Journal of the American
    Statistical Association 78(383).
    """

    name = "hurdle"
    _FILE: Final = "hurdle.json"

    def __init__(self) -> None:
        self._buys: Learner = BaseRate()
        self._line = LogLine()
        self._trees = RegressionTrees("regression", leaves=7)
        self._smearing = 1.0
        self._bounds = (0.0, 0.0)

    def fit(self, lesson: Lesson) -> Self:
        """Learn who buys, and for how much; see :class:`AmountLearner`."""
        bought = lesson.amount > 0.0
        # Where everybody buys there is no line between those who do and those who do not.
        self._buys = BaseRate() if bought.all() else blend()
        self._buys.fit(lesson.features, bought.astype(np.int8))
        buyers = lesson.features[bought].reset_index(drop=True)
        logarithm = np.log(kept_from_outliers(lesson.amount)[bought])
        self._line.learn(buyers, logarithm)
        self._trees.learn(buyers, logarithm)
        reach = _FURTHEST * float(logarithm.std())
        self._bounds = (float(logarithm.min()) - reach, float(logarithm.max()) + reach)
        self._smearing = float(np.exp(logarithm - self._logarithm(buyers)).mean())
        return self

    def _logarithm(self, features: FeatureRows) -> Floats:
        middle = (self._line.predict(features) + self._trees.predict(features)) / 2.0
        return np.clip(middle, *self._bounds)

    def predict(self, features: FeatureRows) -> Floats:
        """Return probability times value; see :class:`AmountLearner`."""
        value = self._smearing * np.exp(self._logarithm(features))
        return self._buys.predict(features) * value

    def save(self, folder: Path) -> None:
        """Write the two models and what joins them."""
        save_part(self._buys, folder, "buys")
        save_part(self._line, folder, "value")
        save_part(self._trees, folder, "trees")
        content = {"smearing": self._smearing, "bounds": self._bounds, "all_buy": self._all_buy}
        write_json(folder / self._FILE, content)

    @property
    def _all_buy(self) -> bool:
        return isinstance(self._buys, BaseRate)

    def restore(self, folder: Path) -> Self:
        """Read them back."""
        content = read_json(folder / self._FILE)
        self._buys = BaseRate() if content["all_buy"] else blend()
        restore_part(self._buys.restore, folder, "buys")
        restore_part(self._line.restore, folder, "value")
        restore_part(self._trees.restore, folder, "trees")
        self._smearing = float(content["smearing"])
        low, high = content["bounds"]
        self._bounds = (float(low), float(high))
        return self
