"""How likely are histories where each purchase may be the last (BG/NBD and its modification)?

A contact buys at a rate of its own and leaves, after a purchase, with a probability of its own. In
the modified model it may leave after the first purchase already: it has one chance more.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.churn.btyd.histories import Floats, Histories, History
from mlmarket.churn.btyd.maximum import Peak
from mlmarket.churn.btyd.rising import Rising

__all__ = ["GeometricLikelihood", "expected_while_active", "log_odds_of_leaving"]

_CHUNK: Final = 32_768
"""Histories that are computed at once: their arrays fit into a processor's cache."""
_DROP: Final = 36.0
"""Of the logarithm of a weight, where a sum over weights ends."""
_STEP: Final = 0.3


def log_odds_of_leaving(
    history: History | Histories, parameters: Floats, *, first_chance: int
) -> Floats:
    """Return the logarithm of P(has left) / P(still active) of each history.

    Parameters
    ----------
    history : History or Histories
        Frequency, recency and length.
    parameters : ndarray of float64, shape (4,)
        r, alpha, a, b.
    first_chance : int
        1 where a contact may leave after its first purchase, else 0.

    Returns
    -------
    ndarray of float64
        Minus infinity where it has had no chance to leave.
    """
    r, alpha, a, b = parameters
    chances = history.frequency + first_chance
    longer = np.log1p((history.length - history.recency) / (alpha + history.recency))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_odds = np.log(a) - np.log(b + chances - 1.0) + (r + history.frequency) * longer
    return np.where(chances > 0.0, log_odds, -np.inf)


class GeometricLikelihood:
    """Log-likelihood of histories, with gradient and Hessian.

    Parameters
    ----------
    histories : Histories
        In units of about their greatest length.
    first_chance : int
        1 where a contact may leave after its first purchase, else 0.

    References
    ----------
    Fader, Hardie and Lee (2005), "Counting your customers" the easy way: an alternative to the
    Pareto/NBD model, Marketing Science 24(2), equation (3).
    Batislam, Denizel and Filiztekin (2007), Empirical validation and comparison of models for
    customer base analysis, International Journal of Research in Marketing 24(3).
    """

    def __init__(self, histories: Histories, *, first_chance: int) -> None:
        self._contacts = histories.contacts
        self._purchases = Rising(histories.frequency, histories.count)
        chances = histories.frequency + first_chance
        self._chances = Rising(chances, histories.count)
        # Sorted by frequency: who had no chance to leave comes first.
        split = int(np.searchsorted(chances, 0.5))
        self._loyal = [_Part.of(histories, chunk, 0.0) for chunk in _chunks(0, split)]
        self._others = [
            _Part.of(histories, chunk, first_chance - 1.0)
            for chunk in _chunks(split, histories.count.size)
        ]

    def __call__(self, logarithms: Floats) -> Peak:
        """Return the log-likelihood with its gradient and Hessian.

        Parameters
        ----------
        logarithms : ndarray of float64, shape (4,)
            Of r, alpha, a, b; alpha in the unit of the histories.

        Returns
        -------
        tuple of float, ndarray of shape (4,), ndarray of shape (4, 4)
            By the logarithms.
        """
        parameters = np.exp(logarithms)
        value, gradient, hessian = self._shared(parameters)
        for part in self._loyal:
            value += part.add_loyal(parameters, gradient, hessian)
        for part in self._others:
            value += part.add_others(parameters, gradient, hessian)
        return by_logarithms(value, gradient, hessian, parameters)

    def _shared(self, parameters: Floats) -> Peak:
        """Return what depends on the numbers of purchases and chances alone."""
        r, alpha, a, b = parameters
        purchases, stays = self._purchases.at(r), self._chances.at(b)
        both = self._chances.at(a + b)
        people = self._contacts
        value = r * people * np.log(alpha) + purchases[0] + stays[0] - both[0]
        gradient = np.array(
            [
                people * np.log(alpha) + purchases[1],
                people * r / alpha,
                -both[1],
                stays[1] - both[1],
            ]
        )
        hessian = np.zeros((4, 4))
        hessian[0, 0] = purchases[2]
        hessian[0, 1] = people / alpha
        hessian[1, 1] = -people * r / alpha**2
        hessian[2, 2] = hessian[2, 3] = -both[2]
        hessian[3, 3] = stays[2] - both[2]
        return float(value), gradient, hessian


def by_logarithms(value: float, gradient: Floats, hessian: Floats, parameters: Floats) -> Peak:
    """Return derivatives by the logarithms of parameters, of those by the parameters.

    Parameters
    ----------
    value : float
        A log-likelihood.
    gradient : ndarray of float64, shape (parameters,)
        Its derivatives.
    hessian : ndarray of float64, shape (parameters, parameters)
        Its second derivatives, in the upper triangle.
    parameters : ndarray of float64, shape (parameters,)
        Where.

    Returns
    -------
    tuple of float, ndarray and ndarray
        With both triangles of the Hessian.
    """
    slope = parameters * gradient
    full = np.triu(hessian) + np.triu(hessian, 1).T
    return float(value), slope, full * np.outer(parameters, parameters) + np.diag(slope)


def _chunks(begin: int, end: int) -> list[slice]:
    return [slice(at, min(at + _CHUNK, end)) for at in range(begin, end, _CHUNK)]


@dataclass(frozen=True, slots=True)
class _Part:
    """Some histories; `chances` is one less than how often a contact could have left."""

    frequency: Floats
    recency: Floats
    length: Floats
    count: Floats
    chances: Floats

    @classmethod
    def of(cls, histories: Histories, chosen: slice, more: float) -> "_Part":
        frequency = histories.frequency[chosen]
        return cls(
            frequency,
            histories.recency[chosen],
            histories.length[chosen],
            histories.count[chosen],
            frequency + more,
        )

    def add_loyal(self, parameters: Floats, gradient: Floats, hessian: Floats) -> float:
        """Add contacts that cannot have left: they have not bought since."""
        r, alpha = parameters[:2]
        inverse = 1.0 / (alpha + self.length)
        logarithm = float(self.count @ np.log(alpha + self.length))
        sum_inverse = float(self.count @ inverse)
        gradient[0] -= logarithm
        gradient[1] -= r * sum_inverse
        hessian[0, 1] -= sum_inverse
        hessian[1, 1] += r * float(self.count @ (inverse * inverse))
        return -float(r) * logarithm

    def add_others(self, parameters: Floats, gradient: Floats, hessian: Floats) -> float:
        """Add contacts that are still active, or left after their last purchase.

        The likelihood is a sum of two terms, so its derivatives are means over "active" and
        "left", and its Hessian has their variance in addition.
        """
        r, alpha, a, b = parameters
        shape = r + self.frequency
        at_end, at_last = 1.0 / (alpha + self.length), 1.0 / (alpha + self.recency)
        kept = 1.0 / (b + self.chances)
        log_end = np.log(alpha + self.length)
        longer = log_end - np.log(alpha + self.recency)
        log_odds = np.log(a * kept) + shape * longer
        growth = np.exp(-np.abs(log_odds))
        left = np.where(log_odds > 0.0, 1.0, growth) / (1.0 + growth)
        value = np.maximum(log_odds, 0.0) + np.log1p(growth) - shape * log_end
        gone, active = self.count * left, self.count * (1.0 - left)
        faster = shape * (at_end - at_last)
        gradient += [
            gone @ longer - self.count @ log_end,
            gone @ faster - self.count @ (shape * at_end),
            gone.sum() / a,
            -(gone @ kept),
        ]
        hessian[0, 1] -= active @ at_end + gone @ at_last
        hessian[1, 1] += active @ (shape * at_end**2) + gone @ (shape * at_last**2)
        hessian[2, 2] -= gone.sum() / a**2
        hessian[3, 3] += gone @ (kept * kept)
        apart = np.stack([longer, faster, np.full(kept.size, 1.0 / a), -kept])
        hessian += (apart * (gone * (1.0 - left))) @ apart.T
        return float(self.count @ value)


def expected_while_active(shape: Floats, stretch: Floats, stays: Floats, a: float) -> Floats:
    r"""Return the purchases expected of contacts that are active now.

    With a chance to leave :math:`p \sim \mathrm{Beta}(a, s)` and a Gamma distributed rate of shape
    k, the expectation over a time that is q times the scale of the rate is
    :math:`E_p[(1 - (1 + pq)^{-k}) / p]`. In closed form it is a difference of hypergeometric
    functions, which loses its digits near a = 1 and in long histories. Here it is summed over the
    logit of p, on which weights are smooth and fall off exponentially. Where they fall off slowly,
    a straight line through the ends is taken out first and added exactly.

    Parameters
    ----------
    shape : ndarray of float64, shape (n,)
        k.
    stretch : ndarray of float64, shape (n,)
        q, from 0 up.
    stays : ndarray of float64, shape (n,)
        s.
    a : float
        The first parameter of p.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 0 up.

    References
    ----------
    Fader, Hardie and Lee (2005), as above, equation (10), before its integral is taken.
    Trefethen and Weideman (2014), The exponentially convergent trapezoidal rule, SIAM Review 56(3).
    """
    expected = np.empty(shape.size)
    order = np.argsort(stays, kind="stable")
    borders = np.flatnonzero(np.diff(stays[order], prepend=-1.0, append=-1.0))
    for begin, end in itertools.pairwise(borders):
        chance, weight, ends = _chances_of_leaving(a, float(stays[order[begin]]))
        rows = max(_CHUNK * 8 // chance.size, 1)
        for at in range(begin, end, rows):
            chosen = order[at : min(at + rows, end)]
            k, q = shape[chosen], stretch[chosen]
            bought = -np.expm1(-k[:, None] * np.log1p(q[:, None] * chance)) / chance
            at_one = -np.expm1(-k * np.log1p(q))
            mean = (bought * weight).sum(axis=1)  # row by row: no answer depends on other rows
            expected[chosen] = mean + k * q * ends[0] + at_one * ends[1]
    return np.maximum(expected, 0.0)


def _chances_of_leaving(a: float, stays: float) -> tuple[Floats, Floats, tuple[float, float]]:
    """Return values of a Beta distributed chance, their weights, and what the ends lack."""
    from scipy.special import betaln, log_expit

    # Without its value at an end a smooth function vanishes there, and less of the tail counts. A
    # great value at 0 would cost digits, and is left in where the tail is short anyway.
    heavy = a < 1.0
    left, right = a + heavy, stays + 1.0
    begin, end = _reach(left, right)
    step = min(_STEP, 0.6 * math.sqrt(1.0 / left + 1.0 / right))
    logit = np.linspace(begin, end, math.ceil((end - begin) / step) + 1)
    log_chance, log_stay = log_expit(logit), log_expit(-logit)
    weight = np.exp(a * log_chance + stays * log_stay - betaln(a, stays)) * (logit[1] - logit[0])
    chance, stay = np.exp(log_chance), np.exp(log_stay)
    both = a + stays
    at_none, at_one = stays / both - float(weight @ stay), a / both - float(weight @ chance)
    return chance, weight, (at_none if heavy else 0.0, at_one)


def _reach(left: float, right: float) -> tuple[float, float]:
    """Return between which logits a Beta density by the logit is not negligible."""
    mode = math.log(left / right)
    top = _log_weight(mode, left, right)
    spread = 8.0 * math.sqrt(1.0 / left + 1.0 / right)
    ends = []
    for logit in (mode - spread, mode + spread):
        for _ in range(8):  # Newton's steps: the drop is convex, and soon met from outside
            slope = left - (left + right) / (1.0 + math.exp(-logit))
            logit -= (_log_weight(logit, left, right) - top + _DROP) / slope  # noqa: PLW2901
        ends.append(logit)
    return ends[0], ends[1]


def _log_weight(logit: float, left: float, right: float) -> float:
    """Return ``left * log(p) + right * log(1 - p)`` without a loss at either end."""
    tail = math.log1p(math.exp(-abs(logit)))
    return left * (min(logit, 0.0) - tail) + right * (min(-logit, 0.0) - tail)
