"""How many of the right items stand in a list, and how high?

Every item of the catalogue competes: nothing here knows of sampled negatives, which change the order of models
(Krichene and Rendle 2020, On sampled metrics for item recommendation, KDD).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.bootstrap import Interval
from mlmarket.evaluation.checks import FloatArray, require_count, require_fraction
from mlmarket.evaluation.resampling import Draws

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import ArrayLike

__all__ = [
    "RANKING_METRICS",
    "RankingScores",
    "as_lists",
    "mean_difference",
    "mean_interval",
    "mean_intervals",
    "ranking_metrics",
]

RANKING_METRICS: Final = (
    "recall",
    "capped_recall",
    "ndcg",
    "average_precision",
    "hit",
    "reciprocal_rank",
)
"""What is measured of each list."""

Lists = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RankingScores:
    r"""How good each list is, one number a recipient.

    With :math:`R` the relevant items of a recipient, :math:`k` places, and :math:`h_j` 1 where the item in place
    :math:`j` is relevant, else 0. All are NaN for a recipient without a relevant item: there was nothing to
    find. An empty place is a miss.

    Parameters
    ----------
    k : int
        How many places were looked at.
    relevant : ndarray of int64, shape (recipients,)
        :math:`|R|`.
    recall : ndarray of float64, shape (recipients,)
        :math:`\sum_j h_j / |R|`: it cannot reach 1 where more than `k` items are relevant.
    capped_recall : ndarray of float64, shape (recipients,)
        :math:`\sum_j h_j / \min(k, |R|)`, as Liang et al. (2018) have it.
    ndcg : ndarray of float64, shape (recipients,)
        :math:`\sum_j h_j / \log_2(j + 1)` over the same sum of the ideal list, whose first
        :math:`\min(k, |R|)` places are relevant.
    average_precision : ndarray of float64, shape (recipients,)
        :math:`\sum_j h_j P_j / \min(k, |R|)`, where :math:`P_j` is the share of relevant items in the first
        :math:`j` places. Its mean is MAP@k.
    hit : ndarray of float64, shape (recipients,)
        1 where at least one item is relevant, else 0. Its mean is the hit rate.
    reciprocal_rank : ndarray of float64, shape (recipients,)
        :math:`1 / j` of the first relevant item, 0 without one. Its mean is MRR@k.

    References
    ----------
    Järvelin and Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4).
    Manning, Raghavan and Schütze (2008), Introduction to Information Retrieval, chapter 8.
    Liang, Krishnan, Hoffman and Jebara (2018), Variational autoencoders for collaborative filtering, WWW.
    """

    k: int
    relevant: npt.NDArray[np.int64]
    recall: FloatArray
    capped_recall: FloatArray
    ndcg: FloatArray
    average_precision: FloatArray
    hit: FloatArray
    reciprocal_rank: FloatArray

    def values(self, metric: str) -> FloatArray:
        """Return one measure of every recipient.

        Parameters
        ----------
        metric : str
            One of :data:`RANKING_METRICS`.

        Returns
        -------
        ndarray of float64, shape (recipients,)
            NaN where nothing was relevant.

        Raises
        ------
        ConfigurationError
            Where there is no such measure.
        """
        if metric not in RANKING_METRICS:
            raise ConfigurationError(
                f"'{metric}' is no measure of a list.",
                "There is nothing to average.",
                f"use one of {', '.join(RANKING_METRICS)}.",
            )
        found: FloatArray = getattr(self, metric)
        return found

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a recipient.

        Returns
        -------
        pandas.DataFrame
            ``relevant`` and a column a measure.
        """
        import pandas as pd

        columns = ("relevant", *RANKING_METRICS)
        return pd.DataFrame({column: getattr(self, column) for column in columns})

    def _repr_html_(self) -> str:
        frame = self.to_frame()
        return frame[list(RANKING_METRICS)].mean().to_frame(f"mean at {self.k}").to_html(border=0)


def ranking_metrics(
    recommended: "ArrayLike", indptr: "ArrayLike", indices: "ArrayLike", k: int
) -> RankingScores:
    """Return how good lists are, recipient by recipient.

    Parameters
    ----------
    recommended : array-like of int, shape (recipients, places)
        Items, the best first; -1 for an empty place. Places after the first `k` are not looked at.
    indptr : array-like of int, shape (recipients + 1,)
        The relevant items of recipient ``r`` are ``indices[indptr[r]:indptr[r + 1]]``.
    indices : array-like of int
        Items, each once a recipient, in any order.
    k : int
        How many places count.

    Returns
    -------
    RankingScores
        One number a measure and recipient.

    Raises
    ------
    ConfigurationError
        Where the arrays do not fit together, or an item stands twice.

    Examples
    --------
    >>> scores = ranking_metrics([[3, 1, 7]], indptr=[0, 2], indices=[1, 5], k=3)
    >>> scores.recall.tolist(), scores.ndcg.round(4).tolist()
    ([0.5], [0.3869])
    """
    require_count(k, "k")
    lists = as_lists(recommended)[:, :k]
    ends, items = _relevant(indptr, indices, len(lists))
    relevant = np.diff(ends)
    hits = _hits(lists, ends, items)
    best = np.minimum(relevant, k)
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[best]
    places = np.arange(1, lists.shape[1] + 1)
    precision = np.cumsum(hits, axis=1) / places
    first = np.where(hits, 1.0 / places, 0.0).max(axis=1, initial=0.0)
    found = hits.sum(axis=1)
    return RankingScores(
        k=k,
        relevant=relevant,
        recall=_share(found, relevant),
        capped_recall=_share(found, best),
        ndcg=_share(hits @ discount[: lists.shape[1]], ideal),
        average_precision=_share((hits * precision).sum(axis=1), best),
        hit=_share(np.minimum(found, 1), np.minimum(relevant, 1)),
        reciprocal_rank=_share(first, np.minimum(relevant, 1)),
    )


def as_lists(recommended: "ArrayLike") -> Lists:
    """Return lists of items as whole numbers, each item once.

    Parameters
    ----------
    recommended : array-like of int, shape (recipients, places)
        Items; -1 for an empty place.

    Returns
    -------
    ndarray of int64, shape (recipients, places)
        The same.

    Raises
    ------
    ConfigurationError
        Where they are no whole numbers in rows, or an item stands twice in a list.
    """
    lists = np.asarray(recommended)
    if lists.ndim != 2 or (lists.size and not np.issubdtype(lists.dtype, np.integer)):
        raise ConfigurationError(
            f"'recommended' holds {lists.dtype} in {lists.ndim} dimension(s).",
            "A row is a list: places of items in the catalogue, the best first.",
            "pass whole numbers of shape (recipients, k), -1 where a place is empty.",
        )
    ordered = np.sort(lists, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise ConfigurationError(
            f"{int(twice.sum()):,} lists hold an item twice, first that in row {int(twice.argmax())}.",
            "It would be found twice, and a measure could pass 1.",
            "fill each list with different items, and empty places with -1.",
        )
    return lists.astype(np.int64, copy=False)


def mean_interval(
    values: "ArrayLike",
    *,
    groups: "ArrayLike | None" = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator,
) -> Interval:
    """Return the mean of a measure with its interval over recipients.

    Recipients are drawn with replacement; percentiles of the means are the bounds.

    Parameters
    ----------
    values : array-like of shape (n,)
        One number a recipient, or a recipient and origin; NaN where there was nothing to measure, and such rows
        are left out.
    groups : array-like of shape (n,), optional
        The recipient of each row, where one has several; whole recipients are drawn.
    level : float, default 0.95
        Coverage of the interval.
    n_resamples : int, default 1000
        How many times recipients are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Returns
    -------
    Interval
        NaN bounds where fewer than two recipients were measured, and a NaN value where none was.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Examples
    --------
    >>> mean_interval([0.0, 1.0, float("nan"), 0.5], random_state=0).value
    0.5
    """
    found = mean_intervals(
        {"values": values},
        groups=groups,
        level=level,
        n_resamples=n_resamples,
        random_state=random_state,
    )
    return found["values"]


def mean_intervals(
    columns: "Mapping[str, ArrayLike]",
    *,
    groups: "ArrayLike | None" = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator,
) -> dict[str, Interval]:
    """Return the means of several measures with their intervals over the same drawn recipients.

    Parameters
    ----------
    columns : mapping of str to array-like of shape (n,)
        Measures of the same rows, as for :func:`mean_interval`.
    groups : array-like of shape (n,), optional
        See :func:`mean_interval`.
    level : float, default 0.95
        Coverage of each interval.
    n_resamples : int, default 1000
        How many times recipients are drawn, once for all measures.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Returns
    -------
    dict of str to Interval
        By name.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.
    """
    require_fraction(level, "level")
    require_count(n_resamples, "n_resamples")
    numbers = {name: _numbers(values, name) for name, values in columns.items()}
    size = len(next(iter(numbers.values()), ()))
    names = np.arange(size) if groups is None else np.asarray(groups)
    uneven = next((name for name, values in numbers.items() if len(values) != len(names)), None)
    if uneven is not None:
        raise ConfigurationError(
            f"There are {len(numbers[uneven]):,} {uneven} and {len(names):,} groups.",
            "A row needs to know whose it is.",
            "take both from the same frame.",
        )
    unknown = float("nan")
    if size < 2 or (names == names[0]).all():
        return {
            name: Interval(_mean(one), unknown, unknown, level) for name, one in numbers.items()
        }
    draw = Draws(names, size, level, n_resamples, random_state)
    table = np.column_stack(list(numbers.values()))
    measured = ~np.isnan(table)
    sums = [draw.sums(column) for column in np.where(measured, table, 0.0).T]
    counts = [draw.sums(column) for column in measured.T.astype(np.float64)]
    totals = draw.totals(np.column_stack([*sums, *counts]))
    above, below = np.split(totals, 2, axis=1)
    means = above / np.where(below == 0.0, np.nan, below)
    people = (np.column_stack(counts) > 0.0).sum(axis=0)
    return {
        name: Interval(
            _mean(numbers[name]),
            *(draw.percentiles(means[:, place]) if people[place] > 1 else (unknown, unknown)),
            level,
        )
        for place, name in enumerate(numbers)
    }


def mean_difference(
    first: "ArrayLike",
    second: "ArrayLike",
    *,
    groups: "ArrayLike | None" = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator,
) -> Interval:
    """Return how much better the first lists are than the second, with an interval over recipients.

    Both are measured on the same recipients, so that what makes a recipient easy cancels.

    Parameters
    ----------
    first, second : array-like of shape (n,)
        The same measure of two models, row by row of the same recipients; NaN in both where there was nothing to
        measure.
    groups : array-like of shape (n,), optional
        See :func:`mean_interval`.
    level : float, default 0.95
        Coverage of the interval.
    n_resamples : int, default 1000
        How many times recipients are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Returns
    -------
    Interval
        Above zero where the first are better.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable, or one is measured where the other is not.

    Examples
    --------
    >>> mean_difference([0.5, 1.0], [0.5, 0.0], random_state=0).value
    0.5
    """
    one, other = _numbers(first, "first"), _numbers(second, "second")
    if one.size != other.size or (np.isnan(one) != np.isnan(other)).any():
        raise ConfigurationError(
            f"The two models are not measured on the same recipients ({one.size:,} and "
            f"{other.size:,} rows).",
            "A difference of models that met different people is a difference of people too.",
            "measure both on the same rows, in the same order.",
        )
    return mean_interval(
        one - other,
        groups=groups,
        level=level,
        n_resamples=n_resamples,
        random_state=random_state,
    )


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _numbers(values: "ArrayLike", name: str) -> FloatArray:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or np.isinf(numbers).any():
        raise ConfigurationError(
            f"'{name}' is not one finite number a recipient.",
            "Their mean would be no number either.",
            "pass a measure of RankingScores, such as scores.ndcg.",
        )
    return numbers


def _share(
    above: npt.NDArray[np.float64 | np.int64], below: npt.NDArray[np.float64 | np.int64]
) -> FloatArray:
    """Return a quotient, NaN where the lower number is zero."""
    shares: FloatArray = above / np.where(below == 0, np.nan, below)
    # Sums of discounts in another order than the ideal's may pass it by a rounding.
    return np.minimum(shares, 1.0)


def _relevant(indptr: "ArrayLike", indices: "ArrayLike", recipients: int) -> tuple[Lists, Lists]:
    ends, items = np.asarray(indptr), np.asarray(indices)
    items = items.astype(np.int64) if not items.size else items
    whole = all(np.issubdtype(part.dtype, np.integer) and part.ndim == 1 for part in (ends, items))
    fits = whole and len(ends) == recipients + 1 and ends[0] == 0 and ends[-1] == len(items)
    if not fits or (np.diff(ends) < 0).any() or (items < 0).any():
        raise ConfigurationError(
            f"'indptr' and 'indices' do not hold the relevant items of {recipients:,} recipients.",
            "Each list is compared with what its recipient did.",
            "pass the arrays of a scipy.sparse.csr_array with one row a recipient.",
        )
    ends, items = ends.astype(np.int64), items.astype(np.int64)
    row = np.repeat(np.arange(recipients), np.diff(ends))
    items = items[np.lexsort((items, row))]
    if ((np.diff(items) == 0) & (np.diff(row) == 0)).any():
        raise ConfigurationError(
            "A recipient has the same relevant item twice.",
            "It would be looked for twice, and be found once.",
            "take each pair of recipient and item once.",
        )
    return ends, items


def _hits(lists: Lists, ends: Lists, items: Lists) -> npt.NDArray[np.bool_]:
    """Return which places of lists hold a relevant item; relevant items are sorted by recipient and item."""
    if not items.size or not lists.size:
        return np.zeros(lists.shape, dtype=np.bool_)
    width = max(int(items.max()), int(lists.max())) + 1
    wanted = np.repeat(np.arange(len(lists)) * width, np.diff(ends)) + items
    shown = np.arange(len(lists))[:, None] * width + lists
    place = np.searchsorted(wanted, shown).clip(max=wanted.size - 1)
    hits: npt.NDArray[np.bool_] = (wanted[place] == shown) & (lists >= 0)
    return hits
