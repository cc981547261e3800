"""Which rules hold for all journeys together: caps, quiet hours, budgets, who is left alone?"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from mlmarket.errors import nearest, suggestion
from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.documents import (
    ClockTime,
    Duration,
    Name,
    StrictModel,
    Text,
    Weekdays,
    duration_text,
    read_document,
    read_duration,
    refuse,
    validated,
)

__all__ = ["Cap", "ChannelPolicy", "Fatigue", "Policy", "Throughput", "Window", "load_policy"]


def _channel(value: object) -> object:
    if isinstance(value, str) and value not in CHANNELS:
        refuse(f"there is no channel '{value}'", suggestion(value, CHANNELS))
    return value


def _zone(value: object) -> object:
    if isinstance(value, str) and value not in available_timezones():
        near = nearest(value, available_timezones())
        fix = f"did you mean '{near}'?" if near else "use an IANA name such as Europe/Lisbon."
        refuse(f"there is no time zone '{value}'", fix)
    return value


Channel = Annotated[Text, BeforeValidator(_channel)]
"""A channel of the data contract."""

Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, gt=0)]


class Window(StrictModel):
    """When a channel may be used, where the person is.

    Parameters
    ----------
    opens, closes : time
        From ``opens`` up to, but not at, ``closes``. A window that closes before it opens lasts
        over midnight and belongs to the day it opens on.
    weekdays : tuple of str, optional
        The days it opens on; every day by default.
    """

    opens: ClockTime
    closes: ClockTime
    weekdays: Weekdays | None = None

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.opens == self.closes:
            refuse("it opens when it closes", "leave the window out where there is none.")
        return self


class Throughput(StrictModel):
    """How many messages a channel can take.

    Parameters
    ----------
    most : int
        Messages.
    per : timedelta
        Within any such length of time.
    """

    most: Count
    per: Duration


class ChannelPolicy(StrictModel):
    """What holds for one channel.

    Parameters
    ----------
    window : Window, optional
        The legal hours; outside of them messages wait.
    throughput : Throughput, optional
        What the channel can take; what is above it waits.
    cost : float, default 0
        Of one message, in the business's currency.
    """

    window: Window | None = None
    throughput: Throughput | None = None
    cost: Amount = 0.0


_CALENDAR: Final = ("day", "week", "month")


def _per(value: object) -> object:
    """Read the length whole, so that a slip is told once and not for each kind of length."""
    if value in _CALENDAR:
        return value
    return read_duration(value, fix="write 7D, or one of day, week and month.")


Per = Annotated[
    timedelta | Literal["day", "week", "month"],
    BeforeValidator(_per, json_schema_input_type=str),
    PlainSerializer(lambda per: duration_text(per) if isinstance(per, timedelta) else per),
]
"""A length of time, or a stretch of the calendar."""


class Cap(StrictModel):
    """How many messages one person gets at most.

    Parameters
    ----------
    name : str
        Its name, for reasons.
    most : int
        Messages; above 0.
    per : timedelta or str
        ``7D`` for any seven days on end; ``day``, ``week`` (from Monday) or ``month`` for calendar
        ones, in the person's zone.
    channel : str, optional
        Only messages on this channel count, and only they are held back.
    topic : str, optional
        Only messages about this topic.
    """

    name: Name
    most: Count
    per: Per
    channel: Channel | None = None
    topic: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _means_something(cls, data: object) -> object:
        if isinstance(data, Mapping) and data.get("most") == 0:
            fix = "leave the cap out for no limit, or pause the journeys to send nothing."
            refuse("a cap of 0 could mean no limit or no message", fix)
        return data


class Fatigue(StrictModel):
    """What one more message costs in attention, for each that the person has had lately.

    Parameters
    ----------
    cost : float
        For each message within ``within``, in the business's currency.
    within : timedelta
        How far back messages count.
    """

    cost: Amount
    within: Duration


class Policy(StrictModel):
    """The rules over all journeys.

    Parameters
    ----------
    timezone : str, default 'UTC'
        The zone of people who have none.
    channels : mapping of str to ChannelPolicy
        By channel.
    caps : tuple of Cap
        All must leave room.
    at_once : int, default 1
        How many marketing messages one person gets in one tick at most.
    handover : str, optional
        A condition under which a human is talking to the person, such as an open deal: no
        marketing message goes out then; unknown counts as yes.
    hygiene : str, optional
        A condition under which an address is left alone, such as no open for a year; unknown
        counts as yes.
    fatigue : Fatigue, optional
        Counts against the expected value of messages.
    """

    timezone: Annotated[Text, BeforeValidator(_zone)] = "UTC"
    channels: Mapping[Channel, ChannelPolicy] = Field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    at_once: Count = 1
    handover: Text | None = None
    hygiene: Text | None = None
    fatigue: Fatigue | None = None

    @model_validator(mode="after")
    def _caps_differ(self) -> Self:
        names = [cap.name for cap in self.caps]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            refuse(f"two caps are called '{twice[0]}'", "give each its own name.")
        return self


def load_policy(path: Path | str) -> Policy:
    """Read the policy of one YAML file.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    Policy
        The checked rules.

    Raises
    ------
    DocumentError
        For anything that cannot be followed, with file and key.
    """
    return validated(Policy, read_document(path), path=path, subject="policy")
