"""Where are people in each journey tonight?"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING, Any, Final

from mlmarket.market import Market
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.nightly.authoring import statuses_of
from mlmarket.orchestration import (
    Decisions,
    Journey,
    StateStore,
    drawn_counts,
    earned_by,
    journey_counts,
    responses,
)
from mlmarket.orchestration.journeys.actions import Message
from mlmarket.orchestration.journeys.describe import channels_in_words
from mlmarket.orchestration.state.standing import utc
from mlmarket.reporting import Earned, ExamplePerson, JourneySection, MessageResult

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["journey_sections"]

_EXAMPLES: Final = 10
_SMALL: Final = 10.0
"""Numbers below it are told apart by their decimals."""
_OUTCOMES: Final = {
    "entered": "came in",
    "branch": "went",
    "split": "drew",
    "act": "is handed over for",
    "wait": "waits",
    "send": "is sent",
    "suppressed": "is held back from",
    "withheld": "would be sent, but is held out of,",
    "completed": "has gone through all steps",
    "goal": "reached the goal",
    "exit": "left",
    "expired": "ran out of time",
}


def journey_sections(
    store: StateStore,
    decisions: Decisions,
    predictions: "pa.Table",
    market: Market,
) -> list[JourneySection]:
    """Return what the report says of each journey.

    Parameters
    ----------
    store : StateStore
        Where everybody stands after tonight.
    decisions : Decisions
        Tonight's.
    predictions : pyarrow.Table
        Tonight's, for the facts about example people.
    market : Market
        Where responses and orders are read.

    Returns
    -------
    list of JourneySection
        In the order of the playbook.
    """
    state = store.load(now=decisions.now)
    counts = journey_counts(store.standing_counts(), store.decided_counts(), state.versions)
    now = utc(decisions.now)
    answered = responses(state.sent, market, now=now).to_pylist()
    earned = earned_by(store.passes_followed(), market, now=now).to_pylist()
    statuses = {
        one.journey: one.status for one in statuses_of(decisions.playbook, store.releases())
    }
    return [
        _section(
            journey,
            _Known(
                statuses[journey.journey],
                counts,
                [row for row in answered if row["journey"] == journey.journey],
                [row for row in earned if row["journey"] == journey.journey],
            ),
            decisions,
            predictions,
        )
        for journey in decisions.playbook.journeys
    ]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was counted of one journey."""

    status: str
    counts: "pa.Table"
    responses: list[dict[str, Any]]
    earned: list[dict[str, Any]]


def _section(
    journey: Journey, known: _Known, decisions: Decisions, predictions: "pa.Table"
) -> JourneySection:
    tonight = [row for row in decisions.decisions.to_pylist() if row["journey"] == journey.journey]
    rows = [row for row in known.counts.to_pylist() if row["journey"] == journey.journey]

    def people(step: str, outcome: str) -> int:
        return sum(r["people"] for r in rows if r["step"] == step and r["outcome"] == outcome)

    return JourneySection(
        name=journey.journey,
        title=journey.title,
        status=known.status,
        entered=sum(row["outcome"] == "entered" for row in tonight),
        active=sum(row["people"] for row in rows if row["outcome"] in {"waiting", "held"}),
        reached_goal=people("end", "goal"),
        exited=people("end", "exited"),
        expired=people("end", "expired"),
        held_out=people("entry", "held_out"),
        journey=journey,
        counts=drawn_counts(known.counts, journey),
        messages=tuple(_messages(journey, rows, known.responses)),
        earned=tuple(_earned(known.earned)),
        examples=tuple(_examples(tonight, predictions, decisions.versions)),
    )


def _messages(
    journey: Journey, rows: list[dict[str, Any]], answered: list[dict[str, Any]]
) -> Iterator[MessageResult]:
    for node in journey.nodes:
        if not isinstance(node.content, Message):
            continue
        here = [row for row in rows if row["step"] == node.name]
        said = {row["type"]: row["people"] for row in answered if row["step"] == node.name}
        by_reason: Counter[str] = Counter()
        for row in here:
            if row["outcome"] == "suppressed":
                by_reason[str(row["reason"]).replace("_", " ")] += row["people"]
        yield MessageResult(
            title=f"{channels_in_words(node.content.channel, ', else ')} '{node.name}'",
            waiting=sum(row["people"] for row in here if row["outcome"] in {"waiting", "held"}),
            sent=sum(row["people"] for row in here if row["outcome"] == "send"),
            opened=said.get("open", 0),
            clicked=said.get("click", 0),
            suppressed=tuple(sorted(by_reason.items())),
        )


def _earned(rows: list[dict[str, Any]]) -> Iterator[Earned]:
    for row in rows:
        who = "Held out" if row["is_held_out"] else "Written to"
        yield Earned(who, row["passes"], row["converted"], float(row["revenue"]))


def _in_order(
    rows: Iterable[dict[str, Any]], versions: Mapping[str, Journey]
) -> list[dict[str, Any]]:
    """Return decisions of one night in the order of the steps."""

    def place(row: Mapping[str, Any]) -> int:
        names = [node.name for node in versions[row["version"]].nodes]
        return names.index(row["step"]) if row["step"] in names else _ENDS[row["step"]]

    return sorted(rows, key=place)


_ENDS: Final = {"entry": -1, "end": sys.maxsize}


def _examples(
    tonight: list[dict[str, Any]], predictions: "pa.Table", versions: Mapping[str, Journey]
) -> list[ExamplePerson]:
    """Return people of as many different outcomes as there are, the same ones each time."""
    by_outcome: dict[str, list[str]] = {}
    for row in sorted(tonight, key=lambda row: str(row["decision_id"])):
        by_outcome.setdefault(row["outcome"], []).append(row[CONTACT_ID])
    chosen: list[str] = []
    depth = max((len(people) for people in by_outcome.values()), default=0)
    for place in range(depth):
        for outcome in sorted(by_outcome):
            people = by_outcome[outcome]
            if place < len(people) and people[place] not in chosen and len(chosen) < _EXAMPLES:
                chosen.append(people[place])
        if len(chosen) >= _EXAMPLES:
            break
    facts = _facts(chosen, predictions)
    rows = {row["decision_id"]: row for row in tonight if row[CONTACT_ID] in set(chosen)}
    paths = {
        contact: "; ".join(
            _in_words(row)
            for row in _in_order(rows.values(), versions)
            if row[CONTACT_ID] == contact
        )
        for contact in chosen
    }
    return [ExamplePerson(contact, facts.get(contact, ()), paths[contact]) for contact in chosen]


def _in_words(row: Mapping[str, Any]) -> str:
    words = _OUTCOMES[row["outcome"]]
    if row["outcome"] in {"act", "send", "suppressed", "withheld"}:
        words = f"{words} '{row['step']}'"
    if row["way"] is not None:
        words = f"{words} '{row['way']}' at '{row['step']}'"
    if row["reasons"]:
        words += f" ({', '.join(reason.replace('_', ' ') for reason in row['reasons'])})"
    if row["outcome"] == "wait" and row["due_at"] is not None:
        words += f" until {row['due_at']:%Y-%m-%d %H:%M} UTC"
    return words


def _facts(contacts: list[str], predictions: "pa.Table") -> dict[str, tuple[tuple[str, str], ...]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pc.is_in(predictions.column(CONTACT_ID), value_set=pa.array(contacts, pa.string()))
    rows = predictions.filter(wanted).to_pylist()
    return {
        row[CONTACT_ID]: tuple(
            (name, _plain(name, value))
            for name, value in row.items()
            if value is not None and name not in {CONTACT_ID, AS_OF} and "version" not in name
        )
        for row in rows
    }


def _plain(name: str, value: object) -> str:
    if isinstance(value, float):
        if "probability" in name:
            return f"{value:.0%}"
        return f"{value:.2f}" if abs(value) < _SMALL else f"{value:,.0f}"
    if isinstance(value, datetime) and value.time() == time.min:
        return f"{value:%Y-%m-%d}"
    return str(value)
