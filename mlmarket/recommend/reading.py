"""How does a frame become interactions?"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError, suggestion
from mlmarket.market.columns import CONTACT_ID, OCCURRED_AT
from mlmarket.market.frames import to_arrow
from mlmarket.market.time import to_utc

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "days",
    "days_of",
    "ids",
    "numbers_of",
    "occasions_back",
    "read_interactions",
    "whole_numbers",
]

_ITEM: Final = "item_id"
_ORDER: Final = "order"
_WEIGHT: Final = "weight"
_BOUGHT: Final = "bought"
_TABLE: Final = "interactions"
_DAY_US: Final = 86_400_000_000
_EXACT: Final = 2**53
"""Above it, a float is no longer told from the next whole number."""


def days(moment: datetime) -> float:
    """Return an instant in days since 1970, UTC.

    Parameters
    ----------
    moment : datetime
        With a zone.

    Returns
    -------
    float
        Exact to less than a microsecond for this century.
    """
    utc = np.datetime64(to_utc(moment).replace(tzinfo=None), "us")
    return float(utc.astype(np.int64)) / _DAY_US


def read_interactions(
    frame: object, *, as_of: datetime | None, items: "pa.StringArray | None"
) -> dict[str, Any]:
    """Return the fields of :class:`~mlmarket.recommend.interactions.Interactions` from a frame.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        See :meth:`~mlmarket.recommend.interactions.Interactions.from_frame`.
    as_of : datetime or None
        See there.
    items : pyarrow.StringArray or None
        See there.

    Returns
    -------
    dict of str to object
        By name.

    Raises
    ------
    ConfigurationError
        Where the frame or `as_of` cannot be used.
    DataContractError
        Where rows cannot be used.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = to_arrow(frame, name=_TABLE)
    who, what = ids(table, CONTACT_ID, name=_TABLE), ids(table, _ITEM, name=_TABLE)
    at, now = _times(table, as_of)
    weight, bought = _weights(table), _purchases(table)
    counted: dict[str, int] = {}
    keep = np.ones(len(at), dtype=np.bool_)
    if not np.isnan(now):
        keep &= _count(counted, "after as_of", keep, at <= now)
    keep &= _count(counted, "without weight", keep, weight > 0)
    if items is not None:
        known = pc.is_in(what, value_set=items).to_numpy(zero_copy_only=False)
        keep &= _count(counted, "of items that are not known", keep, known)
    kept = pa.array(np.flatnonzero(keep))
    who, what, at, weight = who.take(kept), what.take(kept), at[keep], weight[keep]
    contacts = _ascending(who)
    items = _ascending(what) if items is None else items
    contact = pc.index_in(who, value_set=contacts).to_numpy(zero_copy_only=False)
    item = pc.index_in(what, value_set=items).to_numpy(zero_copy_only=False)
    order = np.lexsort((item, at, contact))
    contact, item, at, weight = contact[order], item[order], at[order], weight[order]
    first = np.ones(len(at), dtype=np.bool_)
    first[1:] = np.diff(contact) != 0
    first[1:] |= (np.diff(at) != 0) | (np.diff(item) != 0)
    _count(counted, "repeated", np.ones_like(first), first)
    begins = np.flatnonzero(first)
    weight = np.add.reduceat(weight, begins) if len(weight) else weight
    if bought is not None:
        bought = np.logical_or.reduceat(bought[keep][order], begins) if len(weight) else bought[:0]
    contact, item, at = contact[first], item[first], at[first]
    start = np.searchsorted(contact, np.arange(len(contacts) + 1)).astype(np.int64)
    return {
        "contacts": contacts,
        "items": items,
        "start": start,
        "item": item.astype(np.int32),
        "at": at,
        "weight": weight.astype(np.float32),
        "now": now,
        "left_out": counted,
        "bought": bought,
    }


def ids(table: "pa.Table", column: str, *, name: str) -> "pa.StringArray":
    """Return a column of ids as text.

    Parameters
    ----------
    table : pyarrow.Table
        With the column.
    column, name : str
        Its name, and the table's, for messages.

    Returns
    -------
    pyarrow.StringArray
        Whole numbers in digits, also where they stand as floats: 17850.0 is ``"17850"``.

    Raises
    ------
    ConfigurationError
        Where there is no such column, or it holds no ids.
    DataContractError
        Where one is missing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    values = _column(
        table, column, name, "It says whose row it is." if column == CONTACT_ID else ""
    )
    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if types.is_floating(values.type):
        values = whole_numbers(values)
    if not (types.is_integer(values.type) or _is_text(values.type) or types.is_null(values.type)):
        raise ConfigurationError(
            f"Column '{column}' of table '{name}' holds {values.type}, which is no id.",
            "Ids are text or whole numbers; other numbers are not told apart for sure.",
            f"convert it first, such as frame['{column}'].astype('Int64').astype(str).",
        )
    if _is_text(values.type):
        values = values.cast(pa.string())
        blank = pc.equal(pc.utf8_trim_whitespace(values), "")
        values = pc.if_else(blank, pa.scalar(None, values.type), values)
    if values.null_count:
        raise DataContractError(
            f"Table '{name}' has {values.null_count:,} of {len(values):,} rows without '{column}'.",
            "A row that belongs to nobody or nothing cannot be learned from.",
            f"leave these rows out, such as frame.dropna(subset=['{column}']).",
        )
    return cast("pa.StringArray", values.cast(pa.string()))


def whole_numbers(values: "pa.Array") -> "pa.Array":
    """Return floats that are whole numbers as such; others stay what they are.

    A column of whole numbers becomes one of floats as soon as a table with gaps is read.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray
        Of floats.

    Returns
    -------
    pyarrow.Array or pyarrow.ChunkedArray
        Of int64 where every value that is there is finite and whole.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        whole = values.cast(pa.float64()).cast(pa.int64())
    except pa.ArrowInvalid:  # it has fractions, or is not finite
        return values
    ends = pc.min_max(whole)
    exact = all(abs(one.as_py() or 0) <= _EXACT for one in ends.values())
    return whole if exact else values


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow.types as types

    texts = (types.is_string, types.is_large_string, types.is_string_view)
    return any(is_text(kind) for is_text in texts)


def _column(table: "pa.Table", column: str, name: str, why: str) -> "pa.Array":
    import pyarrow as pa

    if column not in table.column_names:
        raise ConfigurationError(
            f"Table '{name}' has no column '{column}'.",
            why or "Recommendations are learned from who did what with which item.",
            suggestion(column, table.column_names),
        )
    values = table.column(column).combine_chunks()
    return pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values


def _times(table: "pa.Table", as_of: datetime | None) -> tuple[npt.NDArray[np.float64], float]:
    if OCCURRED_AT in table.column_names:
        if as_of is None:
            raise ConfigurationError(
                f"Table '{_TABLE}' has times, and no as_of says what was known.",
                "Rows after the night that is asked about would be learned from.",
                "pass as_of=…, the instant at which recommendations are made.",
            )
        return days_of(table, OCCURRED_AT, name=_TABLE), days(as_of)
    if _ORDER not in table.column_names:
        raise ConfigurationError(
            f"Table '{_TABLE}' has no column '{OCCURRED_AT}', and no '{_ORDER}'.",
            "What comes next depends on what came last.",
            suggestion(OCCURRED_AT, table.column_names),
        )
    return numbers_of(table, _ORDER, name=_TABLE), float("nan")


def days_of(table: "pa.Table", column: str, *, name: str) -> npt.NDArray[np.float64]:
    """Return a column of times in days since 1970, UTC.

    Parameters
    ----------
    table : pyarrow.Table
        With the column.
    column, name : str
        Its name, and the table's, for messages.

    Returns
    -------
    ndarray of float64, shape (rows,)
        Dates are their midnight.

    Raises
    ------
    ConfigurationError
        Where there is no such column, or it holds no times.
    DataContractError
        Where one is missing.
    """
    import pyarrow as pa
    import pyarrow.types as types

    values = _column(table, column, name, "What comes next depends on what came last.")
    if types.is_date(values.type):
        values = values.cast(pa.timestamp("us"))
    if not types.is_timestamp(values.type):
        raise ConfigurationError(
            f"Column '{column}' of table '{name}' holds {values.type}, which is no time.",
            "What comes next depends on what came last.",
            f"convert it first, such as pandas.to_datetime(frame['{column}']).",
        )
    if values.null_count:
        raise DataContractError(
            f"Table '{name}' has {values.null_count:,} of {len(values):,} rows without a time.",
            "A row without a time may lie in the future.",
            f"leave these rows out, such as frame.dropna(subset=['{column}']).",
        )
    whole = values.cast(pa.timestamp("us", values.type.tz), safe=False).cast(pa.int64())
    return cast("npt.NDArray[np.float64]", whole.to_numpy(zero_copy_only=False) / _DAY_US)


def numbers_of(table: "pa.Table", column: str, *, name: str) -> npt.NDArray[np.float64]:
    """Return a column of numbers.

    Parameters
    ----------
    table : pyarrow.Table
        With the column.
    column, name : str
        Its name, and the table's, for messages.

    Returns
    -------
    ndarray of float64, shape (rows,)
        All finite.

    Raises
    ------
    ConfigurationError
        Where there is no such column, or it holds no numbers.
    DataContractError
        Where one is missing.
    """
    import pyarrow as pa

    values = _column(table, column, name, "It is compared and added up.")
    try:
        numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigurationError(
            f"Column '{column}' of table '{name}' holds {values.type}, which is no number.",
            "It is compared and added up.",
            f"convert it first, such as pandas.to_numeric(frame['{column}']).",
        ) from error
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise DataContractError(
            f"Column '{column}' of table '{name}' is missing or not finite in {len(bad):,} rows.",
            "It is compared and added up.",
            "fill it or leave these rows out.",
        )
    return cast("npt.NDArray[np.float64]", numbers)


def _weights(table: "pa.Table") -> npt.NDArray[np.float64]:
    if _WEIGHT not in table.column_names:
        return np.ones(table.num_rows)
    weight = numbers_of(table, _WEIGHT, name=_TABLE)
    below = np.flatnonzero(weight < 0)
    if len(below):
        who = table.column(CONTACT_ID)[int(below[0])].as_py()
        raise DataContractError(
            f"Table '{_TABLE}' has {len(below):,} rows with a '{_WEIGHT}' below 0, "
            f"such as {weight[below[0]]:g} of contact '{who}'.",
            "A return or a cancellation is no sign that somebody wants an item.",
            "leave returns out, or add them to the purchase they undo.",
        )
    return weight


def _purchases(table: "pa.Table") -> npt.NDArray[np.bool_] | None:
    """Return which rows are purchases; None where nothing says so, and all are."""
    import pyarrow as pa

    if _BOUGHT not in table.column_names:
        return None
    values = _column(table, _BOUGHT, _TABLE, "")
    try:
        flags = values.cast(pa.bool_())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigurationError(
            f"Column '{_BOUGHT}' of table '{_TABLE}' holds {values.type}, which is neither yes nor no.",
            "It says which rows are purchases, and which only views.",
            f"convert it first, such as frame['{_BOUGHT}'] = frame['event_type'] == 'order'.",
        ) from error
    if flags.null_count:
        raise DataContractError(
            f"Table '{_TABLE}' has {flags.null_count:,} of {len(flags):,} rows without '{_BOUGHT}'.",
            "It says which rows are purchases, and which only views.",
            f"write false where nobody bought, such as frame['{_BOUGHT}'].fillna(False).",
        )
    return cast("npt.NDArray[np.bool_]", flags.to_numpy(zero_copy_only=False))


def _count(
    counted: dict[str, int],
    reason: str,
    among: npt.NDArray[np.bool_],
    good: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Note how many rows fall away for a reason, of those that are still there."""
    lost = int(np.count_nonzero(among & ~good))
    if lost:
        counted[reason] = lost
    return good


def _ascending(values: "pa.StringArray") -> "pa.StringArray":
    import pyarrow.compute as pc

    found = pc.unique(values)
    return cast("pa.StringArray", found.take(pc.sort_indices(found)))


def _occasions_back(
    start: npt.NDArray[np.int64], at: npt.NDArray[np.float64], back: npt.NDArray[np.int32]
) -> None:
    for contact in range(len(start) - 1):
        count = 0
        for row in range(start[contact + 1] - 1, start[contact] - 1, -1):
            if row < start[contact + 1] - 1 and at[row] != at[row + 1]:
                count += 1
            back[row] = count


_occasions_back = numba.njit(cache=True, nogil=True, error_model="numpy")(_occasions_back)


def occasions_back(
    start: npt.NDArray[np.int64], at: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    """Return how many occasions of the same contact came after each row's.

    Parameters
    ----------
    start : ndarray of int64, shape (contacts + 1,)
        Where each contact's rows begin.
    at : ndarray of float64, shape (rows,)
        When; ascending within a contact, equal on one occasion.

    Returns
    -------
    ndarray of int32, shape (rows,)
        0 for the latest occasion.
    """
    back = np.empty(len(at), dtype=np.int32)
    _occasions_back(start, at, back)
    return back
