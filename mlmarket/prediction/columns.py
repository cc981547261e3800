"""Which features are numbers, and which values have the others?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FeatureColumns"]

_LARGEST: Final = 1e30
"""Larger numbers say no more than that they are large, and would overflow in single precision."""


@dataclass(frozen=True, slots=True)
class FeatureColumns:
    """What the columns of a frame of features were like when a learner saw them.

    Parameters
    ----------
    numbers : tuple of str
        Columns of numbers.
    categories : mapping of str to tuple of str
        The other columns, with the values that are told apart, the most frequent first.
    """

    numbers: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def learn(cls, features: "pd.DataFrame", *, most: int = 40) -> "FeatureColumns":
        """Look at a frame.

        Parameters
        ----------
        features : pandas.DataFrame
            Numbers, and text for categories.
        most : int, default 40
            How many values of a category are told apart; the rest counts as missing.

        Returns
        -------
        FeatureColumns
            The same for every order of the rows.
        """
        numbers = [name for name in features.columns if features[name].dtype.kind in "fiub"]
        categories = {}
        for name in features.columns:
            if name not in numbers:
                counts = features[name].astype("object").value_counts()
                frequent = sorted(counts.index, key=lambda value: (-counts[value], str(value)))
                categories[str(name)] = tuple(str(value) for value in frequent[:most])
        return cls(tuple(str(name) for name in numbers), categories)

    def values(self, features: "pd.DataFrame") -> npt.NDArray[np.float64]:
        """Return the columns of numbers.

        Parameters
        ----------
        features : pandas.DataFrame
            With these columns, in any order.

        Returns
        -------
        ndarray of float64, shape (rows, numbers)
            Within 1e30 of zero, NaN where missing.
        """
        raw = features[list(self.numbers)].to_numpy(dtype=np.float64, na_value=np.nan)
        kept: npt.NDArray[np.float64] = np.clip(raw, -_LARGEST, _LARGEST)
        return kept

    def codes(self, features: "pd.DataFrame", name: str) -> npt.NDArray[np.int64]:
        """Return the place of each value among the categories of a column.

        Parameters
        ----------
        features : pandas.DataFrame
            With this column.
        name : str
            The column.

        Returns
        -------
        ndarray of int64, shape (rows,)
            -1 where the value is missing, or was not seen when this was learned.
        """
        import pandas as pd

        known = pd.Index(list(self.categories[name]), dtype="object")
        places = known.get_indexer(pd.Index(features[name].astype("object"), dtype="object"))
        return np.asarray(places, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for a file."""
        categories = {name: list(values) for name, values in self.categories.items()}
        return {"numbers": list(self.numbers), "categories": categories}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "FeatureColumns":
        """Return what :meth:`to_dict` wrote."""
        categories = {name: tuple(values) for name, values in content["categories"].items()}
        return cls(tuple(content["numbers"]), categories)
