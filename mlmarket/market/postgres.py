"""How are tables of a PostgreSQL server read without leaving anything on it?

No table, view or function is made there, not even a temporary one: rows of the caller travel in
the text of the query, so that a role that may only read is enough, also on a standby server.
"""

import itertools
import weakref
from typing import TYPE_CHECKING, Any, Final, cast

import ibis
import ibis.expr.datatypes as dt

from mlmarket.market.frames import without_nulls

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ibis.expr.types as ir
    import pyarrow as pa

__all__ = ["batches", "only_reading", "plain", "rows_in_query"]

_ROWS_AT_ONCE: Final = 20_000
_NUMBER: Final = itertools.count()
_WIDEST: Final = "decimal(38, 9)"
_WIDEST_LIMIT: Final = f"1{'0' * 29}"


@ibis.udf.scalar.builtin(name="text", signature=((dt.string,), dt.string))
def _as_text(value): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


def only_reading(connection: Any) -> Any:  # noqa: ANN401 - an Ibis backend
    """Let a connection write nothing from now on, and end when nobody uses it any more.

    Its queries are not compiled to machine code either: with hundreds of sums in one query that
    takes longer than it saves.

    Parameters
    ----------
    connection : ibis.backends.postgres.Backend
        A connection of our own.

    Returns
    -------
    ibis.backends.postgres.Backend
        The same one.
    """
    connection.raw_sql("SET default_transaction_read_only = on; SET jit = off").close()
    weakref.finalize(connection, connection.con.close)
    return connection


def plain(table: "ir.Table") -> "ir.Table":
    """Return a table whose columns have types that other databases have too.

    Parameters
    ----------
    table : ibis.expr.types.Table
        As the server has it.

    Returns
    -------
    ibis.expr.types.Table
        Names of an enumeration, padded and case-blind text, JSON and types that Ibis does not know
        are text; a number that is none, or infinite, is missing in decimals, and decimals without
        declared digits have nine places.
    """
    columns: dict[str, ir.Value] = {}
    for name, dtype in table.schema().items():
        value = table[name]
        if dtype.is_string():
            # Ibis takes an enumeration for text, and would leave out a cast.
            columns[name] = _as_text(value)
        elif dtype.is_unknown() or dtype.is_json():
            columns[name] = value.cast("string")
        elif dtype.is_decimal():
            columns[name] = _finite(cast("ir.DecimalValue", value))
    return table.mutate(**columns) if columns else table


def _finite(number: "ir.DecimalValue") -> "ir.Value":
    """Return decimals that are numbers: in PostgreSQL NaN lies above all others."""
    limit = ibis.literal(_WIDEST_LIMIT).cast("decimal")
    dtype = number.type()
    target = _WIDEST if dtype.precision is None else dtype
    fits = (number > -limit) & (number < limit)
    return fits.ifelse(number, None).cast(target)


def rows_in_query(connection: Any, table: "pa.Table") -> "ir.Table":  # noqa: ANN401
    """Return rows of the caller as a table that is part of each query that uses it.

    Parameters
    ----------
    connection : ibis.backends.postgres.Backend
        Where they are wanted.
    table : pyarrow.Table
        The rows.

    Returns
    -------
    ibis.expr.types.Table
        The same rows, of the same types.
    """
    table = without_nulls(table)
    schema = ibis.schema(table.schema)
    mapper = connection.compiler.type_mapper
    arrays = [f"CAST({_quoted(_array(column.to_pylist()))} AS TEXT[])" for column in table.columns]
    names = [f"c{place}" for place in range(len(arrays))]
    columns = [
        f'CAST({name} AS {mapper.to_string(dtype)}) AS "{_doubled(given)}"'
        for name, (given, dtype) in zip(names, schema.items(), strict=True)
    ]
    query = (
        f"SELECT {', '.join(columns)} FROM UNNEST({', '.join(arrays)}) "  # noqa: S608 - quoted
        f"AS rows_{next(_NUMBER)}({', '.join(names)})"
    )
    return connection.sql(query, schema=schema)


def _doubled(name: str) -> str:
    return name.replace('"', '""')


def _quoted(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def _array(values: "list[Any]") -> str:
    """Return values as an array is written in PostgreSQL; it reads each as its type."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:  # noqa: ANN401 - what a cell holds
    if value is None:
        return "NULL"
    text = _array(value) if isinstance(value, list) else str(value)
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def batches(table: "ir.Table") -> "Iterator[pa.RecordBatch]":
    """Yield the rows of a table in batches, one after the other.

    The result waits on the server in a cursor outside any transaction, so that several can be read
    at a time and none keeps the server from cleaning up.

    Parameters
    ----------
    table : ibis.expr.types.Table
        On a PostgreSQL connection.

    Yields
    ------
    pyarrow.RecordBatch
        At most 20,000 rows; none where the table has none.
    """
    import pyarrow as pa

    connection = table.get_backend()
    schema = table.schema().to_pyarrow()
    name = f"mlmarket_{next(_NUMBER)}"
    with connection.con.cursor(name=name, withhold=True) as cursor:
        cursor.execute(connection.compile(table))
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
