"""Does 10 % mean one in ten, and how is a model brought there?

A calibrator learns on later data than the model and moves probabilities without changing
their order. Each is written to JSON and read back to give the very same numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.evaluation.bins import equal_count_bins
from mlmarket.evaluation.calibrator_state import require_kind
from mlmarket.evaluation.checks import (
    FloatArray,
    as_pair,
    as_probabilities,
    as_weights,
    require_fraction,
)
from mlmarket.evaluation.isotonic import IsotonicCalibrator
from mlmarket.evaluation.sigmoid import SigmoidCalibrator

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CalibrationCurve",
    "Calibrator",
    "IdentityCalibrator",
    "calibration_curve",
    "calibrator_from_dict",
]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationCurve:
    """Mean prediction against observed rate, in equal-count bins.

    Parameters
    ----------
    predicted : ndarray of float64, shape (bins,)
        Mean prediction of each bin, ascending.
    observed : ndarray of float64, shape (bins,)
        Share of the bin's contacts with the outcome.
    count : ndarray of int, shape (bins,)
        Contacts of each bin.
    """

    predicted: FloatArray
    observed: FloatArray
    count: NDArray[np.intp]

    def interval(self, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Return Wilson's interval of each observed rate, as if rows were independent.

        Parameters
        ----------
        level : float, default 0.95
            Coverage.

        Returns
        -------
        tuple of two ndarrays of float64, shape (bins,)
            Lower and upper bounds.

        Raises
        ------
        ConfigurationError
            Where `level` is not between 0 and 1.

        References
        ----------
        Wilson (1927), Probable inference, the law of succession, and statistical inference,
        Journal of the American Statistical Association 22(158).
        """
        from scipy.special import ndtri

        require_fraction(level, "level")
        z = float(ndtri(0.5 + level / 2.0))
        widened = 1.0 + z**2 / self.count
        centre = (self.observed + z**2 / (2.0 * self.count)) / widened
        spread = self.observed * (1.0 - self.observed) + z**2 / (4.0 * self.count)
        reach = z * np.sqrt(spread / self.count) / widened
        return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a bin.

        Returns
        -------
        pandas.DataFrame
            Columns ``predicted``, ``observed`` and ``count``.
        """
        import pandas as pd

        columns = ("predicted", "observed", "count")
        return pd.DataFrame({column: getattr(self, column) for column in columns})

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False)


def calibration_curve(y: ArrayLike, p: ArrayLike, n_bins: int = 15) -> CalibrationCurve:
    """Return mean prediction and observed rate in equal-count bins.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities; equal ones stay in one bin.
    n_bins : int, default 15
        How many bins at most.

    Returns
    -------
    CalibrationCurve
        The bins that hold a row, lowest predictions first.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    Examples
    --------
    >>> calibration_curve([0, 1, 1, 1], [0.2, 0.2, 0.9, 0.9], n_bins=2).observed.tolist()
    [0.5, 1.0]
    """
    labels, predictions = as_pair(y, p)
    bins = equal_count_bins(predictions, n_bins)
    count = np.bincount(bins)
    used = count > 0
    predicted = np.bincount(bins, weights=predictions)[used] / count[used]
    observed = np.bincount(bins, weights=labels)[used] / count[used]
    return CalibrationCurve(predicted=predicted, observed=observed, count=count[used])


class Calibrator(Protocol):
    """A monotone map from a model's probabilities to calibrated ones."""

    kind: ClassVar[str]

    def fit(self, p: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from predictions and what came after."""
        ...

    def predict(self, p: ArrayLike) -> FloatArray:
        """Return calibrated probabilities."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the learned state as JSON values."""
        ...

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the calibrator that wrote ``state``."""
        ...


class IdentityCalibrator:
    """Leaves probabilities as they are.

    Examples
    --------
    >>> IdentityCalibrator().predict([0.25]).tolist()
    [0.25]
    """

    kind: ClassVar[str] = "identity"

    def fit(self, p: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Check the arguments; there is nothing to learn.

        Parameters
        ----------
        p : array-like of shape (n,)
            Predicted probabilities.
        y : array-like of shape (n,)
            Labels, 0 or 1.
        sample_weight : array-like of shape (n,), optional
            Weight of each row.

        Returns
        -------
        IdentityCalibrator
            Itself.

        Raises
        ------
        ConfigurationError
            Where an argument is unusable.
        """
        labels, _ = as_pair(y, p)
        as_weights(sample_weight, labels.size)
        return self

    def predict(self, p: ArrayLike) -> FloatArray:
        """Return the probabilities.

        Parameters
        ----------
        p : array-like of shape (n,)
            Predicted probabilities.

        Returns
        -------
        ndarray of float64, shape (n,)
            A copy.

        Raises
        ------
        ConfigurationError
            Where a prediction is unusable.
        """
        return as_probabilities(p).copy()

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON values.

        Returns
        -------
        dict
            Only the kind.
        """
        return {"kind": self.kind}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the calibrator that wrote ``state``.

        Parameters
        ----------
        state : mapping
            What :meth:`to_dict` returned.

        Returns
        -------
        IdentityCalibrator
            A calibrator of the same kind.

        Raises
        ------
        ConfigurationError
            Where `state` is of another kind.
        """
        require_kind(state, cls.kind)
        return cls()


def calibrator_from_dict(state: Mapping[str, Any]) -> Calibrator:
    """Return the calibrator of any kind that wrote ``state``.

    Parameters
    ----------
    state : mapping
        What a calibrator's ``to_dict`` returned.

    Returns
    -------
    Calibrator
        A fitted calibrator, whose predictions are equal to the last bit.

    Raises
    ------
    ConfigurationError
        Where the kind is unknown, or the state incomplete or impossible.

    Examples
    --------
    >>> calibrator_from_dict({"kind": "identity"}).predict([0.5]).tolist()
    [0.5]
    """
    kinds: dict[str, type[Calibrator]] = {
        IdentityCalibrator.kind: IdentityCalibrator,
        SigmoidCalibrator.kind: SigmoidCalibrator,
        IsotonicCalibrator.kind: IsotonicCalibrator,
    }
    kind = state.get("kind")
    if kind not in kinds:
        what = f"There is no calibrator of kind {kind!r}."
        why = "Without it the probabilities of this model would be uncalibrated."
        raise ConfigurationError(what, why, suggestion(str(kind), kinds))
    return kinds[kind].from_dict(state)
