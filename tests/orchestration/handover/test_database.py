"""Rows of a database table, each key once."""

import os
from contextlib import ExitStack
from datetime import timedelta

import duckdb
import ibis
import pytest
from postgres_server import NoServerError, throw_away_server

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover import TableAdapter, deliver
from mlmarket.orchestration.tables import OUTBOX


@pytest.fixture(scope="module")
def server():
    """Return the address of a PostgreSQL server."""
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    given = os.environ.get("MLMARKET_POSTGRES")
    with ExitStack() as running:
        try:
            yield given or running.enter_context(throw_away_server())
        except NoServerError as error:
            pytest.skip(str(error))


@pytest.fixture(params=["duckdb", "postgres"])
def way(request, tmp_path):
    """Return an adapter to each kind of database."""
    if request.param == "duckdb":
        yield TableAdapter("crm", "duckdb://shop.duckdb", "to_do", folder=tmp_path)
        return
    address = request.getfixturevalue("server")
    name = f"to_do_{os.getpid()}"
    yield TableAdapter("crm", address, name)
    connection = ibis.connect(address)
    connection.raw_sql(f"DROP TABLE IF EXISTS {name}").close()
    connection.disconnect()


def rows_in(way):
    with way._opened() as connection:
        query = f"SELECT * FROM {way.table} ORDER BY idempotency_key"  # noqa: S608
        return connection.execute(query).fetchall()


def statuses(results):
    return [one.status for one in results]


def test_rows_are_in_the_table_as_the_outbox_has_them(outbox, way):
    batch = outbox.batch_of("a", "b")
    assert statuses(way.send(batch)) == ["sent"] * 2
    first, second = rows_in(way)
    assert dict(zip(OUTBOX.names, first, strict=True)) == batch[0].to_row()
    assert second[0] == "b"


def test_the_same_batch_again_adds_nothing(outbox, way):
    way.send(outbox.batch_of("a", "b"))
    way.send(outbox.batch_of("b", "c", email="changed@example.com"))
    found = rows_in(way)
    assert [row[0] for row in found] == ["a", "b", "c"]
    assert found[1][OUTBOX.names.index("email")] == "b@example.com"


def test_a_batch_is_in_the_table_as_a_whole_or_not_at_all(outbox, way):
    way.send(outbox.batch_of("a"))
    batch = outbox.batch_of("b", "c")
    object.__setattr__(batch[1], "priority", 2**40)
    with pytest.raises(Exception, match=r"(?i)range|fit|large"):
        way.send(batch)
    assert [row[0] for row in rows_in(way)] == ["a"]


def test_one_row_that_the_database_refuses_stops_no_other(outbox, way):
    with way._opened() as connection:
        connection.execute(f"DROP TABLE {way.table}")
        columns = ", ".join(f"{name} VARCHAR" for name in OUTBOX.names[1:])
        connection.execute(
            f"CREATE TABLE {way.table} (idempotency_key VARCHAR PRIMARY KEY"
            f" CHECK (idempotency_key <> 'k2'), {columns})"
        )
        connection.execute("SELECT 1")
    store = outbox.Store(*[outbox.row(f"k{number}") for number in range(8)])
    done = deliver(store, way, now=outbox.NOW, clock=lambda: 0.0)
    assert (done.total("sent"), done.total("retry")) == (7, 1)
    assert [row[0] for row in rows_in(way)] == [f"k{number}" for number in range(8) if number != 2]


def test_after_a_crash_the_table_says_what_arrived(outbox, way):
    way.send(outbox.batch_of("a"))
    arrived, missing = way.recover(outbox.batch_of("a", "b"))
    assert (arrived.status, missing.status, missing.tried) == ("sent", "retry", False)


def test_a_database_that_is_in_use_is_tried_again_and_left_alone(outbox, tmp_path):
    way = TableAdapter("crm", "duckdb://no/such/folder/shop.duckdb", "to_do", folder=tmp_path)
    store = outbox.Store(outbox.row("a"))
    done = deliver(store, way, now=outbox.NOW)
    assert done.resting == ("crm",)
    assert store.statuses() == {"a": "pending"}
    assert store.rows["a"]["last_error"] == "The database takes no rows: IOException."
    assert statuses(way.recover(outbox.batch_of("a"))) == ["retry"]


def test_a_server_that_is_down_is_tried_again(outbox):
    address = f"postgres://nobody:hidden@127.0.0.1:{outbox.unused_port()}/none"
    way = TableAdapter("crm", address, "to_do")
    (result,) = way.send(outbox.batch_of("a"))
    assert (result.status, result.receiver_answers) == ("retry", False)
    assert "hidden" not in f"{result}{way!r}"


def test_a_role_that_may_only_read_and_insert_is_enough(outbox, server):
    role, table = f"mailer_{os.getpid()}", f"to_mailer_{os.getpid()}"
    TableAdapter("crm", server, table).send(outbox.batch_of("a"))
    owner = ibis.connect(server)
    try:
        owner.raw_sql(f"CREATE ROLE {role} LOGIN").close()
        owner.raw_sql(f"GRANT SELECT, INSERT ON {table} TO {role}").close()
        way = TableAdapter("crm", server.replace("//postgres@", f"//{role}@"), table)
        assert statuses(way.send(outbox.batch_of("a", "b"))) == ["sent"] * 2
        assert [row[0] for row in rows_in(way)] == ["a", "b"]
    finally:
        owner.raw_sql(f"DROP TABLE {table}; DROP ROLE IF EXISTS {role}").close()
        owner.disconnect()


def test_the_file_is_free_for_others_between_two_batches(outbox, tmp_path):
    way = TableAdapter("crm", "duckdb://shop.duckdb", "main.to_do", folder=tmp_path)
    store = outbox.Store(outbox.row("a"))
    deliver(store, way, now=outbox.NOW)
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        assert connection.table("to_do").count("*").fetchall() == [(1,)]
    again = deliver(store, way, now=outbox.NOW + timedelta(days=1))
    assert again.total("sent") == 0


def test_a_database_without_transactions_that_are_known_here_is_refused():
    with pytest.raises(ConfigurationError, match="a `connection` to 'mysql'") as caught:
        TableAdapter("crm", "mysql://user:hidden@host/db", "to_do")
    assert "hidden" not in str(caught.value)
