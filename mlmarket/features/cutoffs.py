"""For whom, and when, does somebody want to know?

A caller's frame of ``contact_id, as_of`` becomes text ids and UTC microseconds, or is refused.
"""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mlmarket.errors import ConfigurationError
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.connect import to_arrow
from mlmarket.market.time import day_start

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["cutoff_frame", "normal_cutoffs"]


def cutoff_frame(frame: object, *, zone: ZoneInfo) -> "pa.Table":
    """Return a caller's frame as text ids and naive UTC microseconds, each row once.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        With ``contact_id`` and ``as_of``: instants with a zone, or dates.
    zone : ZoneInfo
        Where a date ends.

    Returns
    -------
    pyarrow.Table
        ``contact_id`` and ``as_of``.

    Raises
    ------
    ConfigurationError
        Where a column is missing, holds missing values, or has no zone.
    """
    rows = normal_cutoffs(frame, zone=zone)
    return rows.group_by([CONTACT_ID, AS_OF]).aggregate([]).select([CONTACT_ID, AS_OF])


def normal_cutoffs(frame: object, *, zone: ZoneInfo) -> "pa.Table":
    """Return the two columns of a frame of cutoffs as :func:`cutoff_frame` does, row by row.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        With ``contact_id`` and ``as_of``.
    zone : ZoneInfo
        Where a date ends.

    Returns
    -------
    pyarrow.Table
        As many rows as were given, in their order.

    Raises
    ------
    ConfigurationError
        As :func:`cutoff_frame`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = _two_columns(frame)
    for column in (CONTACT_ID, AS_OF):
        if table.column(column).null_count:
            raise ConfigurationError(
                f"The column '{column}' of the cutoffs has missing values.",
                "A row about nobody, or about no instant, has no answer.",
                f"leave such rows out: frame.dropna(subset=['{column}']).",
            )
    ids = table.column(CONTACT_ID)
    # A frame without rows may have columns of no type.
    if not (_is_text(ids.type) or pa.types.is_integer(ids.type) or pa.types.is_null(ids.type)):
        raise ConfigurationError(
            f"The column 'contact_id' of the cutoffs is {ids.type}, not text.",
            "A number with decimals or a date is written in more than one way.",
            "convert it to the text that the tables hold.",
        )
    return pa.table(
        {CONTACT_ID: pc.cast(ids, pa.string()), AS_OF: _instants(table.column(AS_OF), zone)}
    )


def _two_columns(frame: object) -> "pa.Table":
    import pandas as pd
    import pyarrow as pa

    given = frame if isinstance(frame, pd.DataFrame) else to_arrow(frame, name="cutoffs")
    names = list(given.columns) if isinstance(given, pd.DataFrame) else given.column_names
    for column in (CONTACT_ID, AS_OF):
        if column not in names:
            raise ConfigurationError(
                f"The frame of cutoffs has no column '{column}'.",
                "Each row says for whom and when.",
                "pass a frame with contact_id and as_of.",
            )
    if not isinstance(given, pd.DataFrame):
        return given.select([CONTACT_ID, AS_OF])
    # pandas 3.1 warns where Arrow reads instants with a zone; in UTC they need none.
    aware = isinstance(given[AS_OF].dtype, pd.DatetimeTZDtype)
    moments = given[AS_OF].dt.tz_convert(None) if aware else given[AS_OF]
    table = to_arrow(pd.DataFrame({CONTACT_ID: given[CONTACT_ID], AS_OF: moments}), name="cutoffs")
    if not aware:
        return table
    column = table.column(AS_OF)
    return table.set_column(1, AS_OF, column.cast(pa.timestamp(column.type.unit, "UTC")))


def _is_text(dtype: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(dtype):
        dtype = dtype.value_type
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(dtype) for is_kind in kinds)


def _instants(column: Any, zone: ZoneInfo) -> Any:  # noqa: ANN401 - Arrow columns are untyped
    import pyarrow as pa
    import pyarrow.compute as pc

    naive = pa.timestamp("us")
    if pa.types.is_date(column.type):
        days = column.cast(pa.date32()).to_pylist()
        ends = {day: _day_end(day, zone) for day in set(days)}
        return pa.array([ends[day] for day in days], naive)
    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        raise ConfigurationError(
            f"The column 'as_of' of the cutoffs is {column.type}, not an instant with a zone.",
            "An instant without a zone may be hours away from what was meant.",
            'convert it: pd.to_datetime(frame["as_of"], utc=True).',
        )
    # No row is told apart by less than a microsecond.
    return pc.cast(column, pa.timestamp("us", "UTC"), safe=False).cast(naive)


def _day_end(day: date, zone: ZoneInfo) -> datetime:
    end: datetime = day_start(day + timedelta(days=1), zone) - timedelta(microseconds=1)
    return end.astimezone(UTC).replace(tzinfo=None)
