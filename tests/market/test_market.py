import gc
import tempfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.market import (
    BusinessSettings,
    ContractViolationError,
    EngineSettings,
    Market,
    MarketSettings,
    TableSettings,
    within,
)

NOON = datetime(2026, 5, 1, 12)  # noqa: DTZ001
COLUMNS = {
    "contact_id": ["a", "b"],
    "order_id": ["1", "2"],
    "ordered_at": [NOON, NOON + timedelta(days=1)],
    "amount": [1.5, 2.0],
}
CONTRACT = [
    {"contact_id": "a", "order_id": "1", "ordered_at": NOON, "amount": Decimal("1.5000")},
    {
        "contact_id": "b",
        "order_id": "2",
        "ordered_at": NOON + timedelta(days=1),
        "amount": Decimal("2.0000"),
    },
]


def _orders(market):
    columns = ["contact_id", "order_id", "ordered_at", "amount"]
    return market.table("orders").select(*columns).order_by("order_id").to_pyarrow().to_pylist()


def _ibis(zone="America/New_York"):
    connection = ibis.duckdb.connect()
    connection.raw_sql(f"SET TimeZone = '{zone}'")
    return connection.create_table("shop_orders", pa.table(COLUMNS))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).astype(object),
        pd.DataFrame(COLUMNS).convert_dtypes(),
        pd.DataFrame(COLUMNS).convert_dtypes(dtype_backend="pyarrow"),
        pd.DataFrame(COLUMNS).astype({"contact_id": "category", "ordered_at": "datetime64[ns]"}),
        pl.DataFrame(COLUMNS),
        pl.DataFrame(COLUMNS).with_columns(pl.col("contact_id").cast(pl.Categorical)),
        pa.table(COLUMNS),
        _ibis(),
    ],
    ids=lambda frame: type(frame).__module__.partition(".")[0],
)
def test_every_kind_of_table_becomes_the_same_contract(frame, now):
    market = Market.from_tables(orders=frame, now=now)
    assert _orders(market) == CONTRACT
    schema = market.table("orders").schema()
    assert schema["ordered_at"] == ibis.dtype("timestamp(6)")
    assert schema["amount"] == ibis.dtype("decimal(18, 4)")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_zone_of_the_session_changes_nothing(now, zone):
    connection = ibis.duckdb.connect()
    connection.raw_sql(f"SET TimeZone = '{zone}'")
    zoned = [NOON.replace(tzinfo=UTC), None]
    given = {
        "orders": connection.create_table("o", pa.table(COLUMNS)),
        "events": connection.create_table(
            "e",
            pa.table(
                {
                    "contact_id": ["a", "b"],
                    "event_type": ["view", "view"],
                    "occurred_at": ["2026-05-01 14:00", "2026-05-01 12:00Z"],
                    "available_at": pa.array(zoned, pa.timestamp("us", "Asia/Tokyo")),
                }
            ),
        ),
    }
    market = Market.from_tables(timezone="Europe/Berlin", now=now, **given)
    assert market.table("orders").get_backend() is connection
    assert [row["ordered_at"] for row in _orders(market)] == [
        datetime(2026, 5, 1, 10),  # noqa: DTZ001
        datetime(2026, 5, 2, 10),  # noqa: DTZ001
    ]
    events = market.table("events").order_by("contact_id").to_pyarrow()
    assert events["occurred_at"].to_pylist() == [NOON, NOON]
    assert events["available_at"].to_pylist() == [NOON, None]


def test_nothing_is_written_on_the_connection_of_others(now):
    table = _ibis()
    market = Market.from_tables(orders=table, now=now, timezone="Europe/Berlin")
    market.activity().to_pyarrow()
    connection = table.get_backend()
    assert connection.raw_sql("SHOW TABLES").fetchall() == [("shop_orders",)]


def test_frames_and_ibis_tables_can_be_mixed(now):
    market = Market.from_tables(
        orders=_ibis(), contacts=pl.DataFrame({"contact_id": ["a", "b"]}), now=now
    )
    assert _orders(market) == CONTRACT
    assert market.contacts(as_of=now).count().to_pyarrow().as_py() == 2


def test_a_market_has_the_tables_it_has(now):
    market = Market.from_tables(orders=pa.table(COLUMNS), now=now)
    assert (market.has("orders"), market.has("contacts"), market.has("messages")) == (
        True,
        True,
        False,
    )


def test_a_table_that_is_not_there_is_refused_with_what_it_is_for(now):
    market = Market.from_tables(orders=pa.table(COLUMNS), now=now)
    with pytest.raises(ConfigurationError) as caught:
        market.table("messages")
    assert str(caught.value) == (
        "This market has no table 'messages'.\n"
        "It is needed for send time, frequency caps, engagement.\n"
        "Fix: add [tables.messages] to mlmarket.toml."
    )


@pytest.mark.parametrize("ask", [Market.table, Market.complete_until])
def test_a_table_that_nobody_knows_is_refused_with_the_near_one(ask, now):
    with pytest.raises(ConfigurationError) as caught:
        ask(Market.from_tables(orders=pa.table(COLUMNS), now=now), "order")
    assert str(caught.value) == (
        "This market has no table 'order'.\n"
        "The data contract knows no such table.\n"
        "Fix: did you mean 'orders'?"
    )


def test_the_zone_of_the_business_is_the_zone_of_the_frames_unless_declared(now):
    orders = pa.table(COLUMNS)
    assert Market.from_tables(orders=orders, timezone="Asia/Kolkata", now=now).zone == ZoneInfo(
        "Asia/Kolkata"
    )
    declared = MarketSettings(business=BusinessSettings(timezone="Europe/Lisbon"))
    market = Market.from_tables(orders=orders, settings=declared, now=now)
    assert market.zone == ZoneInfo("Europe/Lisbon")


@pytest.mark.parametrize("declared", [None, MarketSettings()])
def test_frames_in_a_zone_that_does_not_exist_are_refused(declared):
    with pytest.raises(ConfigurationError, match="did you mean 'Europe/Lisbon'"):
        Market.from_tables(orders=pa.table(COLUMNS), timezone="Europe/Lisbo", settings=declared)


def _complete(now, declared=None, zone="UTC", **columns):
    settings_ = MarketSettings(
        business=BusinessSettings(timezone=zone),
        tables={"orders": TableSettings(complete_until=declared)},
    )
    return Market.from_tables(orders=pa.table(COLUMNS | columns), settings=settings_, now=now)


def test_a_table_is_complete_until_its_latest_time(now):
    latest = datetime(2026, 5, 2, 12, tzinfo=UTC)
    assert _complete(now).complete_until("orders") == latest
    assert _complete(now).complete_until("orders", as_of=latest) == latest


def test_a_table_with_rows_of_the_last_day_is_complete_until_the_instant(now):
    as_of = datetime(2026, 5, 2, tzinfo=UTC)
    assert _complete(now).complete_until("orders", as_of=as_of) == as_of


def test_what_came_after_an_instant_is_not_looked_at(now):
    times = [NOON, NOON + timedelta(days=4)]
    as_of = datetime(2026, 5, 3, tzinfo=UTC)
    market = _complete(now, ordered_at=times)
    assert market.complete_until("orders", as_of=as_of) == NOON.replace(tzinfo=UTC)


def test_what_was_not_yet_available_at_an_instant_is_not_looked_at(now):
    late = _complete(now, available_at=[None, NOON + timedelta(days=5)])
    as_of = datetime(2026, 5, 3, tzinfo=UTC)
    assert late.complete_until("orders", as_of=as_of) == NOON.replace(tzinfo=UTC)
    assert late.complete_until("orders").day == 2


def test_a_table_in_which_nothing_was_there_yet_is_complete_until_1970(now):
    as_of = datetime(2020, 1, 1, tzinfo=UTC)
    until = _complete(now).complete_until("orders", as_of=as_of)
    assert until == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("declared", "zone", "until"),
    [
        (datetime(2026, 6, 1, tzinfo=UTC), "UTC", "2026-06-01T00:00:00+00:00"),
        (datetime(2026, 6, 1), "Europe/Lisbon", "2026-05-31T23:00:00+00:00"),  # noqa: DTZ001
        (date(2026, 6, 1), "Europe/Lisbon", "2026-06-01T22:59:59.999999+00:00"),
    ],
)
def test_a_table_may_be_declared_complete(now, declared, zone, until):
    market = _complete(now, declared, zone)
    assert market.complete_until("orders").isoformat() == until
    early = datetime(2026, 5, 1, tzinfo=UTC)
    assert market.complete_until("orders", as_of=early) == early


def test_complete_until_is_read_from_the_configuration(open_orders):
    content = "contact_id,order_id,ordered_at\na,1,2026-05-01\n"
    market = open_orders(content, 'timezone = "UTC"\ncomplete_until = 2026-06-15')
    assert market.complete_until("orders").isoformat() == "2026-06-15T23:59:59.999999+00:00"


def test_a_table_without_a_time_has_no_end(now):
    market = Market.from_tables(contacts=pa.table({"contact_id": ["a"]}), now=now)
    with pytest.raises(ConfigurationError) as caught:
        market.complete_until("contacts")
    assert str(caught.value) == (
        "Table 'contacts' has no time, so it has no end.\n"
        "Only what happens at a time can be complete until one.\n"
        "Fix: ask for orders, events, messages, consents or outcomes."
    )


def test_violations_can_be_looked_at_instead_of_raised(shop, now):
    path = shop('[tables.orders]\nsource = "o.csv"', {"o.csv": "contact_id,order_id,ordered_at\n"})
    report = Market.open(path, now=now, check=False).report
    assert [violation.rule for violation in report.violations] == ["has no row"]


def test_a_market_that_was_refused_can_still_be_asked_for_its_report(shop, tmp_path, now):
    path = shop('[tables.orders]\nsource = "o.csv"', {"o.csv": ""})
    market = Market.open(path, now=now, check=False)
    assert market.with_history(tmp_path) is market
    assert not market.has("contacts")


# Ibis fetches batches by a method that DuckDB deprecates.
@pytest.mark.filterwarnings("ignore:fetch_arrow_table")
@pytest.mark.filterwarnings("ignore:fetch_record_batch")
def test_features_of_an_instant_are_a_frame_with_one_row_a_contact(now):
    frame = Market.from_tables(orders=pa.table(COLUMNS), now=now).features(as_of=now)
    assert sorted(frame["contact_id"]) == ["a", "b"]
    assert set(frame["as_of"]) == {pd.Timestamp(now)}


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_market_leaves_no_temporary_folder_behind(temporary, now):
    market = Market.from_tables(orders=pa.table(COLUMNS), now=now)
    market.activity().to_pyarrow()
    assert len(list(temporary.iterdir())) == 1
    del market
    gc.collect()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("content", ["", "contact_id,order_id,ordered_at\na,1,x\n", "a,b\n1\n"])
def test_neither_does_one_whose_tables_are_refused(temporary, open_orders, content):
    with pytest.raises(ContractViolationError):
        open_orders(content)
    assert list(temporary.iterdir()) == []


def test_neither_does_one_whose_configuration_is_refused(temporary, open_orders, shop):
    with pytest.raises(ConfigurationError):
        open_orders("contact_id,order_id,ordered_at\na,1,2026-05-01\n", 'where = "1"')
    with pytest.raises(ConfigurationError):
        Market.open(shop('[tables.orders]\nsource = "none.csv"'))
    assert list(temporary.iterdir()) == []


AS_OF = datetime(2026, 5, 10, tzinfo=UTC)
_EARLY = st.integers(min_value=-2_000, max_value=0)
_LATE = st.integers(min_value=1, max_value=2_000)
_ROW = st.tuples(st.sampled_from("abcd"), _EARLY, st.none() | _EARLY)
_LATER = st.tuples(st.sampled_from("abcdxyz"), _EARLY | _LATE, st.none() | _LATE).filter(
    lambda row: row[1] > 0 or row[2] is not None
)


def _moment(minutes):
    return None if minutes is None else (AS_OF + timedelta(minutes=minutes)).replace(tzinfo=None)


def _table(rows, **columns):
    return pa.table(
        {
            "contact_id": [row[0] for row in rows],
            **{name: make(rows) for name, make in columns.items()},
        }
    )


def _known(orders, contacts, events):
    def times(place):
        return lambda rows: pa.array([_moment(row[place]) for row in rows], pa.timestamp("us"))

    tables = {
        "orders": _table(
            orders,
            order_id=lambda rows: [f"{row[0]}{row[1]}" for row in rows],
            ordered_at=times(1),
            available_at=times(2),
        ),
        "events": _table(
            events,
            event_type=lambda rows: ["view"] * len(rows),
            occurred_at=times(1),
            available_at=times(2),
        ),
    }
    if contacts is not None:
        tables["contacts"] = _table(contacts, created_at=times(1))
    market = Market.from_tables(now=datetime(2026, 7, 1, tzinfo=UTC), **tables)
    activity = market.activity()
    then = within(activity.occurred_at, until=AS_OF) & within(activity.available_at, until=AS_OF)
    return (
        sorted(map(str, market.contacts(as_of=AS_OF).to_pyarrow().to_pylist())),
        sorted(map(str, activity.filter(then).to_pyarrow().to_pylist())),
        market.complete_until("orders", as_of=AS_OF),
        market.complete_until("events", as_of=AS_OF),
    )


@given(
    orders=st.lists(_ROW, min_size=1, max_size=5),
    events=st.lists(_ROW, min_size=1, max_size=5),
    later_orders=st.lists(_LATER, max_size=4),
    later_events=st.lists(_LATER, max_size=4),
    derived=st.booleans(),
)
@settings(max_examples=8, deadline=None)
def test_rows_from_after_an_instant_change_nothing_that_was_known_then(
    orders, events, later_orders, later_events, derived
):
    contacts = None if derived else [(contact, -3_000) for contact in "abcd"]
    more = None if derived else [*contacts, *((contact, 1) for contact in "xyz")]
    before = _known(orders, None if derived else more, events)
    after = _known([*orders, *later_orders], more, [*events, *later_events])
    assert before == after
    if not derived:
        assert _known(orders, contacts, events) == before


def test_a_market_may_be_opened_with_less_of_the_machine(tmp_path):
    frame = pd.DataFrame({"contact_id": ["a"], "order_id": ["1"], "ordered_at": ["2026-05-01"]})
    frame.to_csv(tmp_path / "orders.csv", index=False)
    (tmp_path / "scratch").mkdir()
    text = '[engine]\nmemory = "400MB"\nscratch = "scratch"\n[tables.orders]\n'
    (tmp_path / "mlmarket.toml").write_text(f'{text}source = "orders.csv"\ntimezone = "UTC"\n')
    query = "SELECT current_setting('memory_limit')"
    with_file = Market.open(tmp_path / "mlmarket.toml")
    limit = with_file.workbench.connection.raw_sql(query).fetchall()
    assert limit == [("381.4 MiB",)]
    assert with_file.workbench.folder.parent == tmp_path / "scratch"
    given = Market.open(tmp_path / "mlmarket.toml", engine=EngineSettings(memory="300MB"))
    assert given.workbench.connection.raw_sql(query).fetchall() == [("286.1 MiB",)]
    assert given.workbench.folder.parent == Path(tempfile.gettempdir())


@pytest.mark.parametrize(
    ("memory", "what"), [("100MB", "too little to work with"), ("8G", "is not a size of memory")]
)
def test_memory_that_cannot_be_meant_is_refused(memory, what):
    with pytest.raises(ConfigurationError, match=what) as refused:
        EngineSettings(memory=memory)
    assert str(refused.value).count("\n") == 2
