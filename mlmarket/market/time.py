"""When did it happen, and was it known by then?

Time is a type here: instants are aware datetimes at the edge and UTC without a zone inside the
tables; durations are written with their unit (``"30D"``). Every window of the package, backward
or forward, is made by :func:`within`.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, available_timezones

from mlmarket.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = [
    "day_start",
    "duration_text",
    "instant",
    "parse_duration",
    "time_zone",
    "to_utc",
    "within",
]

_DURATION: Final = re.compile(r"\s*(\d+)\s*(min|h|d|w)\s*", re.IGNORECASE)
_UNITS: Final = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_LONGEST: Final = timedelta(days=36_500)


def parse_duration(text: str | timedelta) -> timedelta:
    """Read a duration such as ``"30D"``.

    Parameters
    ----------
    text : str or timedelta
        A whole number and its unit: ``min``, ``H``, ``D`` or ``W``, in either case.

    Returns
    -------
    timedelta
        A positive duration of at most 100 years.

    Raises
    ------
    ConfigurationError
        Where it cannot be read, or is not positive.

    Examples
    --------
    >>> parse_duration("2W").days
    14
    """
    if isinstance(text, timedelta):
        duration = text
    else:
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
        if match is None or len(match[1]) > 9:
            raise _bad_duration(text)
        duration = int(match[1]) * _UNITS[match[2].lower()]
    if not timedelta(0) < duration <= _LONGEST:
        raise _bad_duration(text)
    return duration


def _bad_duration(text: object) -> ConfigurationError:
    return ConfigurationError(
        f"{text!r} is not a duration.",
        "Windows and horizons carry their unit, so that nobody has to guess it.",
        "write a number from 1 up and a unit, such as '30D', '12H', '45min' or '2W'.",
    )


def duration_text(duration: timedelta) -> str:
    """Return the shortest text that :func:`parse_duration` reads back.

    Parameters
    ----------
    duration : timedelta
        A whole number of minutes.

    Returns
    -------
    str
        Such as ``"30D"``; weeks are written in days.

    Examples
    --------
    >>> duration_text(timedelta(days=14))
    '14D'
    """
    for unit, label in ((_UNITS["d"], "D"), (_UNITS["h"], "H")):
        if duration % unit == timedelta(0):
            return f"{duration // unit}{label}"
    return f"{duration // _UNITS['min']}min"


def time_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name.

    Parameters
    ----------
    name : str
        Such as ``Europe/Lisbon``.

    Returns
    -------
    ZoneInfo
        The zone.

    Raises
    ------
    ConfigurationError
        Where there is no such zone.
    """
    zones = available_timezones()
    if name not in zones:
        near = nearest(name, zones)
        hint = f"did you mean '{near}'?" if near else "use an IANA name such as 'Europe/Lisbon'."
        raise ConfigurationError(
            f"There is no time zone '{name}'.",
            "Local midnights and naive times are read in it.",
            hint,
        )
    return ZoneInfo(name)


def to_utc(moment: datetime) -> datetime:
    """Return an instant in UTC, without its zone, as the tables hold it.

    Parameters
    ----------
    moment : datetime
        An aware datetime.

    Returns
    -------
    datetime
        The same instant, naive, in UTC.

    Raises
    ------
    ConfigurationError
        Where it has no zone.

    Examples
    --------
    >>> to_utc(datetime.fromisoformat("2026-07-01T01:00+01:00")).isoformat()
    '2026-07-01T00:00:00'
    """
    if not isinstance(moment, datetime):
        raise ConfigurationError(
            f"{moment!r} is a {type(moment).__name__}, not an instant.",
            "Only an instant with a zone says what was known.",
            "pass an aware datetime, such as datetime(2026, 7, 1, tzinfo=UTC).",
        )
    if moment.tzinfo is None:
        raise ConfigurationError(
            f"The time {moment.isoformat()} has no zone.",
            "An instant without a zone may be hours away from what was meant.",
            "pass an aware datetime, such as datetime(2026, 7, 1, tzinfo=UTC).",
        )
    return moment.astimezone(UTC).replace(tzinfo=None)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Return local midnight of a day as an aware instant in UTC.

    Parameters
    ----------
    day : date
        The day; of an aware datetime, its local day in `zone`.
    zone : ZoneInfo
        Where the day begins.

    Returns
    -------
    datetime
        An aware datetime in UTC; where the clocks skip midnight, the first instant after it.

    Raises
    ------
    ConfigurationError
        Where a datetime has no zone.

    Examples
    --------
    >>> day_start(date(2026, 7, 1), ZoneInfo("Europe/Lisbon")).isoformat()
    '2026-06-30T23:00:00+00:00'
    """
    if isinstance(day, datetime):
        day = to_utc(day).replace(tzinfo=UTC).astimezone(zone).date()
    return datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC)


def instant(moment: datetime) -> "ir.TimestampScalar":
    """Return an aware datetime as an Ibis literal in the tables' form.

    Parameters
    ----------
    moment : datetime
        An aware datetime.

    Returns
    -------
    ibis.expr.types.TimestampScalar
        UTC, without a zone, in microseconds.

    Raises
    ------
    ConfigurationError
        Where it has no zone.
    """
    import ibis

    return ibis.timestamp(to_utc(moment).isoformat(sep=" "))


def within(
    column: "ir.TimestampValue",
    *,
    until: "datetime | ir.TimestampValue",
    after: "datetime | ir.TimestampValue | None" = None,
) -> "ir.BooleanValue":
    """Return whether a time lies in ``(after, until]``.

    The one definition of a window. A feature looks at ``(as_of - w, as_of]``, a label at
    ``(as_of, as_of + horizon]``, "since entry" at ``(entered_at, now]``, so that a row on a
    boundary belongs to exactly one of two neighbouring windows.

    Parameters
    ----------
    column : ibis.expr.types.TimestampValue
        Times in UTC.
    until : datetime or ibis.expr.types.TimestampValue
        The last instant that belongs to the window.
    after : datetime or ibis.expr.types.TimestampValue, optional
        The last instant before the window; without it the window has no beginning.

    Returns
    -------
    ibis.expr.types.BooleanValue
        Missing where the time is missing.

    Raises
    ------
    ConfigurationError
        Where a datetime has no zone.
    """
    inside = column <= (instant(until) if isinstance(until, datetime) else until)
    if after is None:
        return inside
    return (column > (instant(after) if isinstance(after, datetime) else after)) & inside
