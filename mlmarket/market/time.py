"""How long is a duration that was written as text?"""

import re
from datetime import timedelta
from typing import Final

from mlmarket.errors import ConfigurationError

__all__ = ["parse_duration"]

_WRITTEN: Final = re.compile(r"\s*(\d{1,6})\s*(min|h|d|w)\s*", re.IGNORECASE)
_UNITS: Final = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_duration(text: str | timedelta) -> timedelta:
    """Read a duration such as ``30D`` or ``12h``.

    Parameters
    ----------
    text : str or timedelta
        A whole number and a unit (min, h, D, W in any case); a timedelta is returned as it is.

    Returns
    -------
    timedelta
        The duration.

    Raises
    ------
    ConfigurationError
        Where it is not written so.

    Examples
    --------
    >>> parse_duration("30D")
    datetime.timedelta(days=30)
    """
    if isinstance(text, timedelta):
        return text
    written = _WRITTEN.fullmatch(text)
    if written is None:
        what = f"'{text}' is not a duration."
        why = "Windows and waits need a length with its unit."
        raise ConfigurationError(what, why, "write a whole number and a unit, such as 30D or 12h.")
    return int(written[1]) * _UNITS[written[2].lower()]
