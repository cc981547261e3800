"""What is decided tonight, and which files does a marketer find in the morning?"""

from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.nightly.playbook import check_playbook
from mlmarket.nightly.segments import segment_sizes
from mlmarket.nightly.stages import StageOutput
from mlmarket.orchestration import (
    Decisions,
    EarlierTickError,
    StateStore,
    decide,
    segment_list,
    write_csv,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.nightly.night import Night

__all__ = ["decide_night"]


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

    Raises
    ------
    ConfigurationError
        Where a later night has been decided already.
    """
    playbook = check_playbook(night, market)
    state = night.workspace.state
    state.parent.mkdir(parents=True, exist_ok=True)
    with StateStore.open(state) as store:
        try:
            decisions = decide(store, playbook, predictions, market, now=night.as_of)
        except EarlierTickError as error:
            raise ConfigurationError(
                f"A later night than {night.day} has been decided already.",
                error.why,
                f"run `mlmarket backfill --from {night.day} --to {night.day}` to only predict.",
            ) from error
        together = _to_hand_over(night, store, decisions)
    outbox = _joined(together)
    _export(decisions, outbox, market, place)
    output.counts |= decisions.counts() | {"outbox": len(outbox)}
    output.details["tick_id"] = decisions.tick_id
    output.details["tick_ids"] = [one.tick_id for one in together]
    output.details["segment_sizes"] = segment_sizes(decisions)
    return decisions


def _to_hand_over(night: "Night", store: StateStore, decisions: Decisions) -> list[Decisions]:
    """Return tonight's tick, and those before it whose messages nobody has been given.

    Tonight may have been decided before, from other tables. And a night may have been killed after
    its tick was committed and before it was exported, and never run again.
    """
    together = [decisions]
    while together[-1].previous is not None:
        earlier = store.decisions_of(str(together[-1].previous))
        if earlier.now < decisions.now and not _was_interrupted(night, earlier):
            break
        together.append(earlier)
    return together


def _was_interrupted(night: "Night", earlier: Decisions) -> bool:
    """Return whether the night of a tick is there, but did not get as far as its outbox.

    A night whose folder is gone was pruned: what it had to hand over was handed over long ago.
    """
    zone = ZoneInfo(night.settings.business.timezone)
    folder = night.workspace.run(earlier.now.astimezone(zone).date())
    return folder.path.is_dir() and earlier.tick_id not in folder.handed_over()


def _joined(together: list[Decisions]) -> "pa.Table":
    import pyarrow as pa

    outboxes = [one.outbox for one in together]
    if len(outboxes) == 1:
        return outboxes[0]
    return pa.concat_tables(outboxes).sort_by("idempotency_key").combine_chunks()


def _export(decisions: Decisions, outbox: "pa.Table", market: Market, place: Path) -> None:
    """Write ``segments/*.csv`` and ``outbox.csv``, and both as Parquet for SQL users."""
    import pyarrow.parquet as pq

    folder = place / "segments"
    folder.mkdir()
    for segment in decisions.playbook.segments:
        write_csv(segment_list(decisions, segment.name, market), folder / f"{segment.name}.csv")
    write_csv(decisions.changes, folder / "_changes.csv")
    write_csv(outbox, place / "outbox.csv")
    pq.write_table(decisions.memberships, place / "segments.parquet", compression="zstd")
    pq.write_table(outbox, place / "outbox.parquet", compression="zstd")
