"""What are these people worth together, and how wrong was that number in the past?"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.bootstrap import Interval
from mlmarket.evaluation.checks import as_value_pair, as_values, require_fraction

__all__ = ["VARIANCE_POWER", "expected_value_total", "value_dispersion", "value_own_chance"]

VARIANCE_POWER: Final = 1.5
"""How the variance of a contact's value grows with its expectation."""


_CERTAIN: Final = 1e-9
"""Of the total: a narrower spread is none, and too narrow for the quantiles of a Gamma distribution."""


def value_dispersion(actual: ArrayLike, predicted: ArrayLike) -> float:
    r"""Return how much single contacts differ from what was expected of them.

    The variance of a contact's value is taken as :math:`\phi \mu^{1.5}`, that of a sum of a Poisson
    number of Gamma amounts; :math:`\phi` is found by the method of moments, as
    :math:`\sum (y - \mu)^2 / \sum \mu^{1.5}`.

    Parameters
    ----------
    actual, predicted : array-like of shape (n,)
        Amounts of zero or more, of past origins.

    Returns
    -------
    float
        :math:`\phi`, in the root of the unit of the amounts; NaN where nothing was expected.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Jørgensen (1987), Exponential dispersion models, Journal of the Royal Statistical Society B
    49(2).

    Examples
    --------
    >>> value_dispersion([0, 8], [4, 4])
    2.0
    """
    observed, predictions = as_value_pair(actual, predicted)
    # Sorted sums: the order of rows does not change the last digit.
    expected = math.fsum(predictions**VARIANCE_POWER)
    squares = math.fsum((observed - predictions) ** 2)
    return squares / expected if expected > 0.0 else float("nan")


def value_own_chance(values: ArrayLike, *, dispersion: float) -> float:
    """Return the variance of a total that each contact's own chance explains.

    Parameters
    ----------
    values : array-like of shape (n,)
        Expected values, one a contact.
    dispersion : float
        From :func:`value_dispersion`.

    Returns
    -------
    float
        In the squared unit of the values.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.
    """
    _require_amount(dispersion, "dispersion", "value_dispersion()")
    return dispersion * math.fsum(as_values(values, "values") ** VARIANCE_POWER)


def expected_value_total(
    values: ArrayLike, *, dispersion: float, relative_error: float = 0.0, level: float = 0.9
) -> Interval:
    r"""Return what these people are expected to be worth together, with an interval.

    The number is :math:`\mu = \sum \mu_i`. Two things keep the outcome from it: each person's own
    chance, with variance :math:`\phi \sum \mu_i^{1.5}`, and what the whole period shares (season,
    drift), with variance :math:`(\mu r)^2` for a relative error :math:`r`. The bounds are quantiles
    of the Gamma distribution of that mean and variance, which is never negative.

    Parameters
    ----------
    values : array-like of shape (n,)
        Expected values, one a person.
    dispersion : float
        :math:`\phi`, from :func:`value_dispersion` over past origins.
    relative_error : float, default 0.0
        Error that all people of a period share, from
        :func:`~mlmarket.evaluation.relative_total_error`. Zero claims that there is none.
    level : float, default 0.9
        Coverage of the interval.

    Returns
    -------
    Interval
        The total and its bounds, in the unit of the values.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    Examples
    --------
    >>> total = expected_value_total([25.0] * 400, dispersion=20.0)
    >>> round(total.low), total.value, round(total.high)
    (8414, 10000.0, 11700)
    """
    from scipy.special import gammaincinv

    require_fraction(level, "level")
    _require_amount(relative_error, "relative_error", "relative_total_error()")
    variance = value_own_chance(values, dispersion=dispersion)
    total = math.fsum(as_values(values, "values"))
    variance += (total * relative_error) ** 2
    if variance <= (_CERTAIN * total) ** 2:
        return Interval(total, total, total, level)
    tail = (1.0 - level) / 2.0
    low, high = gammaincinv(total**2 / variance, [tail, 1.0 - tail]) * variance / total
    # The mean of a very skewed distribution lies above most of it.
    return Interval(total, min(float(low), total), max(float(high), total), level)


def _require_amount(number: float, name: str, source: str) -> None:
    if not (np.isfinite(number) and number >= 0.0):
        what = f"'{name}' is {number!r}."
        why = "It widens the interval, so it is a finite number of zero or more."
        raise ConfigurationError(what, why, f"pass the result of {source}.")
