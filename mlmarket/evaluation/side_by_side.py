"""How sure are we of the measures of several models that were judged on the same contacts?

The contacts are drawn once for all models: a draw costs more than a measure, and every model is seen on
the same other contacts.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlmarket.evaluation.bins import equal_count_bins
from mlmarket.evaluation.bootstrap import Interval, bootstrap
from mlmarket.evaluation.checks import FloatArray, as_pair
from mlmarket.evaluation.metrics import (
    CALIBRATION_BINS,
    brier_score,
    expected_calibration_error,
    log_loss,
    roc_auc,
    row_log_loss,
    row_squared_error,
)
from mlmarket.evaluation.resampling import Draws

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["METRICS", "LossDraws", "measures_of"]

METRICS: Final = {
    "log_loss": log_loss,
    "auc": roc_auc,
    "ece": expected_calibration_error,
    "brier": brier_score,
}
"""What is measured of probabilities, by its name in evidence."""

_ENTRIES: Final = 3
_COLUMNS: Final = 2 + CALIBRATION_BINS
"""Of each model: log loss, Brier score, and the bins of the calibration error."""


def measures_of(
    y: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator,
) -> dict[str, dict[str, Interval]]:
    """Return the measures of several models with their intervals over contacts.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1; every row is a contact of its own.
    predictions : mapping of str to array-like of shape (n,)
        Predicted probabilities by model.
    level : float, default 0.95
        Coverage of the intervals.
    n_resamples : int, default 1000
        How many times the contacts are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Returns
    -------
    dict of str to dict of str to Interval
        By model, then by the names of :data:`METRICS`; the intervals of
        :func:`~mlmarket.evaluation.bootstrap`.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.
    """
    pairs = {name: as_pair(y, p) for name, p in predictions.items()}
    labels = next(iter(pairs.values()))[0]
    draws = Draws(None, labels.size, level, n_resamples, random_state)
    columns = _columns(labels, [p for _, p in pairs.values()])
    sums: FloatArray = np.asarray(columns.sum(axis=0), dtype=np.float64)
    drawn = draws.totals(columns)
    rates, drawn_rates = sums[1:] / labels.size, drawn[:, 1:] / drawn[:, :1]
    found = {}
    for number, (name, (_, p)) in enumerate(pairs.items()):
        mine = slice(number * _COLUMNS, (number + 1) * _COLUMNS)
        found[name] = _measures(draws, labels, p, rates[mine], drawn_rates[:, mine])
    return found


def _columns(labels: FloatArray, predictions: Sequence[FloatArray]) -> "csr_array[np.float64]":
    """Return what each row adds: 1, then of each model its losses and its miss in its bin."""
    from scipy.sparse import csr_array

    rows, width = labels.size, 1 + _ENTRIES * len(predictions)
    values, places = np.ones((rows, width)), np.zeros((rows, width), dtype=np.int64)
    for number, p in enumerate(predictions):
        at, first = 1 + number * _ENTRIES, 1 + number * _COLUMNS
        values[:, at] = row_log_loss(labels, p)
        values[:, at + 1] = row_squared_error(labels, p)
        values[:, at + 2] = p - labels
        places[:, at], places[:, at + 1] = first, first + 1
        places[:, at + 2] = first + 2 + equal_count_bins(p, CALIBRATION_BINS)
    shape = (rows, 1 + _COLUMNS * len(predictions))
    starts = np.arange(rows + 1, dtype=np.int64) * width
    return csr_array((values.ravel(), places.ravel(), starts), shape=shape)


def _measures(
    draws: Draws, labels: FloatArray, p: FloatArray, rates: FloatArray, drawn: FloatArray
) -> dict[str, Interval]:
    found = {}
    for name, metric in METRICS.items():
        value = metric(labels, p)
        if name == "auc":
            found[name] = bootstrap(
                metric, labels, p, level=draws.level, n_resamples=1, random_state=0
            )
            continue
        if name == "ece":
            noise = drawn[:, 2:] - rates[2:]
            low, high = draws.bounds_around(value, rates[2:], noise, CALIBRATION_BINS)
            bounds = max(low, 0.0), high
        else:
            bounds = draws.percentiles(drawn[:, 0 if name == "log_loss" else 1])
        found[name] = Interval(value, *bounds, draws.level)
    return found


class LossDraws:
    """The log loss of several models on contacts that are drawn once for all of them.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    predictions : mapping of str to array-like of shape (n,)
        Predicted probabilities by model.
    groups : array-like of shape (n,)
        The contact of each row.
    n_resamples : int, default 1000
        How many times the contacts are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    Examples
    --------
    >>> models = {"rule": [0.5, 0.5, 0.5, 0.5], "model": [0.2, 0.7, 0.4, 0.6]}
    >>> draws = LossDraws([0, 1, 0, 1], models, groups=list("abcd"), random_state=0)
    >>> round(draws.saving("model", over="rule").value, 4)
    0.2928
    """

    def __init__(
        self,
        y: ArrayLike,
        predictions: Mapping[str, ArrayLike],
        *,
        groups: ArrayLike,
        n_resamples: int = 1000,
        random_state: int | np.random.Generator,
    ) -> None:
        pairs = {name: as_pair(y, p) for name, p in predictions.items()}
        labels = next(iter(pairs.values()))[0]
        draws = Draws(groups, labels.size, 0.95, n_resamples, random_state)
        losses = [row_log_loss(labels, p) for _, p in pairs.values()]
        columns = np.column_stack([draws.sums(one) for one in (np.ones(labels.size), *losses)])
        totals = draws.totals(columns)
        means: NDArray[np.float64] = totals[:, 1:] / totals[:, :1]
        self._loss = {name: log_loss(labels, p) for name, (_, p) in pairs.items()}
        self._drawn = dict(zip(pairs, means.T, strict=True))

    def saving(self, model: str, *, over: str, level: float = 0.95) -> Interval:
        """Return the log loss that a model saves over another.

        Parameters
        ----------
        model, over : str
            Names of the predictions.
        level : float, default 0.95
            Coverage of the interval.

        Returns
        -------
        Interval
            Above zero where the model is better.
        """
        tail = (1.0 - level) / 2.0
        value = self._loss[over] - self._loss[model]
        low, high = np.quantile(self._drawn[over] - self._drawn[model], [tail, 1.0 - tail])
        return Interval(value, float(low), float(high), level)
