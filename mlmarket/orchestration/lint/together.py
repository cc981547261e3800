"""Do the journeys and the policy go well together?"""

from collections.abc import Iterator
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from typing import Final

from mlmarket.orchestration.documents import duration_text
from mlmarket.orchestration.journeys.actions import Audience, Message, Start
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.lint.findings import Finding
from mlmarket.orchestration.lint.reading import step_place
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.policy import Cap

__all__ = ["together_findings"]

_HOUR: Final = timedelta(hours=1)
# With the hour that a day gains when clocks go back.
_LONGEST: Final = {
    "day": timedelta(days=1) + _HOUR,
    "week": timedelta(days=7) + _HOUR,
    "month": timedelta(days=31) + _HOUR,
}
_SHORTEST: Final = {
    "day": timedelta(days=1) - _HOUR,
    "week": timedelta(days=7) - _HOUR,
    "month": timedelta(days=28) - _HOUR,
}
_WAKES: Final = frozenset({"sms", "push", "whatsapp"})
_FINER: Final = {"day": ("day", "week", "month"), "week": ("week",), "month": ("month",)}
"""The stretches of the calendar that each one always lies within."""


def together_findings(playbook: Playbook) -> Iterator[Finding]:
    """Yield what is left open, or cannot be, where journeys meet.

    Parameters
    ----------
    playbook : Playbook
        All that is written down.

    Yields
    ------
    Finding
        In no order.
    """
    for journey in playbook.journeys:
        yield from _left_open(journey, playbook)
    yield from _ties(playbook)
    yield from _circles(playbook)
    yield from _caps(playbook)
    yield from _no_hours(playbook)


def _no_hours(playbook: Playbook) -> Iterator[Finding]:
    """Yield the channels that wake people and may be used at any hour."""
    used = {
        channel
        for journey in playbook.journeys
        for message in journey.messages
        for channel in message.channels
    }
    for channel in sorted(used & _WAKES):
        known = playbook.policy.channels.get(channel)
        if known is None or known.window is None:
            what = f"Messages by {channel} may go out at any hour."
            why = "A night decides at midnight, and a telephone rings then."
            fix = f'write channels: {{{channel}: {{window: {{opens: "09:00", closes: "20:00"}}}}}}.'
            yield Finding("policy", "key 'channels'", "no-quiet-hours", "warning", what, why, fix)


def _left_open(journey: Journey, playbook: Playbook) -> Iterator[Finding]:
    subject = f"journey '{journey.journey}'"
    leaves = journey.exit.left_segment or journey.exit.when or journey.exit.event
    if journey.goal is None and not leaves:
        why = "Whoever has done what it is for goes on getting its messages."
        fix = "write what it is for, such as 'goal: order', or when to leave."
        what = "It has neither a goal nor an exit."
        yield Finding(subject, "", "no-goal-or-exit", "warning", what, why, fix)
    measured = journey.holdout or playbook.holdout.share or journey.transactional
    if journey.messages and not measured:
        why = "Nobody can say afterwards what it earned."
        what, fix = "Nobody is held out.", "write 'holdout: 0.10', or 0.05 for a small journey."
        yield Finding(subject, "key 'holdout'", "no-holdout", "warning", what, why, fix)
    for node in journey.nodes:
        content = node.content
        if isinstance(content, Message) and journey.topic_of(content) is None:
            why = "Only a consent to every topic of the channel permits it."
            fix = "write 'topic: …' at the message or for the whole journey."
            yield Finding(
                subject,
                step_place(node),
                "message-without-topic",
                "warning",
                "It is about no topic.",
                why,
                fix,
            )
        if isinstance(content, Audience) and content.add and journey.topic_of(content) is None:
            yield Finding(
                subject,
                step_place(node),
                "audience-without-topic",
                "warning",
                "People join an audience for no topic.",
                "Only a consent to every topic of the channel 'ads' permits it.",
                "write 'topic: …' at the audience or for the whole journey.",
            )


def _ties(playbook: Playbook) -> Iterator[Finding]:
    for first, second in combinations(sorted(playbook.journeys, key=lambda one: one.journey), 2):
        if first.priority != second.priority or not _compete(first, second):
            continue
        yield Finding(
            f"journey '{first.journey}'",
            "key 'priority'",
            "priority-tie",
            "warning",
            f"It has the same priority, {first.priority}, as '{second.journey}'.",
            "Where both want the same person, their expected value decides, and then a lot.",
            "give the one that matters more a higher priority.",
        )


def _compete(first: Journey, second: Journey) -> bool:
    """Whether two journeys can want the same person on the same channel."""
    reached = [
        {channel for message in journey.messages for channel in message.channels}
        for journey in (first, second)
    ]
    if not reached[0] & reached[1]:
        return False
    same_group = first.group is not None and first.group == second.group
    way = (first.entry.segment, first.entry.event, first.entry.date)
    return same_group or way == (second.entry.segment, second.entry.event, second.entry.date)


def _circles(playbook: Playbook) -> Iterator[Finding]:
    started = {
        journey.journey: sorted(
            {n.content.journey for n in journey.nodes if isinstance(n.content, Start)}
        )
        for journey in sorted(playbook.journeys, key=lambda one: one.journey)
    }
    try:
        TopologicalSorter(started).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        subject = f"journey '{min(circle)}'"
        what = f"Journeys start each other in a circle: {', '.join(sorted(set(circle)))}."
        why = "Whoever comes into one of them may never get out of all of them."
        fix = "let one of them end without starting the next."
        yield Finding(subject, "", "start-cycle", "error", what, why, fix)


def _caps(playbook: Playbook) -> Iterator[Finding]:
    used = [
        (channel, journey.topic_of(message))
        for journey in playbook.journeys
        if not journey.transactional
        for message in journey.messages
        for channel in message.channels
    ]
    for cap in playbook.policy.caps:
        place = f"cap '{cap.name}'"
        why = "It looks as if it protected somebody, and it never does."
        if used and not any(_counts(cap, channel, topic) for channel, topic in used):
            what = "No message of any journey falls under it."
            fix = "correct its channel or topic, or remove it."
            yield Finding("policy", place, "cap-cannot-bind", "warning", what, why, fix)
            continue
        for other in playbook.policy.caps:
            if other is not cap and _makes_idle(other, cap):
                what = f"'{other.name}' ({_said(other)}) always binds first."
                fix = f"make it smaller than '{other.name}' allows, or remove it."
                yield Finding("policy", place, "cap-cannot-bind", "warning", what, why, fix)
                break


def _counts(cap: Cap, channel: str, topic: str | None) -> bool:
    # Topics are compared as consents compare them: without regard to case.
    about = cap.topic is None or (topic is not None and topic.lower() == cap.topic.lower())
    return about and cap.channel in {None, channel}


def _makes_idle(other: Cap, cap: Cap) -> bool:
    """Whether another cap lets so few messages through that this one is never reached."""
    wider = other.channel in {None, cap.channel} and (
        other.topic is None or (cap.topic is not None and other.topic.lower() == cap.topic.lower())
    )
    if not wider or (_same(other, cap) and other.name > cap.name):
        return False
    return cap.most >= _passed(other, cap)


def _same(first: Cap, second: Cap) -> bool:
    return (first.most, first.per, first.channel, first.topic) == (
        second.most,
        second.per,
        second.channel,
        second.topic,
    )


def _passed(other: Cap, cap: Cap) -> float:
    """Return how many messages another cap lets through at most within one stretch of this."""
    longest = cap.per if isinstance(cap.per, timedelta) else _LONGEST[cap.per]
    if isinstance(other.per, timedelta):
        return other.most if longest <= other.per else float("inf")
    if isinstance(cap.per, str):
        return other.most if other.per in _FINER[cap.per] else float("inf")
    # Any such length lies within two stretches of the calendar that follow each other.
    return 2 * other.most if longest <= _SHORTEST[other.per] else float("inf")


def _said(cap: Cap) -> str:
    per = cap.per if isinstance(cap.per, str) else duration_text(cap.per)
    return f"{cap.most} per {per}"
