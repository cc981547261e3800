"""Where do the people live, and what do the clocks there say?"""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from mlmarket.market.samples.calendar import BUSINESS_ZONE, HOUR, Calendar
from mlmarket.market.samples.draws import Floats, Ints

__all__ = ["COUNTRIES", "PLACE_WEIGHTS", "ZONES", "offsets"]

_PLACES: Final = (
    ("PT", "Europe/Lisbon", 0.44),
    ("PT", "Atlantic/Azores", 0.03),
    ("PT", "Atlantic/Madeira", 0.03),
    ("ES", "Europe/Madrid", 0.15),
    ("FR", "Europe/Paris", 0.09),
    ("DE", "Europe/Berlin", 0.07),
    ("GB", "Europe/London", 0.06),
    ("BR", "America/Sao_Paulo", 0.06),
    ("US", "America/New_York", 0.03),
    ("US", "America/Los_Angeles", 0.01),
    ("PL", "Europe/Warsaw", 0.02),
    ("JP", "Asia/Tokyo", 0.01),
)
COUNTRIES: Final = tuple(country for country, _, _ in _PLACES)
ZONES: Final = tuple(zone for _, zone, _ in _PLACES)
PLACE_WEIGHTS: Final[Floats] = np.array([weight for _, _, weight in _PLACES])


def offsets(calendar: Calendar) -> Ints:
    """Tell how far each zone's clocks are ahead of the business's, day by day.

    Parameters
    ----------
    calendar : Calendar
        The days.

    Returns
    -------
    ndarray of shape (n_zones, n_days)
        Whole hours, at noon of the day.
    """
    noons = calendar.starts[:-1] + 12 * HOUR
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moments = [epoch + timedelta(microseconds=int(noon)) for noon in noons]
    home = _hours(BUSINESS_ZONE, moments)
    return np.stack([_hours(zone, moments) - home for zone in ZONES])


def _hours(zone: str, moments: list[datetime]) -> Ints:
    clock = ZoneInfo(zone)
    ahead = [moment.astimezone(clock).utcoffset() or timedelta() for moment in moments]
    return np.array([gap // timedelta(hours=1) for gap in ahead], dtype=np.int64)
