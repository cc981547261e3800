"""How does an editor know the keys of a journey while it is being written?

JSON Schema, made from the models themselves, with the descriptions of their documentation. It
tells an editor which keys there are; what it cannot say, such as that a date moves either before
or after, is still checked when the file is read.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.policy import Policy
from mlmarket.orchestration.segments.definition import Segment

__all__ = ["journey_schema", "policy_schema", "segments_schema"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_PARAMETER: Final = re.compile(r"^(\w[\w, ]*) : .+$")


def journey_schema() -> dict[str, Any]:
    """Return the JSON Schema of a file of one journey.

    Returns
    -------
    dict
        In the dialect of 2020-12.

    Examples
    --------
    >>> sorted(journey_schema()["required"])
    ['entry', 'expires_after', 'journey', 'reentry', 'steps', 'title']
    """
    return _schema(Journey, "A journey")


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file of rules over all journeys.

    Returns
    -------
    dict
        In the dialect of 2020-12.
    """
    return _schema(Policy, "The rules over all journeys")


def segments_schema() -> dict[str, Any]:
    """Return the JSON Schema of a file of segments.

    Returns
    -------
    dict
        In the dialect of 2020-12.
    """
    segment = _schema(Segment, "A segment")
    inner = segment.pop("$defs", {})
    segment.pop("$schema")
    segment["properties"].pop("name")
    segment["required"] = [key for key in segment["required"] if key != "name"]
    name = r"^[a-z][a-z0-9_]{0,62}$"
    return {
        "$schema": _DIALECT,
        "title": "Segments",
        "type": "object",
        "additionalProperties": False,
        "required": ["segments"],
        "properties": {
            "segments": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "patternProperties": {name: {"$ref": "#/$defs/Segment"}},
            }
        },
        "$defs": {**inner, "Segment": segment},
    }


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation")
    described = {one.__name__: one for one in _models(model)}
    for name, inner in {model.__name__: schema, **schema.get("$defs", {})}.items():
        _describe(inner, described.get(name))
    return {"$schema": _DIALECT, **schema, "title": title}


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield every model of the same family: their documentation describes their keys."""
    yield model
    seen: set[object] = {model}
    todo = [field.annotation for field in model.model_fields.values()]
    while todo:
        annotation = todo.pop()
        todo.extend(getattr(annotation, "__args__", ()))
        if not inspect.isclass(annotation) or annotation in seen:
            continue
        seen.add(annotation)
        if issubclass(annotation, BaseModel):
            yield annotation
            todo.extend(field.annotation for field in annotation.model_fields.values())


def _describe(schema: dict[str, Any], model: type[BaseModel] | None) -> None:
    """Move what the documentation says of each key to the key."""
    words = inspect.getdoc(model) or "" if model is not None else ""
    first = words.split("\n\n", maxsplit=1)[0].replace("\n", " ")
    if first:
        schema["description"] = first
    else:
        schema.pop("description", None)
    said = dict(_parameters(words))
    for key, inner in schema.get("properties", {}).items():
        inner.pop("title", None)
        if key in said:
            inner["description"] = said[key]


def _parameters(words: str) -> Iterator[tuple[str, str]]:
    """Yield each parameter of a docstring with what is said of it."""
    names: list[str] = []
    lines: list[str] = []
    for line in [*words.partition("Parameters\n----------\n")[2].splitlines(), "end : end"]:
        found = _PARAMETER.match(line)
        if found is not None:
            yield from ((name, " ".join(lines)) for name in names)
            names, lines = found[1].split(", "), []
        elif line.strip():
            lines.append(line.strip())
