"""What can be done to or about a person at one step of a journey?"""

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from mlmarket.errors import suggestion
from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.documents import Duration, Name, StrictModel, Text, refuse

__all__ = [
    "Action",
    "Alert",
    "Audience",
    "Blocked",
    "Channels",
    "FieldUpdate",
    "Message",
    "Start",
    "Tag",
    "Task",
    "Webhook",
    "Worth",
]


def _channels(value: object) -> object:
    """Read one channel or a ladder of them, the first choice first."""
    ladder = [value] if isinstance(value, str) else value
    if not isinstance(ladder, list | tuple) or not ladder:
        refuse("it names no channel", "write 'channel: email', or 'channel: [email, sms]'.")
    for one in ladder:
        if one not in CHANNELS:
            refuse(f"there is no channel '{one}'", suggestion(str(one), CHANNELS))
    twice = sorted({one for one in ladder if list(ladder).count(one) > 1})
    if twice:
        refuse(f"the channel '{twice[0]}' stands twice in the ladder", "name each channel once.")
    return tuple(ladder)


Channels = Annotated[
    tuple[str, ...],
    BeforeValidator(_channels, json_schema_input_type=str | list[str]),
    PlainSerializer(lambda ladder: ladder[0] if len(ladder) == 1 else list(ladder)),
]
"""A ladder of channels: the first that is open to the person is used."""

Blocked = Literal["hold", "advance", "drop"]
"""What becomes of a person whose message may not be sent on any channel.

``hold``: tried again at each tick, until ``hold_for`` or the expiry; ``advance``: goes on without
the message; ``drop``: leaves the journey.
"""


def _worth(value: object) -> object:
    """Read a column or a number, so that a slip is told once and not for each of the two."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        refuse("it is neither a column nor a number", "name a column, or write a number.")
    if isinstance(value, str) and not value.strip():
        refuse("it names no column", "name a column, or write a number.")
    if isinstance(value, float) and not isfinite(value):
        refuse("it is not a number", "name a column, or write a number.")
    return value if isinstance(value, str) else float(value)


class Worth(StrictModel):
    """What a message is expected to earn: ``probability * value - cost - fatigue``.

    Parameters
    ----------
    probability : str
        A column of the predictions, from 0 to 1.
    value : str or float, default 1
        A column or a number, in the business's currency.
    cost : float, default 0
        Of one message, in the same currency; the channel's own cost comes on top.
    needed : float, optional
        The message is sent only where the expected value is above it, and known.
    """

    probability: Text
    value: Annotated[str | float, BeforeValidator(_worth, json_schema_input_type=str | float)] = 1.0
    cost: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    needed: Annotated[float, Field(allow_inf_nan=False)] | None = None


class Message(StrictModel):
    """A message to the person, by the first channel of the ladder that is open to them.

    Parameters
    ----------
    name : str
        Its name, once in a journey.
    channel : tuple of str
        Channels of the data contract, the first choice first.
    template : str
        What the mailer calls the text to send.
    topic : str, optional
        What the message is about, as consents name it; the journey's where there is none. Without
        either, only a consent to every topic of the channel permits it.
    slots : mapping of str to str
        What the mailer fills in, by slot: text with tokens such as ``{rec_1_title}`` or
        ``{first_name|there}``, where the part behind the bar stands for a missing value. A
        message whose token is missing and has no default is not sent.
    send : str, default 'now'
        ``now``, or ``best_time`` for the person's own hour as the send-time predictions have it.
    within : timedelta, default 1 day
        How far ahead the best time may lie; beyond, the message goes out at once.
    worth : Worth, optional
        What it is expected to earn; decides between messages of equal priority.
    if_blocked : str, default 'hold'
        See :data:`Blocked`.
    hold_for : timedelta, optional
        How long to hold; then the person goes on without the message.
    """

    name: Name
    channel: Channels
    template: Text
    topic: Text | None = None
    slots: Mapping[Name, Text] = Field(default_factory=dict)
    send: Literal["now", "best_time"] = "now"
    within: Duration | None = None
    worth: Worth | None = None
    if_blocked: Blocked = "hold"
    hold_for: Duration | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The ladder."""
        return self.channel


class Alert(StrictModel):
    """A note to somebody of the business, such as the owner of a lead."""

    name: Name
    to: Text
    text: Text


class Task(StrictModel):
    """A task in the CRM, such as a call."""

    name: Name
    title: Text
    assignee: Text | None = None
    due_in: Duration | None = None


class FieldUpdate(StrictModel):
    """A field of the contact that the CRM is asked to set."""

    field: Name
    value: Text
    name: Name | None = None


class Tag(StrictModel):
    """A tag that the CRM is asked to add to the contact or to take away."""

    add: Name | None = None
    remove: Name | None = None
    name: Name | None = None

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if (self.add is None) == (self.remove is None):
            refuse("a tag is either added or removed", "write 'tag: {add: hot}', or remove.")
        return self


_ADS: Final = ("ads",)


class Audience(StrictModel):
    """An audience of an advertising platform that the person joins or leaves.

    To join one needs the person's consent to the channel ``ads``; to leave one needs none.
    """

    platform: Text
    add: Name | None = None
    remove: Name | None = None
    topic: Text | None = None
    name: Name | None = None
    if_blocked: Blocked = "advance"

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if (self.add is None) == (self.remove is None):
            fix = "write 'audience: {platform: linkedin, add: mql}', or remove."
            refuse("a person either joins an audience or leaves it", fix)
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """The channel whose consent is needed to join."""
        return _ADS


class Webhook(StrictModel):
    """A call of a web address of the business, handed over like a message.

    Parameters
    ----------
    name : str
        Its name, once in a journey.
    endpoint : str
        The name of an endpoint of the configuration, which holds the address and its secret.
    data : mapping of str to str
        What is sent: text with tokens, as in the slots of a message.
    """

    name: Name
    endpoint: Name
    data: Mapping[Name, Text] = Field(default_factory=dict)


class Start(StrictModel):
    """Another journey that the person begins, if its own entry rules let them in."""

    journey: Name
    name: Name | None = None


Action = Message | Alert | Task | FieldUpdate | Tag | Audience | Webhook | Start
"""What a step can do."""
