"""Who comes into a journey, when, and how often?"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from mlmarket.orchestration.documents import (
    ClockTime,
    Duration,
    Name,
    StrictModel,
    Text,
    Weekdays,
    duration_text,
    read_duration,
    refuse,
)

__all__ = ["Entry", "Exit", "Goal", "GoalText", "Reentry", "Schedule"]


class Schedule(StrictModel):
    """A moment that comes again: on these days at this time of the business's zone.

    Parameters
    ----------
    time : time
        Of the day.
    weekdays : tuple of str, optional
        Such as ``mon``; every day by default.
    day_of_month : int, optional
        From 1 to 28.
    """

    time: ClockTime
    weekdays: Weekdays | None = None
    day_of_month: Annotated[int, Field(strict=True, ge=1, le=28)] | None = None

    @model_validator(mode="after")
    def _is_one_rule(self) -> Self:
        if self.weekdays is not None and self.day_of_month is not None:
            refuse("it names weekdays and a day of the month", "keep one of them.")
        return self


class Entry(StrictModel):
    """Who comes in: by a segment, an event, a date of their own, or all at a set time.

    Parameters
    ----------
    segment : str, optional
        A segment; alone, every member comes in.
    on : str, default 'member'
        ``member``: every member; ``enter``: those who become a member after the journey was
        approved; ``leave``: those who cease to be one.
    event : str, optional
        A type of behaviour, such as ``cart``: it counts from the approval on, and no longer than
        ``max_age`` afterwards, so that neither an approval nor an outage releases a backlog.
    where : str, optional
        A condition over the event: ``value``, ``item_id``, ``campaign_id``.
    max_age : timedelta, default 1 day
        How old an event, a date or a set time may be when it is seen.
    date : str, optional
        A time column of ``contacts``; ``before`` or ``after`` move it.
    every : str, optional
        ``year`` for an anniversary of the date. On 29 February it falls on the 28th in other years.
    before, after : timedelta, optional
        How long before or after the date people come in.
    time : time, optional
        The hour of a date, in the person's zone; midnight by default.
    schedule : Schedule, optional
        When everybody in ``segment`` comes in at once.
    when : str, optional
        A condition that must hold as well; unknown is no.
    most : int, optional
        How many people come in at one tick, drawn by lot; the others have to wait.
    """

    segment: Name | None = None
    on: Literal["member", "enter", "leave"] = "member"
    event: Text | None = None
    where: Text | None = None
    max_age: Duration = timedelta(days=1)
    date: Text | None = None
    every: Literal["year"] | None = None
    before: Duration | None = None
    after: Duration | None = None
    time: ClockTime | None = None
    schedule: Schedule | None = None
    when: Text | None = None
    most: Annotated[int, Field(strict=True, gt=0)] | None = None

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        ways = [self.event, self.date, self.schedule]
        if sum(way is not None for way in ways) > 1:
            refuse("it names more than one way in", "keep one of event, date and schedule.")
        if self.segment is None and self.event is None and self.date is None:
            fix = "write 'entry: {segment: …}', '{event: …}' or '{date: …}'."
            refuse("nothing says who comes in", fix)
        if self.on != "member" and (self.segment is None or self.kind != "segment"):
            refuse(f"'on: {self.on}' needs a segment alone", "name the segment that is meant.")
        if self.where is not None and self.event is None:
            refuse("'where' needs an event", "use 'when' for a condition about the person.")
        dated = (self.every, self.before, self.after, self.time)
        if self.date is None and any(one is not None for one in dated):
            refuse("'every', 'before', 'after' and 'time' need a date", "name its column.")
        if self.before is not None and self.after is not None:
            refuse("it is both before and after the date", "keep one of them.")
        return self

    @property
    def kind(self) -> Literal["segment", "event", "date", "schedule"]:
        """Which way in it is."""
        if self.event is not None:
            return "event"
        if self.date is not None:
            return "date"
        return "segment" if self.schedule is None else "schedule"


def _reentry(value: object) -> object:
    """Read the rule whole, so that a slip is told once and not for each kind of rule."""
    if value is None or value == "never":
        return None
    if value == "after_exit":
        return "after_exit"
    return read_duration(value, fix="write a length of time such as 90D, never or after_exit.")


def _plain_reentry(rule: timedelta | str | None) -> str | None:
    return duration_text(rule) if isinstance(rule, timedelta) else rule


Reentry = Annotated[
    timedelta | Literal["after_exit"] | None,
    BeforeValidator(_reentry, json_schema_input_type=str),
    PlainSerializer(_plain_reentry),
]
"""How long after an entry the same person may come in again; None (``never``) for once.

``after_exit``: as soon as the last pass is over.
"""


class Goal(StrictModel):
    """The behaviour that a journey is for.

    Parameters
    ----------
    event : str
        Such as ``order``, or the name of an event.
    where : str, optional
        A condition over the event, such as ``value > 20``.
    """

    event: Text
    where: Text | None = None


def _goal(value: object) -> object:
    return {"event": value} if isinstance(value, str) else value


def _plain_goal(goal: Goal) -> str | Mapping[str, str]:
    return goal.event if goal.where is None else {"event": goal.event, "where": goal.where}


GoalText = Annotated[
    Goal,
    BeforeValidator(_goal, json_schema_input_type=str | Goal),
    PlainSerializer(_plain_goal),
]
"""A goal; its event alone may be written."""


class Exit(StrictModel):
    """When somebody leaves before the end.

    Parameters
    ----------
    left_segment : bool, default False
        Whether to leave with the segment of the entry.
    when : str, optional
        A condition; where it is unknown, the person leaves.
    event : str, optional
        A type of behaviour after the entry.
    """

    left_segment: Annotated[bool, Field(strict=True)] = False
    when: Text | None = None
    event: Text | None = None
