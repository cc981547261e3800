"""Where is a likelihood highest, how sharp is its top, and is it a top at all?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.churn.btyd.histories import Floats
from mlmarket.errors import RunError

__all__ = ["ConvergenceWarning", "Maximum", "Peak", "maximise"]

Peak = tuple[float, Floats, Floats]
"""A log-likelihood with its gradient and Hessian, by the logarithms of the parameters."""

_GRADIENT: Final = 1e-6
_LAST_STEP: Final = 1e-10
_NEAR: Final = 1e-6
_NEWTON_STEPS: Final = 6
_LONGEST_STEP: Final = 4.0
"""Of a logarithm: no parameter grows more than fiftyfold at once."""


class ConvergenceWarning(UserWarning):
    """A likelihood has no clear top: some parameters are not settled by the data."""


@dataclass(frozen=True, slots=True)
class Maximum:
    """The top of a likelihood.

    Parameters
    ----------
    place : ndarray of float64, shape (parameters,)
        Logarithms of the parameters.
    log_likelihood : float
        There.
    covariance : ndarray of float64, shape (parameters, parameters), or None
        Of these logarithms; None where the likelihood is flat in some direction.
    iterations : int
        How often the likelihood was computed.
    converged : bool
        Whether one more Newton step would change no parameter by a millionth.
    loose : tuple of int
        The parameters that it would change.
    """

    place: Floats
    log_likelihood: float
    covariance: Floats | None
    iterations: int
    converged: bool
    loose: tuple[int, ...]


def maximise(objective: Callable[[Floats], Peak], start: Floats, *, contacts: float) -> Maximum:
    """Find the top: a trust region from far away, Newton's steps at the end.

    Parameters
    ----------
    objective : callable
        From logarithms of the parameters to log-likelihood, gradient and Hessian.
    start : ndarray of float64, shape (parameters,)
        Where to begin.
    contacts : float
        How many contacts the log-likelihood is summed over.

    Returns
    -------
    Maximum
        The top, or how far one came.

    Raises
    ------
    RunError
        Where the likelihood is no number.

    References
    ----------
    Nocedal and Wright (2006), Numerical Optimization, chapter 4.
    """
    from scipy.optimize import minimize

    descent = _Descent(objective, contacts)
    found = minimize(
        descent.value,
        start,
        jac=descent.gradient,
        hess=descent.hessian,
        method="trust-exact",
        options={"gtol": _GRADIENT, "max_trust_radius": _LONGEST_STEP},
    )
    place, step = _polished(descent, np.asarray(found.x, dtype=np.float64))
    loose = np.flatnonzero(~(np.abs(step) < _NEAR))
    covariance = _inverse(descent.hessian(place)) if not loose.size else None
    return Maximum(
        place=place,
        log_likelihood=-descent.value(place) * contacts,
        covariance=None if covariance is None else covariance / contacts,
        iterations=descent.count,
        converged=not loose.size,
        loose=tuple(int(number) for number in loose),
    )


def _polished(descent: "_Descent", place: Floats) -> tuple[Floats, Floats]:
    """Take Newton's steps as long as they shorten; return the place and the step not taken."""
    step = _newton_step(descent, place)
    for _ in range(_NEWTON_STEPS):
        length = np.abs(step).max()
        if not _LAST_STEP < length < 1.0:
            break
        further = place - step
        following = _newton_step(descent, further)
        if not np.abs(following).max() < length:
            break
        place, step = further, following
    return place, step


def _newton_step(descent: "_Descent", place: Floats) -> Floats:
    inverse = _inverse(descent.hessian(place))
    if inverse is None:
        return np.full(place.size, np.inf)
    return inverse @ descent.gradient(place)


def _inverse(hessian: Floats) -> Floats | None:
    """Return the inverse of a matrix that curves upwards everywhere, None of another."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    try:
        factor = cho_factor(hessian)
    except LinAlgError:
        return None
    return np.asarray(cho_solve(factor, np.eye(len(hessian))), dtype=np.float64)


class _Descent:
    """The negative mean of a log-likelihood, computed once a place."""

    def __init__(self, objective: Callable[[Floats], Peak], contacts: float) -> None:
        self.count = 0
        self._objective = objective
        self._contacts = contacts
        self._place = b""
        self._peak: Peak = (np.nan, np.empty(0), np.empty((0, 0)))

    def _at(self, place: Floats) -> Peak:
        key = place.tobytes()
        if key != self._place:
            self._place, self._peak = key, self._objective(place)
            self.count += 1
            if not np.isfinite(self._peak[0]):
                what = "The likelihood of the summary is not a number."
                why = "Without one no parameter is better than another."
                raise RunError(what, why, "look for extreme values, or set another start=.")
        return self._peak

    def value(self, place: Floats) -> float:
        return -self._at(place)[0] / self._contacts

    def gradient(self, place: Floats) -> Floats:
        return -self._at(place)[1] / self._contacts

    def hessian(self, place: Floats) -> Floats:
        return -self._at(place)[2] / self._contacts
