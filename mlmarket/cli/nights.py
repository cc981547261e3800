"""Commands of the night: ``mlmarket nightly`` and what belongs to it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlmarket.cli.application import app
from mlmarket.cli.terminal import (
    CONFIG,
    ROOT,
    Config,
    Day,
    LastDay,
    NightLog,
    Output,
    complain,
    last_night,
    night_of,
    parse_day,
)
from mlmarket.errors import ConfigurationError, MlmarketError

if TYPE_CHECKING:
    from mlmarket.nightly import Night, NightSummary

__all__ = [
    "backfill",
    "check",
    "demo",
    "explain",
    "features",
    "init",
    "nightly",
    "prune",
    "report",
    "runs",
    "train",
]


@app.command()
def init(
    orders: Annotated[
        Path | None, typer.Option("--from", help="An export of orders whose columns are guessed.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path(),
    timezone: Annotated[str, typer.Option(help="Where the business's days begin.")] = "UTC",
) -> None:
    """Write a commented mlmarket.toml, segments and one journey to start from."""
    from mlmarket.nightly.starter import write_starter

    for path in write_starter(folder, orders, timezone=timezone):
        typer.echo(f"wrote {path}")
    typer.echo(f"Times without a zone are read in {timezone}; if that is wrong, change it there.")
    typer.echo("Next: look at the mapping in mlmarket.toml, then run `mlmarket check`.")


@app.command()
def check(config: Config = CONFIG, day: Day = None, output: Output = None) -> None:
    """Check the tables against the data contract, and say which questions can be answered."""
    from mlmarket.nightly.declared import check_declared
    from mlmarket.nightly.playbook import check_playbook
    from mlmarket.nightly.preview import readiness

    night = night_of(config, day, output)
    market = night.market(check=False)
    for count in market.report.counts:
        left_out = f", {count.left_out:,} left out by `where`" if count.left_out else ""
        unknown = f", {count.unknown_contacts:,} of nobody known" if count.unknown_contacts else ""
        typer.echo(
            f"{count.table:10} {count.kept:>12,} rows of {count.read:,}{left_out}{unknown}"
            f"   {count.source}"
        )
    for note in market.report.notes:
        typer.echo(f"note: {note.text}")
    market.report.raise_if_broken()
    check_playbook(night, market)
    for note in check_declared(night, market):
        typer.echo(f"note: {note.text}")
    for one in readiness(night, market):
        state = f"needs {one.missing}" if one.missing else "ready"
        typer.echo(f"{one.predictor:10} {state:10} {one.question}")


@app.command()
def features(
    config: Config = CONFIG,
    day: Day = None,
    output: Output = None,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile", help="What they look like, have they moved, do they know too much."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the features that models learn from, what they say, and which predictor uses them."""
    from mlmarket.nightly import listing

    night = night_of(config, day, output)
    market = night.market()
    if profile:
        profiles = listing.feature_profiles(night, market)
        show = listing.profiles_as_json if as_json else listing.profiles_in_text
        typer.echo(show(profiles))
        return
    uses = listing.features_in_use(night, market)
    typer.echo(listing.features_as_json(uses) if as_json else listing.features_in_text(uses))


@app.command()
def train(config: Config = CONFIG, day: Day = None, output: Output = None) -> None:
    """Train every model now, whatever its age."""
    from mlmarket.nightly.models import ModelStore

    night = night_of(config, day, output)
    night.refuse_future()
    log = NightLog(night.day)
    with night.workspace.locked():
        answering = ModelStore(night.workspace, night.settings).answering(
            night.market(),
            as_of=night.as_of,
            night=night.day,
            retrain=True,
            tell=lambda what: log.working("train", what),
        )
    for predictor in answering.predictors:
        typer.echo(f"{predictor.name}: {predictor.version_}\n  {predictor.evidence_.verdict}")
        typer.echo(predictor.evidence_.summary().round(4).to_string())
    for one in answering.skipped:
        typer.echo(f"{one.predictor}: skipped: {one.reason}")


@app.command()
def nightly(
    config: Config = CONFIG,
    day: Day = None,
    output: Output = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do everything again.")] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            help="duckdb or spark, in place of what the configuration says.", show_default=False
        ),
    ] = None,
) -> None:
    """Run a night, or what is left of it: predict, decide, export, report."""
    from mlmarket.nightly import run_night

    night = night_of(config, day, output, engine)
    if dry_run:
        _show_dry_run(night)
        return
    try:
        summary = run_night(night, fresh=fresh, progress=NightLog(night.day))
    except Exception as error:
        _on_failure(night.settings.hooks.on_failure, night.day, error)
        raise
    _show(summary)


def _show_dry_run(night: "Night") -> None:
    from mlmarket.nightly.preview import dry_run

    found = dry_run(night)
    for name, version in found.predictors.items():
        typer.echo(f"{name}: {version}")
    for name, why in found.skipped.items():
        typer.echo(f"{name}: skipped: {why}")
    for name, count in found.counts.items():
        typer.echo(f"{name:12} {count:>10,}")
    typer.echo("Nothing was written.")


def _show(summary: "NightSummary") -> None:
    typer.echo(summary.headline)
    for name, why in summary.skipped:
        typer.echo(f"skipped {name}: {why}")
    typer.echo(str(summary.folder / "report.html"))


def _on_failure(command: str | None, night: date, error: Exception) -> None:
    """Run the failure hook; what it does wrong is told, and changes nothing."""
    if command is None:
        return
    code = error.exit_code if isinstance(error, MlmarketError) else 1
    environment: Mapping[str, str] = {
        **os.environ,
        "MLMARKET_DATE": night.isoformat(),
        "MLMARKET_EXIT_CODE": str(code),
        "MLMARKET_ERROR": str(error) if isinstance(error, MlmarketError) else type(error).__name__,
    }
    # The command is the user's own, from their own configuration; what it says is no result.
    done = subprocess.run(  # noqa: S602
        command, shell=True, env=environment, check=False, stdout=sys.stderr
    )
    if done.returncode:
        complain(f"The failure hook left with exit code {done.returncode}.")


@app.command()
def backfill(
    first: Annotated[str, typer.Option("--from", help="First night.")],
    last: Annotated[str, typer.Option("--to", help="Last night.")],
    config: Config = CONFIG,
    output: Output = None,
) -> None:
    """Predict for past nights as they would have been; nothing is decided or sent."""
    from mlmarket.nightly.upkeep import backfill as backfill_nights

    days = parse_day(first, "--from"), parse_day(last, "--to")
    night_of(config, last, output)
    for summary in backfill_nights(config, *days, output=output, progress=NightLog):
        typer.echo(f"{summary.night}  {summary.headline}")


@app.command()
def runs(config: Config = CONFIG, output: Output = None) -> None:
    """List the nights that were run, with their stages and times."""
    from mlmarket.nightly.upkeep import runs as all_runs

    night = night_of(config, None, output)
    for day, stages in all_runs(night.workspace):
        names = "  ".join(f"{one.stage} {one.seconds:.1f}s" for one in stages)
        total = sum(one.seconds for one in stages)
        peak = max((one.peak_megabytes for one in stages), default=0)
        is_whole = any(one.stage == "publish" for one in stages)
        end = f"total {total:.1f}s  peak {peak:,} MB" if is_whole else "not finished"
        typer.echo(f"{day}  {names}{'  ' if names else ''}{end}")


@app.command()
def prune(
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest nights stay.")] = 30,
    config: Config = CONFIG,
    output: Output = None,
) -> None:
    """Remove old run folders; models, history and the state of journeys stay."""
    from mlmarket.nightly.upkeep import prune as prune_nights

    removed = prune_nights(night_of(config, None, output).workspace, keep=keep)
    typer.echo(f"removed {len(removed)} night(s)")


@app.command()
def explain(
    contact: Annotated[str, typer.Argument(help="A contact_id.")],
    feature: Annotated[
        str | None, typer.Option(help="A feature: its value, and the rows it is made of.")
    ] = None,
    config: Config = CONFIG,
    day: LastDay = None,
    output: Output = None,
) -> None:
    """Say what is predicted and was decided for one person, and why; or the rows behind a number."""
    from mlmarket.nightly.person import explain_number, explain_person

    night = last_night(config, day, output)
    if feature is not None:
        typer.echo(explain_number(night, contact, feature).to_text())
    else:
        typer.echo(explain_person(night, contact).to_text())


@app.command()
def report(config: Config = CONFIG, day: LastDay = None, output: Output = None) -> None:
    """Say where a night's report is, and its first line."""
    night = last_night(config, day, output)
    result = night.folder.result("report")
    if result is None:
        raise ConfigurationError(
            f"The night of {night.day} has no report.",
            "It was not run to its end.",
            f"run `mlmarket nightly --date {night.day}`; finished stages are kept.",
        )
    typer.echo(result.details["headline"])
    typer.echo(str(night.folder.path / "report.html"))


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path("demo"),
) -> None:
    """Run three nights on the sample shop that comes with mlmarket."""
    from mlmarket.nightly import run_night
    from mlmarket.nightly.demo import prepare_demo

    nights = prepare_demo(folder)
    ROOT.set(folder)
    for night in nights[:-1]:
        run_night(night, progress=NightLog(night.day))
    summary = run_night(nights[-1], progress=NightLog(nights[-1].day))
    _show(summary)
    typer.echo(f"Segments for your mailer: {summary.folder / 'segments'}")
    typer.echo(f"Messages to hand over:    {summary.folder / 'outbox.csv'}")
    typer.echo(f"Try: mlmarket explain C000001 --config {folder / 'mlmarket.toml'}")
