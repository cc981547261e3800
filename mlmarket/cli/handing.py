"""Commands between nights: ticks, handing over, and people who want to be forgotten."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mlmarket.cli.application import app
from mlmarket.cli.terminal import CONFIG, Config, LastDay, Output, last_night, night_of
from mlmarket.errors import ConfigurationError

__all__ = ["audience", "deliver", "export_person", "forget", "outbox", "suppress", "tick"]

At = Annotated[
    str | None,
    typer.Option("--now", help="The moment, as 2026-07-01T23:01+01:00; by default the present."),
]


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationError(
            f"--now {text!r} is no moment with a zone.",
            "A moment without a zone may be hours away from what is meant.",
            "write it as 2026-07-01T23:01+01:00, or leave it out.",
        )
    return moment


@app.command()
def tick(
    config: Config = CONFIG,
    output: Output = None,
    now: At = None,
    hand_over: Annotated[
        bool, typer.Option("--deliver", help="Hand over at once what is due.")
    ] = False,
) -> None:
    """Decide about those for whom something has changed since the last tick; for every minute."""
    from mlmarket.nightly.minute import tick_now

    night = last_night(config, None, output)
    moment = _moment(now)
    done = tick_now(night, now=moment)
    counts = "  ".join(f"{name} {count:,}" for name, count in done.counts.items() if count)
    typer.echo(f"{done.now:%Y-%m-%d %H:%M:%S} UTC  people looked at {done.touched:,}  {counts}")
    if hand_over:
        deliver(config, output, now)


@app.command()
def deliver(config: Config = CONFIG, output: Output = None, now: At = None) -> None:
    """Hand over what is due to those whom the configuration names; what fails is tried later."""
    from mlmarket.nightly.delivery import deliver_now

    summary = deliver_now(night_of(config, None, output), now=_moment(now))
    typer.echo(str(summary))


@app.command()
def outbox(
    config: Config = CONFIG,
    output: Output = None,
    requeue: Annotated[
        list[str] | None, typer.Option("--requeue", help="A key of a dead letter to try again.")
    ] = None,
    retry_unknown: Annotated[
        list[str] | None,
        typer.Option("--retry-unknown", help="A key that may have arrived, to send again."),
    ] = None,
) -> None:
    """Count what is to be handed over by status, and list what could not be."""
    from mlmarket.nightly.delivery import outbox_status

    status = outbox_status(
        night_of(config, None, output), requeued=requeue or [], retried=retry_unknown or []
    )
    typer.echo(status.to_text())


@app.command()
def audience(
    segment: Annotated[str, typer.Argument(help="A segment.")],
    platform: Annotated[str, typer.Option(help="meta, google or linkedin.")],
    file: Annotated[Path | None, typer.Option(help="Where to write.", show_default=False)] = None,
    earlier: Annotated[
        Path | None,
        typer.Option(help="A file uploaded before: only what changed since is written."),
    ] = None,
    config: Config = CONFIG,
    day: LastDay = None,
    output: Output = None,
) -> None:
    """Write a segment as an advertising platform takes it: hashed, and only with consent to ads."""
    from mlmarket.nightly.delivery import write_audience

    night = last_night(config, day, output)
    place = file or Path(f"{segment}.{platform}.csv")
    told = write_audience(night, segment, platform, place, earlier=earlier)
    typer.echo(f"wrote {place}: {told}")


@app.command()
def suppress(
    contact: Annotated[str, typer.Argument(help="A contact_id.")],
    by: Annotated[str, typer.Option("--by", help="Who says so.")],
    reason: Annotated[str, typer.Option(help="Why, in a word.")] = "asked",
    channel: Annotated[str | None, typer.Option(help="Only this channel; else all.")] = None,
    config: Config = CONFIG,
    output: Output = None,
) -> None:
    """Write to a person no more, from now on; what is waiting for them is cancelled."""
    from mlmarket.nightly.privacy import suppress_person

    night = night_of(config, None, output)
    suppress_person(night, contact, channel=channel, reason=reason, by=by)
    typer.echo(f"{contact} is written to no more{f' by {channel}' if channel else ''}.")


@app.command()
def forget(
    contact: Annotated[str, typer.Argument(help="A contact_id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; it cannot be undone.")] = False,
    config: Config = CONFIG,
    output: Output = None,
) -> None:
    """Remove a person from state, runs, history and exports, and keep them from coming back."""
    from mlmarket.nightly.privacy import forget_person

    if not yes:
        typer.confirm(f"Remove everything about {contact}? It cannot be undone.", abort=True)
    typer.echo(forget_person(night_of(config, None, output), contact).to_text())


@app.command()
def export_person(
    contact: Annotated[str, typer.Argument(help="A contact_id.")],
    file: Annotated[Path | None, typer.Option(help="Where to write; else it is printed.")] = None,
    config: Config = CONFIG,
    output: Output = None,
) -> None:
    """Write everything that is kept about a person as JSON."""
    from mlmarket.nightly.privacy import everything_about

    content = everything_about(night_of(config, None, output), contact)
    text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
    if file is None:
        typer.echo(text)
        return
    file.write_text(text + "\n", encoding="utf-8")
    typer.echo(f"wrote {file}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
