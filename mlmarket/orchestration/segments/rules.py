"""For whom do the conditions of segments hold tonight, all of them asked at once?

Each condition is a column of one query, so that people are read once however many segments there
are. A condition that uses a column which tonight's tables lack, because its predictor was
skipped, is told apart from one that could never be read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import ibis.expr.types as ir

from mlmarket.expressions import (
    Expression,
    ExpressionError,
    Functions,
    Schema,
    Type,
    parse_condition,
)
from mlmarket.orchestration.documents import DocumentError
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.segments.ordering import segments_named

__all__ = ["Rules", "holding", "rules_of"]

_NAME: Final = re.compile(r'[^\W\d]\w*|"((?:[^"]|"")*)"')
_PROBES: Final = (Type.NUMBER, Type.TEXT, Type.BOOLEAN, Type.TIME)


@dataclass(frozen=True, slots=True)
class Rules:
    """The conditions of one segment, read for tonight's tables.

    Parameters
    ----------
    conditions : mapping of str to Expression
        ``when`` and ``stay``, those that are written.
    lacking : tuple of str
        The columns that tonight's tables do not have.
    memberships : tuple of str
        The segments that the conditions ask for.
    """

    conditions: Mapping[str, Expression]
    lacking: tuple[str, ...]
    memberships: tuple[str, ...]


def rules_of(segment: Segment, schema: Schema, functions: Functions) -> Rules:
    """Read the conditions of a segment.

    Parameters
    ----------
    segment : Segment
        The segment.
    schema : mapping of str to Type
        The columns of tonight's people.
    functions : mapping of str to Function
        What conditions may call.

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
            conditions[key] = parse_condition(text, schema=schema, functions=functions)
        except ExpressionError as error:
            absent = _absent(text, schema, functions, error)
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
    memberships = (*segments_named(segment.when), *segments_named(segment.stay))
    return Rules(conditions, tuple(sorted(lacking)), tuple(dict.fromkeys(memberships)))


def _wrong(segment: Segment, key: str, problem: str, fix: str) -> DocumentError:
    return DocumentError("segments", f"segment '{segment.name}', key '{key}'", problem, fix)


def _absent(
    text: str, schema: Schema, functions: Functions, error: ExpressionError
) -> set[str] | None:
    """Return the columns without which a condition cannot be read, None if it is wrong anyway.

    A name that is not there could hold any kind of value: the condition is sound if it is with
    one of them.
    """
    found = _NAME.match(text, error.at)
    if found is None:
        return None
    name = found[1].replace('""', '"') if found[1] is not None else found[0]
    is_call = text[found.end() :].lstrip().startswith("(")
    if name in schema or is_call:
        return None
    for kind in _PROBES:
        wider: Mapping[str, Type] = {**schema, name: kind}
        try:
            parse_condition(text, schema=wider, functions=functions)
        except ExpressionError as deeper:
            if deeper.at <= error.at:
                continue
            more = _absent(text, wider, functions, deeper)
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
