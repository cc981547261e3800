"""A shop small enough to be read, and the journey that most tests walk through."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest

from mlmarket.orchestration import Decisions, Holdout, Journey, Playbook, Segment, State, tick

Row = Mapping[str, Any]

TEXT, TIME = pa.string(), pa.timestamp("us")
CONTACTS = pa.schema(
    {
        **dict.fromkeys(("contact_id", "external_id", "email", "phone", "country"), TEXT),
        "created_at": TIME,
    }
)
CONSENTS = pa.schema(
    {
        "contact_id": TEXT,
        "channel": TEXT,
        "granted": pa.bool_(),
        "changed_at": TIME,
        "topic": TEXT,
        "legal_basis": TEXT,
    }
)
MESSAGES = pa.schema({"message_id": TEXT, "contact_id": TEXT, "channel": TEXT, "sent_at": TIME})
ACTIVITY = pa.schema(
    {
        "contact_id": TEXT,
        "type": TEXT,
        "occurred_at": TIME,
        "available_at": TIME,
        "item_id": TEXT,
        "value": pa.decimal128(18, 4),
        "campaign_id": TEXT,
        "source": TEXT,
        "row_id": TEXT,
    }
)
START = datetime(2026, 3, 1)  # noqa: DTZ001 - tables hold UTC without a zone


def at(day: float) -> datetime:
    """Return the moment so many days after the start, as tables hold it."""
    return START + timedelta(days=day)


def when(day: float) -> datetime:
    """Return the same moment as arguments hold it."""
    return at(day).replace(tzinfo=UTC)


class Shop:
    """A source of behaviour from rows in memory."""

    def __init__(self, *, activity: Iterable[Row] = (), **tables: Iterable[Row] | None) -> None:
        schemas = {"contacts": CONTACTS, "consents": CONSENTS, "messages": MESSAGES}
        self._tables = {
            name: ibis.memtable(pa.Table.from_pylist(list(rows), schema=schemas[name]))
            for name, rows in tables.items()
            if rows is not None
        }
        self._activity = ibis.memtable(pa.Table.from_pylist(list(activity), schema=ACTIVITY))

    def has(self, table: str) -> bool:
        return table in self._tables

    def table(self, name: str) -> ir.Table:
        return self._tables[name]

    def activity(self, *types: str) -> ir.Table:
        return (
            self._activity.filter(self._activity["type"].isin(types)) if types else self._activity
        )


def person(name: str, **attributes: object) -> Row:
    """Return a contact who can be reached everywhere."""
    known = {"external_id": f"x-{name}", "email": f"{name}@example.com", "phone": "+351910000000"}
    return {"contact_id": name, **known, **attributes}


def consent(name: str, granted: bool | None = True, day: float = -10, **rest: object) -> Row:
    """Return a recorded decision about e-mail."""
    row = {"contact_id": name, "channel": "email", "granted": granted, "changed_at": at(day)}
    return {**row, **rest}


def did(name: str, what: str, day: float, **rest: object) -> Row:
    """Return a piece of behaviour."""
    return {"contact_id": name, "type": what, "occurred_at": at(day), **rest}


def scores(**risks: float | None) -> pa.Table:
    """Return predictions: the risk of each person."""
    content = {"contact_id": list(risks), "churn_probability_90d": list(risks.values())}
    types = pa.schema({"contact_id": TEXT, "churn_probability_90d": pa.float64()})
    return pa.table(content, schema=types)


def message(name: str, **rest: object) -> dict[str, object]:
    """Return a message step by e-mail about offers."""
    content = {"name": name, "channel": "email", "topic": "offers", "template": f"t_{name}"}
    return {"message": {**content, **rest}}


def journey(**changes: object) -> Journey:
    """Return the journey of the tests: wait a day, write, wait a week, write again."""
    content: dict[str, object] = {
        "journey": "win_back",
        "title": "Win back people about to leave",
        "entry": {"segment": "leaving"},
        "reentry": "180D",
        "steps": [{"wait": "1D"}, message("first"), {"wait": "7D"}, message("second")],
        "goal": "order",
        "exit": {"left_segment": True},
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


def playbook(
    *journeys: Journey, segments: Sequence[Segment] = (LEAVING,), share: float = 0.0
) -> Playbook:
    """Return a playbook with the given journeys, by default the usual one."""
    chosen = journeys or (journey(),)
    return Playbook(segments=tuple(segments), journeys=chosen, holdout=Holdout(share=share))


def released(book: Playbook, day: float = -1) -> State:
    """Return a state in which all journeys of a playbook are approved."""
    return State().under(book).approving(by="ana", at=when(day))


def nights(
    book: Playbook, shop: Shop, predictions: pa.Table, days: Iterable[float]
) -> tuple[State, list[Decisions]]:
    """Run one tick on each day; return the last state and all decisions."""
    from mlmarket.orchestration import tick

    state, made = released(book), []
    for day in days:
        decided = tick(state, predictions, shop, now=when(day))
        state = state.after(decided)
        made.append(decided)
    return state, made


def sent(made: Iterable[Decisions]) -> list[tuple[str, str]]:
    """Return who was sent which step, in the order of the ticks."""
    return [
        (row["contact_id"], row["step"]) for decided in made for row in decided.outbox.to_pylist()
    ]


def outcomes(made: Iterable[Decisions], name: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return step, outcome and reasons of one person's decisions, tick by tick."""
    order = ("entered", "send", "withheld", "suppressed", "wait")
    found = []
    for decided in made:
        rows = [row for row in decided.decisions.to_pylist() if row["contact_id"] == name]
        rows.sort(key=lambda row: order.index(row["outcome"]) if row["outcome"] in order else 9)
        found += [(row["step"], row["outcome"], tuple(row["reasons"])) for row in rows]
    return found


TABLES = (
    "memberships",
    "changes",
    "skipped",
    "enrolments",
    "decisions",
    "outbox",
    "cancelled",
)


def content(decided: Decisions) -> dict[str, bytes]:
    """Return the bytes of each table of decisions."""
    written = {}
    for name in TABLES:
        sink = pa.BufferOutputStream()
        table = getattr(decided, name)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        written[name] = sink.getvalue().to_pybytes()
    return written


class Kit:
    """All of the above, for tests to use: test files cannot import each other."""

    Shop = Shop
    at = staticmethod(at)
    when = staticmethod(when)
    person = staticmethod(person)
    consent = staticmethod(consent)
    did = staticmethod(did)
    scores = staticmethod(scores)
    message = staticmethod(message)
    journey = staticmethod(journey)
    playbook = staticmethod(playbook)
    released = staticmethod(released)
    nights = staticmethod(nights)
    sent = staticmethod(sent)
    outcomes = staticmethod(outcomes)
    content = staticmethod(content)
    LEAVING = LEAVING


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """Return the tools that build a shop and walk through it."""
    return Kit


@pytest.fixture(scope="session")
def one_shop() -> Callable[..., Shop]:
    """Return a function that builds the shop of one person, ana, who may be e-mailed."""

    def build(**tables: Any) -> Shop:
        usual = {"contacts": [person("ana")], "consents": [consent("ana")]}
        return Shop(**{**usual, **tables})

    return build
