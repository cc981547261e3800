"""What was known about each contact at a cutoff, and what did they do after it?"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

from mlmarket.errors import ConfigurationError
from mlmarket.expressions.dialects import engine_of, in_code_order
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.cutoffs import cutoff_frame
from mlmarket.features.engine import choose_engine
from mlmarket.features.feature import Feature
from mlmarket.features.ibis_compiler import compile_features
from mlmarket.features.labels import LABEL, compile_label, refuse_open_windows
from mlmarket.features.operations import refuse_unsupported
from mlmarket.features.parts import refuse_strangers
from mlmarket.features.sweeping import Sweep
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.postgres import batches, rows_in_query
from mlmarket.market.time import duration_text, to_utc

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["SnapshotSpec", "build", "lent"]

_NO: Final = False
_ROWS_A_BATCH: Final = 65_536
_NUMBER: Final = itertools.count()
"""Names tables of the caller, so that two that are read at a time do not meet."""


@dataclass(frozen=True, slots=True)
class SnapshotSpec:
    """Who is looked at, what is known of them, and what is asked.

    Parameters
    ----------
    eligible : Behaviour or None
        Only contacts with such rows at or before the cutoff, or without them where it is negated;
        None means every contact.
    features : tuple of Feature
        What is known.
    label : Behaviour or None
        What is asked; None where only features are wanted.
    horizon : timedelta or None
        How far the label looks.

    Raises
    ------
    ConfigurationError
        Where something is no feature, the label has no horizon or a window of its own, or the window
        of `eligible` is not made of whole days.
    """

    eligible: Behaviour | None
    features: tuple[Feature, ...]
    label: Behaviour | None = None
    horizon: timedelta | None = None

    def __post_init__(self) -> None:
        refuse_strangers(self.features)
        if self.label is not None and self.horizon is None:
            raise ConfigurationError(
                f"The label '{self.label}' has no horizon.",
                "Without an end nobody can say that it did not happen.",
                "give one, such as 30 days.",
            )
        if self.label is not None and self.label.within is not None:
            raise ConfigurationError(
                f"The label '{self.label}' looks back.",
                "'within' says how far back behaviour counts; a label looks ahead, by its horizon.",
                f"leave out 'within {duration_text(self.label.within)}' and set the horizon.",
            )
        span = self.eligible.within if self.eligible is not None else None
        if span is not None and span % timedelta(days=1):
            raise ConfigurationError(
                f"'{self.eligible}' looks back {duration_text(span)}, which is not whole days.",
                "Rows are counted by day before as_of.",
                "write it in days, such as 'within 90D'.",
            )


def build(
    market: "Market",
    spec: SnapshotSpec,
    *,
    cutoffs: "Sequence[datetime] | pd.DataFrame | pa.Table",
    known_at: datetime | None = None,
    only: "pa.Table | None" = None,
    engine: str | None = None,
) -> "Iterator[pa.RecordBatch]":
    """Return point-in-time rows, batch by batch.

    Parameters
    ----------
    market : Market
        The tables.
    spec : SnapshotSpec
        What to build.
    cutoffs : sequence of datetime, or frame
        Aware instants for all eligible contacts, each once; or a frame of ``contact_id, as_of``,
        whose eligible rows are built, each once. A date without a time is its last microsecond where
        the business is.
    known_at : datetime, optional
        Label rows that became available later are not seen.
    only : pyarrow.Table, optional
        Only contacts whose ``contact_id`` is in it.
    engine : {"auto", "reference", "sweep"}, optional
        What computes it; by default what ``[engine] features`` says, and else the sweep where it
        can, see :func:`mlmarket.features.engine.choose_engine`. The numbers are the same.

    Returns
    -------
    iterator of pyarrow.RecordBatch
        ``contact_id, as_of``, a column a feature, and ``label`` (int8) where one is asked. Each
        batch is of one cutoff; those of a cutoff ascend by contact, but those of different cutoffs
        may take turns. Of a frame, by ``as_of`` and contact. At least one batch a cutoff, if
        without rows.

    Raises
    ------
    OpenLabelWindowError
        Where a label window has not ended.
    ConfigurationError
        Where a frame lacks a column, an instant has no zone, or the engine cannot do it.
    """
    if isinstance(cutoffs, Sequence):
        moments = list({to_utc(moment): moment for moment in cutoffs}.values())
        _refuse_open(market, spec, moments, known_at)
        store = choose_engine(market, spec, engine).store
        if store is not None:
            return Sweep(market, spec, store, known_at=known_at, only=only).at_instants(moments)
        return _at_instants(market, spec, moments, known_at, only)
    frame = cutoff_frame(cutoffs, zone=market.zone)
    naive = cast("list[datetime]", frame.column(AS_OF).unique().to_pylist())
    _refuse_open(market, spec, [moment.replace(tzinfo=UTC) for moment in naive], known_at)
    store = choose_engine(market, spec, engine).store
    if store is not None:
        return _swept_frame(market, Sweep(market, spec, store, known_at=known_at, only=only), frame)
    return _at_frame(market, spec, frame, known_at, only)


def _refuse_open(
    market: "Market", spec: SnapshotSpec, cutoffs: Sequence[datetime], known_at: datetime | None
) -> None:
    if spec.label is not None and spec.horizon is not None:
        refuse_open_windows(
            market, spec.label, cutoffs=cutoffs, horizon=spec.horizon, known_at=known_at
        )


def _at_instants(
    market: "Market",
    spec: SnapshotSpec,
    cutoffs: Sequence[datetime],
    known_at: datetime | None,
    only: "pa.Table | None",
) -> "Iterator[pa.RecordBatch]":
    with lent(market, only) as chosen:
        for cutoff in cutoffs:
            yield from _batches(_rows(market, spec, cutoff, known_at, chosen))


def _at_frame(
    market: "Market",
    spec: SnapshotSpec,
    frame: "pa.Table",
    known_at: datetime | None,
    only: "pa.Table | None",
) -> "Iterator[pa.RecordBatch]":
    with lent(market, frame) as at, lent(market, only) as chosen:
        yield from _batches(_rows(market, spec, at, known_at, chosen))


def _swept_frame(market: "Market", sweep: Sweep, frame: "pa.Table") -> "Iterator[pa.RecordBatch]":
    with lent(market, frame) as at:
        yield from sweep.at_pairs(at, frame)


def _batches(table: "ir.Table") -> "Iterator[pa.RecordBatch]":
    """Yield the rows of a table; one batch without rows where it has none."""
    import pyarrow as pa

    refuse_unsupported(table)
    if engine_of(table) == "postgres":
        found = batches(table)
    else:
        found = table.to_pyarrow_batches(chunk_size=_ROWS_A_BATCH)
    empty = True
    for batch in found:
        empty = False
        yield batch
    if empty:
        yield pa.RecordBatch.from_pylist([], schema=table.schema().to_pyarrow())


def _rows(
    market: "Market",
    spec: SnapshotSpec,
    at: "datetime | ir.Table",
    known_at: datetime | None,
    only: "ir.Table | None",
) -> "ir.Table":
    table = compile_features(market, spec.features, at=at, eligible=spec.eligible, only=only)
    if spec.label is not None and spec.horizon is not None:
        did = compile_label(market, spec.label, at=at, horizon=spec.horizon, known_at=known_at)
        keys = [CONTACT_ID] if isinstance(at, datetime) else [CONTACT_ID, AS_OF]
        joined = table.left_join(did.mutate(did__it=True), keys)
        happened = joined.did__it.fill_null(_NO)
        # By way of int32: not every database casts truth to the smallest integer.
        label = (~happened if spec.label.negated else happened).cast("int32").cast("int8")
        table = joined.select(*table.columns, **{LABEL: label})
    return table.order_by([AS_OF, in_code_order(table[CONTACT_ID])])


@contextmanager
def lent(market: "Market", table: "pa.Table | None") -> "Iterator[ir.Table | None]":
    """Put rows of the caller beside the market's tables for a while.

    Parameters
    ----------
    market : Market
        The tables.
    table : pyarrow.Table or None
        The rows.

    Yields
    ------
    ibis.expr.types.Table or None
        None where there are no rows to put there.
    """
    import ibis

    backend = market.table("contacts").get_backend()
    if table is None:
        yield None
    elif backend.name == "postgres":
        yield rows_in_query(backend, table)
    elif backend.name == "pyspark":
        with backend.lent(table) as there:
            yield there
    elif backend.name != "duckdb":
        yield ibis.memtable(table)
    else:
        name = f"mlmarket_lent_{next(_NUMBER)}"
        there = backend.create_table(name, table, temp=True)
        try:
            yield there
        finally:
            backend.drop_table(name, force=True)
