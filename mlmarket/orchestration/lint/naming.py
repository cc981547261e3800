"""Is everything there that segments, journeys and the policy name?"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from mlmarket.errors import suggestion
from mlmarket.expressions import Expression, ExpressionError, Schema, Type
from mlmarket.market.columns import CONTACT_ID, RESERVED_TYPES
from mlmarket.orchestration.conditions.questions import questions_of
from mlmarket.orchestration.journeys.actions import Message, Start
from mlmarket.orchestration.journeys.flow import Wait
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.journeys.nodes import Node
from mlmarket.orchestration.lint.findings import Finding
from mlmarket.orchestration.lint.logic import implies, never
from mlmarket.orchestration.lint.reading import (
    TOKEN,
    Condition,
    condition_read,
    conditions_of,
    events_of,
    segments_of,
    step_place,
    texts_of,
)
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.wording import FORMATS, Placeholder, clauses_of

__all__ = ["Names", "naming_findings"]

_TRIGGER: Final = "trigger_item"
_MISSING_COLUMN: Final = "There is no column"
_OVER_EVENTS: Final = frozenset({"count", "last", "days_since"})


@dataclass(frozen=True, slots=True)
class Names:
    """What there is.

    Parameters
    ----------
    known : mapping of str to Type
        The columns of people.
    segments, journeys : collection of str
        By name.
    events : collection of str, optional
        Types of behaviour; None where any will do.
    predictions : collection of str
        The columns that predictors write.
    elsewhere : mapping of str to Type
        Columns of predictors that are documented and not asked here: a journey may name them, and
        waits for them.
    skipped : collection of str
        Segments that could not be decided the last time.
    """

    known: Schema
    segments: Collection[str]
    journeys: Collection[str]
    events: Collection[str] | None
    predictions: Collection[str]
    elsewhere: Schema
    skipped: Collection[str]

    def for_journeys(self) -> Schema:
        """Return the columns that a journey may name."""
        return {**self.elsewhere, **self.known}


def naming_findings(playbook: Playbook, names: Names) -> Iterator[Finding]:
    """Yield every name that leads nowhere.

    Parameters
    ----------
    playbook : Playbook
        All that is written down.
    names : Names
        What there is.

    Yields
    ------
    Finding
        In no order.
    """
    for segment in playbook.segments:
        yield from _in_segment(segment, names)
    for journey in playbook.journeys:
        yield from _in_journey(journey, names)
    for key in ("handover", "hygiene"):
        text = getattr(playbook.policy, key)
        if text is not None:
            yield from _in_condition("policy", Condition(f"key '{key}'", text, "person"), names)


def _in_segment(segment: Segment, names: Names) -> Iterator[Finding]:
    subject = f"segment '{segment.name}'"
    for key in ("when", "stay"):
        text = getattr(segment, key)
        if text is None:
            continue
        condition = Condition(f"key '{key}'", text, "person")
        yield from _in_condition(subject, condition, names)
        read = condition_read(condition, names.known)
        if isinstance(read, Expression) and never(read):
            what, why = f"The condition '{read}' can never hold.", "Nobody is ever in it."
            place = f"key '{key}'"
            yield Finding(subject, place, "dead-branch", "error", what, why, "correct it.")
    yield from _stricter(segment, subject, names)
    if segment.top is not None:
        yield from _column(subject, "key 'top.column'", segment.top.column, names, Type.NUMBER)
    for clause in clauses_of(segment.why):
        for part in clause:
            if isinstance(part, Placeholder):
                yield from _column(subject, "key 'why'", part.column, names)


def _stricter(segment: Segment, subject: str, names: Names) -> Iterator[Finding]:
    """Yield a rule to stay that asks more than the one to come in: people would flap."""
    if segment.when is None or segment.stay is None:
        return
    when, stay = (
        condition_read(Condition("", text, "person"), names.known)
        for text in (segment.when, segment.stay)
    )
    if not isinstance(when, Expression) or not isinstance(stay, Expression):
        return
    if implies(stay, when) and not implies(when, stay):
        what = f"To stay, '{stay}' must hold, which asks more than '{when}' to come in."
        why = "People come in and leave again the next night."
        fix = "write a weaker rule to stay, or none."
        yield Finding(subject, "key 'stay'", "stay-stricter-than-when", "warning", what, why, fix)


def _in_journey(journey: Journey, names: Names) -> Iterator[Finding]:
    subject = f"journey '{journey.journey}'"
    for condition in conditions_of(journey):
        yield from _in_condition(subject, condition, names)
    for place, event in events_of(journey):
        yield from _event_there(subject, place, event, names)
    for place, segment in segments_of(journey):
        yield from _segment_there(subject, place, segment, names)
    if journey.entry.segment in names.skipped:
        yield Finding(
            subject,
            "key 'entry.segment'",
            "entry-skipped",
            "warning",
            f"The segment '{journey.entry.segment}' could not be decided the last time.",
            "Nobody comes in as long as that is so.",
            "see in the report why it was skipped: mostly a predictor lacks its table.",
        )
    if journey.entry.date is not None:
        yield from _column(subject, "key 'entry.date'", journey.entry.date, names, Type.TIME)
    for node in journey.nodes:
        yield from _at_node(subject, node, names)
    yield from _tokens(journey, subject, names)


def _at_node(subject: str, node: Node, names: Names) -> Iterator[Finding]:
    place, content = step_place(node), node.content
    if isinstance(content, Start) and content.journey not in names.journeys:
        what = f"There is no journey '{content.journey}'."
        fix = suggestion(content.journey, names.journeys)
        yield _unknown(subject, place, "journey", what, fix)
    if isinstance(content, Wait) and content.date is not None:
        yield from _column(subject, f"{place}, key 'date'", content.date, names, Type.TIME)
    if isinstance(content, Message) and content.worth is not None:
        for key in ("probability", "value"):
            column = getattr(content.worth, key)
            if isinstance(column, str):
                where = f"{place}, key 'worth.{key}'"
                yield from _column(subject, where, column, names, Type.NUMBER)


def _in_condition(subject: str, condition: Condition, names: Names) -> Iterator[Finding]:
    of_journey = subject.startswith("journey")
    read = condition_read(condition, names.for_journeys() if of_journey else names.known)
    if isinstance(read, ExpressionError):
        missing = read.what.startswith(_MISSING_COLUMN)
        code = "unknown-field" if missing else "broken-condition"
        why = "Nobody could be decided on." if missing else read.why
        yield Finding(subject, condition.place, code, "error", read.what, why, read.fix)
        return
    for question in questions_of(read.calls):
        if question.name in _OVER_EVENTS:
            yield from _event_there(subject, condition.place, question.subject, names)
        if question.name == "in_segment":
            yield from _segment_there(subject, condition.place, question.subject, names)
        if question.is_unbounded:
            yield Finding(
                subject,
                condition.place,
                "unbounded-look-back",
                "warning",
                f"'{question.call}' looks at all of history.",
                "Every tick reads every event there ever was, and grows slower each month.",
                "add within='365d', or another length of time.",
            )
    if of_journey and condition.about != "event":
        yield from _undated(subject, condition, read, names)
        asked = read.columns | {one.subject for one in read.calls if one.name == "fresh"}
        for column in sorted(asked):
            yield from _not_predicted(subject, condition.place, column, names)


def _not_predicted(subject: str, place: str, column: str, names: Names) -> Iterator[Finding]:
    if column in names.known or column not in names.elsewhere:
        return
    what = f"Nobody predicts '{column}' here."
    why = "It is unknown for everybody, and what is unknown permits nothing."
    fix = _where_from(column, names.known)
    yield Finding(subject, place, "not-predicted", "warning", what, why, fix)


def _undated(
    subject: str, condition: Condition, read: Expression, names: Names
) -> Iterator[Finding]:
    for column in sorted(read.columns & set(names.predictions)):
        yield Finding(
            subject,
            condition.place,
            "stale-prediction",
            "warning",
            f"The prediction '{column}' is used however old it is.",
            "Between two nights, or after one that failed, people are decided on by old numbers.",
            f"write fresh({column}, within='7d') in its place.",
        )


def _event_there(subject: str, place: str, event: str, names: Names) -> Iterator[Finding]:
    if names.events is None:
        return
    there = {*names.events, *RESERVED_TYPES}
    if event not in there:
        what, fix = f"Nobody ever did '{event}'.", suggestion(event, there)
        yield _unknown(subject, place, "event", what, fix)


def _segment_there(subject: str, place: str, name: str, names: Names) -> Iterator[Finding]:
    if name not in names.segments:
        what, fix = f"There is no segment '{name}'.", suggestion(name, names.segments)
        yield _unknown(subject, place, "segment", what, fix)


def _unknown(subject: str, place: str, kind: str, what: str, fix: str) -> Finding:
    why = "It waits for something that never comes."
    return Finding(subject, place, f"unknown-{kind}", "error", what, why, fix)


def _column(
    subject: str, place: str, column: str, names: Names, kind: Type | None = None
) -> Iterator[Finding]:
    why = "It stays empty for everybody."
    if subject.startswith("journey") and column in names.for_journeys():
        yield from _not_predicted(subject, place, column, names)
        found = names.for_journeys()[column]
    else:
        found = names.known.get(column, Type.UNKNOWN)
    if found is Type.UNKNOWN:
        what, fix = f"There is no column '{column}'.", _where_from(column, names.known)
        yield Finding(subject, place, "unknown-field", "error", what, why, fix)
    elif kind is not None and found is not kind:
        what = f"'{column}' is {found.value}, but {kind.value} is needed."
        fix = "name another column."
        yield Finding(subject, place, "unknown-field", "error", what, why, fix)


def _where_from(column: str, known: Iterable[str]) -> str:
    """Return who would write a documented column, else the near name of one that is there."""
    from mlmarket.orchestration.templates.columns import DOCUMENTED

    owner = next((one.owner for one in DOCUMENTED if one.name == column), None)
    if owner is None:
        return suggestion(column, known)
    return f"the predictor '{owner}' writes it, and is not asked here; ask it, or do without."


def _tokens(journey: Journey, subject: str, names: Names) -> Iterator[Finding]:
    for told in texts_of(journey):
        if re.search(r"[{}]", TOKEN.sub("", told.text)):
            what, why = f"A brace of '{told.text}' is open, doubled or empty.", "It stays a brace."
            fix = "write {column}, or {column|what stands for a missing value}."
            yield Finding(subject, told.place, "unknown-token", "error", what, why, fix)
        for found in TOKEN.finditer(told.text):
            column, form = found[1].strip(), (found[2] or "").strip()
            yield from _token(subject, told.place, (column, form), names)
            if found[3] is None and column != CONTACT_ID:
                yield Finding(
                    subject,
                    told.place,
                    "token-without-default",
                    "warning",
                    f"'{{{column}}}' has nothing to stand for a missing value.",
                    "Whoever has no such value does not get it.",
                    f"write {{{column}|…}} with a word that fits everybody.",
                )


def _token(subject: str, place: str, token: tuple[str, str], names: Names) -> Iterator[Finding]:
    column, form = token
    why = "The text cannot be filled in for anybody."
    if column in names.elsewhere:
        yield from _not_predicted(subject, place, column, names)
    elif column not in names.known and column != _TRIGGER:
        what = f"There is no column '{column}'."
        fix = _where_from(column, [*names.known, _TRIGGER])
        yield Finding(subject, place, "unknown-token", "error", what, why, fix)
    if form and form not in FORMATS:
        what, fix = f"There is no form '{form}'.", suggestion(form, FORMATS)
        yield Finding(subject, place, "unknown-token", "error", what, why, fix)
