"""Which features are numbers, and which values have the others?

Rows to learn from are a pandas frame, rows to answer for are an Arrow batch. Both give the very same
numbers, and the way from a batch never touches pandas.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["FeatureColumns", "FeatureRows", "has_column", "numbers_of"]

FeatureRows: TypeAlias = "pd.DataFrame | pa.RecordBatch"
"""Rows of features, in columns that have names."""

_UNKNOWN: Final = -1
_LARGEST: Final = 1e30
"""Larger numbers say no more than that they are large, and would overflow in single precision."""


def has_column(features: FeatureRows, name: str) -> bool:
    """Return whether there is a column of that name.

    Parameters
    ----------
    features : pandas.DataFrame or pyarrow.RecordBatch
        The rows.
    name : str
        The column.

    Returns
    -------
    bool
        True where it is there, if without values.
    """
    batch = _as_batch(features)
    return name in (features.columns if batch is None else batch.schema.names)


def numbers_of(features: FeatureRows, name: str) -> npt.NDArray[np.float64]:
    """Return a column of numbers.

    Parameters
    ----------
    features : pandas.DataFrame or pyarrow.RecordBatch
        With this column.
    name : str
        The column: numbers or booleans.

    Returns
    -------
    ndarray of float64, shape (rows,)
        NaN where missing; from a batch without missing values it is a view, not to be written to.
    """
    import pyarrow as pa

    batch = _as_batch(features)
    if batch is None:
        frame = cast("pd.DataFrame", features)
        return np.asarray(frame[name].to_numpy(dtype=np.float64, na_value=np.nan))
    column = batch.column(name)
    if not pa.types.is_float64(column.type):
        # As numpy does: a whole number that has no float is the nearest one.
        column = column.cast(pa.float64(), safe=False)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _as_batch(features: FeatureRows) -> "pa.RecordBatch | None":
    import pyarrow as pa

    return features if isinstance(features, pa.RecordBatch) else None


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

    def fill(self, features: FeatureRows, matrix: npt.NDArray[np.floating]) -> None:
        """Write the columns of numbers into the first columns of a matrix.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With these columns, in any order.
        matrix : ndarray of float32 or float64, shape (rows, numbers or more)
            Gets numbers within 1e30 of zero, and NaN where they are missing.
        """
        for place, name in enumerate(self.numbers):
            numbers = numbers_of(features, name)
            np.clip(numbers, -_LARGEST, _LARGEST, out=matrix[:, place], casting="same_kind")

    def values(self, features: FeatureRows) -> npt.NDArray[np.float64]:
        """Return the columns of numbers.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With these columns, in any order.

        Returns
        -------
        ndarray of float64, shape (rows, numbers)
            Within 1e30 of zero, NaN where missing; row by row in memory.
        """
        matrix = np.empty((len(features), len(self.numbers)), dtype=np.float64)
        self.fill(features, matrix)
        return matrix

    def codes(self, features: FeatureRows, name: str) -> npt.NDArray[np.int64]:
        """Return the place of each value among the categories of a column.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With this column.
        name : str
            The column; values that are no text are told apart by their text.

        Returns
        -------
        ndarray of int64, shape (rows,)
            -1 where the value is missing, or was not seen when this was learned.
        """
        known = self.categories[name]
        batch = _as_batch(features)
        if batch is None:
            return _places_in_frame(cast("pd.DataFrame", features), name, known)
        return _places(batch.column(name), known)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for a file."""
        categories = {name: list(values) for name, values in self.categories.items()}
        return {"numbers": list(self.numbers), "categories": categories}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "FeatureColumns":
        """Return what :meth:`to_dict` wrote."""
        categories = {name: tuple(values) for name, values in content["categories"].items()}
        return cls(tuple(content["numbers"]), categories)


def _places_in_frame(
    features: "pd.DataFrame", name: str, known: tuple[str, ...]
) -> npt.NDArray[np.int64]:
    import pandas as pd

    values = features[name].astype("object")
    if pd.api.types.infer_dtype(values, skipna=True) not in {"string", "empty"}:
        values = values.map(str, na_action="ignore")
    places = pd.Index(list(known), dtype="object").get_indexer(pd.Index(values, dtype="object"))
    return np.asarray(places, dtype=np.int64)


def _places(column: "pa.Array", known: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return the place of each value among some texts, -1 where it is missing or not there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(column.type):
        return np.full(len(column), _UNKNOWN, dtype=np.int64)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        found = pc.index_in(column, value_set=pa.array(known, column.type))
        return np.asarray(found.fill_null(_UNKNOWN), dtype=np.int64)
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    texts = pa.array([_text(value) for value in coded.dictionary.to_pylist()], pa.string())
    # The place behind the last one is that of a missing value.
    places = np.append(_places(texts, known), _UNKNOWN)
    return cast("npt.NDArray[np.int64]", places[coded.indices.fill_null(len(texts)).to_numpy()])


def _text(value: object) -> str | None:
    return None if value is None or value != value else str(value)  # NaN is not itself
