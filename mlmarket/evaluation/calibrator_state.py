"""Can a saved calibrator be trusted, and are its parameters possible?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.checks import FloatArray

__all__ = [
    "CalibratorStateError",
    "UnfittedCalibratorError",
    "numbers",
    "require_kind",
    "require_number",
]


class CalibratorStateError(ConfigurationError):
    """A saved calibrator is damaged.

    Parameters
    ----------
    problem : str
        What is wrong with it.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The saved calibrator cannot be read: {problem}.",
            "Probabilities from a damaged map would be wrong without a sign of it.",
            "train the model again, and save it with to_dict().",
        )


class UnfittedCalibratorError(ConfigurationError):
    """A calibrator is used before it has learned.

    Parameters
    ----------
    calibrator : object
        The calibrator.
    """

    def __init__(self, calibrator: object) -> None:
        super().__init__(
            f"This {type(calibrator).__name__} has not learned anything yet.",
            "It does not know how predictions relate to what happens.",
            "call fit(p, y) first.",
        )


def numbers(state: Mapping[str, Any], name: str, *, dimensions: int) -> FloatArray:
    """Return finite numbers from a saved state.

    Parameters
    ----------
    state : mapping
        What ``to_dict`` returned.
    name : str
        Its entry.
    dimensions : int
        0 for one number, 1 for a list.

    Returns
    -------
    ndarray of float64
        The numbers.

    Raises
    ------
    CalibratorStateError
        Where they are missing, of another shape, or not finite.
    """
    try:
        values = np.asarray(state[name], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"'{name}' is missing or not made of numbers"
        raise CalibratorStateError(problem) from error
    if values.ndim != dimensions or not np.isfinite(values).all():
        problem = f"'{name}' is not finite or has the wrong shape"
        raise CalibratorStateError(problem)
    return values


def require_kind(state: Mapping[str, Any], kind: str) -> None:
    """Refuse the state of another kind of calibrator.

    Parameters
    ----------
    state : mapping
        What ``to_dict`` returned.
    kind : str
        The kind that can read it.

    Raises
    ------
    CalibratorStateError
        Where it is another.
    """
    if state.get("kind") != kind:
        problem = f"its kind is {state.get('kind')!r}, not {kind!r}"
        raise CalibratorStateError(problem)


def require_number(value: float, name: str, *, zero_allowed: bool = False) -> None:
    """Refuse a parameter that is not a finite number above zero.

    Parameters
    ----------
    value : float
        What was given.
    name : str
        What the parameter is called.
    zero_allowed : bool, default False
        Whether zero is possible too.

    Raises
    ------
    ConfigurationError
        Where it is not.
    """
    possible = value > 0.0 or (zero_allowed and value == 0.0)
    if not (possible and np.isfinite(value)):
        what = f"'{name}' is {value!r}."
        why = f"It must be a finite number {'of zero or more' if zero_allowed else 'above zero'}."
        raise ConfigurationError(what, why, "leave it out to take the default.")
