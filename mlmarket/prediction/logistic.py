"""Logistic regression on logarithms: which way does the probability lean?"""

from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from mlmarket.prediction.columns import FeatureColumns, FeatureRows
from mlmarket.prediction.learner import (
    Floats,
    kept_from_certainty,
    one_thread,
    read_json,
    write_json,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LogisticModel"]


class LogisticModel:
    """Logistic regression on logarithms of the features.

    Counts, sums and days enter as ``sign(x) · log(1 + |x|)``, standardised and kept within five
    standard deviations; a missing value is the mean, with a column of its own that says so;
    categories have a column each.

    Parameters
    ----------
    strength : float, default 1.0
        L2 penalty of the coefficients (1 / C of scikit-learn).

    References
    ----------
    Hoerl and Kennard (1970), Ridge regression, Technometrics 12(1), for the penalty.
    """

    name = "logistic"

    def __init__(self, *, strength: float = 1.0) -> None:
        self.strength = strength
        self._columns = FeatureColumns((), {})
        self._center = np.empty(0)
        self._scale = np.empty(0)
        self._has_missing = np.empty(0, dtype=bool)
        self._weights = np.empty(0)

    def _logs(self, features: FeatureRows) -> Floats:
        values = self._columns.values(features)
        logs = np.abs(values)
        np.log1p(logs, out=logs)
        return np.copysign(logs, values, out=logs)

    def _design(self, features: FeatureRows) -> Floats:
        """Return the columns that have a weight, row by row in memory wherever they come from."""
        logs = self._logs(features)
        missing = np.isnan(logs)
        flags = missing[:, self._has_missing]
        numbers, seen = logs.shape[1], logs.shape[1] + flags.shape[1]
        width = seen + sum(len(values) for values in self._columns.categories.values())
        design = np.empty((len(logs), width))
        standard = np.subtract(logs, self._center, out=logs)
        standard /= self._scale
        # Far outside what was seen, a straight line on the log odds knows nothing.
        np.clip(standard, -5.0, 5.0, out=design[:, :numbers])
        np.copyto(design[:, :numbers], 0.0, where=missing)
        design[:, numbers:seen] = flags
        for name, values in self._columns.categories.items():
            codes = self._columns.codes(features, name)
            design[:, seen : seen + len(values)] = codes[:, None] == np.arange(len(values))
            seen += len(values)
        return design

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn the weights; see :class:`Learner`."""
        from sklearn.linear_model import LogisticRegression

        self._columns = FeatureColumns.learn(features)
        logs = self._logs(features)
        seen = ~np.isnan(logs)
        count = np.maximum(seen.sum(axis=0), 1)
        self._center = np.where(seen, logs, 0.0).sum(axis=0) / count
        deviation = np.where(seen, logs - self._center, 0.0)
        self._scale = np.sqrt((deviation**2).sum(axis=0) / count)
        self._scale[self._scale < 1e-9] = 1.0
        self._has_missing = np.asarray(~seen.all(axis=0))
        # Newton's steps: many rows, few columns, and the same weights to the last few digits in
        # whatever order the rows come.
        model = LogisticRegression(
            C=1.0 / self.strength, solver="newton-cholesky", max_iter=100, tol=1e-9
        )
        with one_thread():
            model.fit(self._design(features), label)
        self._weights = np.concatenate([model.intercept_, model.coef_[0]])
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return a probability for each row; see :class:`Learner`."""
        from scipy.special import expit

        # Row by row: a matrix product may round a row otherwise when other rows stand beside it.
        terms = self._design(features)
        terms *= self._weights[1:]
        log_odds = terms.sum(axis=1) + self._weights[0]
        return kept_from_certainty(np.asarray(expit(log_odds), dtype=np.float64))

    def contributions(self, features: FeatureRows) -> dict[str, Floats]:
        """Return what each feature adds to the log odds of each row.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        dict of str to ndarray of float64, shape (rows,)
            By feature; with the intercept they add up to the log odds. What is usual of a feature
            adds something too: compare it with the mean over rows.
        """
        terms = self._design(features)
        terms *= self._weights[1:]
        numbers = self._columns.numbers
        parts = {name: terms[:, place].copy() for place, name in enumerate(numbers)}
        first = len(numbers)
        for name in np.asarray(numbers, dtype=object)[self._has_missing]:
            parts[name] += terms[:, first]
            first += 1
        for name, values in self._columns.categories.items():
            parts[name] = terms[:, first : first + len(values)].sum(axis=1)
            first += len(values)
        return parts

    def save(self, folder: Path) -> None:
        """Write the weights as JSON; see :class:`Learner`."""
        content = {
            "columns": self._columns.to_dict(),
            "center": self._center.tolist(),
            "scale": self._scale.tolist(),
            "has_missing": self._has_missing.tolist(),
            "weights": self._weights.tolist(),
        }
        write_json(folder / "logistic.json", content)

    def restore(self, folder: Path) -> Self:
        """Read them back; see :class:`Learner`."""
        content = read_json(folder / "logistic.json")
        self._columns = FeatureColumns.from_dict(content["columns"])
        self._center = np.asarray(content["center"], dtype=np.float64)
        self._scale = np.asarray(content["scale"], dtype=np.float64)
        self._has_missing = np.asarray(content["has_missing"], dtype=bool)
        self._weights = np.asarray(content["weights"], dtype=np.float64)
        return self
