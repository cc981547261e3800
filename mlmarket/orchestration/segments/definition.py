"""Which groups of people does the marketer want to see, and why is somebody in one?"""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from mlmarket.errors import suggestion
from mlmarket.expressions import ExpressionError, Schema, Type, parse_condition
from mlmarket.orchestration.conditions import functions_for
from mlmarket.orchestration.documents import (
    DocumentError,
    Duration,
    Name,
    StrictModel,
    Text,
    read_document,
    refuse,
    validated,
)
from mlmarket.orchestration.segments.ordering import in_order
from mlmarket.orchestration.segments.static_lists import StaticList, read_list
from mlmarket.orchestration.wording import FORMATS, Placeholder, clauses_of

__all__ = ["Guard", "Segment", "TopShare", "check_segments", "load_segments"]

_KINDS: Final = MappingProxyType({"percent": Type.NUMBER, "number": Type.NUMBER, "date": Type.TIME})
_Share = Annotated[float, Field(strict=True, gt=0.0, le=1.0, allow_inf_nan=False)]
_Most = Annotated[int, Field(strict=True, gt=0)]


def _names(value: object) -> object:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not listed:
        refuse("it names no segment", "write [a, b], or leave it out.")
    return tuple(dict.fromkeys(map(str, listed)))


_Names = Annotated[
    tuple[Name, ...], BeforeValidator(_names, json_schema_input_type=Name | tuple[Name, ...])
]


class TopShare(StrictModel):
    """The best part of a ranking.

    Parameters
    ----------
    column : str
        The column ranked by, the largest value first; people without a value are left out.
    share : float, optional
        How many of those ranked are in, above 0 and up to 1; the number is rounded half up.
        People with equal values stand in an order drawn by lot, the same in each run.
    most : int, optional
        How many people are in at most: what a budget pays for. With a share as well, the smaller
        number counts.
    stay_share : float, optional
        The share that members may fall back to before they leave, at least ``share``: with 0.10
        and 0.12, people come in among the best 10% and go when they are behind the best 12%. The
        number of members then lies between the two.
    stay_most : int, optional
        The same for ``most``. Without it ``most`` is never exceeded.
    """

    column: Text
    share: _Share | None = None
    most: _Most | None = None
    stay_share: _Share | None = None
    stay_most: _Most | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.share is None and self.most is None:
            fix = "write 'share: 0.10', or 'most: 500'."
            refuse("nothing says how many are in it", fix)
        for key in ("share", "most"):
            enter, stay = getattr(self, key), getattr(self, f"stay_{key}")
            if stay is not None and (enter is None or stay < enter):
                problem = f"stay_{key} is {stay}, but {key} is {enter or 'not there'}"
                refuse(problem, f"write a {key}, and a stay_{key} that is not below it.")
        return self

    @property
    def in_words(self) -> str:
        """How many of whom, such as ``the top 10% by purchase_probability_30d``."""
        parts = [] if self.share is None else [f"the top {self.share:.0%} by {self.column}"]
        if self.most is not None:
            parts.append(f"{'at most' if parts else 'the top'} {self.most:,}")
        return ", ".join(parts) + ("" if self.share is not None else f" by {self.column}")


class Guard(StrictModel):
    """Sizes outside of which a segment is not believed and stays as it was.

    Parameters
    ----------
    least : int, optional
        Fewer members than this are too few.
    most : int, optional
        More members than this are too many.
    change : float, optional
        How many may come and go in one run together, as a share of those who were in (``0.5`` for half
        of them, at most 10); not asked
        while nobody is in.
    """

    least: _Most | None = None
    most: _Most | None = None
    change: Annotated[float, Field(gt=0.0, le=10.0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _guards_something(self) -> Self:
        if self.least is None and self.most is None and self.change is None:
            refuse("it guards nothing", "write least, most or change, such as 'change: 0.5'.")
        if self.least is not None and self.most is not None and self.least > self.most:
            refuse(f"least {self.least} is above most {self.most}", "swap them.")
        return self


class Segment(StrictModel):
    """A group of people: by a rule, a list, a ranking, or from other segments.

    A person has to satisfy all of what is written; ``top`` is sought among those who satisfy the
    rest. Whoever is in stays while ``stay`` holds in the place of ``when``, or until ``at_least``
    is over, but leaves at once when they are in a segment of ``not_in``.

    Parameters
    ----------
    name : str
        How journeys and files call it.
    title : str
        How people call it.
    when : str, optional
        A condition over the columns of the predictions and of ``contacts``, and over what people
        did: ``count(order, within='30d') >= 2``. A person for whom it is unknown is not a member.
    stay : str, optional
        A weaker condition under which members stay, so that nobody who is near the border comes
        and goes.
    at_least : timedelta, optional
        How long somebody stays at least, counted from the entry.
    top : TopShare, optional
        The best part of a ranking among those for whom the rest holds.
    list : StaticList, optional
        People named one by one in a file.
    all_of, any_of, not_in : tuple of str, optional
        Other segments that a person has to be in: each of them, at least one, none.
    guard : Guard, optional
        Sizes outside of which tonight's result is not believed.
    why : str, optional
        A template of the reason, such as ``"{churn_probability_90d:percent} risk"``. Its clauses
        are separated by semicolons; one whose value is missing is left out.
    action : str, optional
        What the marketer may do with these people.
    """

    name: Name
    title: Text
    when: Text | None = None
    stay: Text | None = None
    at_least: Duration | None = None
    top: TopShare | None = None
    list: StaticList | None = None
    all_of: _Names = ()
    any_of: _Names = ()
    not_in: _Names = ()
    guard: Guard | None = None
    why: Text | None = None
    action: Text | None = None

    @model_validator(mode="after")
    def _can_be_decided(self) -> Self:
        ways = (self.when, self.top, self.list, self.all_of, self.any_of, self.not_in)
        if not any(ways):
            fix = "write 'when: <condition>', or 'top: {column: …, share: …}' or '…, most: …}'."
            refuse("nothing says who is in it", fix)
        if self.stay is not None and self.when is None:
            refuse("there is 'stay' without 'when'", "write under which condition people come in.")
        clauses_of(self.why)
        return self

    @property
    def columns_named(self) -> str:
        """All texts in which the names of columns occur, for whoever reads only what is needed."""
        texts = [self.when, self.stay, self.why, self.top.column if self.top is not None else None]
        if self.list is not None:
            texts.append(self.list.by)
        return " ".join(text for text in texts if text is not None)


def load_segments(path: Path | str) -> tuple[Segment, ...]:
    """Read the segments of one YAML file.

    Parameters
    ----------
    path : Path or str
        A file whose one top key is ``segments``.

    Returns
    -------
    tuple of Segment
        In the order of the file.

    Raises
    ------
    DocumentError
        For anything that cannot be followed, with file, segment and key.
    """
    document = read_document(path)
    for key in document:
        if key != "segments":
            fix = suggestion(key, ["segments"])
            raise DocumentError(path, "top level", f"there is no key '{key}'", fix)
    listed = document.get("segments")
    if not isinstance(listed, Mapping) or not listed:
        fix = "write each segment's name with its rule below it."
        raise DocumentError(path, "key 'segments'", "it holds no segments", fix)
    return tuple(_segment(path, name, listed[name]) for name in listed)


_COMPUTED: Final = ("sha256", "people")


def _segment(path: Path | str, name: str, body: object) -> Segment:
    subject = f"segment '{name}'"
    if not isinstance(body, Mapping):
        fix = "write title, when or top, why and action below the name."
        raise DocumentError(path, subject, "it has no keys", fix)
    if "name" in body:
        fix = "remove it: the name is the key above; 'title' is what people read."
        raise DocumentError(path, subject, "there is no key 'name'", fix)
    listed = body.get("list")
    for key in _COMPUTED:
        if isinstance(listed, Mapping) and key in listed:
            place, fix = f"{subject}, key 'list'", "name the file with 'file'."
            raise DocumentError(path, place, f"there is no key '{key}'", fix)
    segment = validated(Segment, {"name": name, **body}, path=path, subject=subject)
    if segment.list is None:
        return segment
    return segment.model_copy(update={"list": read_list(segment.list, path=path, subject=subject)})


def check_segments(
    segments: tuple[Segment, ...],
    *,
    known: Schema,
    path: Path | str = "segments",
    events: Collection[str] | None = None,
) -> None:
    """Check that segments use only columns and segments that there are.

    A column is one that some predictor or contact attribute can fill.

    A tick cannot tell a misspelt column from one whose predictor was skipped tonight; this can.

    Parameters
    ----------
    segments : tuple of Segment
        The segments.
    known : mapping of str to Type
        Every column of the documented predictions table and of ``contacts``.
    path : Path or str, default 'segments'
        The file, for the message.
    events : collection of str, optional
        The types of events there are, for conditions that ask for them; any by default.

    Raises
    ------
    DocumentError
        For the first column or segment that is unknown or cannot be used so, with the near name;
        also where segments depend on each other in a circle.
    """
    in_order(segments, path=str(path))
    names = [segment.name for segment in segments]
    functions = functions_for(schema=known, events=events, segments=names)
    for segment in segments:
        subject = f"segment '{segment.name}'"
        for key in ("when", "stay"):
            text = getattr(segment, key)
            if text is None:
                continue
            try:
                parse_condition(text, schema=known, functions=functions)
            except ExpressionError as error:
                place = f"{subject}, key '{key}'"
                raise DocumentError(path, place, error.what, error.fix) from error
        if segment.top is not None:
            place = f"{subject}, key 'top.column'"
            _check_column(segment.top.column, Type.NUMBER, known, place=place, path=path)
        for placeholder in _placeholders(segment):
            wanted = _KINDS.get(placeholder.form)
            place = f"{subject}, key 'why'"
            _check_column(placeholder.column, wanted, known, place=place, path=path)


def _placeholders(segment: Segment) -> list[Placeholder]:
    return [
        part
        for clause in clauses_of(segment.why)
        for part in clause
        if isinstance(part, Placeholder)
    ]


def _check_column(
    column: str, wanted: Type | None, known: Schema, *, place: str, path: Path | str
) -> None:
    if column not in known:
        problem = f"there is no column '{column}'"
        raise DocumentError(path, place, problem, suggestion(column, known))
    if wanted is not None and known[column] is not wanted:
        problem = f"'{column}' is {known[column].value}, but {wanted.value} is needed"
        fix = f"use another column, or a form that fits: {', '.join(FORMATS)}."
        raise DocumentError(path, place, problem, fix)
