"""Markets on PostgreSQL: the same tables and the same complaints as on DuckDB, and no trace."""

import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import ibis
import ibis.expr.operations as ops
import pyarrow as pa
import pytest
from postgres_server import PREFIX

from mlmarket.errors import ConfigurationError
from mlmarket.features import default_features
from mlmarket.features.ibis_compiler import compile_features
from mlmarket.features.operations import OPERATIONS, refuse_unsupported
from mlmarket.market import ContractViolationError, Market, MarketSettings, TableSettings
from mlmarket.market.history import record_contacts

NOW = datetime(2026, 7, 1, tzinfo=UTC)
MAY = datetime(2026, 5, 1, tzinfo=UTC).replace(tzinfo=None)
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
IDS = ["Zoe", "anna", "Ä'\"\\", "b", "日本", "B"]

ORDERS = pa.table(
    {
        "contact_id": IDS,
        "order_id": [str(n) for n in range(6)],
        "ordered_at": pa.array([MAY + n * DAY + TICK for n in range(6)], pa.timestamp("us")),
        "amount": pa.array([Decimal("1.00005"), None, Decimal(-3), 4, 5, 6], pa.decimal128(12, 5)),
        "quantity": [1.0, float("nan"), -1.0, 2.0, 3.5, None],
        "available_at": pa.array([None, MAY + 40 * DAY, None, None, None, MAY], pa.timestamp("us")),
    }
)
EVENTS = pa.table(
    {
        "contact_id": IDS,
        "event_type": ["visit", "cart", "Cart", "visit", "a b", "visit"],
        "occurred_at": pa.array([MAY] * 6, pa.timestamp("us", "UTC")),
        "event_id": [1, 2, 3, 4, 5, 6],
        "value": [0.1, 0.00015, None, -1.0, 2.5, 1e9],
    }
)
MESSAGES = pa.table(
    {
        "message_id": ["1", "2", "3"],
        "contact_id": ["Zoe", "anna", "b"],
        "channel": ["email", "email", "push"],
        "sent_at": pa.array([date(2026, 5, 1), date(2026, 5, 2), None], pa.date32()).fill_null(
            pa.scalar(date(2026, 5, 3))
        ),
        "opened_at": pa.array([MAY + DAY, MAY + 2 * DAY, None], pa.timestamp("us")),
        "is_machine_open": ["yes", "0", None],
    }
)
CONTACTS = pa.table(
    {
        "contact_id": IDS,
        "created_at": ["2026-04-30", "2026-05-01 10:00+02:00", None, "2026/5/2 8:30", "", " "],
        "country": ["PT", " ES ", "", None, "PT", "DE"],
        "age": [40.0, float("nan"), float("inf"), 0.0, -1.5, None],
        "vip": [True, None, False, True, True, False],
        "score": ["1.5", "x", "", " 7 ", "1e3", None],
    }
)
EVERYTHING = {"orders": ORDERS, "events": EVENTS, "messages": MESSAGES, "contacts": CONTACTS}
RETURNS = MarketSettings(tables={"orders": TableSettings(returns="amount < 0 or quantity < 0")})

RETURNED = 'returns = "quantity < 0 or amount < 0"'


def _rows(table):
    found = table.to_pyarrow().to_pylist()
    return sorted(found, key=lambda row: [str(value) for value in row.values()])


@pytest.fixture(scope="module")
def markets(both):
    return both(settings=RETURNS, timezone="Europe/Lisbon", now=NOW, **EVERYTHING)


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_table_is_the_same(markets, name):
    duck, postgres = (market.table(name) for market in markets)
    assert postgres.get_backend().name == "postgres"
    assert [str(kind).lstrip("!") for kind in postgres.schema().types] == [
        str(kind).lstrip("!") for kind in duck.schema().types
    ]
    assert repr(_rows(postgres)) == repr(_rows(duck))


@pytest.mark.parametrize("types", [(), ("order",), ("return",), ("open", "send"), ("Cart",)])
def test_activity_is_the_same(markets, types):
    duck, postgres = (market.activity(*types) for market in markets)
    assert _rows(postgres) == _rows(duck)


def test_the_end_of_tables_and_the_known_contacts_are_the_same(markets):
    duck, postgres = markets
    for as_of in (None, *(NOW - n * DAY for n in (0, 20, 58, 60, 90))):
        for name in ("orders", "events", "messages"):
            ends = [market.complete_until(name, as_of=as_of) for market in markets]
            assert ends[0] == ends[1], (name, as_of)
        if as_of is not None:
            known = [_rows(market.contacts(as_of=as_of)) for market in (duck, postgres)]
            assert repr(known[0]) == repr(known[1])


def test_text_that_is_read_on_the_server_needs_no_operation_that_is_not_tested(markets):
    features = default_features(markets[1], as_of=NOW)
    compiled = compile_features(markets[1], features, at=NOW)
    refuse_unsupported(compiled)
    nodes = [node for node in compiled.op().find(ops.Node) if not isinstance(node, ops.ScalarUDF)]
    assert {type(node).__name__ for node in nodes} <= OPERATIONS


def test_contacts_are_derived_alike(both):
    duck, postgres = both(orders=ORDERS, settings=RETURNS, now=NOW)
    assert duck.contacts_derived
    assert postgres.contacts_derived
    assert _rows(postgres.table("contacts")) == _rows(duck.table("contacts"))


def test_the_same_is_wrong_in_the_same_words(load):
    broken = {
        "orders": pa.table(
            {
                "contact_id": ["b", "B", "a", None, "ä", "nobody"],
                "order_id": ["1", "", "3", "4", "5", "6"],
                "ordered_at": ["soon", "2026-05-01", "2030-01-01", "1970-01-01", "x", "2026-02-30"],
                "amount": ["1,5", "-1", "€2", "1e20", "", "2"],
            }
        ),
        "contacts": pa.table(
            {
                "contact_id": ["b", "B", "a", "ä", "B"],
                "timezone": ["Europe/Lisbon", "Nowhere", "nowhere", None, ""],
                "empty": pa.nulls(5, pa.string()),
            }
        ),
        "messages": pa.table(
            {
                "message_id": [1, 1, 2],
                "contact_id": ["b", "b", "b"],
                "channel": ["fax", "Email", "email"],
                "sent_at": pa.array([MAY, MAY, None], pa.timestamp("us")),
                "propensity": [1.5, -0.5, float("nan")],
            }
        ),
    }
    told = []
    there = {name: load(frame, f"broken_{name}") for name, frame in broken.items()}
    for tables in (broken, there):
        with pytest.raises(ContractViolationError) as caught:
            Market.from_tables(timezone="UTC", now=NOW, **tables)
        told.append(str(caught.value))
    assert told[1] == told[0]
    assert "1,5" in told[1]


def test_expressions_of_a_configuration_are_the_same(both):
    settings = MarketSettings(
        tables={
            "orders": TableSettings(
                where="contact_id >= 'B' and quantity is not null",
                returns="quantity < 0",
                columns={"amount": "quantity * 1.1 + 0.00005", "item_id": "'i' || order_id"},
            )
        }
    )
    duck, postgres = both(orders=ORDERS, settings=settings, now=NOW)
    assert _rows(postgres.table("orders")) == _rows(duck.table("orders"))
    assert postgres.report.counts[0].left_out == duck.report.counts[0].left_out


def test_periods_of_contacts_are_the_same(both):
    contacts = pa.table(
        {
            "contact_id": ["b", "b", "b", "B", "a"],
            "valid_from": pa.array([None, MAY, MAY + DAY, MAY + DAY, None], pa.timestamp("us")),
            "plan": ["x", "y", "z", "w", None],
        }
    )
    duck, postgres = both(contacts=contacts, now=NOW)
    for as_of in (MAY - TICK, MAY, MAY + DAY - TICK, MAY + DAY):
        found = [_rows(m.contacts(as_of=as_of.replace(tzinfo=UTC))) for m in (duck, postgres)]
        assert found[0] == found[1]


def test_the_history_of_contacts_is_written_and_read_alike(both, tmp_path):
    nights = [MAY.replace(tzinfo=UTC) + n * DAY for n in range(3)]
    stages = [["lead", "it's", None], ["lead", 'a "b" \\', "x"], ["won", None, "x"]]
    written, seen = [], []
    for place in (0, 1):
        folder = tmp_path / str(place)
        for night, stage in zip(nights, stages, strict=True):
            contacts = pa.table(
                {
                    "contact_id": ["b", "B", "a"],
                    "stage": stage,
                    "number": [1.5, None, 3.0],
                    "tags": [["x", 'y"'], [], None],
                    "seen_at": pa.array([MAY, None, MAY + TICK], pa.timestamp("us")),
                }
            )
            market = both(contacts=contacts, now=NOW)[place]
            record_contacts(market, folder, as_of=night)
        market = market.with_history(folder)
        written.append([pa.parquet.read_table(f).to_pylist() for f in _files(folder)])
        seen.append([_rows(market.contacts(as_of=night)) for night in nights])
        asked = market.table("contacts").select("contact_id").cross_join(_instants(market, nights))
        seen[-1].append(_rows(market.contacts(as_of=asked)))
    assert written[0] == written[1]
    assert seen[0] == seen[1]


def _files(folder):
    import pyarrow.parquet  # noqa: F401 - pa.parquet

    return sorted((folder / "contacts").glob("*.parquet"))


def _instants(market, nights):
    contacts = market.table("contacts")
    first, *others = [
        contacts.limit(1).select(as_of=ibis.timestamp(night.replace(tzinfo=None).isoformat()))
        for night in nights
    ]
    return ibis.union(first, *others).mutate(as_of=lambda t: t.as_of.cast("timestamp(6)"))


def test_types_that_only_postgresql_has_are_read(run, connection):
    run("DROP TABLE IF EXISTS odd; DROP TYPE IF EXISTS kind; DROP DOMAIN IF EXISTS positive")
    run("CREATE TYPE kind AS ENUM ('visit', 'cart'); CREATE DOMAIN positive AS numeric")
    run(
        "CREATE TABLE odd AS SELECT gen_random_uuid() AS contact_id, "
        "'cart'::kind AS event_type, '2026-05-01 10:00+02'::timestamptz AS occurred_at, "
        "7::bigint AS event_id, 'NaN'::numeric AS value, 'ab'::char(9) AS item_id, "
        """12.5::positive AS campaign_id, '{"a": 1}'::json AS properties, """
        "'Infinity'::numeric AS other, 1.123456789012345::numeric AS long, "
        "'10.0.0.1'::inet AS address, 'a cat'::tsvector AS words"
    )
    market = Market.from_tables(events=connection.table("odd"), now=NOW)
    row = market.table("events").drop("address").to_pyarrow().to_pylist()[0]
    assert row.pop("contact_id").count("-") == 4
    assert row == {
        "event_type": "cart",
        "occurred_at": datetime(2026, 5, 1, 8, tzinfo=UTC).replace(tzinfo=None),
        "event_id": "7",
        "value": None,
        "item_id": "ab",
        "campaign_id": "12.5",
        "properties": '{"a": 1}',
        "other": None,
        "long": Decimal("1.123456789"),
        "words": "'a' 'cat'",
    }


@pytest.fixture
def shop_of(address, load, tmp_path):
    """Write a configuration of tables on the server; return its path."""

    def write(frames, at=address):
        lines = []
        for name, frame in frames.items():
            load(frame, f"shop_{name}")
            lines += [f"[tables.{name}]", f'source = "shop_{name}"', f'connection = "{at}"']
            lines += ['timezone = "UTC"', *([RETURNED] if name == "orders" else [])]
        path = tmp_path / "mlmarket.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def test_tables_of_a_server_are_opened_by_configuration(shop_of):
    path = shop_of({"orders": ORDERS})
    market = Market.open(path, now=NOW)
    assert market.table("orders").count().to_pyarrow().as_py() == 6
    assert market.report.counts[0].source == "shop_orders"


def test_a_table_beside_a_file_is_copied_where_both_can_be_joined(shop_of):
    path = shop_of({"orders": ORDERS})
    (path.parent / "people.csv").write_text("contact_id\n" + "Zoe\nanna\nb\n日本\nB\n")
    with path.open("a", encoding="utf-8") as file:
        file.write('unknown_contacts = "leave_out"\n[tables.contacts]\nsource = "people.csv"\n')
    market = Market.open(path, now=NOW)
    assert market.table("orders").get_backend().name == "duckdb"
    assert market.table("orders").count().to_pyarrow().as_py() == 5


def test_a_source_is_opened_for_reading_only(shop_of):
    market = Market.open(shop_of({"orders": ORDERS}))
    own = market.table("orders").get_backend()
    with pytest.raises(Exception, match="read-only transaction"):
        own.create_table("mine", ORDERS)


def test_a_wrong_table_is_refused_with_the_near_one(shop_of):
    path = shop_of({"orders": ORDERS})
    path.write_text(path.read_text().replace("shop_orders", "shop_ordrs"))
    with pytest.raises(ConfigurationError, match="did you mean 'shop_orders'"):
        Market.open(path, now=NOW)


def test_a_missing_driver_is_named_with_the_line_that_installs_it(shop_of, monkeypatch):
    path = shop_of({"orders": ORDERS})
    for name in [name for name in sys.modules if name.startswith("ibis.backends.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(ibis, "postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError) as refused:
        Market.open(path, now=NOW)
    assert refused.value.fix == "install it: pip install 'mlmarket[postgres]'."


def test_a_role_that_may_only_read_is_enough_and_nothing_is_left_behind(
    server, address, connection, run, shop_of, tmp_path
):
    if PREFIX not in server:
        pytest.skip("roles are made on a server of the tests only")
    path = shop_of(EVERYTHING)
    schema = address.partition("?")[0].rpartition("/")[2]
    run("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN")
    run("REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
    run(f"GRANT USAGE ON SCHEMA {schema} TO reader")
    run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader")
    text = path.read_text().replace("postgres://postgres@", "postgres://reader@")
    path.write_text(text.replace('source = "shop_', f'source = "{schema}.shop_'))
    before = _objects(connection)
    market = Market.open(path, now=NOW)
    asked = pa.table({"contact_id": IDS, "as_of": pa.array([NOW] * 6, pa.timestamp("us", "UTC"))})
    frame = market.features(contacts=asked)
    assert len(frame) == 6
    record_contacts(market, tmp_path / "history", as_of=NOW)
    market = market.with_history(tmp_path / "history")
    assert len(market.features(as_of=NOW)) == 6
    assert _objects(connection) == before
    run("DROP OWNED BY reader; DROP ROLE reader; GRANT TEMPORARY ON DATABASE postgres TO PUBLIC")


def _objects(connection):
    """Return everything there is in the database, temporary things of all sessions included."""
    relations = "SELECT relname, relpersistence::text, relkind::text FROM pg_class"
    functions = "SELECT proname, prokind::text, pronargs::text FROM pg_proc"
    types = "SELECT typname, typtype::text, typlen::text FROM pg_type"
    query = f"{relations} UNION ALL {functions} UNION ALL {types} ORDER BY 1, 2, 3"
    with connection.raw_sql(query) as cursor:
        return cursor.fetchall()
