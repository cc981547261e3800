"""Which groups of people does the marketer want to see, and why is somebody in one?"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from mlmarket.errors import suggestion
from mlmarket.expressions import ExpressionError, Schema, Type, parse_condition
from mlmarket.orchestration.documents import (
    DocumentError,
    Name,
    StrictModel,
    Text,
    read_document,
    refuse,
    validated,
)
from mlmarket.orchestration.wording import FORMATS, Placeholder, clauses_of

__all__ = ["Segment", "TopShare", "check_segments", "load_segments"]

_KINDS: Final = MappingProxyType({"percent": Type.NUMBER, "number": Type.NUMBER, "date": Type.TIME})


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
    """

    column: Text
    share: Annotated[float, Field(strict=True, gt=0.0, le=1.0, allow_inf_nan=False)] | None = None
    most: Annotated[int, Field(strict=True, gt=0)] | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.share is None and self.most is None:
            fix = "write 'share: 0.10', or 'most: 500'."
            refuse("nothing says how many are in it", fix)
        return self

    @property
    def in_words(self) -> str:
        """How many of whom, such as ``the top 10% by purchase_probability_30d``."""
        parts = [] if self.share is None else [f"the top {self.share:.0%} by {self.column}"]
        if self.most is not None:
            parts.append(f"{'at most' if parts else 'the top'} {self.most:,}")
        return ", ".join(parts) + ("" if self.share is not None else f" by {self.column}")


class Segment(StrictModel):
    """A group of people, by a rule or by their place in a ranking.

    Parameters
    ----------
    name : str
        How journeys and files call it.
    title : str
        How people call it.
    when : str, optional
        A condition over the columns of the predictions and of ``contacts``. A person for whom
        it is unknown is not a member.
    top : TopShare, optional
        The best part of a ranking among those for whom ``when`` holds.
    why : str, optional
        A template of the reason, such as ``"{churn_probability_90d:percent} risk"``. Its clauses
        are separated by semicolons; one whose value is missing is left out.
    action : str, optional
        What the marketer may do with these people.
    """

    name: Name
    title: Text
    when: Text | None = None
    top: TopShare | None = None
    why: Text | None = None
    action: Text | None = None

    @model_validator(mode="after")
    def _can_be_decided(self) -> Self:
        if self.when is None and self.top is None:
            fix = "write 'when: <condition>', or 'top: {column: …, share: …}' or '…, most: …}'."
            refuse("nothing says who is in it", fix)
        clauses_of(self.why)
        return self


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


def _segment(path: Path | str, name: str, body: object) -> Segment:
    subject = f"segment '{name}'"
    if not isinstance(body, Mapping):
        fix = "write title, when or top, why and action below the name."
        raise DocumentError(path, subject, "it has no keys", fix)
    if "name" in body:
        fix = "remove it: the name is the key above; 'title' is what people read."
        raise DocumentError(path, subject, "there is no key 'name'", fix)
    return validated(Segment, {"name": name, **body}, path=path, subject=subject)


def check_segments(
    segments: tuple[Segment, ...], *, known: Schema, path: Path | str = "segments"
) -> None:
    """Check that segments use only columns that some predictor or contact attribute can fill.

    A tick cannot tell a misspelt column from one whose predictor was skipped tonight; this can.

    Parameters
    ----------
    segments : tuple of Segment
        The segments.
    known : mapping of str to Type
        Every column of the documented predictions table and of ``contacts``.
    path : Path or str, default 'segments'
        The file, for the message.

    Raises
    ------
    DocumentError
        For the first column that is unknown or cannot be used so, with the near name.
    """
    for segment in segments:
        subject = f"segment '{segment.name}'"
        if segment.when is not None:
            try:
                parse_condition(segment.when, schema=known)
            except ExpressionError as error:
                place = f"{subject}, key 'when'"
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
