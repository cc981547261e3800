"""What does a summary say, can it be true, and which of its rows are the same?

A likelihood asks for three numbers of a contact: how often it bought again (``frequency``, x), when
it last did (``recency``, t_x) and how long it is known (``T``). They are read by name from any
frame, refused where no contact can have them, and counted: of a million contacts a few thousand
differ when times are whole days.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError, nearest
from mlmarket.market.time import duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "FREQUENCY",
    "LENGTH",
    "MONETARY_VALUE",
    "RECENCY",
    "UNIT",
    "Floats",
    "Histories",
    "History",
    "count_histories",
    "read_column",
    "read_frequency",
    "read_history",
    "read_values",
]

Floats = npt.NDArray[np.float64]

FREQUENCY: Final = "frequency"
RECENCY: Final = "recency"
LENGTH: Final = "T"
MONETARY_VALUE: Final = "monetary_value"
UNIT: Final = "unit"
"""Where a pandas summary notes its unit, among its attributes."""

_DAY: Final = timedelta(days=1)
_GRAINS: Final = 10_080
"""Of a unit, where times are not whole days: a minute where the unit is a week."""
_NEARLY: Final = 1e-6
_LARGEST_KEY: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class History:
    """What is known of each contact, in the units of a model.

    Parameters
    ----------
    frequency : ndarray of float64, shape (contacts,)
        Repeat purchases, whole numbers (x).
    recency : ndarray of float64, shape (contacts,)
        From the first purchase to the last (t_x).
    length : ndarray of float64, shape (contacts,)
        From the first purchase to the end of observation (T).
    """

    frequency: Floats
    recency: Floats
    length: Floats

    def at(self, rows: npt.NDArray[np.intp]) -> "History":
        """Return the histories of some contacts.

        Parameters
        ----------
        rows : ndarray of int
            Their places.
        """
        return History(self.frequency[rows], self.recency[rows], self.length[rows])


@dataclass(frozen=True, slots=True)
class Histories:
    """Histories that differ, and how many contacts have each; sorted.

    Parameters
    ----------
    frequency, recency, length : ndarray of float64, shape (histories,)
        As of :class:`History`.
    count : ndarray of float64, shape (histories,)
        Contacts with that history.
    """

    frequency: Floats
    recency: Floats
    length: Floats
    count: Floats

    @property
    def contacts(self) -> float:
        """How many contacts there are."""
        return float(self.count.sum())

    def scaled(self, length: float) -> "Histories":
        """Return the histories in units of a length of time.

        Parameters
        ----------
        length : float
            The new unit, in the old one.
        """
        return Histories(self.frequency, self.recency / length, self.length / length, self.count)

    def every(self, step: int) -> "Histories":
        """Return one history of each `step`, which stand for all roughly.

        Parameters
        ----------
        step : int
            How many to go on.
        """
        chosen = (part[::step] for part in (self.frequency, self.recency, self.length, self.count))
        return Histories(*chosen)


def read_history(summary: object, *, unit: timedelta) -> History:
    """Read and check the times of a summary.

    Parameters
    ----------
    summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        With ``frequency``, ``recency`` and ``T``.
    unit : timedelta
        The unit that its times are taken to be in.

    Returns
    -------
    History
        One entry a row, in order.

    Raises
    ------
    ConfigurationError
        Where a column is missing or holds no numbers, or the summary is in another unit.
    DataContractError
        Where a value is missing, or no contact can have it.
    """
    _refuse_other_unit(summary, unit)
    frequency = read_frequency(summary)
    recency, length = read_column(summary, RECENCY), read_column(summary, LENGTH)
    _refuse_impossible_times(frequency, recency, length)
    return History(frequency, recency, length)


def _refuse_impossible_times(frequency: Floats, recency: Floats, length: Floats) -> None:
    by_hand = "make the summary with summarize_transactions, or correct these rows."
    _refuse(
        recency > length,
        recency,
        "a recency after T",
        "Recency and T both begin with the first purchase, and nothing after the end is known.",
        f"{by_hand} Recency is not the time since the last purchase.",
    )
    _refuse(
        (recency < 0.0) | (length < 0.0),
        np.minimum(recency, length),
        "a recency or a T below 0",
        "Both count from the first purchase on.",
        by_hand,
    )
    again = frequency > 0.0
    _refuse(
        again & (recency == 0.0),
        frequency,
        "a frequency above 0 with a recency of 0",
        "Who bought again did so after the first purchase; purchases of one day are one.",
        by_hand,
    )
    _refuse(
        ~again & (recency != 0.0),
        recency,
        "a frequency of 0 with a recency above 0",
        "Who never bought again has the first purchase as the last one.",
        by_hand,
    )


def read_frequency(summary: object) -> Floats:
    """Return how often each contact bought again.

    Parameters
    ----------
    summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        With ``frequency``.

    Returns
    -------
    ndarray of float64, shape (rows,)
        Whole numbers from 0 up.

    Raises
    ------
    ConfigurationError
        Where the column is missing or holds no numbers.
    DataContractError
        Where a value is missing, negative or no whole number.
    """
    frequency = read_column(summary, FREQUENCY)
    _refuse(
        (frequency < 0.0) | (frequency != np.rint(frequency)),
        frequency,
        "a frequency that is no whole number from 0 up",
        "It counts the days with a purchase after the first one.",
        "make the summary with summarize_transactions.",
    )
    return frequency


def read_values(summary: object) -> tuple[Floats, Floats]:
    """Return how often each contact bought again, and at what mean value.

    Parameters
    ----------
    summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        With ``frequency`` and ``monetary_value``.

    Returns
    -------
    tuple of two ndarrays of float64, shape (rows,)
        The second is 0 where the first is, whatever stood there.

    Raises
    ------
    ConfigurationError
        Where a column is missing or holds no numbers.
    DataContractError
        Where a contact that bought again has no value above 0.
    """
    frequency = read_frequency(summary)
    value = np.where(frequency > 0.0, _as_floats(_column(summary, MONETARY_VALUE)), 0.0)
    _refuse(
        (frequency > 0.0) & ~((value > 0.0) & np.isfinite(value)),
        value,
        "no monetary_value above 0 for contacts that bought again",
        "The model is of values above 0: a purchase that was free, given back or of unknown value "
        "is none.",
        "leave these rows out, such as summary[(summary.frequency == 0) | "
        "(summary.monetary_value > 0)].",
    )
    return frequency, value


def read_column(summary: object, name: str) -> Floats:
    """Return a column of any frame as finite numbers.

    Parameters
    ----------
    summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        One row a contact.
    name : str
        The column.

    Returns
    -------
    ndarray of float64, shape (rows,)
        Without missing values.

    Raises
    ------
    ConfigurationError
        Where the column is missing or holds no numbers.
    DataContractError
        Where there is no row, or a value is missing or infinite.
    """
    values = _as_floats(_column(summary, name))
    if values.size == 0:
        what = "The summary has no rows."
        raise DataContractError(what, "Nothing is known of nobody.", "check as_of and the orders.")
    _refuse(
        ~np.isfinite(values),
        values,
        f"no finite '{name}'",
        "A missing number would become a missing answer.",
        "leave these rows out first.",
    )
    return values


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of whatever frame it is."""

    name: str
    content: Any


def _column(summary: object, name: str) -> _Column:
    columns: Sequence[str] | None = getattr(summary, "column_names", None)
    if columns is None:
        columns = [str(column) for column in getattr(summary, "columns", ())]
    if name not in columns:
        what = f"The summary has no column '{name}'."
        why = "The model reads its columns by name."
        near = nearest(name, columns)
        fix = f"did you mean '{near}'?" if near else "make it with summarize_transactions()."
        raise ConfigurationError(what, why, fix)
    return _Column(name, summary[name])  # type: ignore[index]


def _as_floats(column: _Column) -> Floats:
    import pyarrow as pa

    values = column.content
    try:
        if type(values).__module__.partition(".")[0] == "pandas":
            return cast("Floats", values.to_numpy(dtype=np.float64, na_value=np.nan))
        arrow = pa.chunked_array(values) if hasattr(values, "__arrow_c_stream__") else values
        return np.asarray(arrow.cast(pa.float64()).to_numpy(), dtype=np.float64)
    except (TypeError, ValueError, pa.ArrowException) as error:
        what = f"Column '{column.name}' of the summary holds something that is no number."
        why = "A model computes with it."
        raise ConfigurationError(what, why, f"convert it to numbers first ({error}).") from error


def _refuse(wrong: npt.NDArray[np.bool_], values: Floats, has: str, why: str, fix: str) -> None:
    if wrong.any():
        first = int(np.argmax(wrong))
        what = (
            f"The summary has {has} in {int(wrong.sum()):,} of {wrong.size:,} rows, "
            f"first in row {first}: {values[first]:g}."
        )
        raise DataContractError(what, why, fix)


def _refuse_other_unit(summary: object, unit: timedelta) -> None:
    noted = getattr(summary, "attrs", {}).get(UNIT)
    if noted is not None and noted != duration_text(unit):
        raise ConfigurationError(
            f"The summary is in units of {noted}, the model counts in units of "
            f"{duration_text(unit)}.",
            "Its times would be read as longer or shorter than they were.",
            f"pass unit='{noted}' to the model, or make the summary with unit="
            f"'{duration_text(unit)}'.",
        )


def count_histories(history: History, *, unit: timedelta) -> Histories:
    """Count contacts with the same history.

    Parameters
    ----------
    history : History
        One entry a contact, in any order.
    unit : timedelta
        What its times are in.

    Returns
    -------
    Histories
        Times that are not all whole days are rounded to a ten-thousandth of the unit, a minute
        where it is a week; a purchase again is never at the time of the first.
    """
    grain = _grain(history, unit)
    keys, places = _packed(history, grain)
    keys.sort()
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    count = np.diff(first, append=keys.size).astype(np.float64)
    keys = keys[first]
    length = (keys % places).astype(np.float64) * grain
    keys //= places
    return Histories(
        frequency=(keys // places).astype(np.float64),
        recency=(keys % places).astype(np.float64) * grain,
        length=length,
        count=count,
    )


def _grain(history: History, unit: timedelta) -> float:
    """Return the length of time, in units, that all times are multiples of, or are rounded to."""
    day = _DAY / unit
    if all(_are_multiples(times, day) for times in (history.length, history.recency)):
        grain = day
    else:
        grain = 1.0 / _GRAINS
    while (history.frequency.max() + 1.0) * (
        history.length.max() / grain + 2.0
    ) ** 2 > _LARGEST_KEY:
        grain *= 2.0
    return float(grain)


def _are_multiples(times: Floats, grain: float) -> bool:
    whole = times / grain
    whole -= np.rint(whole)
    return bool(np.abs(whole, out=whole).max() < _NEARLY)


def _packed(history: History, grain: float) -> tuple[npt.NDArray[np.int64], int]:
    """Return one whole number a contact that holds all three, and the base it is written in."""
    places = int(np.rint(history.length.max() / grain)) + 2
    keys = history.frequency.astype(np.int64)
    keys *= places
    recency = np.rint(history.recency / grain).astype(np.int64)
    again = (recency == 0) & (history.frequency > 0.0)
    recency[again] = 1
    keys += recency
    del recency
    keys *= places
    length = np.rint(history.length / grain).astype(np.int64)
    length[again] = np.maximum(length[again], 1)
    keys += length
    return keys, places
