"""How are probabilities brought to the observed rates when there are positives enough to follow?"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from mlmarket.evaluation.calibrator_state import (
    CalibratorStateError,
    UnfittedCalibratorError,
    numbers,
    require_kind,
    require_number,
)
from mlmarket.evaluation.checks import FloatArray, as_pair, as_probabilities, as_weights

__all__ = ["IsotonicCalibrator"]


class IsotonicCalibrator:
    """Follows the observed rates, as a rising line through pooled neighbours.

    Needs many positives (hundreds); with fewer, :class:`SigmoidCalibrator` is safer.

    Parameters
    ----------
    prior : float, default 1.0
        Weight, in rows spread over all rows, of the wish to leave predictions as they are. It
        keeps a stretch without a positive from becoming an impossible 0; with 0 the fit is the
        plain isotonic regression.

    Attributes
    ----------
    predicted_ : ndarray of shape (knots,)
        Predictions where the line has a knot, ascending.
    calibrated_ : ndarray of shape (knots,)
        Calibrated probability at each knot, non-decreasing.

    References
    ----------
    Zadrozny and Elkan (2002), Transforming classifier scores into accurate multiclass
    probability estimates, KDD.

    Examples
    --------
    >>> isotonic = IsotonicCalibrator(prior=0).fit([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])
    >>> isotonic.predict([0.1, 0.25, 0.4]).tolist()
    [0.0, 0.5, 1.0]
    """

    kind: ClassVar[str] = "isotonic"

    def __init__(self, prior: float = 1.0) -> None:
        self.prior = prior

    def fit(self, p: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the line by pooling neighbours that would fall.

        Parameters
        ----------
        p : array-like of shape (n,)
            Predicted probabilities.
        y : array-like of shape (n,)
            Labels, 0 or 1.
        sample_weight : array-like of shape (n,), optional
            How many rows each row stands for.

        Returns
        -------
        IsotonicCalibrator
            Itself.

        Raises
        ------
        ConfigurationError
            Where an argument is unusable.
        """
        from scipy.optimize import isotonic_regression

        require_number(self.prior, "prior", zero_allowed=True)
        labels, predictions = as_pair(y, p)
        weights = as_weights(sample_weight, labels.size)
        weighed = weights > 0.0
        values, position = np.unique(predictions[weighed], return_inverse=True)
        mass = np.bincount(position, weights=weights[weighed])
        rate = np.bincount(position, weights=(weights * labels)[weighed]) / mass
        pull = self.prior / mass.sum()
        target = (rate + pull * values) / (1.0 + pull)
        pooled = isotonic_regression(target, weights=mass)
        ends = np.unique(np.concatenate([pooled.blocks[:-1], pooled.blocks[1:] - 1]))
        self.predicted_ = values[ends]
        self.calibrated_ = np.clip(pooled.x[ends], 0.0, 1.0)
        return self

    def predict(self, p: ArrayLike) -> FloatArray:
        """Return calibrated probabilities; outside the knots those of the nearest knot.

        Parameters
        ----------
        p : array-like of shape (n,)
            Predicted probabilities.

        Returns
        -------
        ndarray of float64, shape (n,)
            Probabilities in the same order of size, with more ties.

        Raises
        ------
        ConfigurationError
            Where a prediction is unusable, or nothing is learned yet.
        """
        self._require_fitted()
        line = np.interp(as_probabilities(p), self.predicted_, self.calibrated_)
        # The arithmetic between two knots can pass the upper one by a rounding.
        kept: FloatArray = np.clip(line, self.calibrated_[0], self.calibrated_[-1])
        return kept

    def to_dict(self) -> dict[str, Any]:
        """Return argument and learned state as JSON values.

        Returns
        -------
        dict
            Kind, prior and knots.

        Raises
        ------
        ConfigurationError
            Where nothing is learned yet.
        """
        self._require_fitted()
        return {
            "kind": self.kind,
            "prior": self.prior,
            "predicted": self.predicted_.tolist(),
            "calibrated": self.calibrated_.tolist(),
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
        IsotonicCalibrator
            A fitted calibrator.

        Raises
        ------
        ConfigurationError
            Where `state` is of another kind, incomplete or impossible.
        """
        require_kind(state, cls.kind)
        predicted = as_probabilities(numbers(state, "predicted", dimensions=1), "predicted")
        calibrated = as_probabilities(numbers(state, "calibrated", dimensions=1), "calibrated")
        rises = (np.diff(predicted) > 0.0).all() and (np.diff(calibrated) >= 0.0).all()
        if predicted.size != calibrated.size or not rises:
            problem = "'predicted' and 'calibrated' are not one rising line"
            raise CalibratorStateError(problem)
        calibrator = cls(float(numbers(state, "prior", dimensions=0)))
        calibrator.predicted_ = predicted
        calibrator.calibrated_ = calibrated
        return calibrator

    def _require_fitted(self) -> None:
        if not hasattr(self, "predicted_"):
            raise UnfittedCalibratorError(self)
