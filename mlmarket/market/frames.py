"""How does a frame become rows of one type a column?"""

from typing import TYPE_CHECKING, Any

from mlmarket.errors import ConfigurationError
from mlmarket.market.violations import ContractViolationError, unreadable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["to_arrow", "without_nulls"]


def to_arrow(frame: object, *, name: str) -> "pa.Table":
    """Return a pandas, polars or Arrow frame as an Arrow table.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        Anything that speaks the Arrow stream protocol, or a pandas frame.
    name : str
        The table's name, for messages.

    Returns
    -------
    pyarrow.Table
        The same rows; the index of a pandas frame is left out.

    Raises
    ------
    ConfigurationError
        Where it is no frame.
    ContractViolationError
        Where a column holds values of several types, or a name stands twice.
    """
    import pyarrow as pa

    if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
        table = _from_pandas(frame, name)
    elif isinstance(frame, pa.Table):
        table = frame
    else:
        table = _from_stream(frame, name)
    _refuse_twice(table.column_names, name)
    return table


def _from_stream(frame: object, name: str) -> "pa.Table":
    import pyarrow as pa

    try:
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.table(frame)
    except pa.ArrowInvalid:
        pass  # a single column speaks the protocol too
    raise ConfigurationError(
        f"Table '{name}' is a {type(frame).__name__}, which is no table.",
        "A Market is made of frames or Ibis tables.",
        "pass a pandas, polars or Arrow table, or a table of an Ibis connection.",
    )


def _refuse_twice(columns: list[str], name: str) -> None:
    folded = [column.casefold() for column in columns]
    twice = next((column for column in columns if folded.count(column.casefold()) > 1), None)
    if twice is not None:
        raise ContractViolationError(
            [
                unreadable(
                    name,
                    f"it has the column '{twice}' twice (upper and lower case count as one)",
                    "It would be chance which of the two is read.",
                    "rename one of them.",
                )
            ]
        )


def _from_pandas(frame: Any, name: str) -> "pa.Table":  # noqa: ANN401 - known as pandas by name
    import pandas as pd
    import pyarrow as pa

    _refuse_twice([str(column) for column in frame.columns], name)
    for place, column in enumerate(frame.columns):
        if pd.api.types.is_object_dtype(frame.dtypes.iloc[place]):
            _refuse_mixed_times(frame[column], name)
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        told = ". ".join(str(part) for part in reversed(error.args))
        raise _mixed(name, told) from error
    return table.replace_schema_metadata(None)


def _refuse_mixed_times(column: "pd.Series[Any]", name: str) -> None:
    """Refuse dates among times, and times with a zone among others: Arrow would drop the half."""
    kinds = {
        (type(value).__name__, getattr(value, "tzinfo", None) is not None)
        for value in column[column.notna()]
        if hasattr(value, "isoformat")
    }
    if len({("date" if kind == "date" else "time", zoned) for kind, zoned in kinds}) > 1:
        raise _mixed(name, f"Column {column.name} holds dates and times, with and without zones")


def _mixed(name: str, told: str) -> ContractViolationError:
    return ContractViolationError(
        [
            unreadable(
                name,
                f"a column mixes types. {told}",
                "A column has one type, so that every row is read alike.",
                "convert the column before passing it, such as frame['id'].astype(str).",
            )
        ]
    )


def without_nulls(table: "pa.Table") -> "pa.Table":
    """Return a table whose columns all have a type a database knows.

    Parameters
    ----------
    table : pyarrow.Table
        Columns that were never filled may have the type null.

    Returns
    -------
    pyarrow.Table
        They are text, without any value.
    """
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_null(field.type):
            empty = pa.nulls(table.num_rows, pa.string())
            table = table.set_column(place, field.name, empty)
    return table
