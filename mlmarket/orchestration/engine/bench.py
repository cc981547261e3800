"""Where are the state and what is known about people joined?"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import ibis
from ibis.backends.duckdb import Backend

__all__ = ["Bench", "open_bench"]

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
