"""A town of people, and nights in which their segments are decided."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from mlmarket.orchestration.engine.bench import open_bench
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.segments.membership import Membership, find_members
from mlmarket.orchestration.tables import empty

START = datetime(2026, 3, 1)  # noqa: DTZ001 - tables hold UTC without a zone
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
    with open_bench() as bench:
        return find_members(
            bench.create_table("people", people),
            Playbook(segments=tuple(segments)),
            empty("memberships") if before is None else before,
            now=START + timedelta(days=day),
            bench=bench,
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


@pytest.fixture(scope="session")
def town() -> type[Town]:
    """Return the tools that build people and decide their segments."""
    return Town
