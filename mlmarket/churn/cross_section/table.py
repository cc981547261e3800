"""Which columns of a plain table say something, and how are they read?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlmarket.churn.plain_estimator import require_columns
from mlmarket.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table", "as_pandas"]

_MANY_VALUES: Final = 40
_NAMES_ROWS: Final = 0.5
"""Share of rows that have a text of their own, from which a column is an id."""


def as_pandas(frame: Any) -> Any:  # noqa: ANN401 - any frame
    """Return a frame of polars or Arrow as one of pandas; others as they are.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        Rows.

    Returns
    -------
    pandas.DataFrame
    """
    return frame.to_pandas() if hasattr(frame, "to_pandas") else frame


@dataclass(frozen=True, slots=True)
class Table:
    """How the columns of a frame are read.

    Parameters
    ----------
    columns : tuple of str
        All columns that it had.
    numbers : tuple of str
        Those that are read as numbers.
    texts : tuple of str
        Those that are read as categories.
    left_out : tuple of (str, str)
        Those that are not used, and why.
    """

    columns: tuple[str, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]

    @classmethod
    def learn(cls, frame: "pd.DataFrame") -> "Table":
        """Look at a frame.

        Parameters
        ----------
        frame : pandas.DataFrame
            Any columns.

        Returns
        -------
        Table
            The same for every order of the rows.

        Raises
        ------
        ConfigurationError
            Where it is no frame, two columns share a name, or none says anything.
        """
        require_columns(frame, (), "Columns are told apart by their names.")
        names = [str(name) for name in frame.columns]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigurationError(
                f"Two columns are called '{twice}'.",
                "Columns are told apart by their names.",
                "rename one of them.",
            )
        kinds = {name: _kind(frame.iloc[:, place]) for place, name in enumerate(names)}
        left_out = tuple((name, why) for name, (kind, why) in kinds.items() if not kind)
        if len(left_out) == len(names):
            raise ConfigurationError(
                "No column of the table tells its rows apart.",
                "A model that knows nothing of anybody says the same of everybody.",
                "add columns, or fill these: " + "; ".join(f"'{a}' {b}" for a, b in left_out[:3]),
            )
        numbers = tuple(name for name, (kind, _) in kinds.items() if kind == "number")
        texts = tuple(name for name, (kind, _) in kinds.items() if kind == "text")
        return cls(tuple(names), numbers, texts, left_out)

    def read(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Return the columns that are used.

        Parameters
        ----------
        frame : pandas.DataFrame
            With these columns, in any order.

        Returns
        -------
        pandas.DataFrame
            Numbers as floats, and texts; what a column of numbers holds else is missing.

        Raises
        ------
        ConfigurationError
            Where a column is missing.
        """
        import pandas as pd

        used = (*self.numbers, *self.texts)
        require_columns(frame, used, "The model learned from it.")
        named = frame.set_axis([str(name) for name in frame.columns], axis=1)
        columns: dict[str, Any] = {name: _as_numbers(named[name]) for name in self.numbers}
        for name in self.texts:
            columns[name] = named[name].astype("object").map(str, na_action="ignore")
        return pd.DataFrame(columns, index=frame.index)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for a file."""
        return {
            "columns": list(self.columns),
            "numbers": list(self.numbers),
            "texts": list(self.texts),
            "left_out": [list(one) for one in self.left_out],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Table":
        """Return what :meth:`to_dict` wrote."""
        return cls(
            columns=tuple(content["columns"]),
            numbers=tuple(content["numbers"]),
            texts=tuple(content["texts"]),
            left_out=tuple((name, why) for name, why in content["left_out"]),
        )


def _kind(column: "pd.Series[Any]") -> tuple[str, str]:
    """Return what a column is, or why it is not used."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return "", "is a time, and a table without a time of its own cannot say how long ago"
    if column.nunique() < 2:
        return "", "has the same value in all rows"
    if pd.api.types.is_numeric_dtype(column.dtype):
        return "number", ""
    filled = column.dropna().astype(str).str.strip()
    filled = filled[filled != ""]
    if len(filled) and pd.to_numeric(filled, errors="coerce").notna().all():
        return "number", ""
    values = filled.nunique()
    if values > _MANY_VALUES and values > _NAMES_ROWS * len(column):
        return "", f"has {values:,} different texts in {len(column):,} rows, as an id has"
    return "text", ""


def _as_numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    import numpy as np
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column.dtype):
        column = pd.to_numeric(column, errors="coerce")
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return pd.Series(np.where(np.isfinite(numbers), numbers, np.nan), index=column.index)
