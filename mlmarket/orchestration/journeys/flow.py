"""How does a journey branch, split and wait?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from mlmarket.errors import suggestion
from mlmarket.orchestration.documents import (
    ClockTime,
    Duration,
    Name,
    StrictModel,
    Text,
    Weekdays,
    read_duration,
    refuse,
)
from mlmarket.orchestration.journeys import actions as doing

__all__ = [
    "KINDS",
    "AlertStep",
    "Arm",
    "AudienceStep",
    "Branch",
    "BranchStep",
    "EndStep",
    "GoToStep",
    "MessageStep",
    "Path",
    "SetFieldStep",
    "Split",
    "SplitStep",
    "StartStep",
    "Step",
    "TagStep",
    "TaskStep",
    "Until",
    "Wait",
    "WaitStep",
    "WebhookStep",
]


class Path(StrictModel):
    """One way on from a branch, for those whose condition holds.

    Parameters
    ----------
    name : str
        Of the path.
    when : str
        A condition; where it is unknown, the next path is tried.
    steps : tuple of Step
        What happens on it; afterwards the journey goes on behind the branch.
    """

    name: Name
    when: Text
    steps: tuple[Step, ...] = ()


class Branch(StrictModel):
    """Ways on, of which the first whose condition holds is taken.

    Parameters
    ----------
    paths : tuple of Path
        Tried in their order.
    otherwise : tuple of Step
        For those for whom none holds.
    name : str, optional
        Once in a journey.
    """

    paths: Annotated[tuple[Path, ...], Field(min_length=1)]
    otherwise: tuple[Step, ...] = ()
    name: Name | None = None

    @model_validator(mode="after")
    def _paths_differ(self) -> Self:
        _refuse_twice([path.name for path in self.paths] + ["otherwise"], "paths")
        return self


class Arm(StrictModel):
    """One side of a split.

    Parameters
    ----------
    name : str
        Of the arm.
    weight : float
        Its share of people, in percent where all weights sum to 100.
    steps : tuple of Step
        What happens on it.
    """

    name: Name
    weight: Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]
    steps: tuple[Step, ...] = ()


class Split(StrictModel):
    """A lot: the same person always draws the same arm of the same split.

    Parameters
    ----------
    name : str
        The salt of the lot, together with the journey; another name draws anew.
    arms : tuple of Arm
        At least two.
    """

    name: Name
    arms: Annotated[tuple[Arm, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _arms_differ(self) -> Self:
        _refuse_twice([arm.name for arm in self.arms], "arms")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """The part of the people on each arm, from 0 to 1."""
        whole = sum(arm.weight for arm in self.arms)
        return tuple(arm.weight / whole for arm in self.arms)


def _refuse_twice(names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        refuse(f"two {what} are called '{twice[0]}'", "give each its own name.")


class Until(StrictModel):
    """What a wait is for; exactly one of these.

    Parameters
    ----------
    event : str, optional
        A type of behaviour, after the wait began; ``where`` narrows it down.
    where : str, optional
        A condition over the event.
    segment, left_segment : str, optional
        A segment that the person must be in, or must not be in any more.
    when : str, optional
        A condition; unknown is no.
    """

    event: Text | None = None
    where: Text | None = None
    segment: Name | None = None
    left_segment: Name | None = None
    when: Text | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        ways = [self.event, self.segment, self.left_segment, self.when]
        if sum(way is not None for way in ways) != 1:
            fix = "write one of event, segment, left_segment and when."
            refuse("it must wait for exactly one thing", fix)
        if self.where is not None and self.event is None:
            refuse("'where' needs an event", "use 'when' for a condition about the person.")
        return self


class Wait(StrictModel):
    """Time that passes before the next step, from the moment the last one was done.

    Parameters
    ----------
    duration : timedelta, optional
        A length of time; ``wait: 7D`` is short for it.
    time : time, optional
        The next such time of day where the person is; with ``weekdays`` on one of those days.
    weekdays : tuple of str, optional
        Such as ``mon``.
    date : str, optional
        A time column of ``contacts`` or of the predictions; moved by ``before`` or ``after``. With
        ``time``, at that hour of the day. Without a date, or when it has passed, the person goes on.
    before, after : timedelta, optional
        How long before or after the date.
    best_send_time : timedelta, optional
        Until the person's own hour, at most so long; without a prediction, no wait.
    until : Until, optional
        Until something happens, at most ``at_most``.
    at_most : timedelta, optional
        Needed with ``until``, and only there.
    met, timed_out : tuple of Step
        What happens to those for whom it happened in time, and to the others.
    name : str, optional
        Once in a journey.
    """

    duration: Duration | None = None
    time: ClockTime | None = None
    weekdays: Weekdays | None = None
    date: Text | None = None
    before: Duration | None = None
    after: Duration | None = None
    best_send_time: Duration | None = None
    until: Until | None = None
    at_most: Duration | None = None
    met: tuple[Step, ...] = ()
    timed_out: tuple[Step, ...] = ()
    name: Name | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        lengths = [self.duration, self.date, self.best_send_time, self.until]
        chosen = sum(one is not None for one in lengths)
        if chosen > 1 or (chosen == 0 and self.time is None):
            fix = "write '7D', or one of {time: …}, {date: …}, {best_send_time: …}, {until: …}."
            refuse("it must say one thing to wait for", fix)
        if self.time is not None and chosen and self.date is None:
            refuse("'time' stands alone or with a date", "put a second wait behind this one.")
        if self.weekdays is not None and self.time is None:
            refuse("'weekdays' needs a time", "write the time of day as well.")
        if (self.before or self.after) is not None and self.date is None:
            refuse("'before' and 'after' need a date", "name the column of the date.")
        if self.before is not None and self.after is not None:
            refuse("it is both before and after the date", "keep one of them.")
        if self.until is not None and self.at_most is None:
            fix = "add 'at_most: 3D', or another length of time."
            refuse("it could wait forever", fix)
        if self.until is None and (self.at_most is not None or self.met or self.timed_out):
            refuse("'at_most', 'met' and 'timed_out' need 'until'", "say what it waits for.")
        return self

    @property
    def kind(self) -> Literal["duration", "time", "date", "best_send_time", "until"]:
        """What it waits for."""
        if self.duration is not None:
            return "duration"
        if self.date is not None:
            return "date"
        if self.best_send_time is not None:
            return "best_send_time"
        return "time" if self.until is None else "until"


def _wait(value: object) -> object:
    """Read a wait; what is no list of keys must be a length of time."""
    return value if isinstance(value, Mapping | Wait) else {"duration": read_duration(value)}


def _start(value: object) -> object:
    return {"journey": value} if isinstance(value, str) else value


class MessageStep(StrictModel):
    """A message to the person, if it is permitted."""

    message: doing.Message


class AlertStep(StrictModel):
    """A note to somebody of the business."""

    alert: doing.Alert


class TaskStep(StrictModel):
    """A task in the CRM."""

    task: doing.Task


class SetFieldStep(StrictModel):
    """A field of the contact."""

    set_field: doing.FieldUpdate


class TagStep(StrictModel):
    """A tag of the contact."""

    tag: doing.Tag


class AudienceStep(StrictModel):
    """An audience of an advertising platform."""

    audience: doing.Audience


class WebhookStep(StrictModel):
    """A call of a web address."""

    webhook: doing.Webhook


class StartStep(StrictModel):
    """Another journey; its name alone may be written."""

    start: Annotated[
        doing.Start,
        BeforeValidator(_start, json_schema_input_type=str | doing.Start),
    ]


class BranchStep(StrictModel):
    """Ways on by condition."""

    branch: Branch


class SplitStep(StrictModel):
    """Ways on by lot."""

    split: Split


class WaitStep(StrictModel):
    """Time that passes; a length alone may be written."""

    wait: Annotated[Wait, BeforeValidator(_wait, json_schema_input_type=str | Wait)]


class GoToStep(StrictModel):
    """A jump to the step of a name."""

    go_to: Name


class EndStep(StrictModel):
    """The end of the journey, and what it is called."""

    end: Text


_STEPS: dict[str, type[StrictModel]] = {
    "message": MessageStep,
    "alert": AlertStep,
    "task": TaskStep,
    "set_field": SetFieldStep,
    "tag": TagStep,
    "audience": AudienceStep,
    "webhook": WebhookStep,
    "start": StartStep,
    "branch": BranchStep,
    "split": SplitStep,
    "wait": WaitStep,
    "go_to": GoToStep,
    "end": EndStep,
}
KINDS = tuple(_STEPS)
"""The keys that a step can have."""


def _one_known_key(value: object) -> object:
    if isinstance(value, tuple(_STEPS.values())):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        fix = "write '- wait: 7D' or '- message: {name: …, channel: …, template: …}'."
        refuse("a step is one key with its value", fix)
    (key,) = value
    if key not in _STEPS:
        refuse(f"there is no step '{key}'", suggestion(str(key), KINDS))
    return value


def _tag(value: object) -> str:
    if isinstance(value, dict):
        return f"step:{next(iter(value))}"
    kinds = {model: kind for kind, model in _STEPS.items()}
    return f"step:{kinds[type(value)]}"  # type: ignore[index]


Step = Annotated[
    Annotated[MessageStep, Tag("step:message")]
    | Annotated[AlertStep, Tag("step:alert")]
    | Annotated[TaskStep, Tag("step:task")]
    | Annotated[SetFieldStep, Tag("step:set_field")]
    | Annotated[TagStep, Tag("step:tag")]
    | Annotated[AudienceStep, Tag("step:audience")]
    | Annotated[WebhookStep, Tag("step:webhook")]
    | Annotated[StartStep, Tag("step:start")]
    | Annotated[BranchStep, Tag("step:branch")]
    | Annotated[SplitStep, Tag("step:split")]
    | Annotated[WaitStep, Tag("step:wait")]
    | Annotated[GoToStep, Tag("step:go_to")]
    | Annotated[EndStep, Tag("step:end")],
    Discriminator(_tag),
    BeforeValidator(_one_known_key),
]
"""One thing after the other."""

for _model in (Path, Branch, Arm, Split, Wait, BranchStep, SplitStep, WaitStep):
    _model.model_rebuild()
