"""Between two nights, only those are looked at about whom something is new."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.nightly import Night, minute, run_night
from mlmarket.nightly.authoring import approve_journeys
from mlmarket.nightly.changes import changed_since
from mlmarket.nightly.minute import tick_now
from mlmarket.orchestration import EarlierTickError, StateStore

Opens = Callable[..., Night]
pytestmark = pytest.mark.usefixtures("quick_page")

EVENTS = """
[tables.events]
source = "tables/events.parquet"
timezone = "UTC"
"""
LEAD = """\
journey: lead
title: Somebody asks
entry: {event: form_submit}
reentry: 30D
topic: product
steps:
  - alert: {name: call, to: sales, text: "{contact_id} asks."}
  - message: {name: thanks, channel: email, template: thanks, if_blocked: advance}
  - wait: 1h
  - message: {name: more, channel: email, template: more, if_blocked: advance}
exit: {event: order}
expires_after: 14D
"""
SUNDAY = datetime(2026, 6, 21, 22, 0, tzinfo=UTC)
"""Sunday the 21st, 23:00 in Lisbon."""


@pytest.fixture
def leads(own_shop: Path, night_of: Opens) -> Path:
    """Return the shop with a journey for those who ask, approved from the first night on."""
    with (own_shop / "mlmarket.toml").open("a", encoding="utf-8") as file:
        file.write(EVENTS)
    (own_shop / "journeys" / "lead.yaml").write_text(LEAD, encoding="utf-8")
    night = night_of(own_shop, 20)
    approve_journeys(night, ["lead"], by="tests", at=night.as_of)
    return own_shop


def add(shop: Path, table: str, **values: Any) -> None:
    """Add a row to one of the tables; what is not given is missing."""
    file = shop / "tables" / f"{table}.parquet"
    content = pq.read_table(file)
    row = {name: values.get(name) for name in content.schema.names}
    moments = {
        name: one.astimezone(UTC).replace(tzinfo=None)
        for name, one in row.items()
        if isinstance(one, datetime)
    }
    new = pa.Table.from_pylist([row | moments], schema=content.schema)
    pq.write_table(pa.concat_tables([content, new]), file)


def asks(shop: Path, contact: str, at: datetime) -> None:
    """Let a new person fill in the form."""
    email = f"{contact}@example.org"
    add(shop, "contacts", contact_id=contact, email=email, created_at=at)
    add(
        shop,
        "consents",
        contact_id=contact,
        channel="email",
        granted=True,
        changed_at=at,
        legal_basis="consent",
    )
    event = {"event_id": f"form-{contact}", "event_type": "form_submit", "occurred_at": at}
    add(shop, "events", contact_id=contact, **event)


def rows(night: Night, *statuses: str) -> list[dict[str, Any]]:
    with StateStore.open(night.workspace.state) as store:
        return store.outbox(*statuses).to_pylist()


def test_who_fills_in_a_form_on_sunday_at_eleven_is_answered_a_minute_later(
    leads: Path, night_of: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = night_of(leads, 20)
    quiet = tick_now(night, now=SUNDAY)
    assert quiet.counts.get("send", 0) == 0
    asks(leads, "newcomer", SUNDAY + timedelta(seconds=20))
    read: list[list[str]] = []

    def reading(run: Path, people: pa.Array) -> pa.Table:
        read.append(people.to_pylist())
        return original(run, people)

    original = minute.read_predictions_of
    monkeypatch.setattr(minute, "read_predictions_of", reading)
    done = tick_now(night, now=SUNDAY + timedelta(minutes=1))
    assert (done.now, done.touched) == (SUNDAY + timedelta(minutes=1), 1)
    assert read == [["newcomer"]]
    mine = {row["step"]: row for row in rows(night) if row["contact_id"] == "newcomer"}
    assert set(mine) == {"call", "thanks"}
    assert mine["call"]["kind"] == "alert"
    assert "newcomer asks." in mine["call"]["payload"]
    assert mine["call"]["not_before"] == (SUNDAY + timedelta(minutes=1)).replace(tzinfo=None)
    assert mine["thanks"]["email"] == "newcomer@example.org"
    after = tick_now(night, now=SUNDAY + timedelta(minutes=2))
    # Looked at once more, for rows may be loaded late; nothing is decided again.
    assert (after.touched, after.counts["outbox"]) == (1, 0)
    assert len(rows(night)) == len({row["idempotency_key"] for row in rows(night)})


def test_who_is_due_moves_on_though_nothing_is_new_about_them(leads: Path, night_of: Opens) -> None:
    night = night_of(leads, 20)
    tick_now(night, now=SUNDAY)
    asks(leads, "newcomer", SUNDAY + timedelta(seconds=20))
    tick_now(night, now=SUNDAY + timedelta(minutes=1))
    tick_now(night, now=SUNDAY + timedelta(hours=12))
    steps = {row["step"] for row in rows(night) if row["contact_id"] == "newcomer"}
    assert steps == {"call", "thanks", "more"}


def test_a_night_after_minutes_of_its_own_day_goes_on_from_there(
    leads: Path, night_of: Opens
) -> None:
    night = night_of(leads, 21)
    asks(leads, "newcomer", night.as_of + timedelta(hours=2))
    moment = night.as_of + timedelta(hours=3)
    tick_now(night_of(leads, 20), now=moment)
    summary = run_night(night)
    assert "decisions" in [one.stage for one in summary.stages]
    written = pq.read_table(night.folder.path / "outbox.parquet").to_pylist()
    assert {row["step"] for row in written if row["contact_id"] == "newcomer"} == {"call", "thanks"}
    with StateStore.open(night.workspace.state) as store:
        assert store.last_now() == moment
    run_night(night_of(leads, 22))
    again = pq.read_table(night_of(leads, 22).folder.path / "outbox.parquet")
    handed = {row["idempotency_key"] for row in written}
    assert not handed & set(again["idempotency_key"].to_pylist())


def test_a_night_before_the_minutes_of_a_later_day_is_refused(leads: Path, night_of: Opens) -> None:
    tick_now(night_of(leads, 20), now=night_of(leads, 22).as_of + timedelta(hours=1))
    with pytest.raises(ConfigurationError, match="A later night than 2026-06-21"):
        run_night(night_of(leads, 21))


def test_a_minute_before_the_last_one_is_refused(leads: Path, night_of: Opens) -> None:
    tick_now(night_of(leads, 20), now=SUNDAY)
    with pytest.raises(EarlierTickError, match="lies before the last one"):
        tick_now(night_of(leads, 20), now=SUNDAY - timedelta(minutes=1))


def test_before_the_first_night_there_is_no_minute(new_shop: Path, night_of: Opens) -> None:
    with pytest.raises(ConfigurationError, match="No night was decided"):
        tick_now(night_of(new_shop, 20), now=SUNDAY)


def test_people_whose_predictions_are_missing_leave_no_segment_that_others_fill(
    leads: Path, night_of: Opens
) -> None:
    night = night_of(leads, 20)
    with StateStore.open(night.workspace.state) as store:
        before = store.load().members.num_rows
    asks(leads, "newcomer", SUNDAY)
    tick_now(night, now=SUNDAY + timedelta(minutes=1))
    with StateStore.open(night.workspace.state) as store:
        assert store.load().members.num_rows == before


def test_a_recorded_suppression_is_something_new(leads: Path, night_of: Opens) -> None:
    night = night_of(leads, 20)
    tick_now(night, now=SUNDAY)
    with StateStore.open(night.workspace.state) as store:
        store.suppress("C000003", None, "asked", SUNDAY + timedelta(seconds=5))
    assert tick_now(night, now=SUNDAY + timedelta(minutes=1)).touched == 1
    assert tick_now(night, now=SUNDAY + timedelta(hours=2)).touched == 0


# --- what is new ----------------------------------------------------------------------------------


def _at(minutes: float) -> datetime:
    return (SUNDAY + timedelta(minutes=minutes)).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("table", "row", "is_new"),
    [
        ("events", {"occurred_at": 0.5}, True),
        ("events", {"occurred_at": 1}, True),
        ("events", {"occurred_at": 0}, False),
        ("events", {"occurred_at": 1.5}, False),
        ("events", {"occurred_at": -9, "available_at": 0.5}, True),
        ("events", {"occurred_at": -9, "available_at": 2}, False),
        ("orders", {"ordered_at": 0.5}, True),
        ("orders", {"ordered_at": -5, "available_at": 1}, True),
        ("messages", {"sent_at": -50, "clicked_at": 0.5}, True),
        ("messages", {"sent_at": -50, "opened_at": -1}, False),
        ("consents", {"changed_at": 0.5}, True),
        ("consents", {"changed_at": -0.5}, False),
        ("contacts", {"created_at": 0.5}, True),
        ("contacts", {"created_at": -5}, False),
    ],
)
def test_what_is_new_is_what_happened_or_arrived_since(
    tmp_path: Path, table: str, row: dict[str, float], is_new: bool
) -> None:
    rest = {
        "events": {"event_id": "e", "event_type": "visit", "available_at": None},
        "orders": {"order_id": "o", "amount": 5.0, "available_at": None},
        "messages": {"message_id": "m", "channel": "email", "opened_at": None, "clicked_at": None},
        "consents": {"channel": "email", "granted": True},
        "contacts": {},
    }
    lines = ["[business]", 'timezone = "UTC"']
    for name in {table, "contacts"}:
        times = {column: _at(minutes) for column, minutes in row.items()} if name == table else {}
        usual = {"created_at": _at(-500)} if name == "contacts" else {}
        content = pa.Table.from_pylist([{"contact_id": "ana", **usual, **rest[name], **times}])
        typed = [
            pa.field(one.name, pa.timestamp("us") if pa.types.is_null(one.type) else one.type)
            for one in content.schema
        ]
        pq.write_table(content.cast(pa.schema(typed)), tmp_path / f"{name}.parquet")
        lines += [f"[tables.{name}]", f'source = "{name}.parquet"', 'timezone = "UTC"']
    (tmp_path / "mlmarket.toml").write_text("\n".join(lines), encoding="utf-8")
    market = Market.open(tmp_path / "mlmarket.toml", check=False)
    found = changed_since(market, SUNDAY, SUNDAY + timedelta(minutes=1))
    assert found.to_pylist() == (["ana"] if is_new else [])
    assert found.type == pa.string()


def test_contacts_made_of_orders_are_new_when_their_order_is(tmp_path: Path) -> None:
    orders = {"contact_id": ["b", "a", "c"], "order_id": ["1", "2", "3"], "amount": [1.0] * 3}
    orders["ordered_at"] = [_at(0.2), _at(0.1), _at(-9)]
    pq.write_table(pa.table(orders), tmp_path / "orders.parquet")
    text = '[business]\ntimezone = "UTC"\n[tables.orders]\nsource = "orders.parquet"\ntimezone = "UTC"\n'
    (tmp_path / "mlmarket.toml").write_text(text, encoding="utf-8")
    market = Market.open(tmp_path / "mlmarket.toml", check=False)
    assert changed_since(market, SUNDAY, SUNDAY + timedelta(minutes=1)).to_pylist() == ["a", "b"]
