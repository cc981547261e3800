"""By which day has the next purchase come?

What is said about horizons and dates follows from the hazards of thirteen weeks, so that it never contradicts
itself.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DAYS", "HORIZONS", "Dates", "calendar_days", "chance_by_day", "expected_dates"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HORIZONS: Final = (7, 14, 28, 90)
DAYS: Final = 90
_BAND: Final = (0.1, 0.5, 0.9)


def chance_by_day(hazard: Floats) -> Floats:
    """Return the probability that the next purchase has come by each day.

    Within a week its chance is spread as by a constant hazard.

    Parameters
    ----------
    hazard : ndarray of float64, shape (rows, 13)
        Of weeks.

    Returns
    -------
    ndarray of float64, shape (rows, 90)
        Never falling; the first column is the day after.
    """
    daily = np.repeat(np.log1p(-hazard) / 7.0, 7, axis=1)[:, :DAYS]
    chance: Floats = -np.expm1(np.cumsum(daily, axis=1))
    return chance


@dataclass(frozen=True, slots=True)
class Dates:
    """Days ahead of the next purchase, given that it comes within 90.

    Parameters
    ----------
    low, middle, high : ndarray of int64, shape (rows,)
        The day by which it has come in 10, 50 and 90 of 100 such cases; 1 is the day after.
    """

    low: Integers
    middle: Integers
    high: Integers


def expected_dates(chance: Floats) -> Dates:
    """Return when the next purchase comes, given that it comes within 90 days.

    Parameters
    ----------
    chance : ndarray of float64, shape (rows, 90)
        From :func:`chance_by_day`.

    Returns
    -------
    Dates
        Median and 80 % band of the conditional distribution.
    """
    whole = chance[:, -1:]
    days = [np.argmax(chance >= share * whole, axis=1).astype(np.int64) + 1 for share in _BAND]
    return Dates(*days)


def calendar_days(day: Integers, *, today: int) -> "pa.TimestampArray":
    """Return days ahead as calendar days of the business.

    Parameters
    ----------
    day : ndarray of int64, shape (rows,)
        From 1, the day after today.
    today : int
        Its days since 1970.

    Returns
    -------
    pyarrow.TimestampArray
        Midnight of the day without a zone, so that it is written as that day.
    """
    import pyarrow as pa

    return pa.array((day + today).astype("datetime64[D]").astype("datetime64[us]"))
