"""What would the query over everybody answer for this one person?

For explanations: the same questions as in :mod:`mlmarket.orchestration.conditions.answering`, answered
in plain Python on the events of one person.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from mlmarket.expressions import Asked
from mlmarket.market.columns import AS_OF
from mlmarket.orchestration.conditions.questions import (
    MICROSECONDS_A_DAY,
    OWN_SEND,
    Question,
    questions_of,
)

__all__ = ["Event", "evaluate_events", "own_sends"]

Event: TypeAlias = Mapping[str, object]
"""A row of ``Market.activity``."""

_NOT_SENT = frozenset({"cancelled", "failed"})


def own_sends(sent: Iterable[Mapping[str, object]]) -> list[Event]:
    """Return what mlmarket itself has sent in the form of events.

    Parameters
    ----------
    sent : iterable of mapping
        Rows of the table ``sent``.

    Returns
    -------
    list of mapping
        To be put beside the events of the person.
    """
    return [
        {
            "type": OWN_SEND,
            "occurred_at": row["not_before"],
            "campaign_id": f"{row['journey']}.{row['step']}",
        }
        for row in sent
        if row["kind"] == "message" and row["status"] not in _NOT_SENT
    ]


def evaluate_events(
    calls: Sequence[Asked],
    events: Iterable[Event],
    *,
    now: datetime,
    entered_at: datetime | None = None,
    arrived_at: datetime | None = None,
    memberships: Collection[str] = (),
    person: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Answer the calls of conditions for one person.

    Parameters
    ----------
    calls : sequence of Asked
        The calls, such as :attr:`.Conditions.calls`.
    events : iterable of mapping
        Rows of ``Market.activity`` about the person, of which those that were not known by ``now``
        are passed over; with :func:`own_sends`.
    now : datetime
        UTC without a zone, or any zone.
    entered_at, arrived_at : datetime, optional
        When the person came into the journey and to the present step.
    memberships : collection of str, optional
        The segments that the person is in.
    person : mapping of str to object, optional
        Attributes and predictions, for ``fresh``.

    Returns
    -------
    dict of str to object
        The answer by the key of each call; times are in UTC without a zone.
    """
    moment = _plain(now)
    anchors = {"entry": _or_none(entered_at), "step": _or_none(arrived_at)}
    known = [
        _Seen(event, _plain(event["occurred_at"])) for event in events if _known(event, moment)
    ]
    answers: dict[str, object] = {}
    for question in questions_of(calls):
        if question.name == "in_segment":
            answers[question.call.key] = question.subject in memberships
        elif question.name == "fresh":
            answers[question.call.key] = _fresh(question, person or {}, moment)
        else:
            counted = [seen for seen in known if _counts(question, seen, moment, anchors)]
            answers[question.call.key] = _answer(question, counted, moment)
    return answers


@dataclass(frozen=True, slots=True)
class _Seen:
    row: Event
    at: datetime


def _plain(moment: object) -> datetime:
    if not isinstance(moment, datetime):
        raise TypeError(f"{moment!r} is not a time")
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _or_none(moment: object) -> datetime | None:
    return None if moment is None else _plain(moment)


def _known(event: Event, now: datetime) -> bool:
    if event["occurred_at"] is None:
        return False
    available = _or_none(event.get("available_at"))
    return _plain(event["occurred_at"]) <= now and (available is None or available <= now)


def _counts(
    question: Question, seen: _Seen, now: datetime, anchors: Mapping[str, datetime | None]
) -> bool:
    if seen.row.get("type") not in question.types:
        return False
    if question.within is not None and not seen.at > now - question.within:
        return False
    if question.since is not None:
        anchor = anchors[question.since]
        if anchor is None or not seen.at > anchor:
            return False
    if question.name == "received" and not _is_of(seen.row.get("campaign_id"), question.subject):
        return False
    return question.where is None or question.where.evaluate(seen.row) is True


def _is_of(campaign: object, name: str) -> bool:
    return isinstance(campaign, str) and (campaign == name or campaign.startswith(f"{name}."))


def _answer(question: Question, counted: Sequence[_Seen], now: datetime) -> object:
    if question.name == "received":
        return bool(counted)
    if question.name == "count":
        if not question.counts_orders:
            return len(counted)
        ids = [seen.row.get("row_id") for seen in counted]
        return len({one for one in ids if one is not None}) + ids.count(None)
    latest = max((seen.at for seen in counted), default=None)
    if question.name == "last" or latest is None:
        return latest
    return (now - latest) // timedelta(microseconds=1) / MICROSECONDS_A_DAY


def _fresh(question: Question, person: Mapping[str, object], now: datetime) -> object:
    made = _or_none(person.get(AS_OF))
    within = question.within or timedelta(0)
    return person.get(question.subject) if made is not None and made > now - within else None
