"""What do Gamma functions of whole steps add up to?"""

import numpy as np

from mlmarket.churn.btyd.histories import Floats

__all__ = ["Rising"]


class Rising:
    r"""Sums over contacts of :math:`\ln\Gamma(v + n) - \ln\Gamma(v)`, n whole.

    Such a difference is :math:`\sum_{j<n} \ln(v + j)`, so a sum over all contacts needs one
    logarithm for each j and nothing is lost where v is large: both Gamma functions would be.

    Parameters
    ----------
    numbers : ndarray of float64, shape (histories,)
        n, whole numbers from 0 up.
    count : ndarray of float64, shape (histories,)
        Contacts of each.
    """

    def __init__(self, numbers: Floats, count: Floats) -> None:
        by_number = np.bincount(numbers.astype(np.int64), weights=count)
        self._more = np.cumsum(by_number[:0:-1])[::-1]  # contacts with more than j
        self._step = np.arange(self._more.size, dtype=np.float64)

    def at(self, value: float) -> tuple[float, float, float]:
        """Return the sum with its first and second derivative by the value.

        Parameters
        ----------
        value : float
            v, above 0.

        Returns
        -------
        tuple of three floats
            Of which the last is 0 or below.
        """
        base = value + self._step
        inverse = 1.0 / base
        return (
            float(self._more @ np.log(base)),
            float(self._more @ inverse),
            -float(self._more @ (inverse * inverse)),
        )
