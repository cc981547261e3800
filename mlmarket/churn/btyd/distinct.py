"""Which rows are the same in several columns?

A closed form costs little, an integral a lot: it is computed once for rows that are the same.
"""

import numpy as np
import numpy.typing as npt

from mlmarket.churn.btyd.histories import Floats

__all__ = ["distinct_rows"]


def distinct_rows(*columns: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return one row of each kind, and for each row its kind.

    Parameters
    ----------
    *columns : ndarray of float64, shape (rows,)
        What rows are the same in.

    Returns
    -------
    tuple of two ndarrays of int
        Places of the first rows of each kind, and the kind of every row.
    """
    kind = np.zeros(columns[0].size, dtype=np.intp)
    first = kind[:1]
    for column in columns:
        values, code = np.unique(column, return_inverse=True)
        _, first, kind = np.unique(
            kind * values.size + code, return_index=True, return_inverse=True
        )
    return first, kind
