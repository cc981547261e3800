"""docs/cli.md names every command, option, key and exit code, and no others."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

from mlmarket import errors
from mlmarket.cli import app
from mlmarket.nightly import NightSettings, Workspace, write_starter

PAGE = (Path(__file__).parents[1] / "docs" / "cli.md").read_text(encoding="utf-8")


def commands_of(group: Any, prefix: str = "") -> dict[str, Any]:
    """Return every command by what is typed, those of groups with the group before them."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands_of(command, f"{prefix}{name} ")
        else:
            found[f"{prefix}{name}"] = command
    return found


COMMANDS = commands_of(typer.main.get_command(app))


def rows_below(heading: str) -> list[str]:
    """Return the first cells of the table below a heading that begins so."""
    sections = [
        part for part in re.split(r"^##+ ", PAGE, flags=re.MULTILINE) if part.startswith(heading)
    ]
    assert len(sections) == 1, heading
    cells = re.findall(r"^\| `?([^`|]+?)`? \|", sections[0], flags=re.MULTILINE)
    return [cell for cell in cells if cell not in {"key", "command", "code", "stage", "path"}]


def test_every_command_is_on_the_page_and_no_other() -> None:
    assert rows_below("Commands") == [f"mlmarket {name}" for name in COMMANDS]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_in_its_row_and_no_other(name: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `mlmarket {name}` "))
    told = set(re.findall(r"`(--[a-z-]+)`", row))
    options = {
        next(text for text in one.opts if text.startswith("--"))
        for one in COMMANDS[name].params
        if one.opts[0].startswith("-")
    }
    assert told == options


def test_every_exit_code_is_on_the_page_and_no_other() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert rows_below("Exit codes") == ["0", *map(str, sorted({kind.exit_code for kind in kinds}))]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = map(_model_in, getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)


@pytest.mark.parametrize("section", NightSettings.model_fields)
def test_every_key_of_a_section_is_on_the_page_and_no_other(section: str) -> None:
    model = _model_in(NightSettings.model_fields[section].annotation)
    assert model is not None
    named = {"tables": "T", "predict": "NAME", "features": "NAME"}
    heading = f"`[{section}.{named[section]}]`" if section in named else f"`[{section}]`"
    assert rows_below(heading) == list(model.model_fields)


def test_the_defaults_on_the_page_are_those_of_the_code() -> None:
    for section in ("business", "models", "journeys", "quality", "output", "publish"):
        model = _model_in(NightSettings.model_fields[section].annotation)
        assert model is not None
        for name, field in model.model_fields.items():
            if isinstance(field.default, str | float):
                shown = f'"{field.default}"' if isinstance(field.default, str) else field.default
                assert f"| `{name}` | `{shown}` |" in PAGE, f"{section}.{name}"


def test_every_key_that_a_new_configuration_shows_is_known(tmp_path: Path) -> None:
    write_starter(tmp_path, None)
    text = (tmp_path / "mlmarket.toml").read_text(encoding="utf-8")
    uncommented = re.sub(r"^# (?=[\[a-z_]+.*(=|\]))", "", text, flags=re.MULTILINE)
    content = tomllib.loads(uncommented)
    assert content["tables"].keys() == {"orders", "contacts", "messages", "consents"}
    NightSettings.model_validate(content)


def test_the_folders_of_a_business_are_on_the_page() -> None:
    workspace = Workspace(Path())
    for path in (workspace.runs, workspace.models, workspace.history):
        assert f"`{path}/" in PAGE
    for path in (workspace.state, workspace.database):
        assert f"`{path}`" in PAGE
