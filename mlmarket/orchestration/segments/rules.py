"""For whom do the conditions of segments hold tonight, all of them asked at once?

Each condition is a column of one query, so that people are read once however many segments there
are. A condition that uses a column which tonight's tables lack, because its predictor was
skipped, is told apart from one that could never be read.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa

from mlmarket.expressions import (
    Asked,
    Expression,
    ExpressionError,
    Schema,
    Type,
    parse_condition,
)
from mlmarket.market.columns import AS_OF
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.conditions import Conditions, Known, facts, functions_for
from mlmarket.orchestration.conditions.questions import questions_of
from mlmarket.orchestration.documents import DocumentError
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.segments.definition import Segment

__all__ = ["Rules", "Sources", "holding", "rules_of", "with_behaviour"]

_NAME: Final = re.compile(r'[^\W\d]\w*|"((?:[^"]|"")*)"')
_PROBES: Final = (Type.NUMBER, Type.TEXT, Type.BOOLEAN, Type.TIME)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where conditions that ask what people did are answered.

    Parameters
    ----------
    events : Behaviour
        What people did.
    sent : pyarrow.Table, optional
        What was sent, also before the tables of the market list it.
    """

    events: Behaviour
    sent: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The conditions of one segment, read for tonight's tables.

    Parameters
    ----------
    conditions : mapping of str to Expression
        ``when`` and ``stay``, those that are written.
    lacking : tuple of str
        The columns that tonight's tables do not have.
    """

    conditions: Mapping[str, Expression]
    lacking: tuple[str, ...]

    @property
    def memberships(self) -> tuple[Asked, ...]:
        """What the conditions ask about other segments."""
        return tuple(call for call in self._calls() if call.name == "in_segment")

    @property
    def behaviour(self) -> tuple[Asked, ...]:
        """What they ask about anything else that is not a column."""
        return tuple(call for call in self._calls() if call.name != "in_segment")

    @property
    def columns(self) -> frozenset[str]:
        """The columns that the conditions read, the keys of their calls among them."""
        return frozenset().union(*(one.columns for one in self.conditions.values()))

    def _calls(self) -> list[Asked]:
        return [call for one in self.conditions.values() for call in one.calls]


def rules_of(segment: Segment, schema: Schema, *, answered: bool) -> Rules:
    """Read the conditions of a segment.

    Parameters
    ----------
    segment : Segment
        The segment.
    schema : mapping of str to Type
        The columns of tonight's people.
    answered : bool
        Whether calls can be answered that are not among the columns.

    Returns
    -------
    Rules
        What can be asked, and what is lacking.

    Raises
    ------
    DocumentError
        Where a condition does not fit the columns that are there.
    """
    lacking: set[str] = set()
    conditions = {}
    for key in ("when", "stay"):
        text = getattr(segment, key)
        if text is None:
            continue
        try:
            conditions[key] = _condition(text, schema)
        except ExpressionError as error:
            absent = _absent(text, schema, error)
            if absent is None:
                raise _wrong(segment, key, error.what, error.fix) from error
            lacking.update(absent)
    if segment.top is not None:
        kind = schema.get(segment.top.column)
        if kind is None:
            lacking.add(segment.top.column)
        elif kind is not Type.NUMBER:
            problem = f"'{segment.top.column}' is {kind.value}, not a number"
            raise _wrong(segment, "top.column", problem, "rank by a number.")
    if segment.list is not None and segment.list.by not in (None, "contact_id", *schema):
        lacking.add(str(segment.list.by))
    rules = Rules(conditions, tuple(sorted(lacking)))
    if not answered:
        unanswered = {call.text for call in rules.behaviour if call.key not in schema}
        return Rules(conditions, tuple(sorted(lacking | unanswered)))
    return rules


def _condition(text: str, schema: Schema) -> Expression:
    return parse_condition(text, schema=schema, functions=functions_for(schema=schema))


def _wrong(segment: Segment, key: str, problem: str, fix: str) -> DocumentError:
    return DocumentError("segments", f"segment '{segment.name}', key '{key}'", problem, fix)


def _absent(text: str, schema: Schema, error: ExpressionError) -> set[str] | None:
    """Return the columns without which a condition cannot be read, None if it is wrong anyway.

    A name that is not there could hold any kind of value: the condition is sound if it is with
    one of them.
    """
    found = _NAME.match(text, error.at)
    if found is None:
        return None
    name = found[1].replace('""', '"') if found[1] is not None else found[0]
    is_call = text[found.end() :].lstrip().startswith("(")
    if is_call and name.lower() == "fresh" and AS_OF not in schema:
        # Without predictions there is nothing whose age could be asked.
        name, is_call = AS_OF, False
    if name in schema or is_call:
        return None
    for kind in _PROBES if name != AS_OF else (Type.TIME,):
        wider: Mapping[str, Type] = {**schema, name: kind}
        try:
            _condition(text, wider)
        except ExpressionError as deeper:
            if deeper.at <= error.at and name != AS_OF:
                continue
            more = _absent(text, wider, deeper)
            if more is not None:
                return {name, *more}
        else:
            return {name}
    return None


def holding(conditions: Mapping[str, Expression], table: ir.Table) -> dict[str, ir.Value]:
    """Return conditions as columns of a table, false where they are unknown.

    Parameters
    ----------
    conditions : mapping of str to Expression
        By name.
    table : ibis.expr.types.Table
        One row a person.

    Returns
    -------
    dict of str to ibis.expr.types.Value
        By the same names.
    """
    return {
        name: expression.to_ibis(table).fill_null(False)  # noqa: FBT003
        for name, expression in conditions.items()
    }


def with_behaviour(
    people: ir.Table,
    rules: Iterable[Rules],
    sources: Sources,
    *,
    now: datetime,
    bench: Bench,
) -> ir.Table:
    """Add what the conditions ask about behaviour, all of it answered by one query.

    Parameters
    ----------
    people : ibis.expr.types.Table
        One row a person, with ``person``.
    rules : iterable of Rules
        Of all segments.
    sources : Sources
        Where it is answered.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.

    Returns
    -------
    ibis.expr.types.Table
        The same rows, with a column for each call that was not there.
    """
    usable = [one for one in rules if not one.lacking]
    calls = {call.text: call for one in usable for call in one.behaviour}
    asked = [calls[text] for text in sorted(calls) if calls[text].key not in people.columns]
    if not asked:
        return people
    conditions = Conditions({}, questions_of(asked))
    columns = [name for name in people.columns if name not in {"n", "person"}]
    subjects = people.select(*columns, n=people["person"])
    known = Known(sent=sources.sent)
    answers = facts(conditions, subjects, sources.events, now=now, bench=bench, known=known)
    return people.left_join(answers, people["person"] == answers["n"]).drop("n")
