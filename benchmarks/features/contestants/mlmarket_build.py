"""mlmarket: the market is opened and checked, then its features are built."""

from datetime import UTC, datetime, timedelta
from inspect import signature
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.features.definitions import FEATURES
from benchmarks.features.task import Task
from mlmarket.features import SnapshotSpec, build
from mlmarket.market import Market

if TYPE_CHECKING:
    from collections.abc import Iterable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def run(task: Task, engine: str) -> None:
    """Build with an engine; without the choice there is the reference alone."""
    chosen = {"engine": engine} if "engine" in signature(build).parameters else {}
    if not chosen and engine != "reference":
        message = f"build() has no engine '{engine}'"
        raise SystemExit(message)
    with task.step("open"):
        market = Market.open(task.folder)
    if task.memory_megabytes is not None and market.workbench is not None:
        limit = task.memory_megabytes * 6 // 10
        market.workbench.connection.raw_sql(f"SET memory_limit = '{limit}MB'")
    cutoffs = [EPOCH + timedelta(microseconds=cutoff) for cutoff in task.cutoffs]
    with task.step("build"):
        write(build(market, SnapshotSpec(None, FEATURES), cutoffs=cutoffs, **chosen), task)


def write(batches: "Iterable[pa.RecordBatch]", task: Task) -> None:
    """Write each batch to the file of its cutoff; batches of several cutoffs may alternate."""
    writers: dict[int, pq.ParquetWriter] = {}
    for batch in batches:
        if not batch.num_rows:
            continue
        cutoff = batch.column("as_of")[0].cast(pa.timestamp("us")).value
        if cutoff not in writers:
            writers[cutoff] = pq.ParquetWriter(task.file(cutoff), batch.schema, compression="zstd")
        writers[cutoff].write_batch(batch)
    for writer in writers.values():
        writer.close()
