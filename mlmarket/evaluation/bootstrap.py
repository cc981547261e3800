"""How sure are we of a measure, and of the difference between two predictions?

A contact has several rows, one an origin, and they resemble each other: whole contacts are
resampled, never rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from mlmarket.evaluation.checks import FloatArray, as_pair, as_value_pair
from mlmarket.evaluation.metrics import (
    CALIBRATION_BINS,
    Metric,
    brier_score,
    expected_calibration_error,
    log_loss,
    roc_auc,
    row_log_loss,
    row_squared_error,
)
from mlmarket.evaluation.resampling import Draws, placements
from mlmarket.evaluation.value_metrics import (
    DECILES,
    VALUE_METRICS,
    Concentration,
    decile_error,
    mean_absolute_error,
    normalised_gini,
    row_absolute_error,
    row_tweedie_deviance,
    total_bias,
    tweedie_deviance,
)

__all__ = ["Interval", "bootstrap", "paired_difference"]

_ROW_LOSSES: dict[object, Callable[[FloatArray, FloatArray], FloatArray]] = {
    log_loss: row_log_loss,
    brier_score: row_squared_error,
    mean_absolute_error: row_absolute_error,
    tweedie_deviance: row_tweedie_deviance,
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and the range that it plausibly lies in.

    Parameters
    ----------
    value : float
        The number.
    low, high : float
        The range; NaN where it is not known.
    level : float
        How often ranges made in this way hold the truth, such as 0.95.
    """

    value: float
    low: float
    high: float
    level: float

    def contains(self, number: float) -> bool:
        """Say whether a number cannot be ruled out.

        Parameters
        ----------
        number : float
            For example 0, for "no difference".

        Returns
        -------
        bool
            True inside the range, and wherever a bound is unknown (NaN).
        """
        return not (number < self.low or number > self.high)


def bootstrap(
    metric: Metric,
    y: ArrayLike,
    p: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator,
) -> Interval:
    """Return a measure with its interval over contacts.

    * ``log_loss``, ``brier_score``, ``mean_absolute_error`` and ``tweedie_deviance`` are means: sums of each contact are resampled, percentiles
      of the resampled means are the bounds.
    * ``expected_calibration_error`` and ``decile_error`` keep the bins of the data. Noise makes the error too large,
      in the data and again in their resamples; the bounds are those of the basic bootstrap with
      the noise of the data taken out of what is resampled, widened to the value where they miss
      it. In simulations they held the truth in 89 to 98 % of cases at a level of 95 %.
    * ``roc_auc`` is not resampled: its standard error over clusters is known in closed form, and
      the interval is normal on the logit scale. A perfect ranking has an interval of no width.
    * Any other measure is computed again on every resample, with percentile bounds: slow for
      many rows. Resamples where it is undefined are left out.

    Parameters
    ----------
    metric : Metric
        A measure; ``functools.partial`` fixes its other arguments.
    y : array-like of shape (n,)
        Labels, 0 or 1; amounts, for a measure of values.
    p : array-like of shape (n,)
        Predicted probabilities, or amounts.
    groups : array-like of shape (n,), optional
        The contact of each row; without it every row is a contact of its own.
    level : float, default 0.95
        Coverage of the interval.
    n_resamples : int, default 1000
        How many times the contacts are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Returns
    -------
    Interval
        NaN bounds where the measure is undefined, on the data or on most resamples.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 8 and 13.
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8 (clusters).
    Obuchowski (1997), Nonparametric analysis of clustered ROC curve data, Biometrics 53(2).

    Examples
    --------
    >>> y, p = [0, 1, 0, 1], [0.2, 0.7, 0.4, 0.6]
    >>> round(bootstrap(brier_score, y, p, random_state=0).value, 4)
    0.1125
    """
    labels, predictions = _pair(metric, y, p, "p")
    draw = Draws(groups, labels.size, level, n_resamples, random_state)
    value = metric(labels, predictions)
    if np.isnan(value):
        return Interval(value, value, value, level)
    if metric is roc_auc:
        spread = draw.spread_of(placements(labels, predictions), labels)
        return _logit_normal(value, spread, level)
    n_bins = _calibration_bins(metric)
    if n_bins is not None:
        unit = _unit(metric, labels)
        low, high = draw.calibration_bounds(value * unit, n_bins, labels, [predictions])
        return Interval(value, max(low / unit, 0.0), high / unit, level)
    row_loss = _ROW_LOSSES.get(metric)
    if row_loss is not None:
        samples = draw.means(row_loss(labels, predictions))
    elif metric is total_bias:
        samples = draw.ratios(predictions - labels, labels)
    elif metric is normalised_gini:
        samples = draw.computed(Concentration(labels, predictions).gini)
    else:
        samples = draw.measured(metric, labels, predictions)
    return Interval(value, *draw.percentiles(samples), level)


def paired_difference(  # noqa: PLR0913  a comparison has one argument more than a measure
    metric: Metric,
    y: ArrayLike,
    p: ArrayLike,
    q: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator,
) -> Interval:
    """Return ``metric(p) - metric(q)`` with its interval over contacts.

    Both predictions are measured on the same resampled contacts, so what they share cancels.
    The ways to the interval are those of :func:`bootstrap`; for ``roc_auc`` it is normal, and for
    ``expected_calibration_error`` wide, because the noise in both errors is doubted apart.

    Parameters
    ----------
    metric : Metric
        A measure.
    y : array-like of shape (n,)
        Labels, 0 or 1; amounts, for a measure of values.
    p, q : array-like of shape (n,)
        Two predictions of the same rows.
    groups : array-like of shape (n,), optional
        The contact of each row; without it every row is a contact of its own.
    level : float, default 0.95
        Coverage of the interval.
    n_resamples : int, default 1000
        How many times the contacts are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Returns
    -------
    Interval
        Below zero where `p` has the lower measure: better for a loss, worse for AUC.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated
    receiver operating characteristic curves, Biometrics 44(3); Obuchowski (1997), as above.

    Examples
    --------
    >>> y, p, q = [0, 1, 0, 1], [0.2, 0.7, 0.4, 0.6], [0.5, 0.5, 0.5, 0.5]
    >>> round(paired_difference(brier_score, y, p, q, random_state=0).value, 4)
    -0.1375
    """
    labels, first = _pair(metric, y, p, "p")
    second = _pair(metric, y, q, "q")[1]
    draw = Draws(groups, labels.size, level, n_resamples, random_state)
    value = metric(labels, first) - metric(labels, second)
    if np.isnan(value) or np.array_equal(first, second):
        return Interval(value, value, value, level)
    if metric is roc_auc:
        spread = draw.spread_of(placements(labels, first) - placements(labels, second), labels)
        reach = _quantile_of_normal(level) * spread
        return Interval(value, max(value - reach, -1.0), min(value + reach, 1.0), level)
    n_bins = _calibration_bins(metric)
    if n_bins is not None:
        unit = _unit(metric, labels)
        low, high = draw.calibration_bounds(value * unit, n_bins, labels, [first, second])
        return Interval(value, low / unit, high / unit, level)
    row_loss = _ROW_LOSSES.get(metric)
    if row_loss is not None:
        samples = draw.means(row_loss(labels, first) - row_loss(labels, second))
    elif metric is total_bias:
        samples = draw.ratios(first - second, labels)
    elif metric is normalised_gini:
        ours, theirs = Concentration(labels, first).gini, Concentration(labels, second).gini
        samples = draw.computed(lambda weights: ours(weights) - theirs(weights))
    else:
        samples = draw.measured(metric, labels, first, second)
    return Interval(value, *draw.percentiles(samples), level)


def _pair(metric: Metric, y: ArrayLike, p: ArrayLike, name: str) -> tuple[FloatArray, FloatArray]:
    """Return checked labels and probabilities, or amounts where the measure is of values."""
    return as_value_pair(y, p, name) if metric in VALUE_METRICS else as_pair(y, p, name)


def _calibration_bins(metric: Metric) -> int | None:
    """Return the number of bins where the measure is a calibration error."""
    if metric is expected_calibration_error:
        return CALIBRATION_BINS
    if metric is decile_error:
        return DECILES
    if isinstance(metric, partial) and metric.func is expected_calibration_error:
        return int(metric.keywords.get("n_bins", CALIBRATION_BINS))
    return None


def _unit(metric: Metric, labels: FloatArray) -> float:
    """Return what a calibration error is a share of: of amounts, their mean."""
    return float(labels.mean()) if metric is decile_error else 1.0


def _quantile_of_normal(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2.0))


def _logit_normal(value: float, spread: float, level: float) -> Interval:
    """Return a normal interval on the logit scale, which never leaves 0 to 1."""
    if spread == 0.0 or value in (0.0, 1.0):
        return Interval(value, value, value, level)
    from scipy.special import expit, logit

    reach = _quantile_of_normal(level) * spread / (value * (1.0 - value))
    centre = logit(value)
    return Interval(value, float(expit(centre - reach)), float(expit(centre + reach)), level)
