"""Which numbers of a row are the largest?"""

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["largest"]

Scores = npt.NDArray[np.float32]


def _largest(scores: Scores, items: npt.NDArray[np.int32], found: Scores) -> None:
    for row in range(scores.shape[0]):
        count = 0
        k = items.shape[1]
        for item in range(scores.shape[1]):
            score = scores[row, item]
            if not score > 0.0 or (count == k and score <= found[row, k - 1]):
                continue
            place = count if count < k else k - 1
            while place > 0 and found[row, place - 1] < score:
                if place < k:
                    found[row, place] = found[row, place - 1]
                    items[row, place] = items[row, place - 1]
                place -= 1
            found[row, place] = score
            items[row, place] = item
            count = min(count + 1, k)


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
