"""What would a journey do with ten real people, before anybody approves it?

The journey is run as it would be: by the same tick, on tonight's tables and predictions, from a copy
of the state. Nothing is kept. From tonight on, the people do nothing: they neither open nor buy, so
that each goes as far as the journey alone takes them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError
from mlmarket.market.frames import to_arrow
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.engine.ticking import tick
from mlmarket.orchestration.journeys.entry import Entry
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.state.standing import Decisions, State, utc
from mlmarket.orchestration.tables import canonical, empty
from mlmarket.orchestration.telling.explaining import DecisionMade, in_order, made_from

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Preview", "PreviewedPerson", "preview"]

_MOST_MOMENTS: Final = 60
"""How many moments of one person are shown; a journey with a loop would otherwise fill pages."""
_LONG_AGO: Final = pa.scalar(datetime(1970, 1, 1), pa.timestamp("us"))  # noqa: DTZ001 - as tables do
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
    goes_on : bool
        Whether there is more than is shown.
    """

    contact_id: str
    why: str
    steps: tuple[DecisionMade, ...]
    handed_over: Mapping[str, str] = field(default_factory=dict)
    goes_on: bool = False


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
            if person.goes_on:
                yield "  and so on"


def preview(
    journey: Journey,
    state: State,
    predictions: object,
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
    predictions : pyarrow.Table, pandas.DataFrame or polars.DataFrame
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
    if people < 1:
        what = f"A preview of {people} people shows nobody."
        raise ConfigurationError(what, "Nothing could be looked at.", "ask for at least 1.")
    scores = to_arrow(predictions, name="predictions")
    known = _KnownBy(events, utc(now))
    before = _before(journey, state, scores, now)
    first = _first_tick(before, scores, known, now=now)
    entrants = _entered(first)
    chosen = _different(first, people)
    followed = _Followed.through(before, first, chosen, scores, known)
    whys = _whys(first, journey, chosen)
    shown = tuple(followed.person(one, whys.get(one, ""), journey) for one in chosen)
    held_out = sum(reasons != [] for reasons in entrants["reasons"].to_pylist())
    return Preview(journey.journey, journey.version, first.now, len(entrants), held_out, shown)


def _before(journey: Journey, state: State, predictions: pa.Table, now: datetime) -> State:
    """Return the state in which only this journey is in force, and nobody is in it."""
    alone = Playbook(
        segments=tuple(_unguarded(one, journey.entry) for one in state.playbook.segments),
        journeys=(journey,),
        holdout=state.playbook.holdout,
        policy=state.playbook.policy,
    )
    fresh = replace(
        state,
        releases={},
        members=_members(journey, state, predictions),
        enrolments=empty("enrolments"),
        # Who came in at this very moment, where it was decided before, is shown coming in again.
        passes=_earlier_passes(journey, state, now),
        last_now=None,
        last_tick_id=None,
        tick_ids=frozenset(),
    )
    # Who did it lately stands for those who will.
    return fresh.under(alone).approving(by="preview", at=now - journey.entry.max_age)


def _unguarded(segment: Segment, entry: Entry) -> Segment:
    """Return the segment without its guard where many will seem to come or go."""
    if segment.name != entry.segment or entry.on == "member":
        return segment
    return segment.model_copy(update={"guard": None})


def _earlier_passes(journey: Journey, state: State, now: datetime) -> pa.Table:
    mine = pc.equal(state.passes["journey"], journey.journey)
    before = pc.less(state.passes["entered_at"], pa.scalar(utc(now), pa.timestamp("us")))
    return state.passes.filter(pc.and_(mine, before))


def _members(journey: Journey, state: State, predictions: pa.Table) -> pa.Table:
    """Return whom the first tick takes for members of the segments before it.

    Where people come in by becoming a member, those who are one stand for them, and where they
    come in by ceasing to be one, those who are none.
    """
    if journey.entry.on == "member":
        return state.members
    others = state.members.filter(pc.not_equal(state.members["segment"], journey.entry.segment))
    if journey.entry.on == "enter":
        return others
    count = len(predictions)
    everybody = {
        "segment": pa.repeat(str(journey.entry.segment), count),
        "contact_id": predictions["contact_id"],
        "entered_at": pa.repeat(_LONG_AGO, count),
        "why": pa.nulls(count, pa.string()),
    }
    whole = pa.table(everybody).cast(state.members.schema)
    return canonical("memberships", pa.concat_tables([others, whole]))


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


@dataclass(slots=True)
class _Followed:
    """What happens to a few people from one due moment to the next."""

    made: list[dict[str, Any]] = field(default_factory=list)
    handed: dict[tuple[str, str], str] = field(default_factory=dict)
    moments: Counter[str] = field(default_factory=Counter)

    @classmethod
    def through(
        cls,
        before: State,
        first: Decisions,
        chosen: list[str],
        predictions: pa.Table,
        events: Behaviour,
    ) -> "_Followed":
        """Tick on until everybody has come to an end, or has done enough."""
        wanted = pa.array(chosen, pa.string())
        mine = _only(_telling(predictions), wanted)
        state, decided, found = before.after(first), first, cls()
        while True:
            found._add(decided, wanted)
            on = [one for one in chosen if found.moments[one] < _MOST_MOMENTS]
            state = replace(state, enrolments=_only(state.enrolments, pa.array(on, pa.string())))
            moment = _next_moment(state)
            if moment is None:
                return found
            decided = tick(state, mine, events, now=moment, touched=_due(state, moment))
            state = state.after(decided)

    def _add(self, decided: Decisions, wanted: pa.Array) -> None:
        rows = _only(decided.decisions, wanted).to_pylist()
        self.made += rows
        self.moments.update({row["contact_id"] for row in rows})
        for row in _only(decided.outbox, wanted).to_pylist():
            self.handed[row["contact_id"], row["step"]] = row["payload"]

    def person(self, contact_id: str, why: str, journey: Journey) -> PreviewedPerson:
        """Return what happened to one of them."""
        made = [made_from(row) for row in self.made if row["contact_id"] == contact_id]
        return PreviewedPerson(
            contact_id,
            why,
            in_order(made, {journey.version: journey}),
            {step: text for (who, step), text in self.handed.items() if who == contact_id},
            goes_on=self.moments[contact_id] >= _MOST_MOMENTS,
        )


def _telling(predictions: pa.Table) -> pa.Table:
    """Return the columns of predictors that said something of anybody."""
    count = len(predictions)
    names = [name for name in predictions.column_names if predictions[name].null_count < count]
    return predictions.select(names or ["contact_id"])


def _only(table: pa.Table, wanted: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table["contact_id"], value_set=wanted))


def _due(state: State, moment: datetime) -> pa.Array:
    """Return for whom something is due; the others are not looked at."""
    table = state.enrolments
    plain = pa.scalar(utc(moment), pa.timestamp("us"))
    first = pc.min_element_wise(table["due_at"], table["expires_at"])
    rows = table.filter(pc.and_(pc.equal(table["status"], "active"), pc.equal(first, plain)))
    return rows["contact_id"].combine_chunks()


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
        """Return one of the tables of the data contract, as it stood at the moment."""
        table = self.events.table(name)
        for column in _DATES.get(name, ()):
            if column in table.columns:
                since = table[column]
                table = table.filter(since.isnull() | (since <= self.until))  # noqa: PD003
        return table

    def activity(self, *types: str) -> ir.Table:
        """Return the behaviour of the given types that is known by the moment."""
        activity = self.events.activity(*types)
        arrived = activity["available_at"]
        return activity.filter(
            activity["occurred_at"] <= self.until,
            arrived.isnull() | (arrived <= self.until),  # noqa: PD003
        )


_DATES: Final = {
    "contacts": ("created_at", "valid_from"),
    "consents": ("changed_at",),
    "messages": ("sent_at",),
}
"""Since when a row of a table is true."""
