"""Where are the state and what is known about people joined?"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

__all__ = ["Bench", "brought", "open_bench", "release_unused"]

Bench: TypeAlias = Backend
"""A database of one tick's own, in memory."""


@contextmanager
def open_bench() -> Iterator[Bench]:
    """Give a database of its own to one tick, and take it away at the end.

    Yields
    ------
    Bench
        Empty.
    """
    bench = ibis.duckdb.connect(":memory:")
    try:
        yield bench
    finally:
        bench.disconnect()


def brought(table: ir.Table, bench: Bench) -> pa.Table:
    """Return the rows of a table, wherever it lies.

    Parameters
    ----------
    table : ibis.expr.types.Table
        In memory or in any database, cut down to what is needed.
    bench : Bench
        Where to compute what is only in memory.

    Returns
    -------
    pyarrow.Table
        All rows, to be joined with those of the bench.
    """
    sources = table.op().find((ops.DatabaseTable, ops.SQLQueryResult))
    return (sources[0].source if sources else bench).to_pyarrow(table)


def release_unused() -> None:
    """Give memory that Arrow keeps for later back to the machine; between two large steps."""
    pa.default_memory_pool().release_unused()
