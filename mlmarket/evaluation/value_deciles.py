"""Are the contacts from whom most is expected worth the most, and as much as was said?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlmarket.evaluation.bins import equal_count_bins
from mlmarket.evaluation.checks import FloatArray, as_value_pair, require_fraction

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ValueDeciles", "value_deciles"]

_DECILES: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class ValueDeciles:
    """Expected and observed value a contact, from the highest tenth of contacts to the lowest.

    Parameters
    ----------
    predicted : ndarray of float64, shape (bins,)
        Mean prediction of each tenth, descending.
    observed : ndarray of float64, shape (bins,)
        Mean of what its contacts were worth.
    spread : ndarray of float64, shape (bins,)
        Standard deviation of what its contacts were worth.
    count : ndarray of int, shape (bins,)
        Contacts of each tenth.
    """

    predicted: FloatArray
    observed: FloatArray
    spread: FloatArray
    count: NDArray[np.intp]

    def interval(self, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Return a normal interval of each observed mean, as if rows were independent.

        Parameters
        ----------
        level : float, default 0.95
            Coverage.

        Returns
        -------
        tuple of two ndarrays of float64, shape (bins,)
            Lower and upper bounds, zero or more.

        Raises
        ------
        ConfigurationError
            Where `level` is not between 0 and 1.
        """
        from scipy.special import ndtri

        require_fraction(level, "level")
        reach = float(ndtri(0.5 + level / 2.0)) * self.spread / np.sqrt(self.count)
        return np.maximum(self.observed - reach, 0.0), self.observed + reach

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a tenth.

        Returns
        -------
        pandas.DataFrame
            Columns ``decile`` (1 is the highest), ``predicted``, ``observed``, ``spread`` and
            ``count``.
        """
        import pandas as pd

        columns = ("predicted", "observed", "spread", "count")
        decile = np.arange(1, self.count.size + 1)
        return pd.DataFrame({"decile": decile} | {name: getattr(self, name) for name in columns})

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False)


def value_deciles(actual: ArrayLike, predicted: ArrayLike) -> ValueDeciles:
    """Return mean expected and observed value by tenths of the prediction, highest first.

    Parameters
    ----------
    actual, predicted : array-like of shape (n,)
        Amounts of zero or more; rows of equal prediction stay in one tenth, so that there may be
        fewer than ten.

    Returns
    -------
    ValueDeciles
        The tenths that hold a row.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    Examples
    --------
    >>> value_deciles([0, 0, 9, 21], [1, 1, 10, 10]).observed.tolist()
    [15.0, 0.0]
    """
    observed, predictions = as_value_pair(actual, predicted)
    bins = (_DECILES - 1) - equal_count_bins(predictions, _DECILES)
    everybody = np.bincount(bins, minlength=_DECILES)
    used = everybody > 0
    count = everybody[used]

    def mean(amounts: FloatArray) -> FloatArray:
        sums = np.bincount(bins, weights=amounts, minlength=_DECILES)[used]
        return np.asarray(sums / count, dtype=np.float64)

    centre = mean(observed)
    of_row = np.zeros(_DECILES)
    of_row[used] = centre
    spread = np.sqrt(mean((observed - of_row[bins]) ** 2))
    return ValueDeciles(mean(predictions), centre, spread, count)
