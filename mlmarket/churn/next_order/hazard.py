"""How likely is the next purchase in each week ahead?

The hazard of a week is the probability that the next purchase comes in it, given that it has not come before.
Who learns it is chosen by contest, see :mod:`mlmarket.churn.next_order.contest`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.next_order.rows import WEEKS, Known, Rows, Weeks, batch_of, frame_of, weekly
from mlmarket.prediction.columns import FeatureRows, numbers_of
from mlmarket.prediction.learner import BaseRate, Blend, Floats, Learner, read_json, write_json
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.trees import BoostedTrees

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BASELINES",
    "CHALLENGER",
    "DueRule",
    "hazards",
    "learn",
    "make",
    "scaled",
]

Integers = npt.NDArray[np.int64]

_BLOCK: Final = 2_048
"""Rows answered at a time; each has thirteen weeks."""


class DueRule:
    """The simple rule: how often do people buy who are that far past their typical gap?

    Weeks are put into cells by the time since the last purchase divided by the typical gap, at its deciles.
    Who has no gap of their own stands apart, by the gap of the item, else by the time alone. The hazard of a cell is drawn towards the
    overall one by `prior` weeks.

    Parameters
    ----------
    due : str
        Name of that ratio.
    prior : float, default 50
        Weight of the overall hazard in each cell, in weeks.
    """

    name = "due_rule"
    _FILE: Final = "due_rule.json"

    def __init__(self, due: str, *, prior: float = 50.0) -> None:
        self.due = due
        self.prior = prior
        self._again = np.empty(0)
        self._first = np.empty(0)
        self._hazard = np.empty(0)

    def _values(self, features: FeatureRows) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return by what each week is put into a cell, and whether there is no gap yet."""
        ratio = numbers_of(features, self.due)
        since = numbers_of(features, "since_last_then")
        values = np.where(np.isnan(ratio), since, ratio)
        return values, np.isnan(numbers_of(features, "gap_mean"))

    def _cells(self, features: FeatureRows) -> Integers:
        values, first = self._values(features)
        behind = len(self._again) + 1 + np.searchsorted(self._first, values)
        return np.where(first, behind, np.searchsorted(self._again, values)).astype(np.int64)

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn the edges of the cells and their hazards; see :class:`Learner`."""
        values, first = self._values(features)
        self._again, self._first = _deciles(values[~first]), _deciles(values[first])
        cells = self._cells(features)
        overall = (float(label.sum()) + 0.5) / (len(label) + 1.0)
        size = len(self._again) + len(self._first) + 2
        weeks = np.bincount(cells, minlength=size)
        came = np.bincount(cells, weights=label, minlength=size)
        self._hazard = (came + self.prior * overall) / (weeks + self.prior)
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the hazard of each week's cell; see :class:`Learner`."""
        found: Floats = self._hazard[self._cells(features)]
        return found

    def save(self, folder: Path) -> None:
        """Write ``due_rule.json``; see :class:`Learner`."""
        content = {
            "again": self._again.tolist(),
            "first": self._first.tolist(),
            "hazard": self._hazard.tolist(),
        }
        write_json(folder / self._FILE, content)

    def restore(self, folder: Path) -> Self:
        """Read it back; see :class:`Learner`."""
        content = read_json(folder / self._FILE)
        self._again = np.asarray(content["again"], dtype=np.float64)
        self._first = np.asarray(content["first"], dtype=np.float64)
        self._hazard = np.asarray(content["hazard"], dtype=np.float64)
        return self


def _deciles(values: Floats) -> Floats:
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, np.arange(1, 10) / 10.0))


BASELINES: Final = (BaseRate.name, DueRule.name)
"""The same hazard for everybody in every week, and the rule of the typical gap."""
CHALLENGER: Final = "blend"
"""Small trees and a logistic regression: what has to beat the rules."""


def make(name: str, known: Known) -> Learner:
    """Return a learner of hazards by its name.

    Parameters
    ----------
    name : str
        :data:`CHALLENGER`, or one of :data:`BASELINES`.
    known : Known
        What it is told.

    Returns
    -------
    Learner
        Not fitted.
    """
    if name == BaseRate.name:
        return BaseRate()
    if name == DueRule.name:
        return DueRule(known.due)
    return Blend([BoostedTrees(trees=100), LogisticModel(strength=30.0)], name=CHALLENGER)


def learn(learner: Learner, known: Known, rows: Rows, weeks: Weeks) -> Learner:
    """Let a learner learn the hazard of weeks.

    Parameters
    ----------
    learner : Learner
        Any.
    known : Known
        What it is told.
    rows : Rows
        Series on given days.
    weeks : Weeks
        Their weeks.

    Returns
    -------
    Learner
        The same one.
    """
    return learner.fit(frame_of(known, rows, weeks), weeks.label)


def hazards(learner: Learner, known: Known, numbers: Floats) -> Floats:
    """Return the hazard of each of thirteen weeks.

    Parameters
    ----------
    learner : Learner
        Fitted.
    known : Known
        What it is told.
    numbers : ndarray of float64, shape (rows, known)
        What is known of each series.

    Returns
    -------
    ndarray of float64, shape (rows, 13)
        The answer for a row depends on no other row.
    """
    found = np.empty((len(numbers), WEEKS))
    for first in range(0, len(numbers), _BLOCK):
        block = numbers[first : first + _BLOCK]
        week = np.tile(np.arange(WEEKS), len(block))
        batch = batch_of(weekly(known, np.repeat(block, WEEKS, axis=0), week))
        found[first : first + _BLOCK] = learner.predict(batch).reshape(-1, WEEKS)
    return found


def scaled(hazard: Floats, factor: float) -> Floats:
    """Return hazards with cumulative hazards multiplied by a factor.

    Parameters
    ----------
    hazard : ndarray of float64
        Probabilities below 1.
    factor : float
        Above 0.

    Returns
    -------
    ndarray of float64
        ``1 - (1 - h) ** factor``, as in a proportional-hazards model in discrete time.

    References
    ----------
    Prentice and Gloeckler (1978), Regression analysis of grouped survival data with application to breast
    cancer data, Biometrics 34(1).
    """
    changed: Floats = -np.expm1(factor * np.log1p(-hazard))
    return changed
