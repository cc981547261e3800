"""Where does everybody stand, and what was decided tonight?"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError
from mlmarket.market.time import to_utc as utc
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.releases import Release
from mlmarket.orchestration.tables import KEYS, canonical, empty

__all__ = ["Decisions", "EarlierTickError", "State", "utc"]


class EarlierTickError(ConfigurationError):
    """A tick whose ``now`` lies before the last one.

    Parameters
    ----------
    now : datetime
        What was asked for.
    last : datetime
        The last tick.
    """

    def __init__(self, now: datetime, last: datetime) -> None:
        super().__init__(
            f"The tick at {now.isoformat()} lies before the last one at {last.isoformat()}.",
            "Messages decided since then would be decided again from an older view.",
            f"use a time from {last.isoformat()} on, or a new state file to look back.",
        )


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
        decisions, and what is to be handed over.
    cancelled : pyarrow.Table
        What is not to be handed over any more.
    touched : pyarrow.Array of string, optional
        The people that the tick looked at; None for all. ``memberships`` holds only theirs.
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
    cancelled: pa.Table = field(default_factory=lambda: empty("cancelled"))
    touched: pa.Array | None = None

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
            "cancelled": len(self.cancelled),
        }


def _no_versions() -> Mapping[str, Journey]:
    return MappingProxyType({})


def _no_releases() -> Mapping[str, Release]:
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
    releases : mapping of str to Release
        Which journeys may act, by name.
    members : pyarrow.Table
        The memberships as of the last tick.
    enrolments : pyarrow.Table
        All enrolments that are under way or whose goal still counts; past ones may be among them.
    passes : pyarrow.Table
        When each person last came into each journey.
    sent : pyarrow.Table
        What was decided to be sent, as far back as caps and conditions look.
    suppressions : pyarrow.Table
        Who may not be written to.
    consent_events : pyarrow.Table
        Consents beside those of the tables.
    last_now : datetime or None
        The last tick's ``now`` in UTC with its zone; None before the first.
    last_tick_id : str or None
        The last tick.
    tick_ids : frozenset of str
        The ticks at ``last_now``.
    """

    playbook: Playbook = field(default_factory=Playbook)
    versions: Mapping[str, Journey] = field(default_factory=_no_versions)
    releases: Mapping[str, Release] = field(default_factory=_no_releases)
    members: pa.Table = field(default_factory=lambda: empty("memberships"))
    enrolments: pa.Table = field(default_factory=lambda: empty("enrolments"))
    passes: pa.Table = field(default_factory=lambda: empty("passes"))
    sent: pa.Table = field(default_factory=lambda: empty("sent"))
    suppressions: pa.Table = field(default_factory=lambda: empty("suppressions"))
    consent_events: pa.Table = field(default_factory=lambda: empty("consent_events"))
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

    def approving(self, *names: str, by: str, at: datetime) -> Self:
        """Return the state in which journeys of the playbook are approved as they stand there.

        Parameters
        ----------
        *names : str
            The journeys; all of the playbook where none is named.
        by : str
            Who approves.
        at : datetime
            When, with a zone.

        Returns
        -------
        State
            A copy.
        """
        moment = utc(at).replace(tzinfo=UTC)
        chosen = [one for one in self.playbook.journeys if not names or one.journey in names]
        new = {
            one.journey: Release(one.journey, one.version, "approved", by, moment) for one in chosen
        }
        versions = {one.version: one for one in chosen}
        return replace(
            self,
            releases=MappingProxyType({**self.releases, **new}),
            versions=MappingProxyType({**self.versions, **versions}),
        )

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
        earlier = self.tick_ids if self.last_now == decisions.now else frozenset()
        return replace(
            self,
            playbook=decisions.playbook,
            versions=MappingProxyType({**self.versions, **decisions.versions}),
            members=_members_after(self.members, decisions),
            enrolments=_replaced("enrolments", self.enrolments, decisions.enrolments),
            passes=_passes_after(self.passes, decisions.enrolments),
            sent=_sent_after(self.sent, decisions),
            last_now=decisions.now,
            last_tick_id=decisions.tick_id,
            tick_ids=earlier | {decisions.tick_id},
        )


def _replaced(name: str, old: pa.Table, new: pa.Table) -> pa.Table:
    """Return the old rows but those whose first key stands among the new, and the new."""
    key = KEYS[name][0]
    is_new = pc.is_in(old[key], value_set=new[key].combine_chunks())
    return canonical(name, pa.concat_tables([old.filter(pc.invert(is_new)), new]))


def _members_after(members: pa.Table, decisions: Decisions) -> pa.Table:
    if decisions.touched is None:
        return decisions.memberships
    inside = pc.is_in(members["contact_id"], value_set=decisions.touched.cast(pa.string()))
    looked_at = decisions.memberships.filter(
        pc.is_in(decisions.memberships["contact_id"], value_set=decisions.touched.cast(pa.string()))
    )
    return canonical(
        "memberships", pa.concat_tables([members.filter(pc.invert(inside)), looked_at])
    )


def _passes_after(passes: pa.Table, enrolments: pa.Table) -> pa.Table:
    came = pa.concat_tables([passes, enrolments.select(passes.column_names)])
    latest = came.group_by(["journey", "contact_id"]).aggregate([("entered_at", "max")])
    return canonical("passes", latest.rename_columns(["journey", "contact_id", "entered_at"]))


def _sent_after(sent: pa.Table, decisions: Decisions) -> pa.Table:
    new = decisions.outbox.append_column("status", pa.repeat("pending", len(decisions.outbox)))
    both = pa.concat_tables([sent, new.select(sent.column_names)])
    stopped = pc.is_in(
        both["idempotency_key"], value_set=decisions.cancelled["idempotency_key"].combine_chunks()
    )
    waiting = pc.and_(stopped, pc.equal(both["status"], "pending"))
    status = pc.if_else(waiting, "cancelled", both["status"])
    place = both.schema.get_field_index("status")
    return canonical("sent", both.set_column(place, "status", status))
