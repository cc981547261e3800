"""What happens to a person, step by step, from entry to goal?"""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Discriminator, StrictBool, Tag, model_validator

from mlmarket.errors import suggestion
from mlmarket.market.columns import CHANNELS
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

__all__ = ["Entry", "Exit", "Journey", "Message", "MessageStep", "Step", "WaitStep", "load_journey"]

_VERSION_DIGITS: Final = 16


def _channel(value: object) -> object:
    if isinstance(value, str) and value not in CHANNELS:
        refuse(f"there is no channel '{value}'", suggestion(value, CHANNELS))
    return value


class Message(StrictModel):
    """What is sent.

    Parameters
    ----------
    name : str
        Its name, once in a journey.
    channel : str
        One of the channels of the data contract.
    template : str
        What the mailer calls the text to send.
    topic : str, optional
        What the message is about, as consents name it. Without one, only a consent to every
        topic of the channel permits it.
    """

    name: Name
    channel: Annotated[Text, BeforeValidator(_channel)]
    template: Text
    topic: Text | None = None


class WaitStep(StrictModel):
    """Time that passes before the next step, from the moment the last one was done."""

    wait: Duration


class MessageStep(StrictModel):
    """A message to the person, if it is permitted."""

    message: Message


_KINDS: Final = ("message", "wait")


def _one_known_key(value: object) -> object:
    if isinstance(value, MessageStep | WaitStep):
        return value
    if not isinstance(value, Mapping) or len(value) != 1:
        fix = "write '- wait: 7D' or '- message: {name: …, channel: …, template: …}'."
        refuse("a step is one key with its value", fix)
    (key,) = value
    if key not in _KINDS:
        refuse(f"there is no step '{key}'", suggestion(str(key), _KINDS))
    return value


def _kind(value: object) -> str:
    is_message = isinstance(value, MessageStep) or (
        isinstance(value, Mapping) and "message" in value
    )
    return "step:message" if is_message else "step:wait"


Step = Annotated[
    Annotated[WaitStep, Tag("step:wait")] | Annotated[MessageStep, Tag("step:message")],
    Discriminator(_kind),
    BeforeValidator(_one_known_key),
]
"""One thing after the other."""


def _reentry(value: object) -> object:
    return None if value == "never" else value


class Entry(StrictModel):
    """Who comes in: every member of a segment."""

    segment: Name


class Exit(StrictModel):
    """When somebody leaves before the end.

    Parameters
    ----------
    left_segment : bool, default False
        Whether to leave with the segment of the entry.
    """

    left_segment: StrictBool = False


class Journey(StrictModel):
    """One line of steps, its goal and its end.

    Parameters
    ----------
    journey : str
        Its name.
    title : str
        How people call it.
    entry : Entry
        Who comes in.
    reentry : timedelta or None
        How long after an entry the same person may come in again; None (``never``) for once.
    steps : tuple of Step
        Waits and messages.
    goal : str
        The behaviour that the journey is for, such as ``order``; it counts from the entry to
        the expiry, after the last message too.
    expires_after : timedelta
        When the journey is over for a person, counted from the entry.
    exit : Exit
        When somebody leaves before the end.
    holdout : float, default 0
        The share of people who are followed but never messaged, to measure what is earned.
    """

    journey: Name
    title: Text
    entry: Entry
    reentry: Annotated[Duration | None, BeforeValidator(_reentry)]
    steps: tuple[Step, ...]
    goal: Text
    expires_after: Duration
    exit: Exit = Exit()
    holdout: Share = 0.0

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        names = [step.message.name for step in self.steps if isinstance(step, MessageStep)]
        if not names:
            refuse("it has no message", "add a step '- message: …'.")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            refuse(f"two messages are called '{twice[0]}'", "give each its own name.")
        if self.before_last_message() >= self.expires_after:
            fix = "wait less, or let it expire later."
            refuse("it expires before its last message can be sent", fix)
        if self.reentry is not None and self.reentry < self.expires_after:
            # Two passes of one person must not overlap: one goal would count for both.
            fix = f"write at least 'reentry: {duration_text(self.expires_after)}'."
            refuse("people could come in again before the last pass has expired", fix)
        return self

    @property
    def version(self) -> str:
        """The first 16 hex digits of the SHA-256 of its canonical form."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:_VERSION_DIGITS]

    def canonical(self) -> str:
        """Return the journey as JSON that is equal for equal journeys, however written."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def step_name(self, position: int) -> str:
        """Return how decisions call the step at a position, counted from 0.

        Parameters
        ----------
        position : int
            The place in ``steps``.

        Returns
        -------
        str
            A message's name, ``wait_2`` for a wait in second place, ``end`` after the last.
        """
        if position >= len(self.steps):
            return "end"
        step = self.steps[position]
        return step.message.name if isinstance(step, MessageStep) else f"wait_{position + 1}"

    def before_last_message(self) -> timedelta:
        """Return how long the waits before the last message take together."""
        last = max(n for n, step in enumerate(self.steps) if isinstance(step, MessageStep))
        waits = (step.wait for step in self.steps[:last] if isinstance(step, WaitStep))
        return sum(waits, timedelta())

    def describe(self) -> tuple[str, ...]:
        """Return the journey in plain sentences, one for each thing that happens.

        Returns
        -------
        tuple of str
            Entry, steps, goal, exit, expiry and holdout.
        """
        again = "once" if self.reentry is None else f"again after {_in_words(self.reentry)}"
        lines = [f"Everyone in the segment '{self.entry.segment}' comes in, {again}."]
        for step in self.steps:
            if isinstance(step, WaitStep):
                lines.append(f"Wait {_in_words(step.wait)}.")
            else:
                about = f" about {step.message.topic}" if step.message.topic else ""
                lines.append(
                    f"Send '{step.message.name}' by {step.message.channel}{about}"
                    f" (template {step.message.template})."
                )
        lines.append(f"Goal: {self.goal} within {_in_words(self.expires_after)} of the entry.")
        if self.exit.left_segment:
            lines.append("Whoever leaves the segment leaves the journey.")
        if self.holdout:
            lines.append(f"{self.holdout * 100:g}% are followed but never messaged.")
        return tuple(lines)


def _in_words(duration: timedelta) -> str:
    hours, rest = divmod(duration, timedelta(hours=1))
    if rest:
        return f"{duration // timedelta(minutes=1)} minutes"
    count, unit = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


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
