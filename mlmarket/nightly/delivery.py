"""How does the outbox leave the house, and what became of it?"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlmarket.errors import ConfigurationError
from mlmarket.nightly.night import Night, refuse_future_moment
from mlmarket.nightly.playbook import load_night_playbook
from mlmarket.nightly.safe_files import replace_file
from mlmarket.orchestration import (
    Behaviour,
    DeliverySummary,
    StateStore,
    adapters,
    audience,
    audience_changes,
    dead_letters,
    deliver,
    in_doubt,
    may_join_audience,
    recheck,
    requeue,
    retry_unknown,
    write_csv,
)
from mlmarket.orchestration.state.claims import LATER
from mlmarket.orchestration.state.standing import utc

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.orchestration import Check
    from mlmarket.orchestration.arbitration.reasons import Bits

__all__ = ["OutboxStatus", "deliver_now", "outbox_check", "outbox_status", "write_audience"]

_SHOWN = 20


def outbox_check(
    night: Night, store: StateStore, events: Behaviour, *, now: datetime, ahead: bool = False
) -> "Check":
    """Return what asks of rows of the outbox whether anything speaks against them by now.

    Parameters
    ----------
    night : Night
        Its configuration.
    store : StateStore
        What was sent, suppressed and consented to.
    events : Behaviour
        Consents and setbacks.
    now : datetime
        With a zone.
    ahead : bool, default False
        Whether rows are given out that may go out only later: what time takes away does not count
        then, for they were planned around it.

    Returns
    -------
    callable
        For ``StateStore.claim`` and its like.
    """
    playbook = load_night_playbook(night.config, night.settings)

    def check(rows: "pa.Table") -> "Bits":
        contacts = rows["contact_id"].combine_chunks().unique()
        state = store.load(now=now, touched=contacts, playbook=playbook).under(playbook)
        bits = recheck(rows, state=state, events=events, policy=playbook.policy, now=utc(now))
        return bits & ~int(LATER) if ahead else bits

    return check


def deliver_now(night: Night, *, now: datetime | None = None) -> DeliverySummary:
    """Hand over what is due, as ``[handover]`` says.

    Parameters
    ----------
    night : Night
        Its configuration and state.
    now : datetime, optional
        When, with a zone; the present by default.

    Returns
    -------
    DeliverySummary
        What was handed over, and what will be tried again.

    Raises
    ------
    ConfigurationError
        Where nothing says to whom.
    """
    if not night.settings.handover:
        raise ConfigurationError(
            f"{night.config.name} has no [handover.NAME].",
            "Nothing says to whom the outbox is handed over; each night writes it to outbox.csv.",
            "describe who takes it, as docs/handover.md shows.",
        )
    moment = now or datetime.now(UTC)
    refuse_future_moment(moment)
    folder = night.config.parent.absolute()
    ways = adapters(night.settings.handover, folder, os.environ)
    with night.workspace.locked(), StateStore.open(night.workspace.state) as store:
        check = outbox_check(night, store, night.market(check=False), now=moment)
        return deliver(store, ways, now=moment, check=check)


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """What waits, what went out, and what could not.

    Parameters
    ----------
    counts : dict of str to int
        Rows by status.
    failed, unknown : pyarrow.Table
        Dead letters, and what may have arrived or not.
    """

    counts: dict[str, int]
    failed: "pa.Table"
    unknown: "pa.Table"

    def to_text(self) -> str:
        """Return it in lines to read; without addresses.

        Returns
        -------
        str
            Counts, then the first rows of each list.
        """
        lines = [f"{status:10} {count:>10,}" for status, count in sorted(self.counts.items())]
        for word, table in (("failed", self.failed), ("unknown", self.unknown)):
            for row in table.slice(0, _SHOWN).to_pylist():
                where = f"{row['journey']}.{row['step']}"
                lines.append(f"{word}  {row['idempotency_key']}  {where}  {row['last_error']}")
        return "\n".join(lines) if lines else "The outbox is empty."


def outbox_status(
    night: Night, *, requeued: Sequence[str] = (), retried: Sequence[str] = ()
) -> OutboxStatus:
    """Say what is in the outbox, and put back what is to be tried again.

    Parameters
    ----------
    night : Night
        Its state.
    requeued : sequence of str, optional
        Keys of dead letters to try again.
    retried : sequence of str, optional
        Keys of what may have arrived, to be sent again.

    Returns
    -------
    OutboxStatus
        Afterwards.
    """
    moment = datetime.now(UTC)
    with night.workspace.locked(), StateStore.open(night.workspace.state) as store:
        if requeued:
            requeue(store, requeued, now=moment)
        if retried:
            retry_unknown(store, retried, now=moment)
        statuses = store.outbox()["status"].to_pylist()
        counts = {one: statuses.count(one) for one in set(statuses)}
        return OutboxStatus(counts, dead_letters(store), in_doubt(store))


def write_audience(
    night: Night, segment: str, platform: str, file: Path, *, earlier: Path | None = None
) -> str:
    """Write a segment as an advertising platform takes it.

    Parameters
    ----------
    night : Night
        One that was decided.
    segment : str
        Which.
    platform : str
        meta, google or linkedin.
    file : Path
        Where to.
    earlier : Path, optional
        A file that was uploaded before: only what changed since is written.

    Returns
    -------
    str
        How many people are in it and how many are not, and why.
    """
    market = night.market(check=False)
    with StateStore.open(night.workspace.state) as store:
        state = store.load()
        last = store.decisions_of(str(state.last_tick_id))
    # A tick between two nights tells only of those whom it looked at.
    decisions = replace(last, memberships=state.members, touched=None)
    may = may_join_audience(state, market, now=decisions.now)
    written = audience(decisions, segment, market, platform=platform, may=may)
    rows = written.rows
    if earlier is not None:
        rows = audience_changes(_read_texts(earlier), rows)
    replace_file(file, lambda place: write_csv(rows, place))
    return (
        f"{len(rows):,} rows from {written.members:,} members; left out: "
        f"{written.without_consent:,} without consent to ads, "
        f"{written.without_address:,} without an address"
    )


def _read_texts(file: Path) -> "pa.Table":
    """Return a CSV file with every column as text."""
    import csv

    import pyarrow as pa

    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            names, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(
            f"The earlier audience '{file}' cannot be read: {error}.",
            "What changed since is found by comparing with it.",
            "name the file that was uploaded, or leave it out to write everybody.",
        ) from error
    columns = {name: pa.array([row[name] or "" for row in rows], pa.string()) for name in names}
    return pa.table(columns)
