"""A town of people, and nights in which their segments are decided."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest

from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.segments.membership import Membership, find_members
from mlmarket.orchestration.state.standing import Decisions
from mlmarket.orchestration.tables import CANCELLED, empty

START = datetime(2026, 3, 1)  # noqa: DTZ001 - tables hold UTC without a zone
BENCH = ibis.duckdb.connect(":memory:", threads=1)  # opening one for each night costs most of it
RISK = pa.schema({"contact_id": pa.string(), "risk": pa.float64()})


def risks(**values: float | None) -> pa.Table:
    """Return people with their risk."""
    return pa.table({"contact_id": list(values), "risk": list(values.values())}, schema=RISK)


def segment(name: str, **keys: Any) -> Segment:
    """Return a segment whose title is its name."""
    return Segment.model_validate({"name": name, "title": name, **keys})


def decide(
    people: pa.Table,
    segments: Sequence[Segment],
    before: pa.Table | None = None,
    *,
    day: float = 0,
    **options: Any,
) -> Membership:
    """Decide segments on one day."""
    return find_members(
        BENCH.create_table("people", people, temp=True, overwrite=True),
        Playbook(segments=tuple(segments)),
        empty("memberships") if before is None else before,
        now=START + timedelta(days=day),
        bench=BENCH,
        **options,
    )


def nights(segments: Sequence[Segment], *tables: pa.Table) -> list[Membership]:
    """Decide one night a table, each after the other."""
    made: list[Membership] = []
    for day, table in enumerate(tables):
        before = made[-1].memberships if made else None
        made.append(decide(table, segments, before, day=day))
    return made


def members(found: Membership, name: str) -> set[str]:
    """Return who is in a segment."""
    rows = found.memberships.to_pylist()
    return {row["contact_id"] for row in rows if row["segment"] == name}


def changes(found: Membership) -> list[tuple[str, str, str, str]]:
    """Return segment, contact, change and reason of everybody who came or went."""
    return [tuple(row.values()) for row in found.changes.to_pylist()]


def memberships(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return memberships as of the start."""
    filled = [{"entered_at": START, "why": "", **row} for row in rows]
    return pa.Table.from_pylist(filled, schema=empty("memberships").schema)


class Contacts:
    """A source of contacts and of nothing else; None where there is no such table."""

    def __init__(self, rows: Sequence[Mapping[str, Any]] | None) -> None:
        self._rows = rows

    def has(self, table: str) -> bool:
        return table == "contacts" and self._rows is not None

    def table(self, _name: str) -> ir.Table:
        text = dict.fromkeys(
            ("contact_id", "external_id", "email", "phone", "country"), pa.string()
        )
        return ibis.memtable(pa.Table.from_pylist(list(self._rows or ()), schema=pa.schema(text)))

    def activity(self, *types: str) -> ir.Table:
        raise KeyError(types)


def decisions(
    found: Membership, segments: Sequence[Segment], *, touched: pa.Array | None = None
) -> Decisions:
    """Return the decisions of a tick that found these segments on the first day."""
    nothing = {name: empty(name) for name in ("enrolments", "decisions", "outbox")}
    return Decisions(
        tick_id="t",
        now=START.replace(tzinfo=UTC),
        fingerprint="f",
        previous=None,
        playbook=Playbook(segments=tuple(segments)),
        versions={},
        memberships=found.memberships,
        changes=found.changes,
        skipped=found.skipped,
        cancelled=CANCELLED.empty_table(),
        touched=touched,
        **nothing,
    )


class Town:
    """All of the above, for tests to use: test files cannot import each other."""

    START = START
    risks = staticmethod(risks)
    segment = staticmethod(segment)
    decide = staticmethod(decide)
    nights = staticmethod(nights)
    members = staticmethod(members)
    changes = staticmethod(changes)
    memberships = staticmethod(memberships)
    decisions = staticmethod(decisions)
    Contacts = Contacts


@pytest.fixture(scope="session")
def town() -> type[Town]:
    """Return the tools that build people and decide their segments."""
    return Town
