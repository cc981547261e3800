"""How sure are we of a measure, and of the difference between two predictions?

A contact has several rows, one an origin, and they resemble each other: whole contacts are
resampled, never rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlmarket.evaluation.bins import equal_count_bins, rank
from mlmarket.evaluation.checks import (
    FloatArray,
    as_group_codes,
    as_pair,
    require_count,
    require_fraction,
)
from mlmarket.evaluation.metrics import (
    CALIBRATION_BINS,
    brier_score,
    expected_calibration_error,
    log_loss,
    roc_auc,
    row_log_loss,
    row_squared_error,
)

__all__ = ["Interval", "Metric", "bootstrap", "paired_difference"]

_CELLS_AT_ONCE = 4_000_000
_ROW_LOSSES: dict[object, Callable[[FloatArray, FloatArray], FloatArray]] = {
    log_loss: row_log_loss,
    brier_score: row_squared_error,
}


class Metric(Protocol):
    """A measure of predictions, such as those of :mod:`mlmarket.evaluation.metrics`."""

    def __call__(
        self, y: ArrayLike, p: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the measure of weighted rows."""
        ...


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and the range that it plausibly lies in."""

    value: float
    low: float
    high: float
    level: float
    """How often ranges made in this way hold the truth, such as 0.95."""

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

    * ``log_loss`` and ``brier_score`` are means: sums of each contact are resampled, percentiles
      of the resampled means are the bounds.
    * ``expected_calibration_error`` keeps the bins of the data. Its resampled values are biased
      upward like the error itself, so their percentiles are reflected at the value (the basic
      bootstrap), kept at zero or more, and widened to the value where they miss it.
    * ``roc_auc`` is not resampled: its standard error over clusters is known in closed form, and
      the interval is normal on the logit scale. A perfect ranking has an interval of no width.
    * Any other measure is computed again on every resample, with percentile bounds: slow for
      many rows. Resamples where it is undefined are left out.

    Parameters
    ----------
    metric : Metric
        A measure; ``functools.partial`` fixes its other arguments.
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities.
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
    labels, predictions = as_pair(y, p)
    draw = _Draws(groups, labels.size, level, n_resamples, random_state)
    value = metric(labels, predictions)
    if np.isnan(value):
        return Interval(value, value, value, level)
    if metric is roc_auc:
        spread = draw.spread_of(_placements(labels, predictions), labels)
        return _logit_normal(value, spread, level)
    n_bins = _calibration_bins(metric)
    if n_bins is not None:
        low, high = draw.reflected(value, draw.resampled_ece(n_bins, labels, predictions))
        return Interval(value, max(low, 0.0), high, level)
    row_loss = _ROW_LOSSES.get(metric)
    if row_loss is not None:
        samples = draw.means(row_loss(labels, predictions))
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
    The ways to the interval are those of :func:`bootstrap`; for ``roc_auc`` it is normal.

    Parameters
    ----------
    metric : Metric
        A measure.
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p, q : array-like of shape (n,)
        Two predicted probabilities of the same rows.
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
    labels, first = as_pair(y, p)
    second = as_pair(y, q, "q")[1]
    draw = _Draws(groups, labels.size, level, n_resamples, random_state)
    value = metric(labels, first) - metric(labels, second)
    if np.isnan(value):
        return Interval(value, value, value, level)
    if metric is roc_auc:
        spread = draw.spread_of(_placements(labels, first) - _placements(labels, second), labels)
        reach = _quantile_of_normal(level) * spread
        return Interval(value, max(value - reach, -1.0), min(value + reach, 1.0), level)
    n_bins = _calibration_bins(metric)
    if n_bins is not None:
        samples = draw.resampled_ece(n_bins, labels, first, second)
        return Interval(value, *draw.reflected(value, samples), level)
    row_loss = _ROW_LOSSES.get(metric)
    if row_loss is not None:
        samples = draw.means(row_loss(labels, first) - row_loss(labels, second))
    else:
        samples = draw.measured(metric, labels, first, second)
    return Interval(value, *draw.percentiles(samples), level)


class _Draws:
    """Contacts, and the measures of contacts drawn with replacement."""

    def __init__(
        self,
        groups: ArrayLike | None,
        size: int,
        level: float,
        n_resamples: int,
        random_state: int | np.random.Generator,
    ) -> None:
        require_fraction(level, "level")
        require_count(n_resamples, "n_resamples")
        self.codes, self.count = as_group_codes(groups, size)
        self.level = level
        self.n_resamples = n_resamples
        self.generator = np.random.default_rng(random_state)

    def means(self, row_values: FloatArray) -> FloatArray:
        """Return means of the rows of the drawn contacts."""
        sums = np.column_stack([self._sums(row_values), self._sums(np.ones(row_values.size))])
        totals = self._totals(sums)
        means: FloatArray = totals[:, 0] / totals[:, 1]
        return means

    def resampled_ece(
        self, n_bins: int, y: FloatArray, p: FloatArray, q: FloatArray | None = None
    ) -> FloatArray:
        """Return calibration errors of the drawn contacts, less those of `q`."""
        columns = [self._sums(np.ones(y.size))[:, None], self._excess(y, p, n_bins)]
        if q is not None:
            columns.append(self._excess(y, q, n_bins))
        totals = np.abs(self._totals(np.hstack(columns)))
        errors = totals[:, 1 : 1 + n_bins].sum(axis=1) - totals[:, 1 + n_bins :].sum(axis=1)
        resampled: FloatArray = errors / totals[:, 0]
        return resampled

    def measured(
        self, metric: Metric, y: FloatArray, p: FloatArray, q: FloatArray | None = None
    ) -> FloatArray:
        """Return any measure of the drawn contacts, less that of `q`."""
        # Measures sort by prediction each time, which is quick where that is done already.
        order = np.argsort(p, kind="stable")
        codes, y, p = self.codes[order], y[order], p[order]
        other = None if q is None else q[order]
        samples = np.empty(self.n_resamples)
        for number in range(self.n_resamples):
            weights = self._drawn()[codes]
            samples[number] = metric(y, p, sample_weight=weights)
            if other is not None:
                samples[number] -= metric(y, other, sample_weight=weights)
        return samples

    def spread_of(self, placements: FloatArray, y: FloatArray) -> float:
        """Return the standard error of an AUC from the placements of its rows."""
        positive, negative = y.sum(), y.size - y.sum()
        mean = placements[y == 1.0].mean()
        deviation = placements - mean
        of_positives = self._sums(deviation * y) / positive
        of_negatives = self._sums(deviation * (1.0 - y)) / negative
        with_positives = np.count_nonzero(self._sums(y))
        with_negatives = np.count_nonzero(self._sums(1.0 - y))
        if min(with_positives, with_negatives) < 2:
            return float("nan")
        variance = (
            of_positives @ of_positives * with_positives / (with_positives - 1)
            + of_negatives @ of_negatives * with_negatives / (with_negatives - 1)
            + 2.0 * (of_positives @ of_negatives) * self.count / (self.count - 1)
        )
        return float(np.sqrt(max(variance, 0.0)))

    def percentiles(self, samples: FloatArray) -> tuple[float, float]:
        """Return the bounds that hold the middle of the samples."""
        defined = samples[~np.isnan(samples)]
        if 2 * defined.size < samples.size:
            return float("nan"), float("nan")
        tail = (1.0 - self.level) / 2.0
        low, high = np.quantile(defined, [tail, 1.0 - tail])
        return float(low), float(high)

    def reflected(self, value: float, samples: FloatArray) -> tuple[float, float]:
        """Return the percentiles mirrored at the value, and widened to it if they miss it."""
        low, high = self.percentiles(samples)
        return min(2.0 * value - high, value), max(2.0 * value - low, value)

    def _drawn(self) -> FloatArray:
        """Return how often each contact is drawn: one multinomial, without its binomials."""
        drawn = self.generator.integers(self.count, size=self.count)
        times: FloatArray = np.bincount(drawn, minlength=self.count).astype(np.float64)
        return times

    def _totals(self, sums: FloatArray) -> FloatArray:
        # As many resamples at once as keep the memory small: one product is far quicker than many.
        together = max(1, min(32, _CELLS_AT_ONCE // self.count))
        totals = np.empty((self.n_resamples, sums.shape[1]))
        for start in range(0, self.n_resamples, together):
            stop = min(start + together, self.n_resamples)
            totals[start:stop] = np.stack([self._drawn() for _ in range(start, stop)]) @ sums
        return totals

    def _sums(self, row_values: FloatArray) -> FloatArray:
        sums: FloatArray = np.bincount(self.codes, weights=row_values, minlength=self.count).astype(
            np.float64, copy=False
        )
        return sums

    def _excess(self, y: FloatArray, p: FloatArray, n_bins: int) -> FloatArray:
        """Return predicted less observed, summed by contact and bin."""
        cells: NDArray[np.intp] = self.codes * n_bins + equal_count_bins(p, n_bins)
        sums = np.bincount(cells, weights=p - y, minlength=self.count * n_bins)
        excess: FloatArray = sums.astype(np.float64, copy=False).reshape(self.count, n_bins)
        return excess


def _calibration_bins(metric: Metric) -> int | None:
    """Return the number of bins where the measure is the calibration error."""
    if metric is expected_calibration_error:
        return CALIBRATION_BINS
    if isinstance(metric, partial) and metric.func is expected_calibration_error:
        return int(metric.keywords.get("n_bins", CALIBRATION_BINS))
    return None


def _placements(y: FloatArray, p: FloatArray) -> FloatArray:
    """Return, for each row, the share of the other class that it is ranked rightly against."""
    ranking = rank(y, p, np.ones(y.size))
    below = np.cumsum(ranking.negative) - ranking.negative / 2.0
    above = ranking.positive.sum() - np.cumsum(ranking.positive) + ranking.positive / 2.0
    of_positive = (below / ranking.negative.sum())[ranking.position]
    of_negative = (above / ranking.positive.sum())[ranking.position]
    placements: FloatArray = np.where(y == 1.0, of_positive, of_negative)
    return placements


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
