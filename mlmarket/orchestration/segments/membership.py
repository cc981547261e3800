"""Who is in which segment now, who came and who went?

A person is a member where the segment's condition holds; where it is unknown they are not. Members
stay while ``stay`` holds or ``at_least`` is not over. All conditions are asked in one query, and
segments that refer to others are decided after them.

What cannot be decided stays as it was: a segment that uses a column which tonight's tables lack,
because its predictor was skipped; one whose result lies outside its guard; and, where only some
people are looked at, one that ranks everybody or guards its size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Literal, TypeAlias

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.expressions import NONE, Functions, schema_of
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.crowd import Crowd, Earlier, asked, earlier_of, numbered
from mlmarket.orchestration.segments.definition import Segment, TopShare
from mlmarket.orchestration.segments.guards import objection
from mlmarket.orchestration.segments.ordering import in_order
from mlmarket.orchestration.segments.ranking import best_places, entry_places, stay_places
from mlmarket.orchestration.segments.rules import Rules, holding, rules_of
from mlmarket.orchestration.segments.why import GONE, LEFT, REMOVED, sentences
from mlmarket.orchestration.tables import CHANGES, MEMBERSHIPS, SKIPPED, canonical

__all__ = ["Membership", "SegmentResult", "find_members"]

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Status: TypeAlias = Literal["decided", "skipped", "guarded", "partial"]

_RANKS_ALL: Final = "it ranks everybody, and only some people were looked at"
_GUARDS_ALL: Final = "its size is guarded, and only some people were looked at"


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What became of one segment in one run.

    Parameters
    ----------
    segment : str
        Its name.
    status : str
        ``decided``, or why it stayed as it was: ``skipped`` for want of columns, ``guarded``
        because of its size, ``partial`` because only some people were looked at.
    members, entered, left : int
        People, among those looked at.
    unlisted : int
        Entries of its list that are nobody's.
    words : str
        Why it stayed as it was; empty where it was decided.
    """

    segment: str
    status: Status
    members: int
    entered: int = 0
    left: int = 0
    unlisted: int = 0
    words: str = ""


@dataclass(frozen=True, slots=True)
class Membership:
    """The segments of one tick.

    Parameters
    ----------
    memberships : pyarrow.Table
        Who is in which segment; only the people looked at where these are not all.
    changes : pyarrow.Table
        Who entered or left.
    skipped : pyarrow.Table
        Segments that stayed as they were, and why.
    results : tuple of SegmentResult
        What became of each segment, in the order of the playbook.
    """

    memberships: pa.Table
    changes: pa.Table
    skipped: pa.Table
    results: tuple[SegmentResult, ...] = ()


def find_members(
    people: ir.Table,
    playbook: Playbook,
    before: pa.Table,
    *,
    now: datetime,
    bench: Bench,
    functions: Functions = NONE,
    touched: pa.Array | None = None,
) -> Membership:
    """Decide all segments.

    Parameters
    ----------
    people : ibis.expr.types.Table
        One row a person: ``contact_id``, attributes, tonight's predictions and, by its canonical
        text, the value of each call of a function. With ``person``, the place of each in the
        order of the ids, it need not be computed.
    playbook : Playbook
        The segments in force.
    before : pyarrow.Table
        The memberships of the last tick; at least those of the people looked at.
    now : datetime
        When those who come now entered; UTC without a zone.
    bench : Bench
        Where to compute.
    functions : mapping of str to Function, optional
        What conditions may call; none by default.
    touched : pyarrow.Array of string, optional
        The people to look at; all by default.

    Returns
    -------
    Membership
        Members of a segment that the playbook no longer has are said to have left.

    Raises
    ------
    DocumentError
        Where a condition does not fit the columns that are there.
    """
    if touched is not None:
        whom = ibis.memtable(pa.table({"contact_id": touched.cast(pa.string()).unique()}))
        people = people.semi_join(whom, "contact_id")
        before = before.filter(pc.is_in(before["contact_id"], value_set=touched))
    rules = _read(playbook, people, functions)
    table = numbered(people, bench)
    crowd = asked(table, _questions(playbook, rules, table), bench)
    night = _Night(crowd, rules, earlier_of(before, crowd), now, bench, touched is not None)
    for segment in in_order(playbook.segments):
        night.decide(segment)
    return night.told(playbook)


def _read(playbook: Playbook, people: ir.Table, functions: Functions) -> dict[str, Rules]:
    schema = schema_of(people)
    return {one.name: rules_of(one, schema, functions) for one in playbook.segments}


def _questions(
    playbook: Playbook, rules: Mapping[str, Rules], people: ir.Table
) -> dict[str, ir.Value]:
    """Return everything that can be asked before any segment is decided."""
    questions: dict[str, ir.Value] = {}
    for segment in playbook.segments:
        read = rules[segment.name]
        if read.lacking:
            continue
        answers = {} if read.memberships else holding(read.conditions, people)
        if segment.top is not None:
            answers["top"] = people[segment.top.column]
        by = None if segment.list is None else segment.list.by
        if by is not None and by != "contact_id":
            answers["list"] = people[by].cast("string")
        questions |= {_column(segment, key): value for key, value in answers.items()}
    return questions


def _column(segment: Segment, key: str) -> str:
    return f"{segment.name}.{key}"


_NOBODY: Final = Earlier(MEMBERSHIPS.empty_table(), np.zeros(0, dtype=np.int64))


class _Night:
    """One run: who is asked, who was where, and what has been decided so far."""

    def __init__(
        self,
        crowd: Crowd,
        rules: Mapping[str, Rules],
        earlier: Mapping[str, Earlier],
        now: datetime,
        bench: Bench,
        in_part: bool,  # noqa: FBT001 - private
    ) -> None:
        self._crowd = crowd
        self._rules = rules
        self._earlier = earlier
        self._now = np.datetime64(now, "us")
        self._bench = bench
        self._in_part = in_part
        self._inside: dict[str, Flags] = {}
        self._results: dict[str, SegmentResult] = {}

    def decide(self, segment: Segment) -> None:
        """Decide one segment; those that it refers to have been decided before."""
        earlier = self._earlier.get(segment.name, _NOBODY)
        was = earlier.flags(len(self._crowd))
        held_up = self._held_up(segment)
        if held_up is not None:
            self._keep(segment, was, *held_up)
            return
        listed, unlisted = self._listed(segment)
        inside = self._members(segment, was, listed)
        entered, left = int((inside & ~was).sum()), int((was & ~inside).sum()) + len(earlier.gone)
        members, before = int(inside.sum()), len(earlier.rows)
        if segment.guard is not None:
            against = objection(
                segment.guard, members=members, before=before, entered=entered, left=left
            )
            if against is not None:
                self._keep(segment, was, "guarded", against)
                return
        self._inside[segment.name] = inside
        self._results[segment.name] = SegmentResult(
            segment.name, "decided", members, entered, left, unlisted
        )

    def _held_up(self, segment: Segment) -> tuple[Status, str] | None:
        """Say why a segment cannot be decided, None where it can."""
        lacking = self._rules[segment.name].lacking
        if lacking:
            return "skipped", f"tonight's tables have no {', '.join(lacking)}"
        if segment.list is not None and segment.list.people is None:
            return "skipped", f"the list {segment.list.file} was not read"
        if self._in_part and segment.top is not None:
            return "partial", _RANKS_ALL
        if self._in_part and segment.guard is not None:
            return "partial", _GUARDS_ALL
        return None

    def _keep(self, segment: Segment, was: Flags, status: Status, words: str) -> None:
        members = len(self._earlier.get(segment.name, _NOBODY).rows)
        self._inside[segment.name] = was
        self._results[segment.name] = SegmentResult(segment.name, status, members, words=words)

    def _members(self, segment: Segment, was: Flags, listed: Flags) -> Flags:
        comes, stays = self._conditions(segment)
        pool = (comes | (was & stays)) & listed
        for name in segment.all_of:
            pool &= self._inside[name]
        if segment.any_of:
            pool &= np.logical_or.reduce([self._inside[name] for name in segment.any_of])
        if segment.top is not None:
            pool = self._best(segment, segment.top, pool, was)
        if segment.at_least is not None:
            since = self._earlier.get(segment.name, _NOBODY).since(len(self._crowd))
            pool |= since > self._now - np.timedelta64(segment.at_least)
        for name in segment.not_in:
            pool &= ~self._inside[name]
        return pool

    def _conditions(self, segment: Segment) -> tuple[Flags, Flags]:
        """Return for whom the conditions to come in and to stay hold."""
        conditions = self._rules[segment.name].conditions
        if not conditions:
            everybody = np.ones(len(self._crowd), dtype=np.bool_)
            return everybody, everybody
        answers = {key: self._crowd.columns[_column(segment, key)] for key in conditions}
        comes: Flags = answers["when"].to_numpy()
        return comes, answers["stay"].to_numpy() if "stay" in answers else comes

    def _listed(self, segment: Segment) -> tuple[Flags, int]:
        """Return who is on the segment's list, and how many entries are nobody's."""
        if segment.list is None:
            return np.ones(len(self._crowd), dtype=np.bool_), 0
        entries = pa.array(segment.list.people or (), pa.string())
        if segment.list.by == "contact_id":
            known = self._crowd.contact_id
        else:
            known = pc.utf8_trim_whitespace(self._crowd.columns[_column(segment, "list")])
            known = pc.utf8_lower(known) if segment.list.by == "email" else known
        listed: Flags = np.asarray(pc.is_in(known, value_set=entries))
        met = pc.is_in(entries, value_set=pc.unique(known))
        return listed, 0 if self._in_part else len(entries) - int(pc.sum(met).as_py() or 0)

    def _best(self, segment: Segment, top: TopShare, pool: Flags, was: Flags) -> Flags:
        values = self._crowd.columns[_column(segment, "top")]
        known = np.asarray(pc.is_valid(values))
        numbers = _numbers(values)
        if numbers.dtype.kind == "f":
            known &= ~np.isnan(numbers)
        for name in segment.not_in:
            known &= ~self._inside[name]
        pool &= known
        ranked = int(pool.sum())
        first = entry_places(top, ranked)
        last = stay_places(top, ranked)
        rank = partial(best_places, numbers, pool, salt=segment.name, contact=self._crowd.contact)
        best = rank(first)
        return best if last == first else best | (was & rank(last))

    def told(self, playbook: Playbook) -> Membership:
        """Return what was decided as tables."""
        rows = {}
        for segment in playbook.segments:
            if self._results[segment.name].status == "decided":
                inside = self._inside[segment.name]
                was = self._was(segment.name)
                rows[segment.name] = (segment, np.flatnonzero(inside | was))
        why = sentences(rows, self._crowd, self._bench)
        members, changes = [MEMBERSHIPS.empty_table()], [CHANGES.empty_table()]
        by_name = {segment.name: segment for segment in playbook.segments}
        for name in sorted({*by_name, *self._earlier}):
            earlier = self._earlier.get(name, _NOBODY)
            if name not in by_name:
                changes.append(_departed(name, earlier.rows, REMOVED))
            elif name in rows:
                segment, whom = rows[name]
                members.append(self._members_table(segment, whom, why[name]))
                changes.append(self._changes_table(segment, whom, why[name]))
                changes.append(_departed(name, earlier.gone, GONE))
            else:
                members.append(earlier.rows.select(MEMBERSHIPS.names).cast(MEMBERSHIPS))
        results = tuple(self._results[segment.name] for segment in playbook.segments)
        return Membership(
            _ordered("memberships", members),
            _ordered("changes", changes),
            canonical("skipped", _skipped(results)),
            results,
        )

    def _was(self, name: str) -> Flags:
        return self._earlier.get(name, _NOBODY).flags(len(self._crowd))

    def _members_table(self, segment: Segment, whom: Rows, why: pa.Array) -> pa.Table:
        inside = self._inside[segment.name][whom]
        since = self._earlier.get(segment.name, _NOBODY).since(len(self._crowd))[whom[inside]]
        content = {
            "entered_at": np.where(np.isnat(since), self._now, since),
            "why": pc.fill_null(why.filter(pa.array(inside)), segment.title),
        }
        return self._table(MEMBERSHIPS, segment, whom[inside], content)

    def _changes_table(self, segment: Segment, whom: Rows, why: pa.Array) -> pa.Table:
        inside = self._inside[segment.name][whom]
        moved = inside ^ self._was(segment.name)[whom]
        came = pa.array(inside[moved])
        otherwise = pc.if_else(came, segment.title, LEFT)
        content = {
            "change": pc.if_else(came, "entered", "left"),
            "why": pc.coalesce(why.filter(pa.array(moved)), otherwise),
        }
        return self._table(CHANGES, segment, whom[moved], content)

    def _table(
        self, schema: pa.Schema, segment: Segment, rows: Rows, content: Mapping[str, object]
    ) -> pa.Table:
        names = pa.repeat(segment.name, len(rows))
        contact_id = self._crowd.contact_id.take(pa.array(rows))
        table = pa.table({"segment": names, "contact_id": contact_id, **content})
        return table.select(schema.names).cast(schema)


def _numbers(values: pa.ChunkedArray) -> npt.NDArray[np.generic]:
    """Return a column of numbers, whole ones exactly; what is missing is 0."""
    kind = values.type if pa.types.is_integer(values.type) else pa.float64()
    cast = values.cast(kind)
    numbers: npt.NDArray[np.generic] = pc.fill_null(cast, pa.scalar(0, kind)).to_numpy()
    return numbers


def _departed(name: str, rows: pa.Table, why: str) -> pa.Table:
    content = {
        "segment": pa.repeat(name, len(rows)),
        "contact_id": rows["contact_id"],
        "change": pa.repeat("left", len(rows)),
        "why": pa.repeat(why, len(rows)),
    }
    return pa.table(content).cast(CHANGES)


def _ordered(name: str, pieces: Sequence[pa.Table]) -> pa.Table:
    """Return the pieces as one canonical table, sorted only where they are not in order yet."""
    table = pa.concat_tables(pieces).combine_chunks()
    segment, contact = table["segment"].combine_chunks(), table["contact_id"].combine_chunks()
    if len(table) > 1:
        rises = pc.greater(contact[1:], contact[:-1])
        new = pc.greater(segment[1:], segment[:-1])
        same = pc.equal(segment[1:], segment[:-1])
        if not pc.all(pc.or_(new, pc.and_(same, rises))).as_py():
            return canonical(name, table)
    return table.replace_schema_metadata(None)


def _skipped(results: Sequence[SegmentResult]) -> pa.Table:
    kept = [one for one in results if one.status != "decided"]
    content = {"segment": [one.segment for one in kept], "reason": [one.words for one in kept]}
    return pa.table(content, schema=SKIPPED)
