"""On which local day did it happen?

Databases know zones by different names and rules, so they are told the few moments at which the
clocks of a zone were changed, and add up whole numbers.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import ibis

from mlmarket.market.time import instant

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["day_number", "local_day"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)


def day_number(moment: datetime, zone: ZoneInfo) -> int:
    """Return the local day of an instant, as days since 1970.

    Parameters
    ----------
    moment : datetime
        An aware datetime.
    zone : ZoneInfo
        Where the day begins.

    Returns
    -------
    int
        0 for 1970-01-01.

    Examples
    --------
    >>> day_number(datetime(1970, 1, 1, 23, 30, tzinfo=UTC), ZoneInfo("Europe/Lisbon"))
    1
    """
    return (moment.astimezone(zone).date() - _EPOCH.date()).days


def local_day(
    times: "ir.TimestampValue", zone: ZoneInfo, *, first: datetime, last: datetime
) -> "ir.IntegerValue":
    """Return the local day of each time, as days since 1970.

    Parameters
    ----------
    times : ibis.expr.types.TimestampValue
        In UTC, without a zone.
    zone : ZoneInfo
        Where days begin.
    first, last : datetime
        The earliest and the latest of them, aware.

    Returns
    -------
    ibis.expr.types.IntegerValue
        As :func:`day_number`.
    """
    elapsed: Any = times.delta(instant(_EPOCH), unit="microsecond")
    changes = _changes(zone, first, last)
    shift: Any = ibis.literal(_offset(first, zone), "int64")
    if changes:
        steps = [(times >= instant(moment), offset) for moment, offset in reversed(changes)]
        shift = ibis.cases(*steps, else_=_offset(first, zone))
    days: Any = (elapsed + shift) // (_DAY // _MICROSECOND)
    return days.cast("int64")


def _offset(moment: datetime, zone: ZoneInfo) -> int:
    """Return by how many microseconds local clocks are ahead of UTC."""
    ahead = moment.astimezone(zone).utcoffset() or timedelta(0)
    return ahead // _MICROSECOND


def _changes(zone: ZoneInfo, first: datetime, last: datetime) -> list[tuple[datetime, int]]:
    """Return the moments at which clocks were changed, and what they were changed to."""
    days = range((last - first) // _DAY + 2)
    moments = [first + day * _DAY for day in days]
    return [
        (_change(before, after, zone), _offset(after, zone))
        for before, after in pairwise(moments)
        if _offset(before, zone) != _offset(after, zone)
    ]


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second after which the offset is no longer that of before."""
    old = _offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if _offset(middle, zone) == old:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
