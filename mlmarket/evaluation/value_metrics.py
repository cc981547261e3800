"""How good is a prediction of what each contact is worth?

The normalised Gini judges the order of contacts, the total bias the sum, the decile error the level
in each tenth, and the Tweedie deviance order and level together. The mean absolute error rewards
whoever predicts the median, which is zero in most shops: it is reported, never chosen by.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlmarket.evaluation.bins import equal_count_bins
from mlmarket.evaluation.checks import FloatArray, as_value_pair, as_weights

__all__ = [
    "DECILES",
    "VALUE_METRICS",
    "Concentration",
    "decile_error",
    "mean_absolute_error",
    "normalised_gini",
    "row_absolute_error",
    "row_tweedie_deviance",
    "total_bias",
    "tweedie_deviance",
]

DECILES: Final = 10
"""Bins of the decile error."""
_FLOOR: Final = 1e-3
"""Predictions count as at least this share of the mean of what happened, where a ratio is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """Rows from the highest to the lowest, those of equal height together."""

    rows: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def descending(cls, heights: FloatArray) -> "_Order":
        rows = np.argsort(-heights, kind="stable")
        sorted_heights = heights[rows]
        is_new = np.concatenate(([True], sorted_heights[1:] != sorted_heights[:-1]))
        return cls(rows, np.flatnonzero(is_new))

    def area(self, weighted: FloatArray, weights: FloatArray) -> float:
        """Return the area between the curve of captured value and the diagonal, unscaled."""
        value = np.add.reduceat(weighted[self.rows], self.starts)
        people = np.add.reduceat(weights[self.rows], self.starts)
        captured = np.cumsum(value) - value / 2.0
        return float(people @ captured - people.sum() * value.sum() / 2.0)


class Concentration:
    """How much of the value the best-ranked contacts hold, for any weights of the rows.

    Parameters
    ----------
    actual, predicted : ndarray of shape (n,)
        Checked amounts.
    """

    def __init__(self, actual: FloatArray, predicted: FloatArray) -> None:
        self._actual = actual
        self._by_prediction = _Order.descending(predicted)
        self._by_truth = _Order.descending(actual)

    def gini(self, weights: FloatArray) -> float:
        """Return the normalised Gini of weighted rows.

        Parameters
        ----------
        weights : ndarray of shape (n,)
            Zero or more.

        Returns
        -------
        float
            NaN where all rows of weight are worth the same.
        """
        weighted = weights * self._actual
        best = self._by_truth.area(weighted, weights)
        # Equal amounts leave no area but that of rounding.
        if best <= 1e-12 * weights.sum() * weighted.sum():
            return float("nan")
        return self._by_prediction.area(weighted, weights) / best


def normalised_gini(
    actual: ArrayLike, predicted: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    r"""Return how well a prediction puts the most valuable contacts first; higher is better.

    Contacts are lined up from the highest prediction to the lowest, and the curve
    :math:`L(x)` is the share of all value that the first share :math:`x` of them holds. The Gini is
    :math:`\int_0^1 (L(x) - x)\,dx`, divided by that of the perfect order: 1 for the perfect order,
    0 for chance, below 0 for an order that is worse. Contacts of equal prediction share their value
    evenly, so the order of rows does not matter.

    Parameters
    ----------
    actual : array-like of shape (n,)
        What each contact was worth, zero or more.
    predicted : array-like of shape (n,)
        What was expected, zero or more; only its order counts.
    sample_weight : array-like of shape (n,), optional
        How many contacts each row stands for.

    Returns
    -------
    float
        At most 1; NaN where all are worth the same.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Frees, Meyers and Cummings (2011), Summarizing insurance scores using a Gini index, Journal of
    the American Statistical Association 106(495).

    Examples
    --------
    >>> round(normalised_gini([0, 0, 10, 30], [1, 2, 9, 3]), 4)
    0.6
    """
    observed, predictions = as_value_pair(actual, predicted)
    weights = as_weights(sample_weight, observed.size)
    return Concentration(observed, predictions).gini(weights)


def row_absolute_error(actual: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return the absolute error of each row.

    Parameters
    ----------
    actual, predicted : ndarray of shape (n,)
        Checked amounts.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``|predicted - actual|``.
    """
    errors: FloatArray = np.abs(predicted - actual)
    return errors


def mean_absolute_error(
    actual: ArrayLike, predicted: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean absolute error; lower is better, but zero for everybody may be best.

    Parameters
    ----------
    actual, predicted : array-like of shape (n,)
        Amounts of zero or more.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        In the unit of the amounts.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Gneiting (2011), Making and evaluating point forecasts, Journal of the American Statistical
    Association 106(494): the absolute error is minimised by the median, not the mean.

    Examples
    --------
    >>> mean_absolute_error([0, 0, 10], [1, 1, 8])
    1.3333333333333333
    """
    observed, predictions = as_value_pair(actual, predicted)
    weights = as_weights(sample_weight, observed.size)
    return float(np.average(row_absolute_error(observed, predictions), weights=weights))


def total_bias(
    actual: ArrayLike, predicted: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return by what share the predicted total is too high; zero is best.

    Parameters
    ----------
    actual, predicted : array-like of shape (n,)
        Amounts of zero or more.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        Predicted total over observed total, less one: -0.1 where a tenth was missed. NaN where
        nothing was observed.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    Examples
    --------
    >>> round(total_bias([0, 20], [3, 15]), 4)
    -0.1
    """
    observed, predictions = as_value_pair(actual, predicted)
    weights = as_weights(sample_weight, observed.size)
    total = float(weights @ observed)
    return float(weights @ predictions) / total - 1.0 if total > 0.0 else float("nan")


def decile_error(
    actual: ArrayLike, predicted: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return how far tenths of the contacts lie from what was expected of them; lower is better.

    Contacts are put into tenths by prediction. The absolute differences of the predicted and the
    observed sum of each tenth are added up, and divided by all that was observed.

    Parameters
    ----------
    actual, predicted : array-like of shape (n,)
        Amounts of zero or more; rows of equal prediction stay in one tenth.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        Share of the total, zero or more; NaN where nothing was observed.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    Examples
    --------
    >>> round(decile_error([0, 20], [3, 15]), 2)
    0.4
    """
    observed, predictions = as_value_pair(actual, predicted)
    given = None if sample_weight is None else as_weights(sample_weight, observed.size)
    weights = as_weights(sample_weight, observed.size)
    bins = equal_count_bins(predictions, DECILES, given)
    excess = np.bincount(bins, weights=weights * (predictions - observed))
    total = float(weights @ observed)
    return float(np.abs(excess).sum()) / total if total > 0.0 else float("nan")


def row_tweedie_deviance(actual: FloatArray, predicted: FloatArray) -> FloatArray:
    r"""Return the Tweedie deviance of each row, of power 1.5.

    With power 1.5 it is :math:`4 (\sqrt y - \sqrt\mu)^2 / \sqrt\mu`. Predictions count as at least a
    thousandth of the mean of what happened: a rule that says nothing of somebody who buys would be
    infinitely wrong.

    Parameters
    ----------
    actual, predicted : ndarray of shape (n,)
        Checked amounts.

    Returns
    -------
    ndarray of float64, shape (n,)
        Zero where the prediction is right.
    """
    floor = _FLOOR * float(actual.mean())
    if floor == 0.0:
        return 4.0 * np.sqrt(predicted)
    root = np.sqrt(np.maximum(predicted, floor))
    deviance: FloatArray = 4.0 * (np.sqrt(actual) - root) ** 2 / root
    return deviance


def tweedie_deviance(
    actual: ArrayLike, predicted: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean Tweedie deviance of power 1.5; lower is better.

    It is smallest in expectation for the expected value of each contact, which judges order and
    level at once, and large amounts weigh less in it than in a squared error.

    Parameters
    ----------
    actual, predicted : array-like of shape (n,)
        Amounts of zero or more; predictions count as at least a thousandth of the mean.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        In the root of the unit of the amounts, zero or more.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Jørgensen (1987), Exponential dispersion models, Journal of the Royal Statistical Society B
    49(2), for the compound Poisson-Gamma family and its deviance.

    Examples
    --------
    >>> tweedie_deviance([0, 16], [4, 4])
    8.0
    """
    observed, predictions = as_value_pair(actual, predicted)
    weights = as_weights(sample_weight, observed.size)
    return float(np.average(row_tweedie_deviance(observed, predictions), weights=weights))


VALUE_METRICS: Final = (
    normalised_gini,
    mean_absolute_error,
    total_bias,
    decile_error,
    tweedie_deviance,
)
"""Measures of amounts; all others are of probabilities."""
