"""Why is a message not sent now, and what becomes of it?"""

from enum import IntEnum, IntFlag

import numpy as np
import numpy.typing as npt

__all__ = ["Bits", "Fate", "Reason", "named", "read_names"]

Bits = npt.NDArray[np.int64]
"""Sums of :class:`Reason`."""


class Reason(IntFlag):
    """Why a message is held back or a journey ends early, in the order they are asked."""

    NO_ADDRESS = 1 << 0
    NO_CONSENT = 1 << 1
    CONSENT_REFUSED = 1 << 2
    BOUNCED = 1 << 3
    COMPLAINED = 1 << 4
    UNSUBSCRIBED = 1 << 5
    GLOBAL_HOLDOUT = 1 << 6
    JOURNEY_HOLDOUT = 1 << 7
    LEFT_SEGMENT = 1 << 8
    JOURNEY_WITHDRAWN = 1 << 9
    ERASED = 1 << 10
    SUPPRESSED = 1 << 11
    """On the list of people or addresses that nobody may write to."""
    HANDOVER = 1 << 12
    QUIET_HOURS = 1 << 13
    EXCLUSION_GROUP = 1 << 14
    HYGIENE = 1 << 15
    CAPPED = 1 << 16
    OUTRANKED = 1 << 17
    """Another message to the same person went first."""
    NOT_WORTH_IT = 1 << 18
    THROUGHPUT = 1 << 19
    MISSING_TOKEN = 1 << 20
    TOO_LATE = 1 << 21
    """The earliest permitted time lies behind the expiry."""
    NOT_APPROVED = 1 << 22
    PAUSED = 1 << 23
    EXIT_CONDITION = 1 << 24
    EXIT_EVENT = 1 << 25
    HELD_TOO_LONG = 1 << 26
    UNKNOWN_CONTACT = 1 << 27
    """The person is in no table of contacts any more."""
    DROPPED = 1 << 28
    """The message says that who may not get it leaves."""


class Fate(IntEnum):
    """What becomes of a message that is not sent now."""

    SENT = 0
    DROP = 1
    """The person leaves the journey."""
    DEFER = 2
    """Tried again at a known time."""
    FALL_BACK = 3
    """Sent, but on a later channel of the ladder."""
    ADVANCE = 4
    """The person goes on without it."""
    HOLD = 5
    """Tried again at each tick."""


def named(bits: int) -> list[str]:
    """Return the reasons in a number, in their order.

    Parameters
    ----------
    bits : int
        A sum of :class:`Reason`.

    Returns
    -------
    list of str
        Their names in small letters.

    Examples
    --------
    >>> named(Reason.BOUNCED | Reason.NO_CONSENT)
    ['no_consent', 'bounced']
    """
    return [str(reason.name).lower() for reason in Reason if bits & reason]


def read_names(names: str | None) -> int:
    """Return the number of reasons written as in the ``held_for`` column.

    Parameters
    ----------
    names : str or None
        Names with ``", "`` between them.

    Returns
    -------
    int
        A sum of :class:`Reason`; 0 for None.

    Examples
    --------
    >>> read_names("no_consent, bounced")
    10
    """
    if names is None:
        return 0
    return sum(Reason[name.upper()] for name in names.split(", "))
