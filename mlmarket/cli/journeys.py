"""Commands about journeys: ``mlmarket journey``."""

import getpass
import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from mlmarket.cli.application import app
from mlmarket.cli.terminal import (
    CONFIG,
    Config,
    LastDay,
    Output,
    last_night,
    night_of,
    parse_moment,
)
from mlmarket.errors import ConfigurationError

__all__ = [
    "approve",
    "explain",
    "graph",
    "lint",
    "migrate",
    "pause",
    "preview",
    "resume",
    "schema",
    "status",
    "templates",
]

group = typer.Typer(help="Look at journeys, approve them, and see why somebody is in one.")
app.add_typer(group, name="journey", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The journey.")]


def _logged_in() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as somebody without a name
        return f"user {os.getuid()}"


By = Annotated[
    str,
    typer.Option(
        "--by",
        help="Who says so; it is kept with the version.",
        default_factory=_logged_in,
        show_default="who is logged in",
    ),
]


@group.command()
def status(config: Config = CONFIG, output: Output = None) -> None:
    """Say of each journey whether it is a draft, approved, changed since, or paused."""
    from mlmarket.nightly.authoring import journey_statuses

    for one in journey_statuses(night_of(config, None, output)):
        said = f"  by {one.by}, {one.at:%Y-%m-%d %H:%M} UTC" if one.at is not None else ""
        typer.echo(f"{one.journey:24} {one.status:10} {one.version}{said}")


@group.command()
def lint(
    config: Config = CONFIG,
    output: Output = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    links: Annotated[bool, typer.Option("--links", help="Ask every web address.")] = False,
) -> None:
    """Look for mistakes in segments, journeys and policy; leaves with 2 where there is an error."""
    from mlmarket.nightly.authoring import lint_night

    findings = lint_night(night_of(config, None, output), links=links)
    for finding in findings:
        typer.echo(str(finding))
    errors = sum(one.severity == "error" for one in findings)
    typer.echo(f"{errors} error(s), {len(findings) - errors} warning(s)")
    if errors or (strict and findings):
        raise typer.Exit(2)


@group.command()
def preview(
    name: Name,
    people: Annotated[int, typer.Option(min=1, max=100, help="How many people.")] = 10,
    config: Config = CONFIG,
    day: LastDay = None,
    output: Output = None,
) -> None:
    """Show some real people going through a journey, from a night on; nothing is kept."""
    from mlmarket.nightly.authoring import preview_journey

    typer.echo(preview_journey(last_night(config, day, output), name, people=people).to_text())


@group.command()
def approve(
    names: Annotated[list[str], typer.Argument(help="Journeys.")],
    by: By,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="From when on events count, as 2026-07-01T08:00+01:00; by default now."
        ),
    ] = None,
    config: Config = CONFIG,
    output: Output = None,
) -> None:
    """Let journeys act, as they stand in their files; an error of the linter is refused."""
    from mlmarket.nightly.authoring import approve_journeys

    night, moment = night_of(config, None, output), parse_moment(at, "--at")
    for journey in approve_journeys(night, names, by=by, at=moment):
        typer.echo(f"{journey.journey} {journey.version} is approved by {by}.")


@group.command()
def pause(name: Name, by: By, config: Config = CONFIG, output: Output = None) -> None:
    """Stop a journey where everybody stands."""
    from mlmarket.nightly.authoring import pause_journey

    pause_journey(night_of(config, None, output), name, by=by)
    typer.echo(f"{name} is paused by {by}: nobody comes in or moves on.")


@group.command()
def resume(name: Name, by: By, config: Config = CONFIG, output: Output = None) -> None:
    """Let a paused journey go on, in the version that was approved."""
    from mlmarket.nightly.authoring import resume_journey

    resume_journey(night_of(config, None, output), name, by=by)
    typer.echo(f"{name} goes on.")


@group.command()
def migrate(
    name: Name,
    by: By,
    steps: Annotated[
        list[str] | None, typer.Option("--map", help="old_step=new_step, where names differ.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; else it is only told.")] = False,
    config: Config = CONFIG,
    output: Output = None,
) -> None:
    """Move the people who are under way on older versions to the approved one."""
    from mlmarket.nightly.authoring import migrate_journey

    night = night_of(config, None, output)
    plan = migrate_journey(night, name, mapping=_mapping(steps or []), by=by, apply=apply)
    typer.echo(plan.to_text())
    if not apply:
        typer.echo("Nothing was changed; add --apply to do it.")


def _mapping(steps: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in steps:
        old, sign, new = pair.partition("=")
        if not (old and sign and new):
            raise ConfigurationError(
                f"--map {pair!r} names no two steps.",
                "It says where people who stand at a step go on.",
                "write old_step=new_step.",
            )
        mapping[old] = new
    return mapping


@group.command()
def explain(
    name: Name,
    contact: Annotated[str, typer.Argument(help="A contact_id.")],
    config: Config = CONFIG,
    day: LastDay = None,
    output: Output = None,
) -> None:
    """Say what a journey did with one person, step by step, or why it did nothing."""
    from mlmarket.nightly.why import explain_journey

    typer.echo(explain_journey(last_night(config, day, output), name, contact).to_text())


@group.command()
def graph(
    name: Name,
    form: Annotated[
        Literal["mermaid", "svg"], typer.Option("--format", help="mermaid or svg.")
    ] = "mermaid",
    file: Annotated[Path | None, typer.Option(help="Where to write; else it is printed.")] = None,
    config: Config = CONFIG,
    output: Output = None,
) -> None:
    """Draw a journey, with the number of people at each step where it has run."""
    from mlmarket.nightly.authoring import draw_journey

    text = draw_journey(night_of(config, None, output), name, form=form)
    if file is None:
        typer.echo(text)
        return
    file.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {file}")


@group.command()
def templates(
    names: Annotated[list[str] | None, typer.Argument(help="Which to write; else listed.")] = None,
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path(),
) -> None:
    """List the journeys that come with mlmarket, or write some of them to begin from."""
    from mlmarket.orchestration import load_template, template_names, write_templates

    if names:
        written = write_templates(folder, names)
        for path in written:
            typer.echo(f"wrote {path}")
        for name in names:
            if folder / "journeys" / f"{name}.yaml" not in written:
                typer.echo(f"left as it is: {folder / 'journeys' / f'{name}.yaml'}")
        typer.echo(
            'In mlmarket.toml: files = ["segments/*.yaml"] in [segments]; '
            'files = ["journeys/*.yaml"] and policy = "policy.yaml" in [journeys].'
        )
        return
    for name in template_names():
        typer.echo(f"{name:24} {load_template(name).title}")


@group.command()
def schema(
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path(),
) -> None:
    """Write JSON Schemas of journeys, segments and policy, with which editors help to write."""
    from mlmarket.orchestration.templates.shelf import write_schemas

    for path in write_schemas(folder):
        typer.echo(f"wrote {path}")
