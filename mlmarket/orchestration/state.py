"""Where does everybody stand, and what was decided tonight?"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.tables import canonical, empty

__all__ = ["Decisions", "State", "utc"]


def utc(moment: datetime) -> datetime:
    """Return a moment in UTC without its zone, as all tables hold it.

    Parameters
    ----------
    moment : datetime
        With a zone.

    Returns
    -------
    datetime
        The same moment, without a zone.

    Raises
    ------
    ConfigurationError
        Where it has no zone.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        what = f"The time {moment.isoformat()} has no time zone."
        why = "It could mean another moment on another machine."
        raise ConfigurationError(what, why, "write datetime(…, tzinfo=UTC), or another zone.")
    return moment.astimezone(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """What one tick decided; equal inputs give equal bytes.

    Parameters
    ----------
    tick_id : str
        The hash of ``now``, the playbook and the predictions.
    now : datetime
        When it was decided, in UTC with its zone.
    fingerprint : str
        The hash of the predictions.
    previous : str or None
        The tick before this one, None for the first.
    playbook : Playbook
        The segments, journeys and the holdout that were in force.
    versions : mapping of str to Journey
        The definitions of all versions that people are on.
    memberships, changes, skipped, enrolments, decisions, outbox : pyarrow.Table
        The tables of :mod:`mlmarket.orchestration.tables`: all current memberships, who entered
        or left, segments that could not be decided, the enrolments that are new or changed, the
        decisions, and the messages to hand over.
    """

    tick_id: str
    now: datetime
    fingerprint: str
    previous: str | None
    playbook: Playbook
    versions: Mapping[str, Journey]
    memberships: pa.Table
    changes: pa.Table
    skipped: pa.Table
    enrolments: pa.Table
    decisions: pa.Table
    outbox: pa.Table

    def counts(self) -> dict[str, int]:
        """Return the number of decisions by outcome and of messages, for logs and reports."""
        counted = self.decisions.group_by("outcome").aggregate([([], "count_all")])
        outcomes = zip(
            counted["outcome"].to_pylist(), counted["count_all"].to_pylist(), strict=True
        )
        return {
            "members": len(self.memberships),
            "changes": len(self.changes),
            **dict(sorted(outcomes)),
            "outbox": len(self.outbox),
        }


def _no_versions() -> Mapping[str, Journey]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where everybody stands before a tick.

    Parameters
    ----------
    playbook : Playbook
        The segments, journeys and the holdout in force.
    versions : mapping of str to Journey
        The definitions of all versions that people are on.
    members : pyarrow.Table
        The memberships as of the last tick.
    enrolments : pyarrow.Table
        All enrolments, past ones too.
    last_now : datetime or None
        The last tick's ``now`` in UTC with its zone; None before the first.
    last_tick_id : str or None
        The last tick.
    tick_ids : frozenset of str
        The ticks at ``last_now``.
    """

    playbook: Playbook = field(default_factory=Playbook)
    versions: Mapping[str, Journey] = field(default_factory=_no_versions)
    members: pa.Table = field(default_factory=lambda: empty("memberships"))
    enrolments: pa.Table = field(default_factory=lambda: empty("enrolments"))
    last_now: datetime | None = None
    last_tick_id: str | None = None
    tick_ids: frozenset[str] = frozenset()

    def under(self, playbook: Playbook) -> Self:
        """Return the state with another playbook in force.

        Parameters
        ----------
        playbook : Playbook
            From now on; people in flight stay on their versions.

        Returns
        -------
        State
            A copy.
        """
        return replace(self, playbook=playbook)

    def after(self, decisions: Decisions) -> Self:
        """Return the state that a tick's decisions lead to.

        Parameters
        ----------
        decisions : Decisions
            Of a tick on this state.

        Returns
        -------
        State
            The same that a store gives after the commit.
        """
        changed = decisions.enrolments["enrolment_id"].combine_chunks()
        kept = self.enrolments.filter(
            pc.invert(pc.is_in(self.enrolments["enrolment_id"], value_set=changed))
        )
        earlier = self.tick_ids if self.last_now == decisions.now else frozenset()
        return replace(
            self,
            playbook=decisions.playbook,
            versions=MappingProxyType({**self.versions, **decisions.versions}),
            members=decisions.memberships,
            enrolments=canonical("enrolments", pa.concat_tables([kept, decisions.enrolments])),
            last_now=decisions.now,
            last_tick_id=decisions.tick_id,
            tick_ids=earlier | {decisions.tick_id},
        )
