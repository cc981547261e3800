"""Which conditions, events, segments, columns and texts stand where in a journey?"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from mlmarket.expressions import Expression, ExpressionError, Schema, parse_condition
from mlmarket.orchestration.conditions import functions_for
from mlmarket.orchestration.conditions.questions import ANCHORS, EVENT_SCHEMA
from mlmarket.orchestration.journeys.actions import Alert, FieldUpdate, Message, Task, Webhook
from mlmarket.orchestration.journeys.flow import Branch, Wait
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.journeys.nodes import Node

__all__ = [
    "TOKEN",
    "Condition",
    "Told",
    "condition_read",
    "conditions_of",
    "events_of",
    "segments_of",
    "step_place",
    "texts_of",
]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as it is written.

    Parameters
    ----------
    place : str
        Where it stands.
    text : str
        What it says.
    about : str
        ``person``; ``pass``, where it may say ``since='entry'``; or ``event``.
    """

    place: str
    text: str
    about: Literal["person", "pass", "event"]


@dataclass(frozen=True, slots=True)
class Told:
    """A text that is filled in for each person."""

    place: str
    text: str


def step_place(node: Node) -> str:
    """Return how findings call a step.

    Parameters
    ----------
    node : Node
        Of a journey.

    Returns
    -------
    str
        Such as ``step 'hello'``.
    """
    return f"step '{node.name}'"


def condition_read(condition: Condition, known: Schema) -> Expression | ExpressionError:
    """Read a condition, without asking whether the events and segments it names are there.

    Parameters
    ----------
    condition : Condition
        As written.
    known : mapping of str to Type
        The columns of people.

    Returns
    -------
    Expression or ExpressionError
        What it means, or what is wrong with it.
    """
    try:
        if condition.about == "event":
            return parse_condition(condition.text, schema=EVENT_SCHEMA)
        anchors = ANCHORS if condition.about == "pass" else ()
        functions = functions_for(anchors, schema=known)
        return parse_condition(condition.text, schema=known, functions=functions)
    except ExpressionError as error:
        return error


def conditions_of(journey: Journey) -> Iterator[Condition]:
    """Yield every condition of a journey.

    Parameters
    ----------
    journey : Journey
        Any journey.

    Yields
    ------
    Condition
        In the order of the documentation of the keys, then of the steps.
    """
    if journey.entry.when is not None:
        yield Condition("key 'entry.when'", journey.entry.when, "person")
    if journey.entry.where is not None:
        yield Condition("key 'entry.where'", journey.entry.where, "event")
    if journey.goal is not None and journey.goal.where is not None:
        yield Condition("key 'goal.where'", journey.goal.where, "event")
    if journey.exit.when is not None:
        yield Condition("key 'exit.when'", journey.exit.when, "pass")
    for node in journey.nodes:
        yield from _conditions_at(node)


def _conditions_at(node: Node) -> Iterator[Condition]:
    if isinstance(node.content, Branch):
        for path in node.content.paths:
            yield Condition(f"{step_place(node)}, path '{path.name}'", path.when, "pass")
    if isinstance(node.content, Wait) and node.content.until is not None:
        until = node.content.until
        if until.when is not None:
            yield Condition(f"{step_place(node)}, key 'until.when'", until.when, "pass")
        if until.where is not None:
            yield Condition(f"{step_place(node)}, key 'until.where'", until.where, "event")


def events_of(journey: Journey) -> Iterator[tuple[str, str]]:
    """Yield every event that a journey names outside of conditions, with its place.

    Parameters
    ----------
    journey : Journey
        Any journey.

    Yields
    ------
    tuple of (str, str)
        Place and type of behaviour.
    """
    if journey.entry.event is not None:
        yield "key 'entry.event'", journey.entry.event
    if journey.goal is not None:
        yield "key 'goal'", journey.goal.event
    if journey.exit.event is not None:
        yield "key 'exit.event'", journey.exit.event
    for node in journey.nodes:
        content = node.content
        if isinstance(content, Wait) and content.until is not None and content.until.event:
            yield f"{step_place(node)}, key 'until.event'", content.until.event


def segments_of(journey: Journey) -> Iterator[tuple[str, str]]:
    """Yield every segment that a journey names outside of conditions, with its place.

    Parameters
    ----------
    journey : Journey
        Any journey.

    Yields
    ------
    tuple of (str, str)
        Place and name.
    """
    if journey.entry.segment is not None:
        yield "key 'entry.segment'", journey.entry.segment
    for node in journey.nodes:
        if isinstance(node.content, Wait) and node.content.until is not None:
            until = node.content.until
            for key, name in (("segment", until.segment), ("left_segment", until.left_segment)):
                if name is not None:
                    yield f"{step_place(node)}, key 'until.{key}'", name


def texts_of(journey: Journey) -> Iterator[Told]:
    """Yield every text of a journey that is filled in for each person.

    Parameters
    ----------
    journey : Journey
        Any journey.

    Yields
    ------
    Told
        In the order of the steps.
    """
    for node in journey.nodes:
        for key, text in _texts_at(node.content):
            yield Told(f"{step_place(node)}, {key}", text)


def _texts_at(content: object) -> Iterator[tuple[str, str]]:
    match content:
        case Message(slots=slots):
            yield from ((f"slot '{name}'", text) for name, text in slots.items())
        case Webhook(data=data):
            yield from ((f"key 'data.{name}'", text) for name, text in data.items())
        case Alert(text=text):
            yield "key 'text'", text
        case Task(title=title):
            yield "key 'title'", title
        case FieldUpdate(value=value):
            yield "key 'value'", value


TOKEN: Final = re.compile(r"\{([^{}:|]+)(?::([^{}|]*))?(?:\|([^{}]*))?\}")
"""A token of a text: the column, its form, and what stands for a missing value."""
