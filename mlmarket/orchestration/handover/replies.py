"""What does the answer of a receiver mean for what was sent?"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from mlmarket.orchestration.handover.rows import Result

__all__ = ["Reply", "judged", "waiting_time"]

_AGAIN: Final = frozenset({408, 425, 429})
_NOT_NOW: Final = frozenset({429, 502, 503, 504})
_NOT_US: Final = frozenset({401, 403, 410})
_LONGEST: Final = timedelta(days=1)
_EXCERPT: Final = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered.

    Parameters
    ----------
    status : int
        Of HTTP.
    retry_after : str or None
        The header of that name.
    body : bytes
        Its beginning.
    """

    status: int
    retry_after: str | None = None
    body: bytes = b""


def judged(key: str, reply: Reply, *, now: datetime) -> Result:
    """Return what an answer means.

    Parameters
    ----------
    key : str
        What was sent.
    reply : Reply
        The answer.
    now : datetime
        When it came, with a zone.

    Returns
    -------
    Result
        ``sent`` for 2xx, ``retry`` for 408, 425, 429 and 5xx, ``failed`` for the rest. Redirects
        are not followed: what is signed for one address is not for another.
    """
    if 200 <= reply.status < 300:
        return Result(key, "sent", receiver_id=_receiver_id(reply.body))
    error = f"The receiver answered {reply.status}{_excerpt(reply.body)}"
    if reply.status in _AGAIN or reply.status >= 500:
        return Result(
            key,
            "retry",
            error,
            retry_after=waiting_time(reply.retry_after, now=now),
            receiver_answers=reply.status not in _NOT_NOW,
        )
    if 300 <= reply.status < 400:
        error = f"The receiver answered {reply.status}: it has moved; correct `url`."
        return Result(key, "failed", error, receiver_answers=False)
    return Result(key, "failed", error, receiver_answers=reply.status not in _NOT_US)


def waiting_time(header: str | None, *, now: datetime) -> timedelta | None:
    """Return how long a receiver asks to be left alone.

    Parameters
    ----------
    header : str or None
        ``Retry-After``: seconds, or a date of HTTP.
    now : datetime
        With a zone.

    Returns
    -------
    timedelta or None
        At most a day; None where nothing is said, or nothing that can be read.

    Examples
    --------
    >>> waiting_time("120", now=datetime(2026, 3, 1, tzinfo=UTC)).seconds
    120
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:9]), 10**6)), _LONGEST)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(max(aware - now, timedelta(0)), _LONGEST)


def _receiver_id(body: bytes) -> str | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    identity = found.get("id") if isinstance(found, dict) else None
    return str(identity)[:_EXCERPT] if isinstance(identity, str | int) else None


def _excerpt(body: bytes) -> str:
    text = body[:_EXCERPT].decode("utf-8", "replace")
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return f": {words}" if words else "."
