"""Which version of a journey may act, and who said so?"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Release"]


@dataclass(frozen=True, slots=True)
class Release:
    """The last word on a journey; without one it is a draft and does nothing.

    Parameters
    ----------
    journey : str
        Its name.
    version : str
        The version that new people come into.
    status : str
        ``approved``, or ``paused``: nobody comes in or moves on, on no version.
    by : str
        Who said so.
    at : datetime
        When, in UTC with its zone. Events and changes of segments count from here on.
    """

    journey: str
    version: str
    status: Literal["approved", "paused"]
    by: str
    at: datetime
