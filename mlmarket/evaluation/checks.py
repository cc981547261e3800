"""Can these labels, predictions, weights and groups be compared at all?

Every measure passes its input through here, so that a wrong array stops with a sentence
instead of becoming a plausible number.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlmarket.errors import ConfigurationError

__all__ = [
    "PROBABILITY_FLOOR",
    "FloatArray",
    "as_group_codes",
    "as_labels",
    "as_pair",
    "as_probabilities",
    "as_value_pair",
    "as_values",
    "as_weights",
    "require_count",
    "require_fraction",
]

FloatArray = NDArray[np.float64]

PROBABILITY_FLOOR: Final = 1e-15
"""Predictions are kept this far from 0 and 1 wherever a logarithm is taken of them."""


def _as_floats(values: ArrayLike, name: str) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        what = f"'{name}' holds something that is not a number: {error}."
        why = "A measure needs one number a row."
        fix = "leave out the rows without a value first, then pass numbers."
        raise ConfigurationError(what, why, fix) from error
    if array.ndim != 1:
        what = f"'{name}' has {array.ndim} dimensions, one is expected."
        why = "A measure needs one number a row."
        fix = "pass one column, such as predict_proba(X)[:, 1]."
        raise ConfigurationError(what, why, fix)
    if array.size == 0:
        what = f"'{name}' is empty."
        why = "Nothing can be measured on no rows."
        fix = "check the cutoffs and the filter that chose the rows."
        raise ConfigurationError(what, why, fix)
    return array


def _refuse(wrong: NDArray[np.bool_], name: str, problem: str, why: str, fix: str) -> None:
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        what = (
            f"'{name}' {problem} in {int(wrong.sum())} of {wrong.size} rows, first in row {first}."
        )
        raise ConfigurationError(what, why, fix)


def as_probabilities(values: ArrayLike, name: str = "p") -> FloatArray:
    """Return predictions as an array of finite numbers from 0 to 1.

    Parameters
    ----------
    values : array-like of shape (n,)
        Predicted probabilities.
    name : str, default "p"
        What the argument is called in an error.

    Returns
    -------
    ndarray of float64, shape (n,)
        The predictions.

    Raises
    ------
    ConfigurationError
        Where they are empty, not one-dimensional, not finite or outside 0 to 1.
    """
    array = _as_floats(values, name)
    missing = "No measure is defined on a missing prediction."
    _refuse(
        ~np.isfinite(array), name, "is not finite", missing, "leave out rows without a prediction."
    )
    outside = (array < 0.0) | (array > 1.0)
    why = "A probability lies between 0 and 1."
    _refuse(outside, name, "is outside 0 to 1", why, "pass probabilities, not scores or per cents.")
    return array


def as_labels(values: ArrayLike, name: str = "y") -> FloatArray:
    """Return labels as an array of zeros and ones.

    Parameters
    ----------
    values : array-like of shape (n,)
        Booleans, or the numbers 0 and 1.
    name : str, default "y"
        What the argument is called in an error.

    Returns
    -------
    ndarray of float64, shape (n,)
        The labels.

    Raises
    ------
    ConfigurationError
        Where they are empty, not one-dimensional, or anything but 0 and 1.
    """
    array = _as_floats(values, name)
    wrong = (array != 0.0) & (array != 1.0)
    why = "A label says that something happened (1) or did not (0)."
    fix = "leave out rows whose window is still open, and pass 0 and 1."
    _refuse(wrong, name, "is neither 0 nor 1", why, fix)
    return array


def as_pair(y: ArrayLike, p: ArrayLike, name: str = "p") -> tuple[FloatArray, FloatArray]:
    """Return labels and predictions of the same rows.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, 0 or 1.
    p : array-like of shape (n,)
        Predicted probabilities.
    name : str, default "p"
        What the predictions are called in an error.

    Returns
    -------
    tuple of two ndarrays of float64, shape (n,)
        Labels and predictions.

    Raises
    ------
    ConfigurationError
        Where either is unusable, or they differ in length.
    """
    labels = as_labels(y)
    predictions = as_probabilities(p, name)
    _require_length(predictions.size, labels.size, name)
    return labels, predictions


def as_values(values: ArrayLike, name: str) -> FloatArray:
    """Return amounts, such as money or orders, as an array of finite numbers of zero or more.

    Parameters
    ----------
    values : array-like of shape (n,)
        Amounts.
    name : str
        What the argument is called in an error.

    Returns
    -------
    ndarray of float64, shape (n,)
        The amounts.

    Raises
    ------
    ConfigurationError
        Where they are empty, not one-dimensional, not finite or below zero.
    """
    array = _as_floats(values, name)
    missing = "No measure is defined on a missing value."
    _refuse(~np.isfinite(array), name, "is not finite", missing, "leave out rows without a value.")
    why = "Shares of a total are not defined where some of it is owed back."
    fix = "count who returned more than they bought as 0, as numpy.maximum(value, 0) does."
    _refuse(array < 0.0, name, "is below zero", why, fix)
    return array


def as_value_pair(
    actual: ArrayLike, predicted: ArrayLike, name: str = "predicted"
) -> tuple[FloatArray, FloatArray]:
    """Return observed and predicted amounts of the same rows.

    Parameters
    ----------
    actual, predicted : array-like of shape (n,)
        Amounts of zero or more.
    name : str, default "predicted"
        What the predictions are called in an error.

    Returns
    -------
    tuple of two ndarrays of float64, shape (n,)
        Observed and predicted.

    Raises
    ------
    ConfigurationError
        Where either is unusable, or they differ in length.
    """
    observed = as_values(actual, "actual")
    predictions = as_values(predicted, name)
    _require_length(predictions.size, observed.size, name)
    return observed, predictions


def as_weights(values: ArrayLike | None, size: int) -> FloatArray:
    """Return the weight of each row, one where none is given.

    Parameters
    ----------
    values : array-like of shape (n,), or None
        Weights, zero or more.
    size : int
        How many rows there are.

    Returns
    -------
    ndarray of float64, shape (n,)
        The weights.

    Raises
    ------
    ConfigurationError
        Where a weight is negative or not finite, or all are zero.
    """
    if values is None:
        return np.ones(size)
    weights = _as_floats(values, "sample_weight")
    _require_length(weights.size, size, "sample_weight")
    why = "A weight says how many rows this one stands for."
    wrong = ~np.isfinite(weights) | (weights < 0.0)
    _refuse(
        wrong, "sample_weight", "is negative or not finite", why, "pass weights of zero or more."
    )
    if not weights.any():
        what = "'sample_weight' is zero in every row."
        raise ConfigurationError(what, why, "pass at least one weight above zero.")
    return weights


def as_group_codes(groups: ArrayLike | None, size: int) -> tuple[NDArray[np.intp], int]:
    """Return the number of each row's group, and how many groups there are.

    Parameters
    ----------
    groups : array-like of shape (n,), or None
        The contact that each row belongs to; None makes each row its own group.
    size : int
        How many rows there are.

    Returns
    -------
    tuple of ndarray of int, shape (n,), and int
        Codes from 0, in the order of the sorted names, and their number.

    Raises
    ------
    ConfigurationError
        Where the length differs, a group is missing, or there are fewer than two.
    """
    import pandas as pd

    if groups is None:
        codes, count = np.arange(size, dtype=np.intp), size
    else:
        names = groups if isinstance(groups, pd.Series | pd.Index) else np.asarray(groups)
        _require_length(len(names), size, "groups")
        # A hash first and a sort of the few distinct names: a sort of all rows is far slower.
        codes, distinct = pd.factorize(names, sort=True)
        count = len(distinct)
        why = "Rows are resampled by contact."
        _refuse(codes < 0, "groups", "is missing", why, "give every row its contact_id.")
    if count < 2:
        what = "There is only one group."
        why = "How much a measure varies between contacts cannot be seen in one."
        raise ConfigurationError(what, why, "pass rows of at least two contacts.")
    return codes, count


def require_count(value: object, name: str) -> None:
    """Refuse a number that is not a whole number of at least one.

    Parameters
    ----------
    value : object
        What was given.
    name : str
        What the argument is called in an error.

    Raises
    ------
    ConfigurationError
        Where it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        what = f"'{name}' is {value!r}."
        why = "It counts something, so it is a whole number of at least 1."
        raise ConfigurationError(what, why, f"pass {name}=1 or more.")


def require_fraction(value: float, name: str, *, inclusive: bool = False) -> None:
    """Refuse a number that is not between 0 and 1.

    Parameters
    ----------
    value : float
        What was given.
    name : str
        What the argument is called in an error.
    inclusive : bool, default False
        Whether 0 and 1 themselves are allowed.

    Raises
    ------
    ConfigurationError
        Where it is not.
    """
    inside = 0.0 <= value <= 1.0 if inclusive else 0.0 < value < 1.0
    if not inside:
        what = f"'{name}' is {value!r}."
        why = f"It is a fraction {'from' if inclusive else 'between'} 0 {'to' if inclusive else 'and'} 1."
        raise ConfigurationError(what, why, f"pass a fraction, such as {name}=0.1 for 10 %.")


def _require_length(length: int, expected: int, name: str) -> None:
    if length != expected:
        what = f"'{name}' has {length} rows, {expected} are expected."
        why = "Row i of every argument must speak of the same contact at the same time."
        raise ConfigurationError(what, why, "take all of them from the same frame.")
