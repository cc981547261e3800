"""A PostgreSQL server for the tests, and markets of the same rows on it and on DuckDB.

The server is made in a temporary folder and thrown away. ``MLMARKET_POSTGRES=postgres://…`` names
one of your own instead; the tests then work in a schema that they make and drop.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import ibis
import pyarrow as pa
import pytest
from postgres_server import NoServerError, throw_away_server

from mlmarket.market import Market
from mlmarket.market.postgres import rows_in_query

SCHEMA = f"mlmarket_tests_{os.getpid()}"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Return the address of a server."""
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    given = os.environ.get("MLMARKET_POSTGRES")
    if given:
        yield given
        return
    with ExitStack() as running:
        try:
            address = running.enter_context(throw_away_server())
        except NoServerError as error:
            pytest.skip(str(error))
        yield address


@pytest.fixture(scope="session")
def address(server: str) -> str:
    """Return the address of an empty schema, for connections of one's own."""
    head, sign, query = server.partition("?")
    return f"{head.rstrip('/')}/{SCHEMA}{sign}{query}"


@pytest.fixture(scope="session")
def connection(server: str, address: str) -> Iterator[Any]:
    """Return a connection that may write, into an empty schema."""
    outer = ibis.connect(server)
    outer.raw_sql(f"CREATE SCHEMA {SCHEMA}").close()
    inner = ibis.connect(address)
    yield inner
    inner.disconnect()
    outer.raw_sql(f"DROP SCHEMA {SCHEMA} CASCADE").close()
    outer.disconnect()


@pytest.fixture(scope="session")
def run(connection: Any) -> Callable[[str], None]:
    """Return a function that runs a statement."""
    return lambda statement: connection.raw_sql(statement).close()


@pytest.fixture(scope="session")
def load(connection: Any) -> Callable[..., Any]:
    """Return a function from rows to a table on the server."""
    number = itertools.count()

    def load_rows(rows: pa.Table, name: str = "") -> Any:
        name = name or f"loaded_{next(number)}"
        connection.raw_sql(f'DROP TABLE IF EXISTS "{name}"').close()
        query = connection.compile(rows_in_query(connection, rows))
        connection.raw_sql(f'CREATE TABLE "{name}" AS {query}').close()
        return connection.table(name)

    return load_rows


@pytest.fixture(scope="session")
def both(load: Callable[..., Any]) -> Callable[..., tuple[Market, Market]]:
    """Return a function from frames to a market on DuckDB and one on PostgreSQL."""

    def markets(*, settings: Any = None, **options: Any) -> tuple[Market, Market]:
        frames = {name: value for name, value in options.items() if isinstance(value, pa.Table)}
        rest = {name: value for name, value in options.items() if name not in frames}
        there = {name: load(table, f"both_{name}") for name, table in frames.items()}
        return (
            Market.from_tables(settings=settings, **frames, **rest),
            Market.from_tables(settings=settings, **there, **rest),
        )

    return markets
