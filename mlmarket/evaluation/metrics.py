"""How good is a prediction?

Log loss and Brier score judge the probability itself, AUC and average precision only the order
of contacts, and the expected calibration error only the level.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import ArrayLike

from mlmarket.evaluation.bins import Ranking, equal_count_bins, rank
from mlmarket.evaluation.checks import (
    PROBABILITY_FLOOR,
    FloatArray,
    as_pair,
    as_weights,
)

__all__ = [
    "CALIBRATION_BINS",
    "Metric",
    "average_precision",
    "brier_score",
    "expected_calibration_error",
    "log_loss",
    "roc_auc",
    "row_log_loss",
    "row_squared_error",
]


CALIBRATION_BINS: Final = 15
"""Bins of the expected calibration error, where nothing else is asked for."""


class Metric(Protocol):
    """A measure of predictions, such as :func:`log_loss`."""

    def __call__(
        self, y: ArrayLike, p: ArrayLike, /, *, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the measure of weighted rows."""
        ...


def row_log_loss(y: FloatArray, p: FloatArray) -> FloatArray:
    """Return the log loss of each row, in nats.

    Parameters
    ----------
    y, p : ndarray of shape (n,)
        Checked labels and predictions.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``-log`` of the probability given to what happened.
    """
    kept = np.clip(p, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    losses: FloatArray = -np.where(y == 1.0, np.log(kept), np.log1p(-kept))
    return losses


def row_squared_error(y: FloatArray, p: FloatArray) -> FloatArray:
    """Return the squared error of each row.

    Parameters
    ----------
    y, p : ndarray of shape (n,)
        Checked labels and predictions.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``(p - y) ** 2``.
    """
    errors: FloatArray = (p - y) ** 2
    return errors


def log_loss(y: ArrayLike, p: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the mean log loss; lower is better.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities; kept 1e-15 away from 0 and 1.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        Mean loss in nats, zero or more.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Good (1952), Rational decisions, Journal of the Royal Statistical Society B 14(1).

    Examples
    --------
    >>> round(log_loss([1, 0], [0.8, 0.4]), 4)
    0.367
    """
    labels, predictions = as_pair(y, p)
    weights = as_weights(sample_weight, labels.size)
    return float(np.average(row_log_loss(labels, predictions), weights=weights))


def brier_score(y: ArrayLike, p: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return the mean squared error of the probabilities; lower is better.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Brier (1950), Verification of forecasts expressed in terms of probability, Monthly
    Weather Review 78(1).

    Examples
    --------
    >>> round(brier_score([1, 0], [0.8, 0.4]), 4)
    0.1
    """
    labels, predictions = as_pair(y, p)
    weights = as_weights(sample_weight, labels.size)
    return float(np.average(row_squared_error(labels, predictions), weights=weights))


def roc_auc(y: ArrayLike, p: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Return how often a positive is ranked above a negative; higher is better.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        Area under the ROC curve, ties counted half; NaN where only one class is present.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Hanley and McNeil (1982), The meaning and use of the area under a receiver operating
    characteristic (ROC) curve, Radiology 143(1).

    Examples
    --------
    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    ranking = _rank(y, p, sample_weight)
    positives, negatives = ranking.positive.sum(), ranking.negative.sum()
    if positives == 0.0 or negatives == 0.0:
        return float("nan")
    beaten = np.cumsum(ranking.negative) - ranking.negative / 2.0
    return float(ranking.positive @ beaten / positives / negatives)


def average_precision(
    y: ArrayLike, p: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the precision averaged over the positives, best first; higher is better.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        From 0 to 1, about the base rate for a random order; NaN without a positive.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Davis and Goadrich (2006), The relationship between Precision-Recall and ROC curves,
    ICML. The step sum of the curve, without interpolation.

    Examples
    --------
    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    ranking = _rank(y, p, sample_weight)
    found = ranking.positive[::-1]
    reached = np.cumsum(found + ranking.negative[::-1])
    if not found.any():
        return float("nan")
    # Where nothing of weight is reached yet, nothing is found either, and the term is zero.
    precision = np.cumsum(found) / np.where(reached > 0.0, reached, 1.0)
    return float(precision @ found / found.sum())


def expected_calibration_error(
    y: ArrayLike,
    p: ArrayLike,
    n_bins: int = CALIBRATION_BINS,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return how far predictions lie from what happened, averaged over equal-count bins.

    Equal predictions stay in one bin. Chance alone makes the error of a perfectly calibrated
    model larger than zero, more so with few rows a bin; read it with its interval.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities.
    n_bins : int, default 15
        How many bins at most.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        Mean absolute difference of probability and rate, from 0 to 1; lower is better.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Nguyen and O'Connor (2015), Posterior calibration and exploratory analysis for natural
    language processing models, EMNLP (equal-count bins).

    Examples
    --------
    >>> round(expected_calibration_error([0, 1, 1, 1], [0.2, 0.2, 0.9, 0.9], n_bins=2), 4)
    0.2
    """
    labels, predictions = as_pair(y, p)
    given = None if sample_weight is None else as_weights(sample_weight, labels.size)
    bins = equal_count_bins(predictions, n_bins, given)
    weights = as_weights(sample_weight, labels.size)
    excess = np.bincount(bins, weights=weights * (predictions - labels))
    return float(np.abs(excess).sum() / weights.sum())


def _rank(y: ArrayLike, p: ArrayLike, sample_weight: ArrayLike | None) -> Ranking:
    labels, predictions = as_pair(y, p)
    return rank(labels, predictions, as_weights(sample_weight, labels.size))
