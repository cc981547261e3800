"""Which numbers of a row are the largest?"""

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["largest"]

Codes = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]


def _sink(found: Scores, items: Codes, size: int) -> None:
    """Let the top of a heap, whose smallest is on top, sink to its place; of equal ones the last is smallest."""
    place = 0
    score, item = found[0], items[0]
    while 2 * place + 1 < size:
        child = 2 * place + 1
        other = child + 1
        if other < size and (
            found[other] < found[child]
            or (found[other] == found[child] and items[other] > items[child])
        ):
            child = other
        if found[child] > score or (found[child] == score and items[child] < item):
            break
        found[place], items[place] = found[child], items[child]
        place = child
    found[place], items[place] = score, item


_sink = numba.njit(cache=True, nogil=True, error_model="numpy")(_sink)


def _largest(scores: Scores, items: Codes, found: Scores) -> None:
    k = items.shape[1]
    for row in range(scores.shape[0]):
        best, places = found[row], items[row]
        bar = np.float32(0.0)
        for item in range(scores.shape[1]):
            score = scores[row, item]
            # -inf, which stands for no item yet, is the smallest and sinks out first
            if score > bar:
                best[0], places[0] = score, item
                _sink(best, places, k)
                bar = max(best[0], np.float32(0.0))
        for size in range(k - 1, 0, -1):
            best[0], best[size] = best[size], best[0]
            places[0], places[size] = places[size], places[0]
            _sink(best, places, size)


_largest = numba.njit(cache=True, nogil=True, error_model="numpy")(_largest)


def largest(scores: Scores, k: int) -> tuple[npt.NDArray[np.int32], Scores]:
    """Return the `k` largest numbers above 0 of each row, the largest first.

    Parameters
    ----------
    scores : ndarray of float32, shape (rows, columns)
        Numbers; NaN is never among the largest.
    k : int
        How many.

    Returns
    -------
    columns : ndarray of int32, shape (rows, k)
        Where they stand, of equal ones the first; -1 where there are no more above 0.
    numbers : ndarray of float32, shape (rows, k)
        The numbers; ``-inf`` where there are no more.

    Examples
    --------
    >>> largest(np.array([[0.5, 0.0, 2.0]], np.float32), 3)[0]
    array([[ 2,  0, -1]], dtype=int32)
    """
    items = np.full((len(scores), k), -1, dtype=np.int32)
    found = np.full((len(scores), k), -np.inf, dtype=np.float32)
    if k:
        _largest(scores, items, found)
    return items, found
