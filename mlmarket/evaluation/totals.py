"""How many of these people will buy, and how wrong was that number in the past?"""

import math

import numpy as np
from numpy.typing import ArrayLike

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.bootstrap import Interval
from mlmarket.evaluation.checks import FloatArray, as_probabilities, require_fraction

__all__ = ["expected_total", "relative_total_error"]

_WORST_ERROR = 1e6
_NOBODY = 1e-9


def expected_total(p: ArrayLike, *, relative_error: float = 0.0, level: float = 0.9) -> Interval:
    r"""Return how many of these people are expected to do it, with an interval.

    The number is :math:`\mu = \sum p_i`. Two things keep the outcome from it: each person's own
    chance, with the Poisson-binomial variance :math:`\sum p_i (1 - p_i)`, and what the whole
    period shares (season, a campaign, drift), with variance :math:`(\mu r)^2` for a relative
    error :math:`r`. The bounds are quantiles of the Gamma distribution of that mean and
    variance, which is skewed for small totals as counts are, taken to whole people.

    Parameters
    ----------
    p : array-like of shape (n,)
        Calibrated probabilities, one a person.
    relative_error : float, default 0.0
        Error that all people of a period share, such as 0.1; from
        :func:`relative_total_error` over past origins. Zero claims that there is none.
    level : float, default 0.9
        Coverage of the interval.

    Returns
    -------
    Interval
        Expected number of people, and whole-number bounds from 0 to n.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Wang (1993), On the number of successes in independent trials, Statistica Sinica 3(2).

    Examples
    --------
    >>> expected_total([0.25] * 400)
    Interval(value=100.0, low=86.0, high=115.0, level=0.9)
    """
    from scipy.special import gammaincinv

    require_fraction(level, "level")
    if not 0.0 <= relative_error <= _WORST_ERROR:
        what = f"'relative_error' is {relative_error!r}."
        why = f"It widens the interval, so it is a number from 0 to {_WORST_ERROR:g}."
        raise ConfigurationError(what, why, "pass the result of relative_total_error().")
    predictions = as_probabilities(p)
    # Exact sums, so that the order of rows does not change the last digit.
    total = math.fsum(predictions)
    own_chance = math.fsum(predictions * (1.0 - predictions))
    variance = own_chance + (total * relative_error) ** 2
    if variance == 0.0:
        return Interval(total, total, total, level)
    if total < _NOBODY:
        return Interval(total, 0.0, total, level)
    tail = (1.0 - level) / 2.0
    quantiles = gammaincinv(total**2 / variance, [tail, 1.0 - tail]) * variance / total
    # Half a person each way: the curve runs through what is counted in steps of one.
    low, high = float(np.floor(quantiles[0] + 0.5)), float(np.ceil(quantiles[1] - 0.5))
    return Interval(total, min(low, total), min(max(high, total), float(predictions.size)), level)


def relative_total_error(
    observed: ArrayLike, expected: ArrayLike, *, own_chance: ArrayLike | None = None
) -> float:
    r"""Return by what fraction totals of past periods missed, beyond each person's own chance.

    The mean of :math:`(O_t / E_t - 1)^2 - V_t / E_t^2` over periods, its square root, and zero
    where own chance explains more than all: a moment estimator. It rests on as many numbers as
    there are periods, and periods that overlap count for less than one each.

    Parameters
    ----------
    observed : array-like of shape (periods,)
        How many people did it, one number an origin.
    expected : array-like of shape (periods,)
        The sum of their probabilities, above zero.
    own_chance : array-like of shape (periods,), optional
        :math:`V_t = \sum p_i (1 - p_i)` of each origin. Without it the expected number is taken
        (the Poisson variance), which is right for small probabilities and otherwise makes the
        result too small.

    Returns
    -------
    float
        Relative error, such as 0.08 for 8 %.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    DerSimonian and Laird (1986), Meta-analysis in clinical trials, Controlled Clinical Trials
    7(3), for a variance between periods by the method of moments.

    Examples
    --------
    >>> round(relative_total_error([1200, 800], [1000, 1000]), 3)
    0.197
    """
    seen = _totals(observed, "observed")
    hoped = _totals(expected, "expected")
    variance = hoped if own_chance is None else _totals(own_chance, "own_chance")
    if not seen.size == hoped.size == variance.size:
        what = (
            f"There are {seen.size} observed, {hoped.size} expected and {variance.size} variances."
        )
        why = "Each period needs one of each."
        raise ConfigurationError(what, why, "take all of them from the same frame.")
    if not (hoped > 0.0).all():
        what = "An expected total is zero."
        why = "A fraction of nothing is not defined."
        raise ConfigurationError(what, why, "leave out periods in which nobody was scored.")
    excess = (seen / hoped - 1.0) ** 2 - variance / hoped**2
    return float(np.sqrt(max(float(excess.mean()), 0.0)))


def _totals(values: ArrayLike, name: str) -> FloatArray:
    try:
        totals = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _not_totals(name) from error
    if totals.ndim != 1 or not totals.size or not np.isfinite(totals).all() or (totals < 0.0).any():
        raise _not_totals(name)
    return totals


def _not_totals(name: str) -> ConfigurationError:
    what = f"'{name}' is not a list of totals."
    why = "It needs one finite number of zero or more for each past period, and at least one."
    return ConfigurationError(what, why, "pass one number an origin.")
