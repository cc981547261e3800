"""How is a YAML file of a marketer read so that no mistake in it goes unseen?

Plain YAML says yes to too much: a key written twice is silently overwritten, an alias can grow
a small file into gigabytes, a tag can build objects. All of these are refused here, with the
line they stand on. What is left is checked by pydantic models whose complaints are turned into
the three lines of :class:`~mlmarket.errors.MlmarketError`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, NoReturn, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from mlmarket.errors import ConfigurationError, MlmarketError, suggestion
from mlmarket.market.time import parse_duration

__all__ = [
    "WEEKDAYS",
    "ClockTime",
    "DocumentError",
    "Duration",
    "Name",
    "Share",
    "StrictModel",
    "Text",
    "Weekdays",
    "duration_text",
    "read_as_text",
    "read_document",
    "read_duration",
    "refuse",
    "validated",
]

_LONGEST: Final = 1_000_000
_DEEPEST: Final = 60
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_REFUSED: Final = "A slip in this file would decide who is written to, so it is not read further."

Model = TypeVar("Model", bound=BaseModel)


class DocumentError(ConfigurationError):
    """A file of segments or a journey says something that cannot be followed.

    Parameters
    ----------
    path : Path or str
        The file, or a word for the text where it has none.
    place : str
        Where in the file: a line, or the names of segment and key.
    problem : str
        What is wrong there.
    fix : str
        What the reader can do about it.
    """

    def __init__(self, path: Path | str, place: str, problem: str, fix: str) -> None:
        # An expression's error draws the place below its first line.
        first, newline, picture = problem.partition("\n")
        what = f"{path}, {place}: {first.rstrip('.')}.{newline}{picture}"
        super().__init__(what, _REFUSED, fix)


def refuse(problem: str, fix: str) -> NoReturn:
    """Refuse a value from within a model.

    Parameters
    ----------
    problem : str
        What is wrong, without a full stop.
    fix : str
        What to write instead.

    Raises
    ------
    PydanticCustomError
        Which :func:`validated` turns into a :class:`DocumentError`.
    """
    kind = "refused"
    raise PydanticCustomError(kind, "{problem}", {"problem": problem, "fix": fix})


def read_duration(
    value: object, *, fix: str = "write a number and a unit, such as 7D or 12h."
) -> timedelta:
    """Read a length of time from within a model.

    Parameters
    ----------
    value : object
        A text such as ``7D``, or a length of time.
    fix : str, optional
        What else may be written.

    Returns
    -------
    timedelta
        Above zero.

    Raises
    ------
    PydanticCustomError
        Where it is none.
    """
    parsed = timedelta(0)
    if isinstance(value, str | timedelta):
        with suppress(MlmarketError):
            parsed = parse_duration(value)
    if parsed <= timedelta(0):
        refuse(f"{value!r} is not a length of time above zero", fix)
    return parsed


def duration_text(duration: timedelta) -> str:
    """Write a duration the shortest way that :func:`parse_duration` reads back.

    Parameters
    ----------
    duration : timedelta
        Whole minutes.

    Returns
    -------
    str
        Days, hours or minutes.

    Examples
    --------
    >>> duration_text(timedelta(days=7)), duration_text(timedelta(hours=36))
    ('7D', '36h')
    """
    if duration % timedelta(days=1) == timedelta(0):
        return f"{duration.days}D"
    if duration % _HOUR == timedelta(0):
        return f"{duration // _HOUR}h"
    return f"{duration // _MINUTE}min"


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration, json_schema_input_type=str),
    PlainSerializer(duration_text),
]
"""A length of time above zero, written like ``7D`` or ``12h``."""

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""How days of the week are written, in their order."""

_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def _clock(value: object) -> time:
    if isinstance(value, time):
        return value
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        fix = 'write hours and minutes in quotes, such as "09:30".'
        refuse(f"{value!r} is not a time of day", fix)
    return time(int(found[1]), int(found[2]))


ClockTime = Annotated[
    time,
    BeforeValidator(_clock, json_schema_input_type=str),
    PlainSerializer(lambda moment: f"{moment:%H:%M}"),
]
"""A time of day, written like ``"09:30"``."""


def _weekdays(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not listed:
        refuse("it names no weekday", "write [mon, tue], or leave it out.")
    for one in listed:
        if one not in WEEKDAYS:
            refuse(f"there is no weekday '{one}'", f"use {', '.join(WEEKDAYS)}.")
    return tuple(day for day in WEEKDAYS if day in listed)


Weekdays = Annotated[
    tuple[str, ...],
    BeforeValidator(_weekdays, json_schema_input_type=str | list[str]),
]
"""Days of the week such as ``[mon, tue]``, in the order of the week."""

_NAME: Final = r"^[a-z][a-z0-9_]{0,62}$"
_ONE_LINE: Final = r"^[^\x00-\x1f]*$"
_IN_WORDS: Final = {
    _NAME: ("it is not a name", "use small letters, digits and _, a letter first."),
    _ONE_LINE: ("it is more than one line", "write it in one line, or after a > sign."),
}

Name = Annotated[str, StringConstraints(strict=True, pattern=_NAME)]
"""A name that is safe in a file name: small letters, digits and underscores."""

Text = Annotated[
    str,
    StringConstraints(
        strict=True,
        strip_whitespace=True,
        min_length=1,
        max_length=2000,
        pattern=_ONE_LINE,
    ),
]
"""One line of text that is not blank."""

Share = Annotated[float, Field(strict=True, ge=0.0, lt=1.0, allow_inf_nan=False)]
"""A share of the people, from 0 to below 1."""


class StrictModel(BaseModel):
    """Base of what is parsed from YAML: frozen, and no key may be unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _know_each_key(cls, data: object) -> object:
        """Refuse unknown keys with the near one, which pydantic's own message does not give."""
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    fix = suggestion(str(key), cls.model_fields)
                    refuse(f"there is no key '{key}'", fix)
        return data


_PLAIN: Final = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
)


def read_as_text() -> dict[str | None, list[tuple[str, re.Pattern[str]]]]:
    """Return what YAML reads as something else than text.

    Returns
    -------
    dict
        For a loader or a dumper. As YAML 1.2 has it, so that ``on``, ``no`` and ``21:30`` are
        text, which in the older YAML they are not.
    """
    replaced = {f"tag:yaml.org,2002:{kind}" for kind, _, _ in _PLAIN}
    kept = {
        first: [(tag, form) for tag, form in forms if tag not in replaced]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for kind, form, firsts in _PLAIN:
        for first in firsts:
            known = (f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{form})\\Z"))
            kept.setdefault(first, []).append(known)
    return kept


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that also refuses anchors, tags, merges, repeated keys and deep nests."""

    yaml_implicit_resolvers: ClassVar = read_as_text()  # type: ignore[misc]

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            _refuse_at(event, "anchors (&) and aliases (*) are not read here")
        if getattr(event, "tag", None) is not None:
            _refuse_at(event, "tags (!) are not read here")
        self._depth += 1
        if self._depth > _DEEPEST:
            _refuse_at(event, f"it is nested more than {_DEEPEST} levels deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                _refuse_at(key, "merge keys (<<) are not read here")
            if key.tag != "tag:yaml.org,2002:str":
                _refuse_at(key, f"the key {key.value!r} is not a name", fix="quote it.")
            if key.value in seen:
                _refuse_at(key, f"the key '{key.value}' stands here a second time")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _refuse_at(
    where: yaml.Event | yaml.Node, problem: str, *, fix: str = "write it out, once."
) -> NoReturn:
    mark = where.start_mark
    # The stubs also allow the marks of the C parser, which is not used here.
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark, note=fix)  # type: ignore[arg-type]


def read_document(path: Path | str) -> dict[str, Any]:
    """Read one YAML file whose top level is a mapping.

    Parameters
    ----------
    path : Path or str
        The file: UTF-8, at most one megabyte, one document.

    Returns
    -------
    dict
        Plain values.

    Raises
    ------
    DocumentError
        Where the file cannot be read, is not such YAML, repeats a key, or uses anchors,
        aliases, merges or tags.
    """
    try:
        text = Path(path).read_bytes()[: _LONGEST + 1].decode("utf-8-sig")
    except OSError as error:
        problem = error.strerror or "it cannot be opened"
        raise DocumentError(path, "whole file", problem, "check the path.") from error
    except UnicodeDecodeError as error:
        raise DocumentError(path, "whole file", "it is not UTF-8", "save it as UTF-8.") from error
    if len(text) > _LONGEST:
        raise DocumentError(path, "whole file", "it is larger than 1 MB", "split it.")
    return _mapping(text, path)


def _mapping(text: str, path: Path | str) -> dict[str, Any]:
    try:
        data = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = "whole file" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
        fix = error.note or "indent with spaces, and quote text that holds : or #."
        raise DocumentError(path, place, error.problem or "it is not YAML", fix) from error
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: an impossible date, such as 2026-13-45, is built while loading.
        problem = str(error).splitlines()[0].rstrip(".")
        raise DocumentError(path, "whole file", problem, "correct the value.") from error
    if not isinstance(data, dict):
        problem = "it is empty" if data is None else "its top level is not a list of keys"
        raise DocumentError(path, "whole file", problem, "start with 'segments:' or 'journey:'.")
    return data


def validated(model: type[Model], data: object, *, path: Path | str, subject: str) -> Model:
    """Check plain values against a model.

    Parameters
    ----------
    model : type of pydantic model
        What the values should be.
    data : object
        The values.
    path : Path or str
        The file, for the message.
    subject : str
        The segment or journey, for the message.

    Returns
    -------
    pydantic model
        The checked values.

    Raises
    ------
    DocumentError
        With the first violation, and how many more there are.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        first, others = details[0], len(details) - 1
        keys = ".".join(_place(part) for part in first["loc"] if not _is_inner(part))
        place = f"{subject}, key '{keys}'" if keys else subject
        problem, fix = _explained(first)
        if others:
            problem += f" (and {others} more problem{'s' if others > 1 else ''})"
        raise DocumentError(path, place, problem, fix) from error


_LIST: Final = ("it is not a list", "write each entry on a line of its own, after a -.")
_KEYS: Final = ("it has no keys", "write its keys below it; docs/journeys.md shows an example.")
_NUMBER: Final = ("it is not a number", "write a number such as 0.5.")
_WHOLE: Final = ("it is not a whole number", "write a number such as 5, without quotes.")
_TEXT: Final = ("it is not text", "write text, in quotes where it looks like a number.")
_BLANK: Final = ("it is empty", "write something, or leave the key out where it is optional.")
_OUR_WORDS: Final = {
    "missing": ("it is missing", "write it; docs/journeys.md shows an example."),
    "bool_type": ("it is neither true nor false", "write true or false, without quotes."),
    "string_too_long": ("it is too long", "write at most 2,000 characters."),
    "too_short": ("it has too few entries", "write them, or remove the step."),
    **dict.fromkeys(("tuple_type", "list_type"), _LIST),
    **dict.fromkeys(("model_type", "dict_type", "mapping_type", "model_attributes_type"), _KEYS),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), _NUMBER),
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing"), _WHOLE),
    **dict.fromkeys(("string_type", "string_unicode"), _TEXT),
    "string_too_short": _BLANK,
}
_BOUNDS: Final = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def _explained(first: ErrorDetails) -> tuple[str, str]:
    """Return problem and fix of one violation in our words."""
    kind, context = first["type"], first.get("ctx", {})
    if kind in _OUR_WORDS:
        return _OUR_WORDS[kind]
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        return f"it must be {word} {context[key]:g}", "correct the number."
    if kind == "string_pattern_mismatch":
        return _IN_WORDS[context["pattern"]]
    if kind == "literal_error":
        choices = re.findall("'([^']*)'", context["expected"])
        return f"it cannot be {first['input']!r}", suggestion(str(first["input"]), choices)
    fix = context.get("fix", "correct the value; docs/journeys.md shows an example.")
    return " ".join(first["msg"].rstrip(".").splitlines()), str(fix)


def _is_inner(part: str | int) -> bool:
    """Whether a part of a place is how the models are built, and stands in no file."""
    return str(part).startswith("step:") or part == "[key]"


def _place(part: str | int) -> str:
    return str(part + 1) if isinstance(part, int) else part
