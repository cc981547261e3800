"""How is a probability stretched and shifted until 10 % means one in ten, with few positives?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from mlmarket.errors import RunError
from mlmarket.evaluation.calibrator_state import (
    UnfittedCalibratorError,
    numbers,
    require_kind,
    require_number,
)
from mlmarket.evaluation.checks import FloatArray, as_pair, as_probabilities, as_weights

__all__ = ["SigmoidCalibrator"]

_LOGIT_FLOOR = 1e-12
_LAST_STEP = 1e-11
_MAX_STEPS = 200
_SMALLEST_SHARE = 1e-10
"""Of a step: below it, only rounding is left to decide."""


class SigmoidCalibrator:
    r"""Stretches and shifts the logit of a probability; Platt's map, pulled towards doing nothing.

    :math:`\operatorname{logit} q = a \operatorname{logit} p + b` with a slope ``a`` above zero, so
    that contacts never change places. The slope has a Gamma prior with its mode at 1 and the
    shift at the mean logit a normal prior around 0: a handful of positives moves the map little,
    and labels that contradict the order flatten it, never turn it round.

    Parameters
    ----------
    slope_precision : float, default 4.0
        Precision of the slope's prior at 1: 4 says "0.5 to 1.5, mostly".
    shift_precision : float, default 1.0
        Precision of the shift's prior: 1 says "odds wrong by a factor of 3, mostly less".

    Attributes
    ----------
    slope_ : float
        The learned ``a``.
    intercept_ : float
        The learned ``b``.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines and comparisons to
    regularized likelihood methods, Advances in Large Margin Classifiers.

    Examples
    --------
    >>> calibrator = SigmoidCalibrator().fit([0.5] * 100, [1] * 20 + [0] * 80)
    >>> bool(calibrator.predict([0.5])[0] < 0.3)
    True
    """

    kind: ClassVar[str] = "sigmoid"

    def __init__(self, slope_precision: float = 4.0, shift_precision: float = 1.0) -> None:
        self.slope_precision = slope_precision
        self.shift_precision = shift_precision

    def fit(self, p: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn slope and intercept.

        Parameters
        ----------
        p : array-like of shape (n,)
            Predicted probabilities; kept 1e-12 away from 0 and 1.
        y : array-like of shape (n,)
            Labels, 0 or 1; one class alone is allowed.
        sample_weight : array-like of shape (n,), optional
            How many rows each row stands for; their sum is weighed against the priors.

        Returns
        -------
        SigmoidCalibrator
            Itself.

        Raises
        ------
        ConfigurationError
            Where an argument is unusable.
        RunError
            Where no best map is found.
        """
        require_number(self.slope_precision, "slope_precision")
        require_number(self.shift_precision, "shift_precision")
        labels, predictions = as_pair(y, p)
        weights = as_weights(sample_weight, labels.size)
        logits = _logit(predictions)
        middle = float(np.average(logits, weights=weights))
        posterior = _SigmoidPosterior(
            logits - middle, labels, weights, middle, (self.slope_precision, self.shift_precision)
        )
        slope, shift = posterior.mode()
        self.slope_ = slope
        self.intercept_ = shift + middle * (1.0 - slope)
        return self

    def predict(self, p: ArrayLike) -> FloatArray:
        """Return calibrated probabilities.

        Parameters
        ----------
        p : array-like of shape (n,)
            Predicted probabilities.

        Returns
        -------
        ndarray of float64, shape (n,)
            Probabilities in the same order of size.

        Raises
        ------
        ConfigurationError
            Where a prediction is unusable, or nothing is learned yet.
        """
        from scipy.special import expit

        self._require_fitted()
        logits = _logit(as_probabilities(p))
        return np.asarray(expit(self.slope_ * logits + self.intercept_))

    def to_dict(self) -> dict[str, Any]:
        """Return arguments and learned state as JSON values.

        Returns
        -------
        dict
            Kind, precisions, slope and intercept.

        Raises
        ------
        ConfigurationError
            Where nothing is learned yet.
        """
        self._require_fitted()
        return {
            "kind": self.kind,
            "slope_precision": self.slope_precision,
            "shift_precision": self.shift_precision,
            "slope": self.slope_,
            "intercept": self.intercept_,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the calibrator that wrote ``state``.

        Parameters
        ----------
        state : mapping
            What :meth:`to_dict` returned.

        Returns
        -------
        SigmoidCalibrator
            A fitted calibrator.

        Raises
        ------
        ConfigurationError
            Where `state` is of another kind, incomplete or impossible.
        """
        require_kind(state, cls.kind)
        names = ("slope_precision", "shift_precision", "slope", "intercept")
        slope_precision, shift_precision, slope, intercept = (
            float(numbers(state, name, dimensions=0)) for name in names
        )
        require_number(slope, "slope")
        calibrator = cls(slope_precision, shift_precision)
        calibrator.slope_ = slope
        calibrator.intercept_ = intercept
        return calibrator

    def _require_fitted(self) -> None:
        if not hasattr(self, "slope_"):
            raise UnfittedCalibratorError(self)


@dataclass(frozen=True, slots=True, eq=False)
class _SigmoidPosterior:
    """Posterior of slope and shift; its negative logarithm is strictly convex for slopes > 0."""

    centred: FloatArray
    labels: FloatArray
    weights: FloatArray
    middle: float
    precisions: tuple[float, float]

    def mode(self) -> tuple[float, float]:
        """Return the most plausible slope and shift, by Newton's method with step halving."""
        point = np.array([1.0, 0.0])
        height = self._height(point)
        for _ in range(_MAX_STEPS):
            gradient, curvature = self._slopes(point)
            step: FloatArray = np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)
            gain = float(gradient @ step)
            if gain <= _LAST_STEP * max(1.0, abs(height)):
                return float(point[0]), float(point[1])
            lower, moved = self._downhill(point, step, height, gain)
            if moved is None:
                # Strictly convex, and no way down that the numbers can tell: this is the bottom.
                return float(point[0]), float(point[1])
            point, height = moved, lower
        what = f"The calibration did not settle in {_MAX_STEPS} steps."
        why = "Half-learned slopes would be published as probabilities."
        raise RunError(what, why, "look at the weights: are some of them extremely large?")

    def _downhill(
        self, point: FloatArray, step: FloatArray, height: float, gain: float
    ) -> tuple[float, FloatArray | None]:
        """Return where a step leads, halved until it leads down; no place where none does."""
        size = 1.0
        while size > _SMALLEST_SHARE:
            moved = point - size * step
            lower = self._height(moved)
            if lower <= height - 1e-4 * size * gain and lower < height:
                return lower, moved
            size /= 2.0
        return height, None

    def _height(self, point: FloatArray) -> float:
        slope, shift = point
        if slope <= 0.0:
            return float("inf")
        logits = self.middle + shift + slope * self.centred
        loss = self.weights @ (np.logaddexp(0.0, logits) - self.labels * logits)
        for_slope, for_shift = self.precisions
        return float(loss + for_slope * (slope - 1.0 - np.log(slope)) + for_shift * shift**2 / 2.0)

    def _slopes(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        from scipy.special import expit

        slope, shift = point
        for_slope, for_shift = self.precisions
        q = expit(self.middle + shift + slope * self.centred)
        excess = self.weights * (q - self.labels)
        gradient = np.array(
            [
                excess @ self.centred + for_slope * (1.0 - 1.0 / slope),
                excess.sum() + for_shift * shift,
            ]
        )
        heft = self.weights * q * (1.0 - q)
        mixed = heft @ self.centred
        curvature = np.array(
            [
                [heft @ self.centred**2 + for_slope / slope**2, mixed],
                [mixed, heft.sum() + for_shift],
            ]
        )
        return gradient, curvature


def _logit(p: FloatArray) -> FloatArray:
    from scipy.special import logit

    return np.asarray(logit(np.clip(p, _LOGIT_FLOOR, 1.0 - _LOGIT_FLOOR)))
