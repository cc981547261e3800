"""How is a table of a database opened, without a trace left in it?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import ibis
from ibis.common.exceptions import TableNotFound

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.postgres import only_reading

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["connect", "open_table"]

_FILES: Final = frozenset({"duckdb", "sqlite"})
_SERVERS: Final = frozenset({"postgres", "postgresql"})
_EXTRAS: Final = {"postgresql": "postgres", "pyspark": "spark"}
"""Kinds of address that are not called like the extra that brings their driver."""


def connect(name: str, address: str, folder: Path) -> Any:  # noqa: ANN401 - each backend its own
    """Connect to a database, for reading only where it is a DuckDB file or a PostgreSQL server.

    Parameters
    ----------
    name : str
        The table of the contract that is read from it, for messages.
    address : str
        An Ibis address, such as ``duckdb:///data/shop.duckdb``.
    folder : Path
        The folder of the configuration file; paths of database files may be relative to it.

    Returns
    -------
    ibis.backends.BaseBackend
        The connection.

    Raises
    ------
    ConfigurationError
        Where there is nothing at the address; the message does not repeat it, for the sake of
        the secrets in it.
    """
    kind = urlsplit(address).scheme
    try:
        if kind in _FILES:
            return _connect_file(kind, address, folder)
        connection = ibis.connect(address)
        return only_reading(connection) if kind in _SERVERS else connection
    except ImportError as error:
        raise ConfigurationError(
            f"Table '{name}' is in a database whose driver is not installed: {error}.",
            "Its rows are read from there.",
            f"install it: pip install 'mlmarket[{_EXTRAS.get(kind, kind)}]'.",
        ) from error
    except Exception as error:  # each driver has errors of its own
        raise ConfigurationError(
            f"Table '{name}' has no database at its `connection`: {_in_words(error)}.",
            "Its rows are read from there.",
            f"check the address, the rights and the network of `connection` in [tables.{name}].",
        ) from error


def _connect_file(kind: str, address: str, folder: Path) -> Any:  # noqa: ANN401
    path = folder / address.removeprefix(f"{kind}://").partition("?")[0]
    if not path.is_file():  # the drivers would make an empty one
        raise FileNotFoundError(path.name)
    if kind == "duckdb":
        return ibis.duckdb.connect(path, read_only=True)
    return ibis.sqlite.connect(path)


def _in_words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no file '{error}'"
    return f"the driver raised {type(error).__name__}"


def open_table(connection: Any, name: str, source: str) -> "ir.Table":  # noqa: ANN401
    """Return a table of a database by its name.

    Parameters
    ----------
    connection : ibis.backends.BaseBackend
        Where it is.
    name : str
        The table of the contract it stands for.
    source : str
        ``table``, ``schema.table`` or ``catalog.schema.table``.

    Returns
    -------
    ibis.expr.types.Table
        Its rows, which stay where they are.

    Raises
    ------
    ConfigurationError
        Where there is no such table.
    """
    place, _, table = source.rpartition(".")
    try:
        return connection.table(table, database=place or None)
    except Exception as error:  # each driver has errors of its own
        hint = f"check `source` in [tables.{name}]."
        if isinstance(error, TableNotFound) and not place:
            hint = suggestion(table, connection.list_tables())
        raise ConfigurationError(
            f"Table '{name}' has no '{source}' in its database: {type(error).__name__}.",
            "Its rows are read from there.",
            hint,
        ) from error
