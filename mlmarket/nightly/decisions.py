"""What is decided tonight, and which files does a marketer find in the morning?"""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.nightly.delivery import outbox_check
from mlmarket.nightly.playbook import check_playbook
from mlmarket.nightly.segments import segment_sizes
from mlmarket.nightly.stages import StageOutput
from mlmarket.orchestration import (
    Behaviour,
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

__all__ = ["decide_night", "settle_night"]


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
        decisions = decide(store, playbook, predictions, market, now=_moment(night, store))
        outbox = _outbox(night, store, decisions, market)
    _export(decisions, outbox, market, place)
    output.counts |= decisions.counts() | {"outbox": len(outbox)}
    output.details["tick_id"] = decisions.tick_id
    output.details["segment_sizes"] = segment_sizes(decisions)
    return decisions


def _moment(night: "Night", store: StateStore) -> datetime:
    """Return when the night decides: as of its instant, or of a tick that came since.

    Raises
    ------
    ConfigurationError
        Where a later night has been decided already.
    """
    last = store.last_now()
    if last is None or last <= night.as_of:
        return night.as_of
    if last >= night.as_of + timedelta(days=1) or _decided_later(night):
        raise ConfigurationError(
            f"A later night than {night.day} has been decided already.",
            EarlierTickError(night.as_of, last).why,
            f"run `mlmarket backfill --from {night.day} --to {night.day}` to only predict.",
        )
    return last


def _decided_later(night: "Night") -> bool:
    later = [day for day in night.workspace.nights() if day > night.day]
    return any(night.workspace.run(day).has_decided() for day in later)


def _outbox(
    night: "Night", store: StateStore, decisions: Decisions, events: Behaviour
) -> "pa.Table":
    """Return what the night writes into its outbox file.

    Where [handover] says who hands over, the file only shows what was decided. Else it is the hand-over:
    it holds all that waits, also what ticks between nights decided, and what was given to a night
    that was killed before it wrote its file.
    """
    if night.settings.handover:
        return decisions.outbox
    mine = _name(night.day)
    killed = []
    for name in store.names_waiting(_PREFIX):
        if name != mine and _was_written(night, name):
            store.handed_out(name, now=decisions.now)
        elif name != mine:
            killed.append(name)
    check = outbox_check(night, store, events, now=decisions.now, ahead=True)
    return store.hand_out(mine, now=decisions.now, take_over=killed, check=check)


_PREFIX: Final = "night "


def _name(day: date) -> str:
    return f"{_PREFIX}{day.isoformat()}"


def _was_written(night: "Night", name: str) -> bool:
    """Return whether the night of a name got as far as its outbox.

    A night whose folder is gone was pruned: what it had to hand over was handed over long ago.
    """
    folder = night.workspace.run(date.fromisoformat(name.removeprefix(_PREFIX)))
    return not folder.path.is_dir() or folder.has_decided()


def settle_night(night: "Night") -> None:
    """Write down that the night's outbox is in its place, so that its rows count as sent.

    Parameters
    ----------
    night : Night
        One whose decisions are finished.
    """
    if night.settings.handover or not night.workspace.state.is_file():
        return
    with StateStore.open(night.workspace.state) as store:
        if _name(night.day) in store.names_waiting(_PREFIX):
            store.handed_out(_name(night.day), now=store.last_now() or night.as_of)


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
