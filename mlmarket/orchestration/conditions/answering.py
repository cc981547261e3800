"""What have people done that the conditions of tonight ask about: one query for all of them.

Behaviour is cut down before anything is joined: to the types that are asked for, each as far back as
the longest look at it goes. One join and one aggregate then answer every call for everybody. It is
done where the behaviour lies if that is DuckDB; from other databases only what is left after the
cut is brought over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import Final, Protocol

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.duckdb import Backend

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.columns import AS_OF
from mlmarket.orchestration.conditions.conditions import Conditions
from mlmarket.orchestration.conditions.questions import (
    MEMBER,
    MICROSECONDS_A_DAY,
    OWN_SEND,
    Question,
)

__all__ = ["FEW", "Known", "facts"]

FEW: Final = 1_000
"""Up to so many people are looked up by name, which an index or a sorted file answers at once."""

_TIME: Final = "timestamp(6)"
_ANCHOR_COLUMNS: Final = {"entry": "entered_at", "step": "arrived_at"}
_IN_PLACE: Final = frozenset({"duckdb"})
_NOT_SENT: Final = ("cancelled", "failed")


class Activity(Protocol):
    """A source of behaviour; :class:`mlmarket.market.Market` is one."""

    def activity(self, *types: str) -> ir.Table:
        """Return the behaviour of the given types."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What orchestration itself knows about people, beside the market.

    Parameters
    ----------
    memberships : pyarrow.Table, optional
        Who is in which segment: ``segment``, ``contact_id``.
    sent : pyarrow.Table, optional
        What was sent: the table ``sent`` of the state.
    """

    memberships: pa.Table | None = None
    sent: pa.Table | None = None


def facts(
    conditions: Conditions,
    subjects: ir.Table,
    events: Activity,
    *,
    now: datetime,
    bench: Backend,
    known: Known | None = None,
) -> ir.Table:
    """Answer all calls of conditions for everybody.

    Parameters
    ----------
    conditions : Conditions
        What is asked.
    subjects : ibis.expr.types.Table
        A row for each answer: ``n`` (integers, each once) and ``contact_id``; ``entered_at`` and
        ``arrived_at`` where ``since`` is asked; the columns that ``fresh`` names, and ``as_of``.
        In the bench, or in memory.
    events : Activity
        Where behaviour is read. What happened or became known after ``now`` does not count.
    now : datetime
        UTC without a zone.
    bench : ibis.backends.duckdb.Backend
        Where the answers are put.
    known : Known, optional
        Memberships and what was sent; needed for ``in_segment``, and for ``received`` to know of
        messages that the market does not list yet.

    Returns
    -------
    ibis.expr.types.Table
        A table of the bench: ``n``, in no order, and one column for each call, under its key.
        A count is 0 where there was nothing; ``last`` and ``days_since`` are missing then. Where a
        pass has no such moment, nothing has happened since.

    Raises
    ------
    ConfigurationError
        Where the subjects lack a column, or memberships are asked for and not given.
    """
    known = known or Known()
    _refuse_lacking(conditions, subjects, known)
    asked = [question for question in conditions.questions if question.name != "fresh"]
    dated = [question for question in conditions.questions if question.name == "fresh"]
    answers = subjects.select("n")
    if asked:
        answers = _answered(asked, subjects, events, _Scene(now, bench, known))
    if dated:
        ages = subjects.select("n", **{one.call.key: _fresh(one, subjects, now) for one in dated})
        answers = answers.join(ages, "n") if asked else ages
    return bench.create_table(ibis.util.gen_name("facts"), answers, temp=True)


@dataclass(frozen=True, slots=True)
class _Scene:
    now: datetime
    bench: Backend
    known: Known


def _refuse_lacking(conditions: Conditions, subjects: ir.Table, known: Known) -> None:
    needed = {"n": "", "contact_id": ""}
    for question in conditions.questions:
        if question.since is not None:
            needed[_ANCHOR_COLUMNS[question.since]] = question.call.text
        if question.name == "fresh":
            needed.update(dict.fromkeys((question.subject, AS_OF), question.call.text))
    for column, text in needed.items():
        if column not in subjects.columns:
            what = f"The people to be asked about have no column '{column}'."
            why = f"It is needed to answer {text}." if text else "Every answer belongs to a row."
            raise ConfigurationError(what, why, suggestion(column, subjects.columns))
    if conditions.segments and known.memberships is None:
        what = f"Nobody has said who is in segment '{min(conditions.segments)}'."
        why = "A condition asks for it with in_segment(…)."
        raise ConfigurationError(what, why, "pass the memberships.")


def _answered(
    asked: Sequence[Question], subjects: ir.Table, events: Activity, scene: _Scene
) -> ir.Table:
    columns = ["n", "contact_id", *_anchors(asked).values()]
    subjects = subjects.select(columns).mutate(contact_id=subjects["contact_id"].cast("string"))
    own = _own_frames(asked, scene, _columns(asked))
    theirs = _relevant(asked, subjects, events, scene)
    home = None if theirs is None else _home(theirs)
    if home is None or home is scene.bench:
        return _joined(asked, subjects, _together(theirs, own), scene.now)
    if home.name in _IN_PLACE:
        there = ibis.memtable(scene.bench.to_pyarrow(subjects))
        found = _joined(asked, there, _together(theirs, own), scene.now)
        return ibis.memtable(home.to_pyarrow(found))
    brought = scene.bench.create_table(
        ibis.util.gen_name("behaviour"), home.to_pyarrow_batches(theirs), temp=True
    )
    return _joined(asked, subjects, _together(brought, own), scene.now)


def _together(theirs: ir.Table | None, own: Sequence[pa.Table]) -> ir.Table:
    frames = [ibis.memtable(frame) for frame in own if len(frame) or theirs is None]
    parts = frames if theirs is None else [theirs, *frames]
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _home(table: ir.Table) -> ibis.BaseBackend | None:
    """Return the database that a table lies in, None where it is in memory only."""
    sources = table.op().find((ops.DatabaseTable, ops.SQLQueryResult))
    return sources[0].source if sources else None


def _anchors(asked: Sequence[Question]) -> dict[str, str]:
    return {
        anchor: column
        for anchor, column in _ANCHOR_COLUMNS.items()
        if any(question.since == anchor for question in asked)
    }


# ------------------------------------------------------------------ cutting down


def _relevant(
    asked: Sequence[Question], subjects: ir.Table, events: Activity, scene: _Scene
) -> ir.Table | None:
    """Return the market's behaviour that can matter, in the columns that are looked at."""
    floors, few = _limits(asked, subjects, scene)
    types = sorted(name for name in floors if not name.startswith(" "))
    if not types:
        return None
    activity = _cut(events.activity(*types), {one: floors[one] for one in types}, scene.now)
    if few is not None:
        activity = activity.filter(activity["contact_id"].cast("string").isin(few))
    return activity.select(**{name: _cell(activity, name) for name in _columns(asked)})


def _columns(asked: Sequence[Question]) -> list[str]:
    columns = {"contact_id", "type", "occurred_at"}
    for question in asked:
        if question.where is not None:
            columns |= question.where.columns
        if question.name in {"received", "in_segment"}:
            columns.add("campaign_id")
        if question.counts_orders:
            columns.add("row_id")
    return sorted(columns)


def _cell(activity: ir.Table, name: str) -> ir.Value:
    if name == "value":
        return activity[name]
    return activity[name].cast(_TIME if name == "occurred_at" else "string")


def _limits(
    asked: Sequence[Question], subjects: ir.Table, scene: _Scene
) -> tuple[dict[str, datetime | None], list[str] | None]:
    """Return how far back each type is looked at, and who is asked about if they are few."""
    anchors = _anchors(asked)
    earliest = {anchor: subjects[column].min() for anchor, column in anchors.items()}
    found = scene.bench.to_pyarrow(subjects.aggregate(people=subjects.count(), **earliest))
    row = found.to_pylist()[0]
    floors: dict[str, datetime | None] = {}
    for question in asked:
        floor = question.floor(scene.now, {anchor: row[anchor] for anchor in anchors})
        for name in question.types:
            before = floors.get(name, floor)
            floors[name] = None if floor is None or before is None else min(floor, before)
    if row["people"] > FEW:
        return floors, None
    names = scene.bench.to_pyarrow(subjects.select("contact_id").distinct())["contact_id"]
    return floors, sorted(name for name in names.to_pylist() if name is not None)


def _cut(activity: ir.Table, floors: Mapping[str, datetime | None], now: datetime) -> ir.Table:
    by_floor: dict[datetime | None, list[str]] = {}
    for name, floor in floors.items():
        by_floor.setdefault(floor, []).append(name)
    occurred, available = activity["occurred_at"], activity["available_at"]
    looked_at = [
        activity["type"].isin(names)
        if floor is None
        else activity["type"].isin(names) & (occurred > _at(floor))
        for floor, names in by_floor.items()
    ]
    limits = [occurred <= _at(now), available.isnull() | (available <= _at(now))]
    if None not in by_floor:  # by itself, so that a file's statistics can pass over its older parts
        limits.append(occurred > _at(min(floor for floor in by_floor if floor is not None)))
    return activity.filter(*limits, reduce(or_, looked_at))


def _own_frames(asked: Sequence[Question], scene: _Scene, columns: Sequence[str]) -> list[pa.Table]:
    """Return memberships and own messages in the form of behaviour."""
    frames = []
    names = {question.subject for question in asked if question.name == "in_segment"}
    memberships, sent = scene.known.memberships, scene.known.sent
    if names and memberships is not None:
        wanted = pa.array(sorted(names), pa.string())
        rows = memberships.filter(pc.is_in(memberships["segment"], value_set=wanted))
        frames.append(_frame(rows["contact_id"], MEMBER, columns, campaign_id=rows["segment"]))
    if sent is not None and any(question.name == "received" for question in asked):
        is_out = pc.invert(pc.is_in(sent["status"], value_set=pa.array(_NOT_SENT)))
        is_due = pc.less_equal(sent["not_before"], pa.scalar(scene.now, pa.timestamp("us")))
        is_message = pc.equal(sent["kind"], "message")
        rows = sent.filter(pc.and_(pc.and_(is_out, is_due), is_message))
        campaign = pc.binary_join_element_wise(rows["journey"], rows["step"], ".")
        frames.append(
            _frame(
                rows["contact_id"],
                OWN_SEND,
                columns,
                campaign_id=campaign,
                occurred_at=rows["not_before"],
            )
        )
    return frames


_FRAME: Final = pa.schema(
    {
        "contact_id": pa.string(),
        "type": pa.string(),
        "occurred_at": pa.timestamp("us"),
        "value": pa.decimal128(18, 4),
        "item_id": pa.string(),
        "campaign_id": pa.string(),
        "source": pa.string(),
        "row_id": pa.string(),
    }
)


def _frame(
    people: pa.ChunkedArray, kind: str, columns: Sequence[str], **given: pa.ChunkedArray
) -> pa.Table:
    cells = {"contact_id": people, "type": pa.repeat(kind, len(people)), **given}
    schema = pa.schema([_FRAME.field(name) for name in columns])
    return pa.table(
        {
            field.name: cells[field.name]
            if field.name in cells
            else pa.nulls(len(people), field.type)
            for field in schema
        }
    ).cast(schema)


# ------------------------------------------------------------ joining, answering


def _joined(
    asked: Sequence[Question], subjects: ir.Table, relevant: ir.Table, now: datetime
) -> ir.Table:
    behaviour = relevant.rename({f"_{name}": name for name in relevant.columns})
    both = subjects.left_join(behaviour, subjects["contact_id"] == behaviour["_contact_id"])
    seen = {name: both[f"_{name}"] for name in relevant.columns}
    found = both.group_by("n").agg(
        **{
            f"answer{place}": _aggregate(question, both, seen, now)
            for place, question in enumerate(asked)
        }
    )
    return found.select(
        "n",
        **{
            question.call.key: _answer(question, found[f"answer{place}"], now)
            for place, question in enumerate(asked)
        },
    )


def _aggregate(
    question: Question, both: ir.Table, seen: Mapping[str, ir.Value], now: datetime
) -> ir.Value:
    counts = _counts(question, both, seen, now)
    if question.name in {"last", "days_since"}:
        return seen["occurred_at"].max(where=counts)
    if question.name != "count":
        return counts.any()
    if not question.counts_orders:
        return counts.sum()
    rows = seen["row_id"]
    return rows.nunique(where=counts) + (counts & rows.isnull()).sum()


def _counts(
    question: Question, both: ir.Table, seen: Mapping[str, ir.Value], now: datetime
) -> ir.Value:
    """Return which rows count; missing, which is no, beside people who did nothing."""
    occurred = seen["occurred_at"]
    parts = [seen["type"].isin(question.types)]
    if question.within is not None:
        parts.append(occurred > _at(now - question.within))
    if question.since is not None:
        parts.append(occurred > both[_ANCHOR_COLUMNS[question.since]])
    if question.name == "in_segment":
        parts.append(seen["campaign_id"] == question.subject)
    if question.name == "received":
        campaign = seen["campaign_id"]
        is_step = campaign.startswith(f"{question.subject}.")
        parts.append((campaign == question.subject) | is_step)
    if question.where is not None:
        parts.append(question.where.to_ibis(seen))
    return reduce(and_, parts)


def _answer(question: Question, found: ir.Value, now: datetime) -> ir.Value:
    if question.name == "count":
        return found.cast("int64").fill_null(0)
    if question.name == "last":
        return found.cast(_TIME)
    if question.name == "days_since":
        passed = _at(now).delta(found.cast(_TIME), unit="microsecond")
        return passed.cast("float64") / MICROSECONDS_A_DAY
    return found.fill_null(False)  # noqa: FBT003


def _fresh(question: Question, subjects: ir.Table, now: datetime) -> ir.Value:
    value = subjects[question.subject]
    is_new = subjects[AS_OF].cast(_TIME) > _at(now - (question.within or timedelta(0)))
    return is_new.ifelse(value, ibis.null(value.type()))


def _at(moment: datetime) -> ir.TimestampScalar:
    return ibis.literal(moment, type=_TIME)
