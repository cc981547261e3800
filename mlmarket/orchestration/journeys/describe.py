"""How does a journey read in plain sentences?"""

from __future__ import annotations

from datetime import timedelta
from functools import singledispatch
from typing import TYPE_CHECKING, Final

from mlmarket.orchestration.journeys.actions import (
    Alert,
    Audience,
    FieldUpdate,
    Message,
    Start,
    Tag,
    Task,
    Webhook,
)
from mlmarket.orchestration.journeys.flow import (
    Branch,
    BranchStep,
    EndStep,
    GoToStep,
    Split,
    SplitStep,
    Step,
    Until,
    Wait,
    WaitStep,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlmarket.orchestration.journeys.entry import Entry, Schedule
    from mlmarket.orchestration.journeys.journey import Journey

__all__ = ["channels_in_words", "described", "duration_in_words", "entry_in_words", "in_words"]

_INDENT: Final = "  "
_CHANNELS: Final = {
    "email": "e-mail",
    "sms": "SMS",
    "in_app": "in-app message",
    "whatsapp": "WhatsApp",
    "push": "push message",
}
_DAYS: Final = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}


def described(journey: Journey) -> tuple[str, ...]:
    """Return a journey in plain sentences.

    Parameters
    ----------
    journey : Journey
        Any journey.

    Returns
    -------
    tuple of str
        One sentence each, indented by two spaces for each level of its ways.
    """
    lines = [f"{entry_in_words(journey.entry)}, {_again(journey)}."]
    lines += _sentences(journey.steps, 0)
    expiry = duration_in_words(journey.expires_after)
    if journey.goal is None:
        lines.append(f"It is over {expiry} after the entry.")
    else:
        what = _event(journey.goal.event, journey.goal.where)
        lines.append(f"Goal: {what} within {expiry} of the entry.")
    if journey.exit.left_segment:
        lines.append("Whoever leaves the segment leaves the journey.")
    if journey.exit.when is not None:
        lines.append(f"Whoever meets '{journey.exit.when}', or might, leaves the journey.")
    if journey.exit.event is not None:
        lines.append(f"Whoever does '{journey.exit.event}' leaves the journey.")
    if journey.holdout:
        lines.append(f"{journey.holdout * 100:g}% are followed but never messaged.")
    return tuple(lines)


def _again(journey: Journey) -> str:
    if journey.reentry is None:
        return "once"
    if isinstance(journey.reentry, timedelta):
        return f"again after {duration_in_words(journey.reentry)}"
    return "again once the last pass is over"


def entry_in_words(entry: Entry) -> str:
    """Return who comes in, as a sentence without its full stop.

    Parameters
    ----------
    entry : Entry
        Of a journey.

    Returns
    -------
    str
        Such as ``Everyone in the segment 'leaving' comes in``.
    """
    text = _WAYS_IN[entry.kind](entry)
    if entry.when is not None:
        text += f" if {entry.when}"
    if entry.most is not None:
        text += f" (at most {entry.most:,} at a time)"
    return text


def _by_segment(entry: Entry) -> str:
    if entry.on == "enter":
        return f"Whoever enters the segment '{entry.segment}' comes in"
    if entry.on == "leave":
        return f"Whoever leaves the segment '{entry.segment}' comes in"
    return f"Everyone in the segment '{entry.segment}' comes in"


def _by_event(entry: Entry) -> str:
    who = "Whoever" if entry.segment is None else f"Whoever is in the segment '{entry.segment}' and"
    return f"{who} does {_event(entry.event or '', entry.where)} comes in"


def _by_date(entry: Entry) -> str:
    who = "Everyone" if entry.segment is None else f"Everyone in the segment '{entry.segment}'"
    day = f"each anniversary of {entry.date}" if entry.every else f"the date {entry.date}"
    hour = "" if entry.time is None else f" at {entry.time:%H:%M} local time"
    return f"{who} comes in {_moved(entry.before, entry.after)} {day}{hour}".replace("  ", " on ")


def _by_schedule(entry: Entry) -> str:
    return f"Everyone in the segment '{entry.segment}' comes in {_schedule(entry.schedule)}"


_WAYS_IN: Final = {
    "segment": _by_segment,
    "event": _by_event,
    "date": _by_date,
    "schedule": _by_schedule,
}


def _schedule(schedule: Schedule | None) -> str:
    if schedule is None:
        return ""
    if schedule.day_of_month is not None:
        return f"on day {schedule.day_of_month} of each month at {schedule.time:%H:%M}"
    days = "every day" if schedule.weekdays is None else f"on {_weekdays(schedule.weekdays)}"
    return f"{days} at {schedule.time:%H:%M}"


def _weekdays(days: Sequence[str]) -> str:
    return ", ".join(_DAYS[day] for day in days)


def _moved(before: timedelta | None, after: timedelta | None) -> str:
    if before is not None:
        return f"{duration_in_words(before)} before"
    return "" if after is None else f"{duration_in_words(after)} after"


def _event(event: str, where: str | None) -> str:
    return f"'{event}'" if where is None else f"'{event}' with {where}"


def _sentences(steps: Sequence[Step], level: int) -> Iterator[str]:
    for step in steps:
        if isinstance(step, GoToStep):
            yield f"{_INDENT * level}Go on at '{step.go_to}'."
        elif isinstance(step, EndStep):
            yield f"{_INDENT * level}The journey ends: {step.end}."
        else:
            content = getattr(step, next(iter(type(step).model_fields)))
            yield f"{_INDENT * level}{in_words(content)}."
            for heading, way in _ways(step):
                if way:
                    yield f"{_INDENT * (level + 1)}{heading}:"
                    yield from _sentences(way, level + 2)
                else:
                    yield f"{_INDENT * (level + 1)}{heading}: nothing more here."


def _ways(step: Step) -> list[tuple[str, tuple[Step, ...]]]:
    if isinstance(step, BranchStep):
        paths = [(f"{path.name}, if {path.when}", path.steps) for path in step.branch.paths]
        return [*paths, ("Otherwise", step.branch.otherwise)]
    if isinstance(step, SplitStep):
        shares = zip(step.split.arms, step.split.shares, strict=True)
        return [(f"{arm.name}, {share * 100:g}% of the people", arm.steps) for arm, share in shares]
    if isinstance(step, WaitStep) and step.wait.until is not None:
        return [("If it happens", step.wait.met), ("If time runs out", step.wait.timed_out)]
    return []


@singledispatch
def in_words(content: object) -> str:
    """Return what a node does, as a sentence without its full stop.

    Parameters
    ----------
    content : Action, Branch, Split or Wait
        Of a node.

    Returns
    -------
    str
        Such as ``Wait 7 days``.
    """
    raise TypeError(type(content).__name__)


@in_words.register
def _(content: Message) -> str:
    about = f" about {content.topic}" if content.topic else ""
    hour = " at the person's best time" if content.send == "best_time" else ""
    by = channels_in_words(content.channels, ", else ")
    return f"Send '{content.name}' by {by}{about}{hour} (template {content.template})"


def channels_in_words(channels: Sequence[str], between: str) -> str:
    """Return a ladder of channels as people call them.

    Parameters
    ----------
    channels : sequence of str
        The first choice first.
    between : str
        What stands between two.

    Returns
    -------
    str
        Such as ``e-mail, else SMS``.
    """
    return between.join(_CHANNELS.get(channel, channel) for channel in channels)


@in_words.register
def _(content: Alert) -> str:
    return f"Tell {content.to}: {content.text}".rstrip(".")


@in_words.register
def _(content: Task) -> str:
    who = "" if content.assignee is None else f" for {content.assignee}"
    due = "" if content.due_in is None else f", due in {duration_in_words(content.due_in)}"
    return f"Create the task '{content.title}'{who}{due}"


@in_words.register
def _(content: FieldUpdate) -> str:
    return f"Set the field {content.field} to '{content.value}'"


@in_words.register
def _(content: Tag) -> str:
    if content.add is not None:
        return f"Add the tag '{content.add}'"
    return f"Remove the tag '{content.remove}'"


@in_words.register
def _(content: Audience) -> str:
    if content.add is not None:
        return f"Add the person to the audience '{content.add}' on {content.platform}"
    return f"Remove the person from the audience '{content.remove}' on {content.platform}"


@in_words.register
def _(content: Webhook) -> str:
    return f"Call the endpoint '{content.endpoint}'"


@in_words.register
def _(content: Start) -> str:
    return f"Begin the journey '{content.journey}'"


@in_words.register
def _(content: Branch) -> str:
    return "The first of these that holds" if len(content.paths) > 1 else "It depends"


@in_words.register
def _(content: Split) -> str:
    return f"By lot '{content.name}', the same for a person each time"


@in_words.register
def _(content: Wait) -> str:
    if content.duration is not None:
        return f"Wait {duration_in_words(content.duration)}"
    if content.until is not None and content.at_most is not None:
        return f"Wait until {_until(content.until)}, at most {duration_in_words(content.at_most)}"
    if content.best_send_time is not None:
        longest = duration_in_words(content.best_send_time)
        return f"Wait for the person's best hour, at most {longest}"
    hour = "" if content.time is None else f"{content.time:%H:%M} local time"
    if content.date is not None:
        moved = _moved(content.before, content.after)
        day = f"{moved} {content.date}" if moved else content.date
        return f"Wait until {day}" + (f" at {hour}" if hour else "")
    days = "" if content.weekdays is None else f" on {_weekdays(content.weekdays)}"
    return f"Wait until {hour}{days}"


def _until(until: Until) -> str:
    if until.event is not None:
        return f"{_event(until.event, until.where)} happens"
    if until.segment is not None:
        return f"the person is in the segment '{until.segment}'"
    if until.left_segment is not None:
        return f"the person is no longer in the segment '{until.left_segment}'"
    return str(until.when)


def duration_in_words(duration: timedelta) -> str:
    """Return a length of time in words.

    Parameters
    ----------
    duration : timedelta
        Whole minutes.

    Returns
    -------
    str
        Days, hours or minutes.

    Examples
    --------
    >>> duration_in_words(timedelta(days=1)), duration_in_words(timedelta(minutes=90))
    ('1 day', '90 minutes')
    """
    hours, rest = divmod(duration, timedelta(hours=1))
    if rest:
        count, unit = duration // timedelta(minutes=1), "minute"
    else:
        count, unit = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
