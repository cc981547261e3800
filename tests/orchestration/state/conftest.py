"""Ticks made by hand: what the store is given, without anybody deciding it."""

import hashlib
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pyarrow as pa
import pytest

from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.state.standing import Decisions
from mlmarket.orchestration.tables import SCHEMAS, canonical, empty

START = datetime(2026, 3, 1)  # noqa: DTZ001 - tables hold UTC without a zone
TABLES = ("memberships", "changes", "skipped", "enrolments", "decisions", "outbox", "cancelled")


def at(day):
    """Return the moment so many days after the start, as tables hold it."""
    return START + timedelta(days=day)


def when(day):
    """Return the same moment as arguments hold it."""
    return at(day).replace(tzinfo=UTC)


def sha(*parts):
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def journey(name="win_back", **changes):
    content = {
        "journey": name,
        "title": "Win back people about to leave",
        "entry": {"segment": "leaving"},
        "reentry": "never",
        "steps": [
            {"wait": "1D"},
            {"message": {"name": "first", "channel": "email", "topic": "x", "template": "t1"}},
            {"wait": {"duration": "7D", "name": "pause"}},
            {"message": {"name": "second", "channel": "email", "topic": "x", "template": "t2"}},
        ],
        "goal": "order",
        "expires_after": "30D",
    }
    return Journey.model_validate({**content, **changes})


LEAVING = Segment(
    name="leaving",
    title="About to leave",
    when="churn_probability_90d >= 0.5",
    why="{churn_probability_90d:percent} risk of leaving",
    action="Win back",
)


def playbook(*journeys):
    return Playbook(segments=(LEAVING,), journeys=journeys or (journey(),))


def member(who, day=0, **rest):
    row = {"segment": "leaving", "contact_id": who, "entered_at": at(day), "why": "90%"}
    return {**row, **rest}


def change(who, what="entered", **rest):
    return {"segment": "leaving", "contact_id": who, "change": what, "why": "90%", **rest}


def enrolment(who, day=0, **rest):
    """Return a pass that began on a day and stands at the first step."""
    one = rest.pop("of", None) or journey()
    row = {
        "enrolment_id": sha(one.journey, at(day).isoformat(), who)[:32],
        "journey": one.journey,
        "version": one.version,
        "contact_id": who,
        "entered_at": at(day),
        "expires_at": at(day + 30),
        "position": 0,
        "arrived_at": at(day),
        "due_at": at(day + 1),
        "status": "active",
    }
    return {**row, **rest}


def decision(enrolled, outcome="entered", step="entry", **rest):
    same = {key: enrolled[key] for key in ("enrolment_id", "contact_id", "journey", "version")}
    return {**same, "step": step, "outcome": outcome, "reasons": [], **rest}


def handed(enrolled, step="first", visit=1, **rest):
    same = {key: enrolled[key] for key in ("enrolment_id", "contact_id", "journey", "version")}
    row = {
        "idempotency_key": sha(enrolled["enrolment_id"], step, visit),
        "kind": "message",
        "email": f"{enrolled['contact_id']}@example.com",
        "step": step,
        "channel": "email",
        "topic": "x",
        "legal_basis": "consent",
        "transactional": False,
        "template": "t1",
        "payload": '{"name":"x"}',
        "priority": 50,
        "not_before": at(0),
        "expires_at": at(30),
    }
    return {**same, **row, **rest}


def made(day, previous=None, *, book=None, touched=None, salt="", **rows):
    """Return the decisions of a tick from the rows of its tables."""
    book = book or playbook()
    prints = sha("predictions", salt)
    tick_id = sha(when(day).isoformat(), book.playbook_id, prints)
    tables = {}
    for name in TABLES:
        content = list(rows.get(name, ()))
        if name == "decisions":
            content = [
                {
                    "decision_id": sha(tick_id, row["enrolment_id"], row["step"], row["outcome"]),
                    "tick_id": tick_id,
                    "decided_at": at(day),
                    **row,
                }
                for row in content
            ]
        tables[name] = canonical(name, pa.Table.from_pylist(content, schema=SCHEMAS[name]))
    versions = {one.version: one for one in book.journeys}
    return Decisions(
        tick_id=tick_id,
        now=when(day),
        fingerprint=prints,
        previous=previous.tick_id if previous is not None else None,
        playbook=book,
        versions=MappingProxyType(versions),
        touched=None if touched is None else pa.array(sorted(touched), pa.string()),
        **tables,
    )


def content(decided):
    """Return the bytes of each table of decisions."""
    written = {}
    for name in TABLES:
        sink = pa.BufferOutputStream()
        table = getattr(decided, name)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        written[name] = sink.getvalue().to_pybytes()
    return written


FIELDS = ("members", "enrolments", "passes", "sent", "suppressions", "consent_events")


def same_state(one, other):
    """Say whether two states are equal, table by table."""
    different = [name for name in FIELDS if not getattr(one, name).equals(getattr(other, name))]
    assert not different
    assert (one.last_now, one.last_tick_id) == (other.last_now, other.last_tick_id)
    assert one.tick_ids == other.tick_ids
    assert one.playbook.playbook_id == other.playbook.playbook_id
    assert dict(one.versions) == dict(other.versions)
    assert dict(one.releases) == dict(other.releases)
    return True


def two_nights(people=("ana", "rui")):
    """Return two ticks: people come in, and the next night get their first message."""
    came = [enrolment(who) for who in people]
    first = made(
        0,
        memberships=[member(who) for who in people],
        changes=[change(who) for who in people],
        skipped=[{"segment": "vip", "reason": "no column 'value'"}],
        enrolments=came,
        decisions=[decision(one) for one in came]
        + [decision(one, "wait", "wait_1", due_at=at(1)) for one in came],
    )
    moved = [{**one, "position": 2, "arrived_at": at(1), "due_at": at(8)} for one in came]
    second = made(
        1,
        first,
        memberships=[member(who) for who in people],
        enrolments=moved,
        decisions=[
            decision(one, "send", "first", channel="email", seen='{"a":1}', winner="b.c")
            for one in came[:-1]
        ]
        + [
            decision(came[-1], "suppressed", "first", reasons=["no_consent", "capped"], fate="hold")
        ],
        outbox=[handed(one, not_before=at(1)) for one in came[:-1]],
    )
    return first, second


class Hand:
    """All of the above, for tests to use: test files cannot import each other."""

    at = staticmethod(at)
    when = staticmethod(when)
    sha = staticmethod(sha)
    journey = staticmethod(journey)
    playbook = staticmethod(playbook)
    member = staticmethod(member)
    change = staticmethod(change)
    enrolment = staticmethod(enrolment)
    decision = staticmethod(decision)
    handed = staticmethod(handed)
    made = staticmethod(made)
    content = staticmethod(content)
    same_state = staticmethod(same_state)
    two_nights = staticmethod(two_nights)
    empty = staticmethod(empty)


@pytest.fixture(scope="session")
def hand():
    """Return the tools that make ticks by hand."""
    return Hand


@pytest.fixture
def path(tmp_path):
    """Return where the state file is to be."""
    return tmp_path / "state.duckdb"
