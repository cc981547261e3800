"""When did the same contact have the same item before?"""

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions

__all__ = ["previous_rows"]


def previous_rows(interactions: "Interactions") -> npt.NDArray[np.int64]:
    """Return where the same contact had the same item before.

    Parameters
    ----------
    interactions : Interactions
        Histories.

    Returns
    -------
    ndarray of int64, shape (rows,)
        The latest row before each that is about the same contact and item; -1 where there is none.
    """
    previous = np.empty(len(interactions), dtype=np.int64)
    latest = np.full(len(interactions.items), -1, dtype=np.int64)
    _previous(interactions.start, interactions.item, latest, previous)
    return previous


def _previous_of(
    start: npt.NDArray[np.int64],
    item: npt.NDArray[np.int32],
    latest: npt.NDArray[np.int64],
    previous: npt.NDArray[np.int64],
) -> None:
    for contact in range(len(start) - 1):
        for row in range(start[contact], start[contact + 1]):
            found = latest[item[row]]
            previous[row] = found if found >= start[contact] else -1
            latest[item[row]] = row


_previous: Any = numba.njit(cache=True, nogil=True, error_model="numpy")(_previous_of)
