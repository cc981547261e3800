"""Where in the past do we stand to try a prediction, and what may be learnt there?

A rolling origin stands at several moments of the past, learns only from labels that were
closed by then, predicts, and compares with what came after.
"""

from datetime import UTC, datetime, timedelta

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.checks import require_count

__all__ = ["rolling_origins", "training_cutoffs"]


def rolling_origins(
    *, last: datetime, count: int, step: timedelta, earliest: datetime | None = None
) -> tuple[datetime, ...]:
    """Return the moments to predict from: ``last`` and every ``step`` before it.

    Parameters
    ----------
    last : datetime
        The latest origin, with a time zone.
    count : int
        How many origins at most.
    step : timedelta
        Time between two origins.
    earliest : datetime, optional
        No origin lies before it.

    Returns
    -------
    tuple of datetime
        Ascending, in UTC; shorter than `count`, or empty, where `earliest` leaves less room.

    Raises
    ------
    ConfigurationError
        Where a time has no zone, or `count` or `step` is not positive.

    References
    ----------
    Tashman (2000), Out-of-sample tests of forecasting accuracy: an analysis and review,
    International Journal of Forecasting 16(4).

    Examples
    --------
    >>> last = datetime(2024, 3, 1, tzinfo=UTC)
    >>> [f"{o:%m-%d}" for o in rolling_origins(last=last, count=2, step=timedelta(days=30))]
    ['01-31', '03-01']
    """
    require_count(count, "count")
    _require_positive(step, "step")
    latest = _to_utc(last, "last")
    first = datetime.min.replace(tzinfo=UTC) if earliest is None else _to_utc(earliest, "earliest")
    if latest < first:
        return ()
    room = (latest - first) // step + 1
    return tuple(latest - step * back for back in reversed(range(min(count, room))))


def training_cutoffs(
    *,
    origin: datetime,
    horizon: timedelta,
    step: timedelta,
    count: int,
    earliest: datetime | None = None,
) -> tuple[datetime, ...]:
    """Return the cutoffs whose labels were closed at ``origin``.

    The latest cutoff is ``origin - horizon``: its label window ends at the origin, so a model
    trained there has seen nothing that happened later.

    Parameters
    ----------
    origin : datetime
        The moment to predict from, with a time zone.
    horizon : timedelta
        Length of the label window.
    step : timedelta
        Time between two cutoffs.
    count : int
        How many cutoffs at most.
    earliest : datetime, optional
        No cutoff lies before it.

    Returns
    -------
    tuple of datetime
        Ascending, in UTC, each with ``cutoff + horizon <= origin``; may be empty.

    Raises
    ------
    ConfigurationError
        Where a time has no zone, or `horizon`, `step` or `count` is not positive.

    Examples
    --------
    >>> origin, month = datetime(2024, 3, 31, tzinfo=UTC), timedelta(days=30)
    >>> cutoffs = training_cutoffs(origin=origin, horizon=month, step=month, count=2)
    >>> [f"{cutoff:%m-%d}" for cutoff in cutoffs]
    ['01-31', '03-01']
    """
    _require_positive(horizon, "horizon")
    try:
        last = _to_utc(origin, "origin") - horizon
    except OverflowError:
        return ()
    return rolling_origins(last=last, count=count, step=step, earliest=earliest)


def _to_utc(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None or moment.utcoffset() is None:
        what = f"'{name}' is {moment.isoformat(sep=' ')}, without a time zone."
        why = "The same wall time is another instant in another zone, and labels would leak."
        raise ConfigurationError(what, why, "give it a zone, such as datetime(…, tzinfo=UTC).")
    # Differences of times in one local zone are wall-clock differences; in UTC they are durations.
    return moment.astimezone(UTC)


def _require_positive(duration: timedelta, name: str) -> None:
    if duration <= timedelta(0):
        what = f"'{name}' is {duration}."
        why = "Time must pass in it."
        raise ConfigurationError(what, why, f"pass a positive duration, such as {name}=30 days.")
