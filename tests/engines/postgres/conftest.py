"""A PostgreSQL server for the tests, and markets of the same rows on it and on DuckDB.

The server is made in a temporary folder and thrown away. ``MLMARKET_POSTGRES=postgres://…`` names
one of your own instead; the tests then work in a schema that they make and drop.
"""

import itertools
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from mlmarket.market import Market
from mlmarket.market.postgres import rows_in_query

SCHEMA = f"mlmarket_tests_{os.getpid()}"
# Sorted as in a dictionary: upper beside lower case, which is not the order of the code points.
SORTED_LIKE_PEOPLE = ["--locale-provider=icu", "--icu-locale=en-US"]
CARELESS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c listen_addresses=''"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Return the address of a server."""
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    given = os.environ.get("MLMARKET_POSTGRES")
    if given:
        yield given
        return
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="mlmarket-postgres-"))
    try:
        with _running(binaries, folder):
            yield f"postgres://postgres@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = [Path(path).resolve() for path in filter(None, [shutil.which("initdb")])]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    for path in found:
        if (path.parent / "pg_ctl").exists():
            return path.parent
    return pytest.skip("PostgreSQL is not installed: apt-get install postgresql")


@contextmanager
def _running(binaries: Path, folder: Path) -> Iterator[None]:
    begin = _as_another_user(folder)
    data = folder / "data"
    make = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    make += ["-E", "UTF8", "--locale=C.UTF-8"]
    if _version(binaries) >= 15:
        make += SORTED_LIKE_PEOPLE
    control = [*begin, binaries / "pg_ctl", "-D", data]
    options = f"{CARELESS} -c unix_socket_directories={folder}"
    start = [*control, "-l", folder / "log", "-w", "-o", options, "start"]
    for command in ([*begin, *make], start):
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        if done.returncode:
            pytest.skip(f"PostgreSQL does not start here: {done.stderr.strip()[-300:]}")
    try:
        yield
    finally:
        stop = [*control, "-m", "immediate", "-w", "stop"]
        subprocess.run(stop, capture_output=True, cwd="/", check=False)


def _as_another_user(folder: Path) -> list[str]:
    """Return what a command begins with: a server refuses to be run by root."""
    if os.geteuid() != 0:
        return []
    try:
        owner = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL is not run by root, and there is no user postgres")
    if shutil.which("runuser") is None:
        pytest.skip("PostgreSQL is not run by root, and there is no runuser")
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return ["runuser", "-u", "postgres", "--"]


def _version(binaries: Path) -> int:
    told = subprocess.check_output([binaries / "initdb", "--version"], text=True)
    return int(re.search(r"\d+", told)[0])


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
