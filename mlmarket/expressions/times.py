"""How a time is written in an expression, and how one is printed."""

import re
from datetime import UTC, datetime

__all__ = ["parse_time", "written_time"]

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_ZONE = r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_TIME = re.compile(rf"{_DAY}([ T]{_CLOCK}{_ZONE}?)?")


def parse_time(text: str) -> datetime | None:
    """Read a time as people write it in an expression.

    Parameters
    ----------
    text : str
        ``2024-01-31``, ``2024-01-31 10:00``, ``2024-01-31T10:00:00.5``; with ``Z`` or
        ``+01:00`` where it is not UTC. A day alone is its first instant in UTC.

    Returns
    -------
    datetime or None
        In UTC; None where the text is no such time.

    Examples
    --------
    >>> parse_time("2024-01-31 10:00+01:00").isoformat()
    '2024-01-31T09:00:00+00:00'
    """
    if _TIME.fullmatch(text) is None:
        return None
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):  # the 31st of February, or before the year 1 in UTC
        return None


def written_time(time: datetime) -> str:
    """Return a time as the literal that reads back as the same instant.

    Parameters
    ----------
    time : datetime
        In UTC.

    Returns
    -------
    str
        A ``date`` literal at midnight, else a ``timestamp`` literal.
    """
    written = time.replace(tzinfo=None).isoformat(sep=" ")
    if written.endswith(" 00:00:00"):
        return f"date '{written.removesuffix(' 00:00:00')}'"
    return f"timestamp '{written}'"
