"""What does the card of each step say?"""

from dataclasses import dataclass
from functools import singledispatch
from typing import Final

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
from mlmarket.orchestration.journeys.describe import (
    channels_in_words,
    duration_in_words,
    in_words,
)
from mlmarket.orchestration.journeys.flow import Branch, Split, Wait
from mlmarket.orchestration.journeys.nodes import Node

__all__ = ["COLOURS", "Card", "card_of", "spoken"]

COLOURS: Final = {
    "message": ("#0B5FA5", "#F2F8FD"),
    "wait": ("#8A5A00", "#FFFBF0"),
    "branch": ("#6741A5", "#F8F5FD"),
    "split": ("#0F6E66", "#F0FAF8"),
    "alert": ("#B03A06", "#FFF6F1"),
    "task": ("#B03A06", "#FFF6F1"),
    "audience": ("#9B2C63", "#FDF4F8"),
}
"""Ink and ground of each kind; what has none is plain bookkeeping."""


@dataclass(frozen=True, slots=True)
class Card:
    """The texts of one step.

    Parameters
    ----------
    kind : str
        What it is, in capitals.
    title : str
        What people read first.
    details : tuple of str
        What they read next.
    """

    kind: str
    title: str
    details: tuple[str, ...] = ()


def spoken(name: str) -> str:
    """Return a name as it is spoken.

    Parameters
    ----------
    name : str
        Such as ``we_miss_you``.

    Returns
    -------
    str
        Such as ``We miss you``.
    """
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def card_of(node: Node) -> Card:
    """Return what the card of a node says.

    Parameters
    ----------
    node : Node
        Of a journey.

    Returns
    -------
    Card
        Its texts, not yet broken into lines.
    """
    return _card(node.content, node.name)


@singledispatch
def _card(content: object, name: str) -> Card:  # noqa: ARG001 - as all cards
    raise TypeError(type(content).__name__)


@_card.register
def _(content: Message, name: str) -> Card:
    details = [] if content.topic is None else [f"about {content.topic}"]
    if content.send == "best_time":
        details.append("at the person's best time")
    if content.worth is not None:
        details.append("by expected value")
    ladder = channels_in_words(content.channels, " \N{RIGHTWARDS ARROW} ")
    kind = ladder.replace(" message", "").upper()
    return Card(kind, spoken(name), tuple(details))


@_card.register
def _(content: Wait, name: str) -> Card:  # noqa: ARG001 - as all cards
    if content.duration is not None:
        return Card("WAIT", duration_in_words(content.duration).capitalize())
    words = in_words(content).removeprefix("Wait ")
    if content.until is not None and content.at_most is not None:
        words, _, longest = words.rpartition(", ")
        return Card("WAIT", words[:1].upper() + words[1:], (longest,))
    return Card("WAIT", words[:1].upper() + words[1:])


@_card.register
def _(content: Branch, name: str) -> Card:
    title = spoken(name) if content.name is not None else "Which way?"
    return Card("BRANCH", title, ("the first that holds",) if len(content.paths) > 1 else ())


@_card.register
def _(content: Split, name: str) -> Card:  # noqa: ARG001 - as all cards
    return Card("SPLIT BY LOT", spoken(name))


@_card.register
def _(content: Alert, name: str) -> Card:
    return Card("ALERT", f"Tell {content.to}", (spoken(name),))


@_card.register
def _(content: Task, name: str) -> Card:  # noqa: ARG001 - as all cards
    details = [] if content.assignee is None else [f"for {content.assignee}"]
    if content.due_in is not None:
        details.append(f"due in {duration_in_words(content.due_in)}")
    return Card("TASK", content.title, (", ".join(details),) if details else ())


@_card.register
def _(content: FieldUpdate, name: str) -> Card:  # noqa: ARG001 - as all cards
    return Card("FIELD", f"{content.field} = {content.value}")


@_card.register
def _(content: Tag, name: str) -> Card:  # noqa: ARG001 - as all cards
    return Card(
        "TAG", f"+ {content.add}" if content.add is not None else f"\N{MINUS SIGN} {content.remove}"
    )


@_card.register
def _(content: Audience, name: str) -> Card:  # noqa: ARG001 - as all cards
    joins = content.add is not None
    title = f"+ {content.add}" if joins else f"\N{MINUS SIGN} {content.remove}"
    return Card("AUDIENCE", title, (f"on {content.platform}",))


@_card.register
def _(content: Webhook, name: str) -> Card:
    return Card("WEBHOOK", spoken(name), (f"to {content.endpoint}",))


@_card.register
def _(content: Start, name: str) -> Card:  # noqa: ARG001 - as all cards
    return Card("START", spoken(content.journey), ("another journey",))
