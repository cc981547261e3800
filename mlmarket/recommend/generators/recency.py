"""How much does each row of a history still count?"""

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError

if TYPE_CHECKING:
    from mlmarket.recommend.interactions import Interactions

__all__ = ["by_occasion", "of_rows", "rate_of"]

Numbers = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]

_LONGEST: Final = 256
"""Occasions further back all count like this one."""


def by_occasion(power: float) -> Scores:
    """Return the weight of the latest occasion, the one before it, and so on.

    Parameters
    ----------
    power : float
        The occasion that is the n-th from the end counts ``n ** -power``; at least 0.

    Returns
    -------
    ndarray of float32, shape (occasions,)
        Beyond its end, the last one holds.

    Raises
    ------
    ConfigurationError
        Where `power` is below 0.

    References
    ----------
    Memory fades as a power of the time that has passed: J. R. Anderson and L. J. Schooler (1991), Reflections of
    the environment in memory, Psychological Science 2 (6), pp. 396-408.
    """
    if not power >= 0:
        raise ConfigurationError(
            f"The power of the decay by occasions is {power}.",
            "Below 0 the oldest would count most.",
            "use 0 (no decay) or more, such as 1.",
        )
    return (np.arange(1.0, _LONGEST + 1.0) ** -power).astype(np.float32)


def rate_of(half_life: float | None) -> float:
    """Return the decay by a day, of the logarithm.

    Parameters
    ----------
    half_life : float or None
        Days after which a row counts half; None for no decay.

    Returns
    -------
    float
        0 for no decay.

    Raises
    ------
    ConfigurationError
        Where the half-life is not above 0.
    """
    if half_life is None:
        return 0.0
    if not half_life > 0:
        raise ConfigurationError(
            f"The half-life is {half_life} days.",
            "What is past would count nothing, or more than today.",
            "use a number of days above 0, or None for no decay.",
        )
    return float(np.log(2.0) / half_life)


def of_rows(interactions: "Interactions", half_life: float | None) -> Scores:
    """Return the weight of each row by its own weight and its age in days.

    Parameters
    ----------
    interactions : Interactions
        Histories; where only an order is known, no age in days is.
    half_life : float or None
        Days after which a row counts half; None for no decay.

    Returns
    -------
    ndarray of float32, shape (rows,)
        Decay by occasions is not in it.
    """
    rate = rate_of(half_life)
    if rate == 0.0 or not interactions.timed:
        return interactions.weight
    faded = interactions.weight * np.exp(-rate * interactions.age)
    return faded.astype(np.float32)
