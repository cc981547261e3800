"""What would a journey do with ten real people, before anybody approves it?

The journey is run as it would be: by the same tick, on tonight's tables and predictions, from a copy
of the state, as if nobody had been in it before. Nothing is kept. From tonight on, the people do nothing: they neither open nor buy, so
that each goes as far as the journey alone takes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.engine.ticking import tick
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.standing import Decisions, State, utc
from mlmarket.orchestration.tables import empty
from mlmarket.orchestration.telling.explaining import DecisionMade, in_order, made_from

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Preview", "PreviewedPerson", "preview"]

_MOST_TICKS: Final = 100
"""Moments looked at; a journey with a loop would otherwise never end."""
_DATED: Final = {"messages": "sent_at", "consents": "changed_at"}
_DAYS_AHEAD: Final = 31
"""How far a preview looks for people where nobody comes in tonight: a month of dates."""


@dataclass(frozen=True, slots=True)
class PreviewedPerson:
    """One person's way through the journey.

    Parameters
    ----------
    contact_id : str
        Who.
    why : str
        Why the person is in the segment of the entry; empty where there is none.
    steps : tuple of DecisionMade
        What would be decided, in order.
    handed_over : mapping of str to str
        What would be handed over, by step: the filled-in payload as JSON.
    """

    contact_id: str
    why: str
    steps: tuple[DecisionMade, ...]
    handed_over: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a journey would do, shown on some of the people whom it would let in.

    Parameters
    ----------
    journey, version : str
        Which journey, and in which wording.
    now : datetime
        From when on, in UTC.
    entrants : int
        How many people would come in at that moment.
    held_out : int
        How many of them would be followed but never messaged.
    people : tuple of PreviewedPerson
        Some of them, as different from each other as there are.
    """

    journey: str
    version: str
    now: datetime
    entrants: int
    held_out: int
    people: tuple[PreviewedPerson, ...]

    def to_text(self) -> str:
        """Return it in lines to read.

        Returns
        -------
        str
            One paragraph a person.
        """
        return "\n".join(self._lines())

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a decision.

        Returns
        -------
        pandas.DataFrame
            contact_id, at, step, outcome, way, channel, due_at, reasons, payload.
        """
        import pandas as pd

        rows = [
            {
                "contact_id": person.contact_id,
                "at": step.decided_at,
                "step": step.step,
                "outcome": step.outcome,
                "way": step.way,
                "channel": step.channel,
                "due_at": step.due_at,
                "reasons": ", ".join(step.reasons),
                "payload": person.handed_over.get(step.step) if step.is_action else None,
            }
            for person in self.people
            for step in person.steps
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        html: str = self.to_frame().to_html(index=False, na_rep="")
        return html

    def _lines(self) -> Iterator[str]:
        yield (
            f"{self.journey} ({self.version}), from {self.now:%Y-%m-%d %H:%M} UTC: "
            f"{self.entrants:,} would come in, {self.held_out:,} of them held out."
        )
        for person in self.people:
            yield ""
            yield person.contact_id + (f": {person.why}" if person.why else "")
            for step in person.steps:
                yield f"  {step.in_words}"
                if step.is_action and person.handed_over.get(step.step, "{}") != "{}":
                    yield f"      {person.handed_over[step.step]}"


def preview(
    journey: Journey,
    state: State,
    predictions: pa.Table,
    events: Behaviour,
    *,
    now: datetime,
    people: int = 10,
) -> Preview:
    """Send some real people through a journey, without keeping anything.

    Parameters
    ----------
    journey : Journey
        Approved or not; other journeys are left aside.
    state : State
        Where everybody stands, under a playbook that has the segments.
    predictions : pyarrow.Table
        One row a contact.
    events : Behaviour
        People, consents and behaviour up to ``now``.
    now : datetime
        From when on, with a zone.
    people : int, default 10
        How many to show.

    Returns
    -------
    Preview
        The same for the same inputs.

    Raises
    ------
    MlmarketError
        As :func:`~mlmarket.orchestration.engine.ticking.tick` does.
    """
    known = _KnownBy(events, utc(now))
    before = _before(journey, state, now)
    first = _first_tick(before, predictions, known, now=now)
    entrants = _entered(first)
    chosen = _different(first, people)
    made, handed = _followed(before, first, chosen, predictions, known)
    whys = _whys(first, journey, chosen)
    shown = tuple(
        PreviewedPerson(
            one,
            whys.get(one, ""),
            in_order((made_from(row) for row in made if row["contact_id"] == one), first.versions),
            {step: payload for (who, step), payload in handed.items() if who == one},
        )
        for one in chosen
    )
    held_out = sum(reasons != [] for reasons in entrants["reasons"].to_pylist())
    return Preview(journey.journey, journey.version, first.now, len(entrants), held_out, shown)


def _before(journey: Journey, state: State, now: datetime) -> State:
    """Return the state in which only this journey is in force, and nobody is in it."""
    alone = Playbook(
        segments=state.playbook.segments,
        journeys=(journey,),
        holdout=state.playbook.holdout,
        policy=state.playbook.policy,
    )
    fresh = replace(
        state,
        releases={},
        # Whoever is a member now stands for those who will become one.
        members=empty("memberships") if journey.entry.on == "enter" else state.members,
        enrolments=empty("enrolments"),
        passes=empty("passes"),
        last_now=None,
        last_tick_id=None,
        tick_ids=frozenset(),
    )
    # Who did it lately stands for those who will.
    return fresh.under(alone).approving(by="preview", at=now - journey.entry.max_age)


def _first_tick(
    state: State, predictions: pa.Table, events: Behaviour, *, now: datetime
) -> Decisions:
    first = tick(state, predictions, events, now=now)
    (journey,) = state.playbook.journeys
    if journey.entry.kind in {"segment", "event"}:
        return first
    for day in range(1, _DAYS_AHEAD + 1):
        if len(_entered(first)):
            break
        first = tick(state, predictions, events, now=now + timedelta(days=day))
    return first


def _entered(decided: Decisions) -> pa.Table:
    return decided.decisions.filter(pc.equal(decided.decisions["outcome"], "entered"))


def _different(first: Decisions, most: int) -> list[str]:
    """Return people of as many different outcomes as there are, the same ones each time."""
    entered = set(_entered(first)["contact_id"].to_pylist())
    paths: dict[str, list[tuple[str, ...]]] = {}
    for row in first.decisions.to_pylist():
        if row["contact_id"] in entered:
            told = (row["step"], row["outcome"], str(row["way"]), *row["reasons"])
            paths.setdefault(row["contact_id"], []).append(told)
    alike: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for contact in sorted(paths):
        alike.setdefault(tuple(sorted(paths[contact])), []).append(contact)
    queues = [alike[key] for key in sorted(alike)]
    chosen: list[str] = []
    depth = max((len(queue) for queue in queues), default=0)
    for place in range(depth):
        chosen += [queue[place] for queue in queues if place < len(queue)]
        if len(chosen) >= most:
            break
    return chosen[:most]


def _followed(
    before: State,
    first: Decisions,
    chosen: list[str],
    predictions: pa.Table,
    events: Behaviour,
) -> tuple[list[dict[str, Any]], dict[tuple[str, str], str]]:
    """Tick on from one due moment to the next; return all decisions and what is handed over."""
    wanted = pa.array(chosen, pa.string())
    mine = predictions.filter(pc.is_in(predictions["contact_id"], value_set=wanted))
    state, decided = before.after(first), first
    made: list[dict[str, Any]] = []
    handed: dict[tuple[str, str], str] = {}
    for _ in range(_MOST_TICKS):
        made += _rows(decided.decisions, wanted)
        for row in _rows(decided.outbox, wanted):
            handed[row["contact_id"], row["step"]] = row["payload"]
        state = replace(state, enrolments=_only(state.enrolments, wanted))
        moment = _next_moment(state)
        if moment is None:
            break
        decided = tick(state, mine, events, now=moment, touched=wanted)
        state = state.after(decided)
    return made, handed


def _only(table: pa.Table, wanted: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table["contact_id"], value_set=wanted))


def _rows(table: pa.Table, wanted: pa.Array) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _only(table, wanted).to_pylist()
    return rows


def _next_moment(state: State) -> datetime | None:
    """Return when the first of those under way is due or expires, after the last tick."""
    active = state.enrolments.filter(pc.equal(state.enrolments["status"], "active"))
    moments = [
        moment.replace(tzinfo=UTC)
        for name in ("due_at", "expires_at")
        for moment in active[name].to_pylist()
    ]
    later = [one for one in moments if state.last_now is None or one > state.last_now]
    return min(later, default=None)


def _whys(first: Decisions, journey: Journey, chosen: list[str]) -> dict[str, str]:
    if journey.entry.segment is None:
        return {}
    members = first.memberships
    mine = members.filter(pc.equal(members["segment"], journey.entry.segment))
    rows = _only(mine, pa.array(chosen, pa.string())).to_pylist()
    return {row["contact_id"]: row["why"] or "" for row in rows}


@dataclass(frozen=True, slots=True)
class _KnownBy:
    """A source of behaviour that knows nothing after a moment, whenever it is asked."""

    events: Behaviour
    until: datetime

    def has(self, table: str) -> bool:
        """Say whether there is a table of that name."""
        return self.events.has(table)

    def table(self, name: str) -> ir.Table:
        """Return one of the tables of the data contract, without what came after the moment."""
        table = self.events.table(name)
        if name not in _DATED:
            return table
        dated = table[_DATED[name]]
        return table.filter(dated.isnull() | (dated <= self.until))  # noqa: PD003

    def activity(self, *types: str) -> ir.Table:
        """Return the behaviour of the given types that is known by the moment."""
        activity = self.events.activity(*types)
        return activity.filter(activity["occurred_at"] <= self.until)
