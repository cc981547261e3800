"""What do all commands share: options, the log of a night, and how something is complained of?"""

import json
import sys
from contextvars import ContextVar
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlmarket.errors import ConfigurationError

if TYPE_CHECKING:
    from mlmarket.nightly import Night
    from mlmarket.nightly.folder import StageResult

__all__ = [
    "CONFIG",
    "ROOT",
    "Config",
    "Day",
    "LastDay",
    "NightLog",
    "Output",
    "complain",
    "last_night",
    "night_of",
    "parse_day",
    "parse_moment",
]

Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Where results are kept, in place of what the configuration says.",
        show_default=False,
    ),
]
Day = Annotated[
    str | None,
    typer.Option("--date", "-d", help="The night, as 2026-07-01; by default today."),
]
LastDay = Annotated[
    str | None,
    typer.Option(
        "--date", "-d", help="The night, as 2026-07-01; by default the last that was run."
    ),
]
CONFIG = Path("mlmarket.toml")
ROOT: ContextVar[Path | None] = ContextVar("root", default=None)
"""The folder of the business that a command works on, for the log of a crash."""


def complain(text: str) -> None:
    """Tell the person, or the log, what went wrong."""
    if sys.stderr.isatty():
        typer.secho(text, err=True, fg=typer.colors.RED)
    else:
        typer.echo(text, err=True)


class NightLog:
    """Tells how far a night is: a line on a terminal, JSON lines otherwise."""

    def __init__(self, night: date) -> None:
        self.night = night
        self.person = sys.stderr.isatty()

    def _write(self, event: str, text: str, **values: object) -> None:
        if self.person:
            typer.echo(text, err=True)
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        content = {"time": now, "event": event, "night": str(self.night), **values}
        typer.echo(json.dumps(content, default=str), err=True)

    def started(self, stage: str) -> None:
        """Write that a stage begins."""
        self._write("stage_started", f"  {self.night}  {stage} …", stage=stage)

    def working(self, stage: str, what: str) -> None:
        """Write what a stage is doing."""
        self._write("stage_working", f"    {what}", stage=stage, doing=what)

    def finished(self, result: "StageResult", *, skipped: bool) -> None:
        """Write that a stage ended, with its counts."""
        counts = ", ".join(f"{name} {count:,}" for name, count in result.counts.items())
        word = "done before" if skipped else f"{result.seconds:.1f} s"
        self._write(
            "stage_skipped" if skipped else "stage_finished",
            f"  {self.night}  {result.stage}: {word}  {counts}",
            stage=result.stage,
            seconds=result.seconds,
            cpu_seconds=result.cpu_seconds,
            peak_megabytes=result.peak_megabytes,
            counts=dict(result.counts),
        )


def parse_day(text: str, option: str = "--date") -> date:
    """Read a date that was given on the command line."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{option} {text!r} is no date.",
            "A night has a date: it is scored as of midnight where that day begins.",
            "write it as 2026-07-01.",
        ) from None


def night_of(
    config: Path, day: str | None, output: Path | None, engine: str | None = None
) -> "Night":
    """Open the night of a date, by default of today."""
    from mlmarket.nightly import open_night, tonight

    if day is None:
        night = tonight(config, output=output, engine=engine)
    else:
        night = open_night(config, parse_day(day), output=output, engine=engine)
    ROOT.set(night.workspace.root)
    return night


def last_night(config: Path, day: str | None, output: Path | None) -> "Night":
    """Return the night of a date, or the last that was run."""
    night = night_of(config, day, output)
    if day is None:
        return night_of(config, night.workspace.last_night().isoformat(), output)
    return night


def parse_moment(text: str | None, option: str = "--now") -> datetime | None:
    """Read a moment with a zone that was given on the command line."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationError(
            f"{option} {text!r} is no moment with a zone.",
            "A moment without a zone may be hours away from what is meant.",
            "write it as 2026-07-01T23:01+01:00, or leave it out.",
        )
    return moment
