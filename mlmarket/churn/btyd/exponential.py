"""How likely are histories of contacts that may leave at any time (Pareto/NBD)?

A contact buys at a rate of its own and leaves after a time whose rate is its own too. The
likelihood integrates over when it left. In closed form that is a difference of hypergeometric
functions, which overflows for frequent buyers and long histories; here the integral is a sum over
a few well-placed times, and all derivatives are the same sum.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from mlmarket.churn.btyd.geometric import by_logarithms
from mlmarket.churn.btyd.histories import Floats, Histories, History
from mlmarket.churn.btyd.maximum import Peak
from mlmarket.churn.btyd.rising import Rising

__all__ = ["ExponentialLikelihood", "bought_before_leaving", "log_odds_of_leaving"]

_CHUNK: Final = 2_048
_NODES: Final = 32
_DROP: Final = 37.0
"""Of the logarithm of the integrand, where the integral ends."""


@cache
def _nodes() -> tuple[Floats, Floats]:
    """Return places in 0 to 1 and their weights, after Gauss and Legendre."""
    place, weight = np.polynomial.legendre.leggauss(_NODES)
    return (place + 1.0) / 2.0, weight / 2.0


@dataclass(frozen=True, slots=True)
class _Leaving:
    """The integral over the times at which a contact may have left, as a sum.

    Parameters
    ----------
    log_integral : ndarray of float64, shape (n,)
        Logarithm of the integral over ``(alpha + y)^-p (beta + y)^-q`` from `begin` to `end`.
    log_alpha, log_beta : ndarray of float64, shape (n, nodes)
        Logarithms of ``alpha + y`` and ``beta + y`` at its times.
    share : ndarray of float64, shape (n, nodes)
        What each time adds to the integral, as a share.
    """

    log_integral: Floats
    log_alpha: Floats
    log_beta: Floats
    share: Floats


def _leaving(
    begin: Floats, end: Floats, of_alpha: Floats, of_beta: float, scales: tuple[float, float]
) -> _Leaving:
    """Integrate over the logarithm of time beyond the smaller scale.

    On that axis the integrand is smooth however small the scale is, and its nearest singularity is
    pi away. Where it falls off quickly the integral ends early.
    """
    alpha, beta = scales
    swapped = beta < alpha
    near, far = (beta, alpha) if swapped else (alpha, beta)
    p_near, p_far = (of_beta, of_alpha) if swapped else (of_alpha, of_beta)
    p_near, p_far = (np.broadcast_to(power, begin.shape)[:, None] for power in (p_near, p_far))
    start = (near + begin)[:, None]
    reach = _reach(start, np.log((near + end)[:, None] / start), p_near, p_far, far - near)
    place, weight = _nodes()
    u = reach * place
    log_near = np.log(start) + u
    log_far = np.log(start * np.exp(u) + (far - near))
    log_start = np.log(start + (far - near))
    log_height = -(p_near - 1.0) * u - p_far * (log_far - log_start)
    top = log_height.max(axis=1, keepdims=True)
    share = np.exp(log_height - top) * weight
    total = share.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):  # nobody leaves in no time
        log_integral = np.log(reach * total)
    log_integral += top - (p_near - 1.0) * np.log(start) - p_far * log_start
    share /= total
    log_alpha, log_beta = (log_far, log_near) if swapped else (log_near, log_far)
    return _Leaving(log_integral[:, 0], log_alpha, log_beta, share)


def _reach(start: Floats, whole: Floats, p_near: Floats, p_far: Floats, apart: float) -> Floats:
    """Return where the integrand has fallen so far that the rest does not count."""
    reach = whole
    for _ in range(4):  # Newton's steps from the right: the drop is convex, so none goes too far
        later = start * np.exp(reach)
        drop = (p_near - 1.0) * reach + p_far * np.log((later + apart) / (start + apart))
        slope = (p_near - 1.0) + p_far * later / (later + apart)
        further = (drop > _DROP) & (slope > 0.0)
        reach = np.where(further, reach - (drop - _DROP) / np.where(further, slope, 1.0), reach)
    return np.minimum(np.maximum(reach, 0.0), whole)


def log_odds_of_leaving(history: History | Histories, parameters: Floats) -> Floats:
    """Return the logarithm of P(has left) / P(still active) of each history.

    Parameters
    ----------
    history : History or Histories
        Frequency, recency and length.
    parameters : ndarray of float64, shape (4,)
        r, alpha, s, beta.

    Returns
    -------
    ndarray of float64
        Minus infinity where there was no time to leave.
    """
    r, alpha, s, beta = parameters
    log_odds = np.empty(history.frequency.size)
    for at in range(0, log_odds.size, _CHUNK):
        chosen = slice(at, at + _CHUNK)
        end, shape = history.length[chosen], r + history.frequency[chosen]
        left = _leaving(history.recency[chosen], end, shape, s + 1.0, (alpha, beta))
        active = shape * np.log(alpha + end) + s * np.log(beta + end)
        log_odds[chosen] = np.log(s) + left.log_integral + active
    return log_odds


def bought_before_leaving(history: History, parameters: Floats, *, horizon: float) -> Floats:
    """Return P(at least one purchase within a horizon) of contacts that are active now.

    Parameters
    ----------
    history : History
        Frequency and length.
    parameters : ndarray of float64, shape (4,)
        r, alpha, s, beta.
    horizon : float
        How far to look.

    Returns
    -------
    ndarray of float64
        From 0 to 1.
    """
    r, alpha, s, beta = parameters
    chance = np.empty(history.frequency.size)
    for at in range(0, chance.size, _CHUNK):
        now = history.length[at : at + _CHUNK]
        shape = r + history.frequency[at : at + _CHUNK]
        # The density of the next purchase, unless the contact leaves before.
        next_one = _leaving(now, now + horizon, shape + 1.0, s, (alpha, beta))
        log_active = shape * np.log(alpha + now) + s * np.log(beta + now)
        chance[at : at + _CHUNK] = shape * np.exp(next_one.log_integral + log_active)
    return np.minimum(chance, 1.0)


class ExponentialLikelihood:
    """Log-likelihood of histories, with gradient and Hessian.

    Parameters
    ----------
    histories : Histories
        In units of about their greatest length.

    References
    ----------
    Schmittlein, Morrison and Colombo (1987), Counting your customers: who are they and what will
    they do next?, Management Science 33(1).
    Fader and Hardie (2005), A note on deriving the Pareto/NBD model and related expressions.
    """

    def __init__(self, histories: Histories) -> None:
        self._histories = histories
        self._contacts = histories.contacts
        self._purchases = Rising(histories.frequency, histories.count)

    def __call__(self, logarithms: Floats) -> Peak:
        """Return the log-likelihood with its gradient and Hessian.

        Parameters
        ----------
        logarithms : ndarray of float64, shape (4,)
            Of r, alpha, s, beta; alpha and beta in the unit of the histories.

        Returns
        -------
        tuple of float, ndarray of shape (4,), ndarray of shape (4, 4)
            By the logarithms.
        """
        parameters = np.exp(logarithms)
        r, alpha, s, beta = parameters
        people = self._contacts
        purchases = self._purchases.at(r)
        value = purchases[0] + people * (r * np.log(alpha) + s * np.log(beta))
        gradient = people * np.array([np.log(alpha), r / alpha, np.log(beta), s / beta])
        gradient[0] += purchases[1]
        hessian = np.diag([purchases[2], -people * r / alpha**2, 0.0, -people * s / beta**2])
        hessian[0, 1], hessian[2, 3] = people / alpha, people / beta
        for at in range(0, self._histories.count.size, _CHUNK):
            value += _add(self._histories, slice(at, at + _CHUNK), parameters, gradient, hessian)
        return by_logarithms(value, gradient, hessian, parameters)


def _add(
    histories: Histories, chosen: slice, parameters: Floats, gradient: Floats, hessian: Floats
) -> float:
    """Add some histories: means over "active" and each time of leaving, and their covariance."""
    r, alpha, s, beta = parameters
    count, end = histories.count[chosen], histories.length[chosen]
    shape = r + histories.frequency[chosen]
    leaving = _leaving(histories.recency[chosen], end, shape, s + 1.0, (alpha, beta))
    log_left = np.log(s) + leaving.log_integral
    log_active = -shape * np.log(alpha + end) - s * np.log(beta + end)
    log_row = np.logaddexp(log_active, log_left)
    active = np.exp(log_active - log_row)
    # One place more for "active": it leaves the integral at its end.
    weight = np.column_stack([leaving.share * np.exp(log_left - log_row)[:, None], active])
    log_alpha = np.column_stack([leaving.log_alpha, np.log(alpha + end)])
    log_beta = np.column_stack([leaving.log_beta, np.log(beta + end)])
    by_alpha, by_beta = np.exp(-log_alpha), np.exp(-log_beta)
    shape = shape[:, None]
    left = np.ones(weight.shape[1])
    left[-1] = 0.0
    slopes = np.stack([-log_alpha, -shape * by_alpha, left / s - log_beta, -(s + left) * by_beta])
    weighted = weight * count[:, None]
    mean = (slopes * weight).sum(axis=2)
    gradient += mean @ count
    flat = slopes.reshape(4, -1)
    hessian += (flat * weighted.ravel()) @ flat.T - (mean * count) @ mean.T
    hessian[0, 1] -= (weighted * by_alpha).sum()
    hessian[1, 1] += (weighted * shape * by_alpha**2).sum()
    hessian[2, 2] -= (weighted @ left).sum() / s**2
    hessian[2, 3] -= (weighted * by_beta).sum()
    hessian[3, 3] += (weighted * (s + left) * by_beta**2).sum()
    return float(count @ log_row)
