"""In which months was a contract at risk, and in which did it end?

A contract that lasted 100 days was at risk in its first four months and ended in the fourth: four
rows, which any classifier of 0 and 1 can learn from.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlmarket.churn.plain_estimator import require_columns
from mlmarket.errors import ConfigurationError
from mlmarket.market.time import duration_text, parse_duration

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENDED", "TENURE", "life_table", "person_periods"]

TENURE: Final = "tenure"
"""Column of the days for which a contract has run when a period begins."""

ENDED: Final = "ended"
"""Column that says whether it ended within the period."""

_DAY: Final = timedelta(days=1)
_LONGEST: Final = 36_500.0
_MOST_ROWS: Final = 200_000_000


def person_periods(
    frame: "pd.DataFrame",
    *,
    duration: str = "duration",
    event: str = "event",
    entry: str | None = None,
    period: str | timedelta = "30D",
) -> "pd.DataFrame":
    """Expand contracts into one row for each period in which they were at risk.

    A contract that ended after ``d`` days ended in the period ``(start, start + period]`` that holds
    ``d``. One that still runs is at risk in those periods that it has wholly lasted.

    Parameters
    ----------
    frame : pandas.DataFrame, shape (contracts, columns)
        One row a contract.
    duration : str, default "duration"
        Column of how long it has run until it ended or was last seen: days, or time spans.
    event : str, default "event"
        Column that says whether it ended: booleans, or 0 and 1.
    entry : str, optional
        Column of how long it had run when it was first watched, in the unit of `duration`; only
        periods that begin then or later count, since those who left before could not be seen.
    period : str or timedelta, default "30D"
        How long a period is.

    Returns
    -------
    pandas.DataFrame
        The other columns, ``tenure`` in days at the beginning of the period, and ``ended``; the
        index repeats that of `frame`.

    Raises
    ------
    ConfigurationError
        Where a column is missing, a duration is missing or negative, or a contract ended at once.

    References
    ----------
    Allison (1982), Discrete-time methods for the analysis of event histories, Sociological
    Methodology 13.

    Examples
    --------
    >>> import pandas as pd
    >>> contracts = pd.DataFrame({"duration": [50, 75], "event": [True, False]})
    >>> person_periods(contracts)[["tenure", "ended"]].to_numpy().tolist()
    [[0.0, 0.0], [30.0, 1.0], [0.0, 0.0], [30.0, 0.0]]
    """
    import pandas as pd

    span = parse_duration(period)
    lasted = _microseconds(frame, duration)
    _refuse_taken(frame, kept={duration, event, entry})
    ended = _flags(frame, event)
    _refuse_at_once(frame, lasted, ended, duration)
    step = span // timedelta(microseconds=1)
    # Whole microseconds: at the very end of a period, floats would fall on either side.
    periods = np.where(ended, -(-lasted // step), lasted // step)
    first = np.zeros_like(periods)
    if entry is not None:
        first = np.minimum(-(-_microseconds(frame, entry) // step), periods)
    rows = periods - first
    _refuse_too_many(int(rows.sum()), span)
    contract = np.repeat(np.arange(len(frame)), rows)
    place = np.arange(len(contract)) - np.repeat(np.cumsum(rows) - rows, rows) + first[contract]
    covariates = frame.drop(columns=[name for name in (duration, event, entry) if name])
    expanded = covariates.iloc[contract]
    is_end = (place == periods[contract] - 1) & ended[contract]
    last = {TENURE: place * (span / _DAY), ENDED: is_end.astype(np.int8)}
    return pd.concat([expanded, pd.DataFrame(last, index=expanded.index)], axis=1)


def life_table(
    periods: "pd.DataFrame", *, tenure: str = TENURE, ended: str = ENDED
) -> "pd.DataFrame":
    """Count who was at risk and who ended in each period, whoever they are.

    Parameters
    ----------
    periods : pandas.DataFrame
        As :func:`person_periods` returns it.
    tenure, ended : str
        Its columns.

    Returns
    -------
    pandas.DataFrame
        A row for each tenure, ascending: ``tenure``, ``at_risk``, ``ended``, ``hazard`` (the share
        that ended) and ``survival`` (the share of those who began that lasted beyond the period,
        the Kaplan-Meier estimate).

    Raises
    ------
    ConfigurationError
        Where a column is missing.

    References
    ----------
    Kaplan and Meier (1958), Nonparametric estimation from incomplete observations, JASA 53(282).
    """
    require_columns(periods, [tenure, ended], "A life table counts who ended, by tenure.")
    counts = periods.groupby(tenure, sort=True)[ended].agg(["size", "sum"]).reset_index()
    counts.columns = [TENURE, "at_risk", ENDED]
    counts["hazard"] = counts[ENDED] / counts["at_risk"]
    counts["survival"] = (1.0 - counts["hazard"]).cumprod()
    return counts


def _microseconds(frame: "pd.DataFrame", name: str) -> npt.NDArray[np.int64]:
    import pandas as pd

    require_columns(frame, [name], "How long a contract has run says when it was at risk.")
    values = frame[name]
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        values = values.dt.total_seconds() / _DAY.total_seconds()
    found = _numbers(values, name).to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(found) | (found < 0) | (found > _LONGEST)
    if wrong.any():
        raise ConfigurationError(
            f"Column '{name}' holds {int(wrong.sum()):,} values that are missing, below zero or "
            f"beyond 100 years, such as {values[wrong].iloc[0]} in row {frame.index[wrong][0]}.",
            "A contract without a length, or one that ended before it started, was never at risk.",
            "leave these rows out, or correct their dates.",
        )
    whole: npt.NDArray[np.int64] = np.round(found * (_DAY / timedelta(microseconds=1))).astype("i8")
    return whole


def _numbers(values: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values.dtype):
        raise ConfigurationError(
            f"Column '{name}' is of type {values.dtype}, neither days nor a time span.",
            "How long a contract has run says in which periods it was at risk.",
            "pass days as numbers, or the difference of two times.",
        )
    return values


def _flags(frame: "pd.DataFrame", name: str) -> npt.NDArray[np.bool_]:
    require_columns(frame, [name], "It says which contracts ended and which still run.")
    values = frame[name]
    if values.isna().any() or not values.isin([0, 1]).all():
        wrong = values[values.isna() | ~values.isin([0, 1])]
        raise ConfigurationError(
            f"Column '{name}' holds {len(wrong):,} values that are neither 0 nor 1, such as "
            f"{wrong.iloc[0]} in row {wrong.index[0]}.",
            "It says which contracts ended and which still run.",
            "make it boolean: True where the contract ended.",
        )
    return values.to_numpy(dtype=bool)


def _refuse_taken(frame: "pd.DataFrame", *, kept: set[str | None]) -> None:
    taken = [name for name in (TENURE, ENDED) if name in frame.columns and name not in kept]
    if taken:
        raise ConfigurationError(
            f"The frame has a column '{taken[0]}' already.",
            "The rows of periods are given one of that name.",
            "rename it.",
        )


def _refuse_at_once(
    frame: "pd.DataFrame",
    lasted: npt.NDArray[np.int64],
    ended: npt.NDArray[np.bool_],
    duration: str,
) -> None:
    at_once = ended & (lasted == 0)
    if at_once.any():
        raise ConfigurationError(
            f"{int(at_once.sum()):,} contracts ended with a '{duration}' of 0, such as row "
            f"{frame.index[at_once][0]}.",
            "They were at risk in no period, and leaving them out unseen would make churn look rarer.",
            "leave them out on purpose, or count a started day as a day.",
        )


def _refuse_too_many(rows: int, span: timedelta) -> None:
    if rows > _MOST_ROWS:
        raise ConfigurationError(
            f"Periods of {duration_text(span)} would make {rows:,} rows.",
            f"More than {_MOST_ROWS:,} do not fit in memory.",
            "choose longer periods, or check the unit of the durations: they are days.",
        )
