"""How much is each generator's word worth?"""

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["chosen_weights", "spread", "weighted_sum"]

Scores = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def _spread(scores: Scores, out: Scores) -> None:
    for row in range(scores.shape[0]):
        total, squares = 0.0, 0.0
        for item in range(scores.shape[1]):
            reason = max(scores[row, item], np.float32(0.0))
            total += reason
            squares += reason * reason
        mean = total / scores.shape[1]
        out[row] = np.sqrt(max(squares / scores.shape[1] - mean * mean, 0.0))


_spread = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})(_spread)


def _add(scores: Scores, factor: Scores, total: Scores) -> None:
    for row in range(scores.shape[0]):
        if factor[row] == 0.0:
            continue
        for item in range(scores.shape[1]):
            total[row, item] += factor[row] * max(scores[row, item], np.float32(0.0))


_add = numba.njit(cache=True, nogil=True, error_model="numpy")(_add)


def spread(scores: Scores) -> Scores:
    """Return how much the scores of each recipient differ over the catalogue.

    Parameters
    ----------
    scores : ndarray of float32, shape (recipients, items)
        What a generator says; below 0 is no reason, as 0 is.

    Returns
    -------
    ndarray of float32, shape (recipients,)
        Standard deviation; scores in this unit can be added up over generators.

    Examples
    --------
    >>> spread(np.array([[1.0, 3.0, -1.0, 0.0]], np.float32)).round(3)
    array([1.225], dtype=float32)
    """
    out = np.empty(len(scores), dtype=np.float32)
    _spread(scores, out)
    return out


def weighted_sum(scores: Sequence[Scores], factors: Scores) -> Scores:
    """Return the sum of what generators say.

    Parameters
    ----------
    scores : sequence of ndarray of float32, shape (recipients, items)
        Of each generator.
    factors : ndarray of float32, shape (generators, recipients)
        Of each generator for each recipient.

    Returns
    -------
    ndarray of float32, shape (recipients, items)
        At least 0.
    """
    total = np.zeros_like(scores[0])
    for each, factor in zip(scores, factors, strict=True):
        _add(each, factor, total)
    return total


def chosen_weights(
    scores: Sequence[Scores], relevant: npt.NDArray[np.bool_], *, rounds: int = 16
) -> Floats:
    """Return weights of generators whose sum ranks what was taken best.

    Generators are added one at a time, each may be added again, and the sum that ranks best is kept: few labels
    choose among few sums, so that there is little to overfit.

    Parameters
    ----------
    scores : sequence of ndarray of float32, shape (recipients, items)
        Of each generator, in units of their spread; ``-inf`` where an item is not asked about.
    relevant : ndarray of bool, shape (recipients, items)
        What was taken.
    rounds : int, default 16
        How many are added.

    Returns
    -------
    ndarray of float64, shape (generators,)
        At least 0, adding up to 1.

    References
    ----------
    Caruana et al. (2004), Ensemble selection from libraries of models, ICML.
    """
    counts = np.zeros(len(scores))
    best_counts, best_value = np.ones(len(scores)), -1.0
    total = np.zeros_like(scores[0])
    recipient, item = np.nonzero(relevant)
    for _ in range(rounds):
        values = [_mean_gain(total, one, recipient, item) for one in scores]
        place = int(np.argmax(values))
        total += scores[place]
        counts[place] += 1
        if values[place] > best_value:
            best_counts, best_value = counts.copy(), values[place]
    weights: Floats = best_counts / best_counts.sum()
    return weights


def _gain(
    total: Scores, more: Scores, recipient: npt.NDArray[np.intp], item: npt.NDArray[np.intp]
) -> float:
    gain = 0.0
    for label in range(len(recipient)):
        row = recipient[label]
        taken = total[row, item[label]] + more[row, item[label]]
        if not taken > 0.0:
            continue
        halves = 0  # whole numbers, which add up in any order, are counted many at once
        base, added = total[row], more[row]
        for other in range(base.shape[0]):
            score = base[other] + added[other]
            halves += 2 * (score > taken) + (score == taken)
        # of equals half stand before it, or saying the same of all would be best; it is its own equal
        ahead = 0.5 * halves - 0.5
        gain += 1.0 / np.log2(ahead + 2.0)
    return gain


_gain = numba.njit(cache=True, nogil=True, error_model="numpy")(_gain)


def _mean_gain(
    total: Scores, more: Scores, recipient: npt.NDArray[np.intp], item: npt.NDArray[np.intp]
) -> float:
    """Return the mean discounted gain of what was taken, over the whole catalogue.

    Without a cut-off, unlike the metric that is reported: places beyond the tenth tell weights apart too.
    """
    return float(_gain(total, more, recipient, item)) / max(len(item), 1)
