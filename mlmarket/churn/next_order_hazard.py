"""How likely is the next purchase in each week ahead, and on which day does it come?

The hazard of a week is the probability that the next purchase comes in it, given that it has not come before.
What is said about horizons and dates follows from the hazards of thirteen weeks, so that it never
contradicts itself.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.next_order_rows import WEEKS, Known, Rows, Weeks, batch_of, frame_of, weekly
from mlmarket.prediction.columns import FeatureRows, numbers_of
from mlmarket.prediction.learner import BaseRate, Blend, Floats, Learner, read_json, write_json
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.trees import BoostedTrees

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BASELINES",
    "DAYS",
    "HORIZONS",
    "Dates",
    "DueRule",
    "chance_by_day",
    "challenger",
    "expected_dates",
    "hazards",
    "learn",
    "scaled",
]

Integers = npt.NDArray[np.int64]

HORIZONS: Final = (7, 14, 28, 90)
DAYS: Final = 90
_BAND: Final = (0.1, 0.5, 0.9)
_BLOCK: Final = 2_048
"""Rows answered at a time; each has thirteen weeks."""


class DueRule:
    """The simple rule: how often do people buy who are that far past their typical gap?

    Weeks are put into cells by the time since the last purchase divided by the typical gap, at its deciles;
    weeks of those who have no gap yet into cells by the time alone. The hazard of a cell is drawn towards the
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
        self._ratios = np.empty(0)
        self._since = np.empty(0)
        self._hazard = np.empty(0)

    def _cells(self, features: FeatureRows) -> Integers:
        ratio = numbers_of(features, self.due)
        first = np.isnan(numbers_of(features, "gap_mean"))
        behind = len(self._ratios) + 1 + np.searchsorted(self._since, self._since_last(features))
        return np.where(first, behind, np.searchsorted(self._ratios, ratio)).astype(np.int64)

    def _since_last(self, features: FeatureRows) -> Floats:
        return numbers_of(features, "since_last_then")

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn the edges of the cells and their hazards; see :class:`Learner`."""
        first = np.isnan(numbers_of(features, "gap_mean"))
        self._ratios = _deciles(numbers_of(features, self.due)[~first])
        self._since = _deciles(self._since_last(features)[first])
        cells = self._cells(features)
        overall = (float(label.sum()) + 0.5) / (len(label) + 1.0)
        size = len(self._ratios) + len(self._since) + 2
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
            "ratios": self._ratios.tolist(),
            "since": self._since.tolist(),
            "hazard": self._hazard.tolist(),
        }
        write_json(folder / self._FILE, content)

    def restore(self, folder: Path) -> Self:
        """Read it back; see :class:`Learner`."""
        content = read_json(folder / self._FILE)
        self._ratios = np.asarray(content["ratios"], dtype=np.float64)
        self._since = np.asarray(content["since"], dtype=np.float64)
        self._hazard = np.asarray(content["hazard"], dtype=np.float64)
        return self


def _deciles(values: Floats) -> Floats:
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, np.arange(1, 10) / 10.0))


def challenger() -> Blend:
    """Return the model that has to beat the rules: small trees and a logistic regression."""
    return Blend([BoostedTrees(trees=100), LogisticModel(strength=30.0)])


BASELINES: Final = ("base_rate", "due_rule")
"""The same hazard for everybody in every week, and the rule of the typical gap."""


def make(name: str, known: Known) -> Learner:
    """Return a learner of hazards by its name.

    Parameters
    ----------
    name : str
        ``base_rate``, ``due_rule`` or ``blend``.
    known : Known
        What it is told.

    Returns
    -------
    Learner
        Not fitted.
    """
    if name == BaseRate.name:
        return BaseRate()
    return DueRule(known.due) if name == DueRule.name else challenger()


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


def chance_by_day(hazard: Floats) -> Floats:
    """Return the probability that the next purchase has come by each day.

    Within a week its chance is spread as by a constant hazard.

    Parameters
    ----------
    hazard : ndarray of float64, shape (rows, 13)
        Of weeks.

    Returns
    -------
    ndarray of float64, shape (rows, 90)
        Never falling; the first column is the day after.
    """
    daily = np.repeat(np.log1p(-hazard) / 7.0, 7, axis=1)[:, :DAYS]
    chance: Floats = -np.expm1(np.cumsum(daily, axis=1))
    return chance


@dataclass(frozen=True, slots=True)
class Dates:
    """Days ahead of the next purchase, given that it comes within 90.

    Parameters
    ----------
    low, middle, high : ndarray of int64, shape (rows,)
        The day by which it has come in 10, 50 and 90 of 100 such cases; 1 is the day after.
    """

    low: Integers
    middle: Integers
    high: Integers


def expected_dates(chance: Floats) -> Dates:
    """Return when the next purchase comes, given that it comes within 90 days.

    Parameters
    ----------
    chance : ndarray of float64, shape (rows, 90)
        From :func:`chance_by_day`.

    Returns
    -------
    Dates
        Median and 80 % band of the conditional distribution.
    """
    whole = chance[:, -1:]
    days = [np.argmax(chance >= share * whole, axis=1).astype(np.int64) + 1 for share in _BAND]
    return Dates(*days)
