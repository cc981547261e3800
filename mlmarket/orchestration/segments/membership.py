"""Who is in which segment now, who came and who went?

A person is a member where the segment's condition holds; where it is unknown they are not. A
segment that uses a column which tonight's tables lack, because its predictor was skipped, is
skipped itself: its members stay as they were.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.expressions import (
    Expression,
    ExpressionError,
    Schema,
    Type,
    parse_condition,
    schema_of,
)
from mlmarket.orchestration.documents import DocumentError
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import Segment, TopShare
from mlmarket.orchestration.tables import CHANGES, MEMBERSHIPS, SKIPPED, canonical
from mlmarket.orchestration.wording import filled

__all__ = ["Membership", "find_members"]

_NAME: Final = re.compile(r'[^\W\d]\w*|"((?:[^"]|"")*)"')
_PROBES: Final = (Type.NUMBER, Type.TEXT, Type.BOOLEAN, Type.TIME)


@dataclass(frozen=True, slots=True)
class Membership:
    """The segments of one tick: all memberships, who entered or left, what was skipped."""

    memberships: pa.Table
    changes: pa.Table
    skipped: pa.Table


def find_members(
    people: ir.Table, playbook: Playbook, before: pa.Table, *, now: datetime, bench: Bench
) -> Membership:
    """Decide all segments.

    Parameters
    ----------
    people : ibis.expr.types.Table
        One row a person: ``contact_id``, attributes and tonight's predictions.
    playbook : Playbook
        The segments in force.
    before : pyarrow.Table
        The memberships of the last tick.
    now : datetime
        When those who come now entered; UTC without a zone.
    bench : Bench
        Where to compute.

    Returns
    -------
    Membership
        Members of a segment that the playbook no longer has are said to have left.

    Raises
    ------
    DocumentError
        Where a condition does not fit the columns that are there.
    """
    kept: list[pa.Table] = []
    changes: list[pa.Table] = []
    skipped: dict[str, str] = {}
    schema = schema_of(people)
    for segment in playbook.segments:
        earlier = before.filter(pc.equal(before["segment"], segment.name))
        rule, lacking = _rule(segment, schema)
        if lacking:
            skipped[segment.name] = f"tonight's tables have no {', '.join(lacking)}"
            kept.append(earlier)
            continue
        found = _compare(people, segment, rule, earlier, bench)
        kept.append(_members(found, segment, now))
        changes.append(_changes(found, segment))
    changes.append(_gone(before, playbook))
    return Membership(
        canonical("memberships", pa.concat_tables([MEMBERSHIPS.empty_table(), *kept])),
        canonical("changes", pa.concat_tables([CHANGES.empty_table(), *changes])),
        canonical("skipped", _skipped_table(skipped)),
    )


def _rule(segment: Segment, schema: Schema) -> tuple[Expression | None, list[str]]:
    """Return the condition and the columns that tonight's tables lack."""
    lacking = set()
    rule = None
    if segment.when is not None:
        try:
            rule = parse_condition(segment.when, schema=schema)
        except ExpressionError as error:
            absent = _absent(segment.when, schema, error)
            if absent is None:
                raise _wrong(segment, "when", error.what, error.fix) from error
            lacking.update(absent)
    if segment.top is not None:
        kind = schema.get(segment.top.column)
        if kind is None:
            lacking.add(segment.top.column)
        elif kind is not Type.NUMBER:
            problem = f"'{segment.top.column}' is {kind.value}, not a number"
            raise _wrong(segment, "top.column", problem, "rank by a number.")
    return rule, sorted(lacking)


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
    if name in schema or is_call:
        return None
    for kind in _PROBES:
        wider: Mapping[str, Type] = {**schema, name: kind}
        try:
            parse_condition(text, schema=wider)
        except ExpressionError as deeper:
            if deeper.at <= error.at:
                continue
            more = _absent(text, wider, deeper)
            if more is not None:
                return {name, *more}
        else:
            return {name}
    return None


def _compare(
    people: ir.Table, segment: Segment, rule: Expression | None, earlier: pa.Table, bench: Bench
) -> pa.Table:
    """Return members now and before: contact_id, is_in, was_in, entered_at, why, why_left."""
    condition = ibis.literal(True) if rule is None else rule.to_ibis(people)  # noqa: FBT003
    considered = people.mutate(
        _holds=condition.fill_null(False),  # noqa: FBT003
        _why=filled(segment.why, people, otherwise=segment.title),
        _why_left=filled(segment.why, people, otherwise="the rule no longer holds"),
    ).select("contact_id", "_holds", "_why", "_why_left", *_ranked_by(segment))
    if segment.top is not None:
        considered = _best(considered, segment, segment.top, bench)
    was = ibis.memtable(earlier.select(["contact_id", "entered_at"]).rename_columns(_EARLIER))
    joined = considered.left_join(was, considered["contact_id"] == was["was_id"])
    now_or_before = joined.filter(joined["_holds"] | joined["was_id"].notnull())
    columns = now_or_before.select(
        "contact_id",
        is_in=now_or_before["_holds"],
        was_in=now_or_before["was_id"].notnull(),
        entered_at=now_or_before["was_since"],
        why=now_or_before["_why"],
        why_left=now_or_before["_why_left"],
    )
    unknown = was.anti_join(people, was["was_id"] == people["contact_id"])
    vanished = unknown.select(
        contact_id=unknown["was_id"],
        is_in=ibis.literal(False),  # noqa: FBT003
        was_in=ibis.literal(True),  # noqa: FBT003
        entered_at=unknown["was_since"],
        why=ibis.literal(segment.title),
        why_left=ibis.literal("the contact is not known any more"),
    )
    return bench.to_pyarrow(ibis.union(columns, vanished))


_EARLIER: Final = ["was_id", "was_since"]


def _ranked_by(segment: Segment) -> list[str]:
    return [] if segment.top is None else [segment.top.column]


def _best(considered: ir.Table, segment: Segment, top: TopShare, bench: Bench) -> ir.Table:
    """Narrow those for whom the condition holds to the best part of the ranking."""
    value = considered[top.column]
    known = value.notnull() & ~value.isnan() if value.type().is_floating() else value.notnull()
    ranked = considered.filter(considered["_holds"] & known)
    places = _places(top, bench.to_pyarrow(ranked.count()).as_py())
    # Equal values must not favour old customers, whose ids come first: a lot decides.
    lot = (f"{segment.name}|" + ranked["contact_id"]).hexdigest("sha256")
    order = [ranked[top.column].desc(), lot, ranked["contact_id"]]
    best = ranked.order_by(order).limit(places).select(best_id="contact_id")
    joined = considered.left_join(best, considered["contact_id"] == best["best_id"])
    return joined.mutate(_holds=joined["best_id"].notnull())


def _places(top: TopShare, ranked: int) -> int:
    """Return how many of those ranked are in."""
    places = ranked
    if top.share is not None:
        # Through text: 0.29 · 100 must be 29, which binary floating point misses.
        exact = Decimal(str(top.share)) * ranked
        places = int(exact.to_integral_value(ROUND_HALF_UP))
    return places if top.most is None else min(places, top.most)


def _members(found: pa.Table, segment: Segment, now: datetime) -> pa.Table:
    rows = found.filter(found["is_in"])
    since = pc.fill_null(rows["entered_at"].cast(pa.timestamp("us")), pa.scalar(now))
    return _table(MEMBERSHIPS, segment, rows, entered_at=since, why=rows["why"])


def _changes(found: pa.Table, segment: Segment) -> pa.Table:
    rows = found.filter(pc.xor(found["is_in"], found["was_in"]))
    change = pc.if_else(rows["is_in"], "entered", "left")
    why = pc.if_else(rows["is_in"], rows["why"], rows["why_left"])
    return _table(CHANGES, segment, rows, change=change, why=why)


def _table(
    schema: pa.Schema, segment: Segment, rows: pa.Table, **columns: pa.ChunkedArray | pa.Array
) -> pa.Table:
    names = pa.repeat(segment.name, len(rows))
    content = {"segment": names, "contact_id": rows["contact_id"], **columns}
    return pa.table(content).select(schema.names).cast(schema)


def _gone(before: pa.Table, playbook: Playbook) -> pa.Table:
    names = pa.array([segment.name for segment in playbook.segments], type=pa.string())
    rows = before.filter(pc.invert(pc.is_in(before["segment"], value_set=names)))
    content = {
        "segment": rows["segment"],
        "contact_id": rows["contact_id"],
        "change": pa.repeat("left", len(rows)),
        "why": pa.repeat("the segment was removed", len(rows)),
    }
    return pa.table(content).cast(CHANGES)


def _skipped_table(skipped: Mapping[str, str]) -> pa.Table:
    names = list(skipped)
    return pa.table({"segment": names, "reason": [skipped[name] for name in names]}, schema=SKIPPED)
