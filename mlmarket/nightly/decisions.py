"""What is decided tonight, and which files does a marketer find in the morning?"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.expressions import Schema, Type, schema_of
from mlmarket.market import Market
from mlmarket.market.connect import find_files
from mlmarket.nightly.models import predictors_of
from mlmarket.nightly.segments import segment_sizes
from mlmarket.nightly.settings import NightSettings
from mlmarket.nightly.stages import StageOutput
from mlmarket.orchestration import (
    Decisions,
    Holdout,
    Playbook,
    StateStore,
    check_segments,
    decide,
    load_playbook,
    segment_list,
    write_csv,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.nightly.night import Night

__all__ = ["check_playbook", "decide_night", "known_columns", "load_night_playbook"]

_KINDS: Final = {"number": Type.NUMBER, "text": Type.TEXT, "time": Type.TIME}


def load_night_playbook(config: Path, settings: NightSettings) -> Playbook:
    """Read the segments and journeys that a configuration names.

    Parameters
    ----------
    config : Path
        ``mlmarket.toml``.
    settings : NightSettings
        Its content.

    Returns
    -------
    Playbook
        Checked to fit together.
    """
    folder = config.parent.absolute()

    def files(patterns: list[str], name: str) -> list[Path]:
        return [path for pattern in patterns for path in find_files(pattern, folder, name=name)]

    journeys = settings.journeys
    return load_playbook(
        files(settings.segments.files, "segments"),
        files(journeys.files, "journeys"),
        holdout=Holdout(share=journeys.holdout, salt=journeys.holdout_salt),
    )


def known_columns(market: Market, settings: NightSettings) -> Schema:
    """Return every column that a segment may use: predictions and attributes of contacts.

    Parameters
    ----------
    market : Market
        The tables.
    settings : NightSettings
        The questions, whether or not they can be answered tonight.

    Returns
    -------
    mapping of str to Type
        By name.
    """
    columns: dict[str, Type] = dict(schema_of(market.table("contacts")))
    for predictor in predictors_of(settings):
        columns |= {name: _KINDS[one.type] for name, one in predictor.outputs.items()}
    return columns


def check_playbook(night: "Night", market: Market) -> Playbook:
    """Return tonight's segments and journeys, checked against the columns there will be.

    Parameters
    ----------
    night : Night
        Its configuration.
    market : Market
        The tables.

    Returns
    -------
    Playbook
        Checked.

    Raises
    ------
    ConfigurationError
        With file, segment and key.
    """
    playbook = load_night_playbook(night.config, night.settings)
    check_segments(playbook.segments, known=known_columns(market, night.settings))
    return playbook


def decide_night(
    night: "Night",
    market: Market,
    predictions: "pa.Table",
    place: Path,
    output: StageOutput,
) -> Decisions:
    """Run the tick, commit it, and write lists and outbox.

    A tick that was committed before a crash is only exported again.

    Parameters
    ----------
    night : Night
        Tonight.
    market : Market
        The tables.
    predictions : pyarrow.Table
        Tonight's.
    place : Path
        The stage's folder.
    output : StageOutput
        Gets the counts.

    Returns
    -------
    Decisions
        As committed.
    """
    playbook = check_playbook(night, market)
    state = night.workspace.state
    state.parent.mkdir(parents=True, exist_ok=True)
    with StateStore.open(state) as store:
        decisions = decide(store, playbook, predictions, market, now=night.as_of)
    export_decisions(decisions, market, place)
    output.counts |= decisions.counts()
    output.details["tick_id"] = decisions.tick_id
    output.details["segment_sizes"] = segment_sizes(decisions)
    return decisions


def export_decisions(decisions: Decisions, market: Market, place: Path) -> None:
    """Write ``segments/*.csv`` and ``outbox.csv``, and both as Parquet for SQL users.

    Parameters
    ----------
    decisions : Decisions
        What was decided.
    market : Market
        Where addresses are.
    place : Path
        The stage's folder.
    """
    import pyarrow.parquet as pq

    folder = place / "segments"
    folder.mkdir()
    for segment in decisions.playbook.segments:
        write_csv(segment_list(decisions, segment.name, market), folder / f"{segment.name}.csv")
    write_csv(decisions.changes, folder / "_changes.csv")
    write_csv(decisions.outbox, place / "outbox.csv")
    pq.write_table(decisions.memberships, place / "segments.parquet", compression="zstd")
    pq.write_table(decisions.outbox, place / "outbox.parquet", compression="zstd")



