"""What happens to a person, step by step, from entry to goal?"""

import hashlib
import json
from datetime import timedelta
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from mlmarket.orchestration.documents import (
    Duration,
    Name,
    Share,
    StrictModel,
    Text,
    duration_text,
    read_document,
    refuse,
    validated,
)
from mlmarket.orchestration.journeys.actions import Audience, Message
from mlmarket.orchestration.journeys.describe import described
from mlmarket.orchestration.journeys.entry import Entry, Exit, GoalText, Reentry
from mlmarket.orchestration.journeys.flow import Step, Wait
from mlmarket.orchestration.journeys.nodes import Node, laid_out
from mlmarket.orchestration.journeys.writing import written, yaml_text

__all__ = ["LEGAL_BASES", "Journey", "load_journey"]

_VERSION_DIGITS: Final = 16
LEGAL_BASES: Final = ("consent", "contract", "legitimate_interest", "legal_obligation")
"""On what a message can rest. A consent counts only for messages that rest on its own basis."""


class Journey(StrictModel):
    """The steps of a journey, who comes in, its goal and its end.

    Parameters
    ----------
    journey : str
        Its name.
    title : str
        How people call it.
    entry : Entry
        Who comes in.
    reentry : timedelta, 'after_exit' or None
        How long after an entry the same person may come in again; None (``never``) for once.
    steps : tuple of Step
        What happens, in order.
    goal : Goal, optional
        The behaviour that the journey is for, such as ``order``; it counts from the entry to
        the expiry, after the last message too.
    expires_after : timedelta
        When the journey is over for a person, counted from the entry.
    exit : Exit
        When somebody leaves before the end.
    holdout : float, default 0
        The share of people who are followed but never messaged, to measure what is earned.
    priority : int, default 50
        From 0 to 100. Where two journeys want the same person, the higher one goes first.
    group : str, optional
        An exclusion group: of its journeys that a person is in, only the one of the highest
        priority writes to them.
    topic : str, optional
        What its messages are about, where they do not say so themselves.
    legal_basis : str, default 'consent'
        One of :data:`LEGAL_BASES`.
    transactional : bool, default False
        Whether its messages belong to something that the person has done, such as an order. They
        are not counted against frequency caps, and pass every other gate.
    """

    journey: Name
    title: Text
    entry: Entry
    reentry: Reentry
    steps: tuple[Step, ...]
    goal: GoalText | None = None
    expires_after: Duration
    exit: Exit = Exit()
    holdout: Share = 0.0
    priority: Annotated[int, Field(strict=True, ge=0, le=100)] = 50
    group: Name | None = None
    topic: Text | None = None
    legal_basis: Literal["consent", "contract", "legitimate_interest", "legal_obligation"] = (
        "consent"
    )
    transactional: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        nodes = self.nodes
        if not any(not isinstance(node.content, Wait) for node in nodes):
            refuse("it does nothing", "add a step '- message: …', or another action.")
        _refuse_loops(nodes)
        if isinstance(self.reentry, timedelta) and self.reentry < self.expires_after:
            # Two passes of one person must not overlap: one goal would count for both.
            fix = f"write at least 'reentry: {duration_text(self.expires_after)}'."
            refuse("people could come in again before the last pass has expired", fix)
        if self.exit.left_segment and (self.entry.segment is None or self.entry.on == "leave"):
            refuse("'exit.left_segment' needs an entry by a segment", "use 'exit: {when: …}'.")
        return self

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Its steps laid out flat, by position."""
        return laid_out(self.steps)

    @property
    def version(self) -> str:
        """The first 16 hex digits of the SHA-256 of its canonical form."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:_VERSION_DIGITS]

    def canonical(self) -> str:
        """Return the journey as JSON that is equal for equal journeys, however written.

        What has its default value is left out, so that a setting that a later release adds
        leaves the versions of existing journeys as they are.
        """
        content = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def written(self) -> dict[str, object]:
        """Return the journey as plain values, in the short forms that a marketer writes.

        Returns
        -------
        dict
            What :meth:`to_yaml` writes; what has its default value is left out.
        """
        return written(self)

    def to_yaml(self) -> str:
        """Return the journey as the text of a file that reads back as the same journey.

        Returns
        -------
        str
            YAML; comments of an earlier file are not in it.
        """
        return yaml_text(written(self))

    def describe(self) -> tuple[str, ...]:
        """Return the journey in plain sentences, one for each thing that happens.

        Returns
        -------
        tuple of str
            Entry, steps, goal, exit, expiry and holdout; what belongs to one way of a branch
            is indented by two spaces for each level.
        """
        return described(self)

    def step_name(self, position: int) -> str:
        """Return how decisions call the step at a position, counted from 0.

        Parameters
        ----------
        position : int
            The place in ``nodes``.

        Returns
        -------
        str
            The node's name, ``end`` after the last.
        """
        return "end" if position >= len(self.nodes) else self.nodes[position].name

    @property
    def messages(self) -> tuple[Message, ...]:
        """All its messages, in the order of their positions."""
        return tuple(n.content for n in self.nodes if isinstance(n.content, Message))

    def topic_of(self, content: Message | Audience) -> str | None:
        """Return what a message or an audience is about: its own topic, else the journey's."""
        return self.topic if content.topic is None else content.topic


def _refuse_loops(nodes: tuple[Node, ...]) -> None:
    """Refuse a way back to a step on which no time passes: it would never end."""
    ahead = {
        node.position: () if isinstance(node.content, Wait) else (node.next, *node.ways)
        for node in nodes
    }
    try:
        TopologicalSorter(ahead).prepare()
    except CycleError as error:
        name = nodes[error.args[1][0]].name
        fix = "put a wait into the loop."
        refuse(f"the loop through '{name}' has no wait, so it would never end", fix)


def load_journey(path: Path | str) -> Journey:
    """Read the journey of one YAML file.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    Journey
        The checked journey.

    Raises
    ------
    DocumentError
        For anything that cannot be followed, with file, journey and key.
    """
    document = read_document(path)
    name = document.get("journey")
    subject = f"journey '{name}'" if isinstance(name, str) else "journey"
    return validated(Journey, document, path=path, subject=subject)
