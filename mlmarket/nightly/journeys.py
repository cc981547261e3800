"""Where are people in each journey tonight?"""

from collections.abc import Mapping
from datetime import datetime, time
from typing import TYPE_CHECKING, Any, Final

from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.orchestration import Decisions, Journey, State, journey_counts
from mlmarket.reporting import ExamplePerson, JourneySection, JourneyStep

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["journey_sections"]

_EXAMPLES: Final = 10
_SMALL: Final = 10.0
"""Numbers below it are told apart by their decimals."""
_OUTCOMES: Final = {
    "entered": "came in",
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
    state: State, decisions: Decisions, predictions: "pa.Table"
) -> list[JourneySection]:
    """Return what the report says of each journey.

    Parameters
    ----------
    state : State
        Where everybody stands after tonight.
    decisions : Decisions
        Tonight's.
    predictions : pyarrow.Table
        Tonight's, for the facts about example people.

    Returns
    -------
    list of JourneySection
        In the order of the playbook.
    """
    counts = journey_counts(state).to_pylist()
    return [
        _section(
            journey,
            [row for row in counts if row["journey"] == journey.journey],
            _enrolled(state, journey.journey),
            decisions,
            predictions,
        )
        for journey in decisions.playbook.journeys
    ]


def _enrolled(state: State, journey: str) -> dict[str, int]:
    """Count people once, whatever reasons they are held for and however they are held out."""
    table = state.enrolments.select(["journey", "status", "holdout"]).to_pydict()
    rows = zip(table["journey"], table["status"], table["holdout"], strict=True)
    here = [(status, holdout) for name, status, holdout in rows if name == journey]
    return {
        "active": sum(status == "active" for status, _ in here),
        "held_out": sum(holdout is not None for _, holdout in here),
    }


def _section(
    journey: Journey,
    counts: list[dict[str, Any]],
    enrolled: Mapping[str, int],
    decisions: Decisions,
    predictions: "pa.Table",
) -> JourneySection:
    tonight = [row for row in decisions.decisions.to_pylist() if row["journey"] == journey.journey]
    entry, *sentences = journey.describe()

    def ended(outcome: str) -> int:
        return sum(r["people"] for r in counts if r["step"] == "end" and r["outcome"] == outcome)

    return JourneySection(
        name=journey.journey,
        title=journey.title,
        entry=entry,
        goal=next((line for line in sentences if line.startswith("Goal")), ""),
        entered=sum(row["outcome"] == "entered" for row in tonight),
        active=enrolled["active"],
        reached_goal=ended("goal"),
        exited=ended("exited"),
        expired=ended("expired"),
        held_out=enrolled["held_out"],
        steps=tuple(_steps(journey, counts)),
        examples=tuple(_examples(tonight, predictions)),
    )


def _steps(journey: Journey, counts: list[dict[str, Any]]) -> list[JourneyStep]:
    steps = []
    for position, sentence in enumerate(journey.describe()[1 : 1 + len(journey.steps)]):
        name = journey.step_name(position)
        here = [row for row in counts if row["step"] == name]
        steps.append(
            JourneyStep(
                title=sentence.rstrip("."),
                waiting=sum(row["people"] for row in here if row["outcome"] == "waiting"),
                sent=sum(row["people"] for row in here if row["outcome"] == "sent"),
                suppressed=tuple(
                    (str(row["reason"]), int(row["people"]))
                    for row in here
                    if row["outcome"] == "suppressed"
                ),
            )
        )
    return steps


def _examples(tonight: list[dict[str, Any]], predictions: "pa.Table") -> list[ExamplePerson]:
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
    paths = {
        contact: "; ".join(_in_words(row) for row in tonight if row[CONTACT_ID] == contact)
        for contact in chosen
    }
    return [ExamplePerson(contact, facts.get(contact, ()), paths[contact]) for contact in chosen]


def _in_words(row: Mapping[str, Any]) -> str:
    words = _OUTCOMES[row["outcome"]]
    if row["outcome"] in {"send", "suppressed", "withheld"}:
        words = f"{words} '{row['step']}'"
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
