"""What would other contacts of the same kind have shown?"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlmarket.evaluation.bins import equal_count_bins, rank
from mlmarket.evaluation.checks import FloatArray, as_group_codes, require_count, require_fraction
from mlmarket.evaluation.metrics import Metric

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Draws", "calibration_misses", "placements"]

_CELLS_AT_ONCE = 4_000_000
_DOUBT = 1.6

SparseRows: TypeAlias = "csr_array[np.float64]"
"""A matrix of which most is zero."""


class Draws:
    """Contacts, and the measures of contacts drawn with replacement.

    Parameters
    ----------
    groups : array-like of shape (n,), or None
        The contact of each row; None makes each row a contact.
    size : int
        Number of rows.
    level : float
        Coverage of the bounds.
    n_resamples : int
        How many times the contacts are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.
    """

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
        """Return means of the rows of the drawn contacts.

        Parameters
        ----------
        row_values : ndarray of shape (n,)
            What to average.

        Returns
        -------
        ndarray of float64, shape (n_resamples,)
            The means.
        """
        return self.ratios(row_values, np.ones(row_values.size))

    def ratios(self, above: FloatArray, below: FloatArray) -> FloatArray:
        """Return the sum of one column over that of another, of the rows of the drawn contacts.

        Parameters
        ----------
        above, below : ndarray of shape (n,)
            The columns.

        Returns
        -------
        ndarray of float64, shape (n_resamples,)
            NaN where the sum below is zero.
        """
        totals = self.totals(np.column_stack([self.sums(above), self.sums(below)]))
        nothing = totals[:, 1] == 0.0
        ratios: FloatArray = totals[:, 0] / np.where(nothing, np.nan, totals[:, 1])
        return ratios

    def calibration_bounds(
        self, value: float, n_bins: int, y: FloatArray, predictions: Sequence[FloatArray]
    ) -> tuple[float, float]:
        """Return bounds of a calibration error, or of the first less the second.

        Parameters
        ----------
        value : float
            The error, or difference of errors, of the data.
        n_bins : int
            Number of equal-count bins.
        y : ndarray of shape (n,)
            Labels.
        predictions : sequence of one or two ndarrays of shape (n,)
            Predicted probabilities.

        Returns
        -------
        tuple of two floats
            Lower and upper bound, with `value` between them.
        """
        excess = [self._excess(y, p, n_bins) for p in predictions]
        sums = np.hstack([self.sums(np.ones(y.size))[:, None], *excess])
        drawn = self.totals(sums)
        gaps = sums[:, 1:].sum(axis=0) / y.size
        return self.bounds_around(value, gaps, drawn[:, 1:] / drawn[:, :1] - gaps, n_bins)

    def bounds_around(
        self, value: float, gaps: FloatArray, noise: FloatArray, n_bins: int
    ) -> tuple[float, float]:
        """Return bounds of a calibration error, or of the first less the second.

        Parameters
        ----------
        value : float
            The error, or difference of errors, of the data.
        gaps : ndarray of shape (n_bins,) or (2 n_bins,)
            Mean prediction less observed rate, times the share of rows, in each bin.
        noise : ndarray of shape (n_resamples, n_bins) or (n_resamples, 2 n_bins)
            Gaps of drawn contacts less those of the data.
        n_bins : int
            Number of equal-count bins.

        Returns
        -------
        tuple of two floats
            Lower and upper bound, with `value` between them.
        """
        first, *second = (
            calibration_misses(gaps[start : start + n_bins], noise[:, start : start + n_bins])
            for start in range(0, gaps.size, n_bins)
        )
        # Each pair of plausible truths gives an interval; the widest reach of all is kept.
        misses = [mine - other for mine in first for other in (second[0] if second else [0.0])]
        lows, highs = zip(*(self.percentiles(miss) for miss in misses), strict=True)
        return min(value - max(highs), value), max(value - min(lows), value)

    def measured(
        self, metric: Metric, y: FloatArray, p: FloatArray, q: FloatArray | None = None
    ) -> FloatArray:
        """Return any measure of the drawn contacts, less that of `q`.

        Parameters
        ----------
        metric : Metric
            The measure.
        y, p : ndarray of shape (n,)
            Labels and predictions.
        q : ndarray of shape (n,), optional
            Other predictions.

        Returns
        -------
        ndarray of float64, shape (n_resamples,)
            The measures, NaN where undefined.
        """
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

    def computed(self, measure: Callable[[FloatArray], float]) -> FloatArray:
        """Return what is computed from the weights of the rows of the drawn contacts.

        Parameters
        ----------
        measure : callable
            Takes the weights, of shape (n,).

        Returns
        -------
        ndarray of float64, shape (n_resamples,)
            The measures, NaN where undefined.
        """
        return np.array([measure(self._drawn()[self.codes]) for _ in range(self.n_resamples)])

    def spread_of(self, placements: FloatArray, y: FloatArray) -> float:
        """Return the standard error of an AUC from the placements of its rows.

        Parameters
        ----------
        placements : ndarray of shape (n,)
            From :func:`placements`, or the difference of two.
        y : ndarray of shape (n,)
            Labels.

        Returns
        -------
        float
            NaN where fewer than two contacts have a positive, or a negative.

        References
        ----------
        Obuchowski (1997), Nonparametric analysis of clustered ROC curve data, Biometrics 53(2).
        """
        positive, negative = y.sum(), y.size - y.sum()
        mean = placements[y == 1.0].mean()
        deviation = placements - mean
        of_positives = self.sums(deviation * y) / positive
        of_negatives = self.sums(deviation * (1.0 - y)) / negative
        with_positives = np.count_nonzero(self.sums(y))
        with_negatives = np.count_nonzero(self.sums(1.0 - y))
        if min(with_positives, with_negatives) < 2:
            return float("nan")
        variance = (
            of_positives @ of_positives * with_positives / (with_positives - 1)
            + of_negatives @ of_negatives * with_negatives / (with_negatives - 1)
            + 2.0 * (of_positives @ of_negatives) * self.count / (self.count - 1)
        )
        return float(np.sqrt(max(variance, 0.0)))

    def percentiles(self, samples: FloatArray) -> tuple[float, float]:
        """Return the bounds that hold the middle of the samples.

        Parameters
        ----------
        samples : ndarray of shape (n_resamples,)
            Resampled measures.

        Returns
        -------
        tuple of two floats
            NaN where most samples are.
        """
        defined = samples[~np.isnan(samples)]
        if 2 * defined.size < samples.size:
            return float("nan"), float("nan")
        tail = (1.0 - self.level) / 2.0
        low, high = np.quantile(defined, [tail, 1.0 - tail])
        return float(low), float(high)

    def _drawn(self) -> FloatArray:
        """Return how often each contact is drawn: one multinomial, without its binomials."""
        drawn = self.generator.integers(self.count, size=self.count)
        times: FloatArray = np.bincount(drawn, minlength=self.count).astype(np.float64)
        return times

    def totals(self, sums: "FloatArray | SparseRows") -> FloatArray:
        """Return sums over the drawn contacts.

        Parameters
        ----------
        sums : ndarray or scipy.sparse.csr_array of shape (contacts, columns)
            What each contact adds to each column.

        Returns
        -------
        ndarray of float64, shape (n_resamples, columns)
            The columns of one resample are of the same contacts.
        """
        # As many resamples at once as keep the memory small: one product is far quicker than many.
        together = max(1, min(32, _CELLS_AT_ONCE // self.count))
        totals = np.empty((self.n_resamples, sums.shape[1]))
        for start in range(0, self.n_resamples, together):
            stop = min(start + together, self.n_resamples)
            drawn: Any = np.stack([self._drawn() for _ in range(start, stop)])
            totals[start:stop] = drawn @ sums
        return totals

    def sums(self, row_values: FloatArray) -> FloatArray:
        """Return the sum of the rows of each contact.

        Parameters
        ----------
        row_values : ndarray of shape (n,)
            What to sum.

        Returns
        -------
        ndarray of float64, shape (contacts,)
            By code of the contact.
        """
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


def calibration_misses(gaps: FloatArray, noise: FloatArray) -> list[FloatArray]:
    """Return how far drawn calibration errors miss the truth, for a small and a large truth.

    Absolute values turn noise into error. The data have been through that once, a resample of
    them twice; so draws are made around gaps from which the noise of the data is taken first.
    How large those are is itself known only roughly, hence two of them.

    Parameters
    ----------
    gaps : ndarray of shape (bins,)
        Mean prediction less observed rate, times the share of rows, in each bin.
    noise : ndarray of shape (n_resamples, bins)
        Gaps of drawn contacts less those of the data.

    Returns
    -------
    list of ndarrays of float64, shape (n_resamples,)
        Drawn error less true error; one array where the gaps are all zero.
    """
    size = float(gaps @ gaps)
    if size == 0.0:
        return [np.abs(noise).sum(axis=1)]
    of_noise = float((noise**2).sum(axis=1).mean())
    likely = np.sqrt(max(0.0, 1.0 - of_noise / size)) * gaps
    doubt = _DOUBT * float(((likely + noise) ** 2).sum(axis=1).std())
    misses = []
    for signal in (size - of_noise - doubt, size - of_noise + doubt):
        true = np.sqrt(max(0.0, signal) / size) * gaps
        misses.append(np.abs(true + noise).sum(axis=1) - np.abs(true).sum())
    return misses


def placements(y: FloatArray, p: FloatArray) -> FloatArray:
    """Return, for each row, the share of the other class that it is ranked rightly against.

    Parameters
    ----------
    y, p : ndarray of shape (n,)
        Checked labels, of both classes, and predictions.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 0 to 1, ties counted half; the mean of either class is the AUC.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated
    receiver operating characteristic curves, Biometrics 44(3).
    """
    ranking = rank(y, p, np.ones(y.size))
    below = np.cumsum(ranking.negative) - ranking.negative / 2.0
    above = ranking.positive.sum() - np.cumsum(ranking.positive) + ranking.positive / 2.0
    of_positive = (below / ranking.negative.sum())[ranking.position]
    of_negative = (above / ranking.positive.sum())[ranking.position]
    placements: FloatArray = np.where(y == 1.0, of_positive, of_negative)
    return placements
