"""How is a journey written down so that the file reads back as the same journey?"""

from collections.abc import Mapping
from typing import Any, Final

import yaml
from pydantic import BaseModel

from mlmarket.orchestration.documents import read_as_text

__all__ = ["written", "yaml_text"]

_WIDTH: Final = 98
_SHORT: Final = frozenset({("wait", "duration"), ("start", "journey"), ("goal", "event")})
"""Keys whose value may stand alone, with the key inside that it then is."""


def written(model: BaseModel) -> dict[str, object]:
    """Return a journey or a policy as plain values, in the short forms that a marketer writes.

    Parameters
    ----------
    model : pydantic model
        What was read or built.

    Returns
    -------
    dict
        Keys in the order of the documentation; what has its default value is left out.
    """
    content = model.model_dump(mode="json", exclude_defaults=True)
    return {key: _shortened(key, value) for key, value in content.items()}


def _shortened(key: str, value: Any) -> object:  # noqa: ANN401 - plain values of a document
    if key == "reentry" and value is None:
        return "never"
    if isinstance(value, Mapping):
        (only, *others) = value or [None]
        if not others and (key, only) in _SHORT:
            return value[only]
        return {inner: _shortened(inner, one) for inner, one in value.items()}
    if isinstance(value, list):
        return [_shortened("", one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


class _Dumper(yaml.SafeDumper):
    """Writes what the strict reader of documents reads, without anchors."""

    yaml_implicit_resolvers = read_as_text()

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the name is PyYAML's
        return True

    def represent_mapping(
        self,
        tag: str,
        mapping: Any,  # noqa: ANN401 - as PyYAML has it
        flow_style: bool | None = None,  # noqa: FBT001 - as PyYAML has it
    ) -> yaml.MappingNode:
        # A step is one key: "- wait: 1D" reads better than "- {wait: 1D}".
        single = isinstance(mapping, Mapping) and len(mapping) == 1
        return super().represent_mapping(tag, mapping, False if single else flow_style)


def yaml_text(content: Mapping[str, object]) -> str:
    """Write plain values as YAML.

    Parameters
    ----------
    content : mapping
        From :func:`written`.

    Returns
    -------
    str
        Lists of steps one below the other, what is short on one line.

    Examples
    --------
    >>> print(yaml_text({"steps": [{"wait": "1D"}, {"start": "welcome"}]}), end="")
    steps:
    - wait: 1D
    - start: welcome
    """
    text: str = yaml.dump(
        dict(content),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=_WIDTH,
    )
    return text
