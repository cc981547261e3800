"""Which templates of journeys are there, and how do they come into a folder?"""

import json
from collections.abc import Iterable
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.orchestration.journeys.journey import Journey, load_journey
from mlmarket.orchestration.journeys.schema import journey_schema, policy_schema, segments_schema
from mlmarket.orchestration.lint.reading import conditions_of, segments_of
from mlmarket.orchestration.playbook import Playbook, load_playbook
from mlmarket.orchestration.segments.definition import load_segments
from mlmarket.orchestration.segments.ordering import references, segments_named

__all__ = [
    "load_template",
    "template_names",
    "template_playbook",
    "write_schemas",
    "write_templates",
]

_HEADER: Final = "# yaml-language-server: $schema=../schemas/{schema}.schema.json\n"


def _shelf() -> Traversable:
    return files("mlmarket.orchestration.templates")


def _names(kind: str) -> tuple[str, ...]:
    found = (one.name for one in _shelf().joinpath(kind).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


def template_names() -> tuple[str, ...]:
    """Return the names of all templates.

    Returns
    -------
    tuple of str
        Sorted.

    Examples
    --------
    >>> "welcome" in template_names()
    True
    """
    return _names("journeys")


def load_template(name: str) -> Journey:
    """Read one template.

    Parameters
    ----------
    name : str
        One of :func:`template_names`.

    Returns
    -------
    Journey
        The checked journey.

    Raises
    ------
    ConfigurationError
        For a name that is not there, with the near one.

    Examples
    --------
    >>> load_template("welcome").title
    'Welcome new contacts'
    """
    with as_file(_file("journeys", _known(name))) as path:
        return load_journey(path)


def template_playbook(names: Iterable[str] | None = None) -> Playbook:
    """Read templates with the segments that they need and the sample policy.

    Parameters
    ----------
    names : iterable of str, optional
        Some of :func:`template_names`; all by default.

    Returns
    -------
    Playbook
        Checked to fit together.

    Raises
    ------
    ConfigurationError
        For a name that is not there, with the near one.
    """
    chosen = [_known(name) for name in (template_names() if names is None else names)]
    with as_file(_shelf()) as folder:
        return load_playbook(
            [folder / "segments" / f"{name}.yaml" for name in _needed(chosen)],
            [folder / "journeys" / f"{name}.yaml" for name in chosen],
            policy=folder / "policy.yaml",
        )


def write_templates(folder: Path | str, names: Iterable[str] | None = None) -> tuple[Path, ...]:
    """Write templates into a folder, to be changed there.

    Parameters
    ----------
    folder : Path or str
        Where ``journeys/NAME.yaml``, the ``segments/NAME.yaml`` that they need, ``policy.yaml``
        and ``schemas/`` for editors go. A file that is there is left as it is.
    names : iterable of str, optional
        Some of :func:`template_names`; all by default.

    Returns
    -------
    tuple of Path
        The files that were written, in order.

    Raises
    ------
    ConfigurationError
        For a name that is not there, with the near one.
    """
    chosen = [_known(name) for name in (template_names() if names is None else names)]
    texts: dict[str, str] = {}
    for name in chosen:
        header = _HEADER.format(schema="journey")
        texts[f"journeys/{name}.yaml"] = header + _text("journeys", name)
    for name in _needed(chosen):
        header = _HEADER.format(schema="segments")
        texts[f"segments/{name}.yaml"] = header + _text("segments", name)
    header = _HEADER.format(schema="policy").replace("../", "")
    texts["policy.yaml"] = header + _shelf().joinpath("policy.yaml").read_text(encoding="utf-8")
    texts |= _schemas()
    new = {Path(folder) / name: text for name, text in texts.items()}
    written = tuple(path for path in new if not path.exists())
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(new[path], encoding="utf-8")
    return written


def write_schemas(folder: Path | str) -> tuple[Path, ...]:
    """Write the JSON Schemas with which editors help to write journeys, segments and policy.

    Parameters
    ----------
    folder : Path or str
        Where ``schemas/`` goes; what an earlier version wrote there is replaced.

    Returns
    -------
    tuple of Path
        The files, in order.
    """
    texts = {Path(folder) / name: text for name, text in _schemas().items()}
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tuple(texts)


def _schemas() -> dict[str, str]:
    kinds = {"journey": journey_schema, "segments": segments_schema, "policy": policy_schema}
    return {
        f"schemas/{kind}.schema.json": json.dumps(
            schema(), indent=2, sort_keys=True, ensure_ascii=False
        )
        + "\n"
        for kind, schema in kinds.items()
    }


def _known(name: str) -> str:
    if name not in template_names():
        what = f"There is no template '{name}'."
        raise ConfigurationError(what, "It cannot be read.", suggestion(name, template_names()))
    return name


def _file(kind: str, name: str) -> Traversable:
    return _shelf().joinpath(kind).joinpath(f"{name}.yaml")


def _text(kind: str, name: str) -> str:
    return _file(kind, name).read_text(encoding="utf-8")


def _needed(names: Iterable[str]) -> list[str]:
    """Return the segments that templates name, and those that these name in turn."""
    todo: list[str] = []
    for name in names:
        journey = load_template(name)
        todo += [segment for _, segment in segments_of(journey)]
        for condition in conditions_of(journey):
            todo += segments_named(condition.text)
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            with as_file(_file("segments", name)) as path:
                for segment in load_segments(path):
                    todo += [one for named in references(segment).values() for one in named]
    return sorted(found)
