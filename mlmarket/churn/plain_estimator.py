"""What does scikit-learn ask of an estimator, without importing it?

Arguments are stored untouched under their own names, so that they can be listed, changed and cloned.
Its base class would have to be imported with the package, which takes a second.
"""

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, suggestion

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PlainEstimator", "content_order", "require_columns"]


class PlainEstimator:
    """Lists, changes and shows the arguments of an estimator; ``sklearn.base.clone`` works."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - theirs
        """Return the arguments by name.

        Parameters
        ----------
        deep : bool, default True
            As scikit-learn calls it; no argument is itself an estimator.

        Returns
        -------
        dict
            As they were given.
        """
        return {name: getattr(self, name) for name in _arguments(type(self))}

    def set_params(self, **params: object) -> Self:
        """Change arguments; what was learned stays until the next fit.

        Parameters
        ----------
        **params
            By name.

        Returns
        -------
        Self

        Raises
        ------
        ConfigurationError
            Where there is no such argument.
        """
        known = _arguments(type(self))
        for name, value in params.items():
            if name not in known:
                raise ConfigurationError(
                    f"{type(self).__name__} has no argument '{name}'.",
                    "A setting that is not known would silently do nothing.",
                    suggestion(name, known),
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Return the call that makes it."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({arguments})"

    def _require_learned(self, attribute: str) -> None:
        if not hasattr(self, attribute):
            from sklearn.exceptions import NotFittedError

            text = f"This {type(self).__name__} has not learned anything yet; call fit(X, y) first."
            raise NotFittedError(text)


def require_columns(frame: "pd.DataFrame", wanted: Iterable[str], why: str) -> None:
    """Refuse what is no frame, or lacks a column.

    Parameters
    ----------
    frame : pandas.DataFrame
        What was given.
    wanted : iterable of str
        Columns that it must have.
    why : str
        What they are for.

    Raises
    ------
    ConfigurationError
        With the near name, where there is one.
    """
    columns = getattr(frame, "columns", None)
    if columns is None:
        raise ConfigurationError(
            f"A frame is needed, not {type(frame).__name__}.",
            why,
            "pass a pandas.DataFrame with named columns.",
        )
    for name in wanted:
        if name not in columns:
            raise ConfigurationError(
                f"The frame has no column '{name}'.", why, suggestion(name, map(str, columns))
            )


def content_order(
    frame: "pd.DataFrame", label: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.intp]:
    """Return an order of rows that depends on what they hold, not on how they came.

    Trees draw rows by their place, and sums of floats depend on their order in the last digits.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows to learn from.
    label : ndarray of int, shape (rows,)
        Theirs.

    Returns
    -------
    ndarray of int, shape (rows,)
        Places; rows that hold the same are interchangeable.
    """
    import pandas as pd

    plain = frame.copy(deep=False)
    for name in plain.columns[[dtype.kind == "O" for dtype in plain.dtypes]]:
        plain[name] = plain[name].map(str, na_action="ignore")
    content = pd.util.hash_pandas_object(plain, index=False, categorize=True)
    return np.lexsort([np.asarray(label), content.to_numpy()])


def _arguments(kind: type) -> list[str]:
    parameters = list(inspect.signature(kind).parameters.values())
    return [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
