"""Where are the state and what is known about people joined?"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

__all__ = ["Bench", "brought", "open_bench"]

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


def brought(table: ir.Table, bench: Bench) -> ir.Table:
    """Return a table where it can be joined with those of the bench.

    Parameters
    ----------
    table : ibis.expr.types.Table
        In memory or in any database, cut down to what is needed.
    bench : Bench
        Where to.

    Returns
    -------
    ibis.expr.types.Table
        The same table if it is in memory, else a copy on the bench.
    """
    sources = table.op().find((ops.DatabaseTable, ops.SQLQueryResult))
    if not sources or sources[0].source is bench:
        return table
    rows = sources[0].source.to_pyarrow_batches(table)
    return bench.create_table(ibis.util.gen_name("brought"), rows, temp=True)
