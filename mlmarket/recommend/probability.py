"""How likely is it that a recommended item is bought?

A ranking says which of somebody's items comes first; to choose among offers, or among people, one needs a chance.
It is learned on a window that the ranking had not seen, from everybody with a history, whether or not they bought.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import CalibrationCurve, calibration_curve, expected_calibration_error
from mlmarket.recommend.interactions import Interactions

__all__ = ["SlotProbability"]

Codes = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

_KNOTS: Final = 5
_FEWEST: Final = 50
"""Hits below which no chance is told."""
_PENALTY: Final = 1.0
_FOLDS: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class SlotProbability:
    """A logistic regression of purchases on scores, and on how lively the history is.

    Of two items that somebody had, or two that are new, the one with the higher score never has the lower chance:
    the score enters as a line that bends at some knots and never falls.

    Parameters
    ----------
    knots : ndarray of float64, shape (knots,)
        Scores at which the line of own items, and that of new ones, bends.
    center, scale : ndarray of float64, shape (terms,)
        Of the terms.
    weights : ndarray of float64, shape (1 + terms,)
        The constant first.
    curve : CalibrationCurve
        What was said of recipients who were left out, against what they did.
    error : float
        Expected calibration error there.
    slots, hits : int
        How many slots it was learned from, and how many of them were bought.
    """

    knots: Numbers
    center: Numbers
    scale: Numbers
    weights: Numbers
    curve: CalibrationCurve
    error: float
    slots: int
    hits: int

    @classmethod
    def fit(
        cls, recipients: Interactions, item: Codes, score: Scores, hit: Flags
    ) -> "SlotProbability | None":
        """Learn from a window that the ranking had not seen.

        Parameters
        ----------
        recipients : Interactions
            Histories up to the beginning of the window, of everybody who was ranked for.
        item : ndarray of int32, shape (recipients, m)
            The best items of each; -1 for none.
        score : ndarray of float32, shape (recipients, m)
            Their scores.
        hit : ndarray of bool, shape (recipients, m)
            Whether it was bought in the window.

        Returns
        -------
        SlotProbability or None
            None where too few were bought to tell.
        """
        there = item >= 0
        if int(hit[there].sum()) < _FEWEST or hit[there].all():
            return None
        worth = score[there].astype(np.float64)
        knots = np.unique(np.quantile(worth, np.linspace(0.1, 0.9, _KNOTS)))
        terms = _terms(recipients, item, score, knots)
        label = hit[there]
        center, scale = terms.mean(axis=0), terms.std(axis=0)
        scale[scale < 1e-9] = 1.0
        terms = (terms - center) / scale
        rising = 2 * (len(knots) + 1)
        fold = (np.nonzero(there)[0] * _FOLDS) // max(len(item), 1)
        told = np.empty(len(label))
        for place in range(_FOLDS):
            held = fold == place
            told[held] = _chance(terms[held], _learned(terms[~held], label[~held], rising))
        return cls(
            knots,
            center,
            scale,
            _learned(terms, label, rising),
            calibration_curve(label, told),
            expected_calibration_error(label, told),
            len(label),
            int(label.sum()),
        )

    def predict(self, recipients: Interactions, item: Codes, score: Scores) -> Numbers:
        """Return the chance that each item is bought within the horizon.

        Parameters
        ----------
        recipients : Interactions
            Histories up to tonight.
        item : ndarray of int32, shape (recipients, m)
            Items; -1 for none.
        score : ndarray of float32, shape (recipients, m)
            What the ranking said of them; NaN where it said nothing.

        Returns
        -------
        ndarray of float64, shape (recipients, m)
            NaN where there is no item, or no score.
        """
        chance = np.full(item.shape, np.nan)
        there = (item >= 0) & np.isfinite(score)
        asked = np.where(there, item, -1)
        terms = _terms(recipients, asked, score, self.knots)
        chance[there] = _chance((terms - self.center) / self.scale, self.weights)
        return chance

    def to_state(self) -> dict[str, Any]:
        """Return what was learned: arrays and numbers by name."""
        names = ("knots", "center", "scale", "weights", "error", "slots", "hits")
        curve = {name: getattr(self.curve, name) for name in ("predicted", "observed", "count")}
        return {name: getattr(self, name) for name in names} | {"curve": curve}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_state` gave."""
        return cls(**{**state, "curve": CalibrationCurve(**state["curve"])})


def _terms(recipients: Interactions, item: Codes, score: Scores, knots: Numbers) -> Numbers:
    """Return the terms of the regression, a row an item that is there; those that may not fall come first."""
    recipient, place = np.nonzero(item >= 0)
    worth = score[recipient, place].astype(np.float64)[:, None]
    own = recipients.holds(item)[recipient, place].astype(np.float64)[:, None]
    ends = np.concatenate([[-np.inf], knots, [np.inf]])
    # How far the score goes into each stretch between knots; the outer ones are counted from their knot.
    inner = np.clip(worth, ends[:-1], ends[1:])
    steps = inner - np.concatenate([knots[:1], knots])
    lively = _liveliness(recipients)[recipient]
    return np.concatenate([steps * own, steps * (1.0 - own), own, lively, own * lively], axis=1)


def _liveliness(recipients: Interactions) -> Numbers:
    """Return occasions, rows, and how long ago the latest was, as logarithms."""
    people = len(recipients.contacts)
    has = np.diff(recipients.start) > 0
    occasions, latest = np.zeros(people), np.zeros(people)
    occasions[has] = recipients.occasions_back[recipients.start[:-1][has]] + 1.0
    if recipients.timed:
        latest[has] = recipients.age[recipients.start[1:][has] - 1]
    facts = (occasions, np.diff(recipients.start), np.maximum(latest, 0.0))
    return np.asarray(np.log1p(np.stack(facts, axis=1)), dtype=np.float64)


def _learned(terms: Numbers, label: Flags, rising: int) -> Numbers:
    """Return the weights of a logistic regression whose first weights are at least 0."""
    from scipy.optimize import minimize
    from scipy.special import expit

    sign = np.where(label, 1.0, -1.0)

    def loss(weights: Vector) -> tuple[float, Numbers]:
        margin = sign * (terms @ weights[1:] + weights[0])
        slope = -sign * expit(-margin)
        value = np.logaddexp(0.0, -margin).sum() + 0.5 * _PENALTY * weights[1:] @ weights[1:]
        gradient = np.concatenate([[slope.sum()], slope @ terms + _PENALTY * weights[1:]])
        return float(value) / len(label), gradient / len(label)

    rate = float(label.mean())
    start = np.zeros(1 + terms.shape[1])
    start[0] = np.log(rate / (1.0 - rate))
    free: tuple[float | None, float | None] = (None, None)
    bounds = [free, *[(0.0, None)] * rising, *[free] * (terms.shape[1] - rising)]
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8},
    )
    return np.asarray(found.x, dtype=np.float64)


def _chance(terms: Numbers, weights: Numbers) -> Numbers:
    from scipy.special import expit

    # Row by row: a matrix product may round a row otherwise when other rows stand beside it.
    return np.asarray(expit((terms * weights[1:]).sum(axis=1) + weights[0]), dtype=np.float64)
