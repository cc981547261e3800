"""The command line's root, to which each module adds its commands."""

import typer

__all__ = ["app"]

app = typer.Typer(
    name="mlmarket",
    help="Who will buy, who is leaving, and what should we do about it tonight?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
