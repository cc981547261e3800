"""By how much does the latest window say that everybody does it more, or less, than before?

Pooled cutoffs have the level of their mean time. What came since, a season or a better shop, shows first in
the latest closed window; but it may be over when the next one is.
"""

from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.prediction.learner import Floats

__all__ = ["level_belief", "level_shift"]

_HALF_LIFE: Final = timedelta(days=30)
_PRIOR: Final = 20.0
_WIDEST: Final = 5.0


def level_belief(horizon: timedelta) -> float:
    """Return how much of a latest shift is believed to last.

    Parameters
    ----------
    horizon : timedelta
        How far labels look: the latest closed window is as long ago as the one that is predicted is
        ahead.

    Returns
    -------
    float
        A half where that is 30 days, a half of the half for each 30 days more.
    """
    return float(0.5 ** (horizon / _HALF_LIFE))


def level_shift(probability: Floats, label: npt.NDArray[np.int8], *, belief: float) -> float:
    """Return what is to be added to the log odds.

    Parameters
    ----------
    probability : ndarray of float64, shape (rows,)
        Of the latest closed window, between 0 and 1.
    label : ndarray of int8, shape (rows,)
        What happened in it.
    belief : float
        How much of the shift is kept, from 0 to 1.

    Returns
    -------
    float
        With `belief` 1 the mean probability would be the observed share, drawn towards what was
        predicted by 20 rows.
    """
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    log_odds = logit(probability)
    predicted = float(probability.sum())
    wanted = (label.sum() + _PRIOR * predicted / label.size) / (label.size + _PRIOR)

    def missed(shift: float) -> float:
        return float(expit(log_odds + shift).mean() - wanted)

    if missed(-_WIDEST) >= 0.0:
        return -_WIDEST * belief
    if missed(_WIDEST) <= 0.0:
        return _WIDEST * belief
    return float(brentq(missed, -_WIDEST, _WIDEST)) * belief
