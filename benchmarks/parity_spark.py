"""How far apart are the features of Spark and DuckDB? Every column, on a simulated shop of any size.

    python benchmarks/parity_spark.py /data/big --contacts 200000

The shop is simulated into the folder unless it is there (200,000 contacts: about 10 million events and
6 million messages). Printed: for each feature that the market allows, and a few that use the operations
that none of them does, the largest absolute and relative difference and in how many rows one engine has no
value where the other has one; then the seconds that each engine took.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.features import (
    Behaviour,
    Feature,
    SnapshotSpec,
    build,
    count,
    days_active,
    default_features,
    first_touch,
    gap_mean,
    gap_std,
    last,
    maximum,
    mean,
    minimum,
    recency,
    total,
    trend,
)
from mlmarket.market import Market
from mlmarket.market.samples import simulate
from mlmarket.market.spark import spark_session

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Difference:
    """How far apart two engines are in one column."""

    column: str
    absolute: float
    relative: float
    lone: int
    """Rows in which only one of them has a value, or a text differs."""


def features_of(market: Market, as_of: datetime) -> tuple[Feature, ...]:
    """Return what the market allows, and every operation over purchases and events."""
    allowed = default_features(market, as_of=as_of)
    kinds = (
        "order",
        "order where item_price > 30",
        "return",
        "click",
        "event page_view | cart_add",
        "outcome won",
    )
    more = [
        feature
        for place, kind in enumerate(kinds)
        for feature in (
            count(kind, "7D", name=f"own_{place}_count_7d"),
            total(kind, "180D", name=f"own_{place}_total_180d"),
            mean(kind, "180D", name=f"own_{place}_mean_180d"),
            minimum(kind, "180D", name=f"own_{place}_minimum_180d"),
            last(kind, name=f"own_{place}_last"),
            maximum(kind, name=f"own_{place}_maximum"),
            recency(kind, name=f"own_{place}_recency"),
            first_touch(kind, name=f"own_{place}_first_touch"),
            days_active(kind, "90D", name=f"own_{place}_days_active_90d"),
            gap_mean(kind, name=f"own_{place}_gap_mean"),
            gap_std(kind, name=f"own_{place}_gap_std"),
            trend(kind, "30D", name=f"own_{place}_trend_30d"),
        )
    ]
    return (*allowed, *more)


def differences(one: pa.Table, other: pa.Table) -> Iterator[Difference]:
    """Compare two tables of features, row by row; both have the same contacts in the same order."""
    if not one.column("contact_id").equals(other.column("contact_id")):
        raise SystemExit("The engines do not agree on who there is.")
    for name in one.column_names:
        left, right = one.column(name), other.column(name)
        if not pa.types.is_floating(left.type) and not pa.types.is_integer(left.type):
            same = pc.fill_null(pc.equal(left.cast(right.type), right), pa.scalar(value=False))
            alike = pc.or_(same, pc.and_(left.is_null(), right.is_null()))
            yield Difference(name, 0.0, 0.0, len(left) - (pc.sum(alike).as_py() or 0))
            continue
        a, b = (column.to_numpy(zero_copy_only=False).astype(float) for column in (left, right))
        both = ~np.isnan(a) & ~np.isnan(b)
        apart = np.abs(a[both] - b[both])
        size = np.maximum(np.abs(b[both]), np.finfo(float).tiny)
        yield Difference(
            name,
            float(apart.max(initial=0.0)),
            float((apart / size).max(initial=0.0)),
            int((np.isnan(a) != np.isnan(b)).sum()),
        )


def built(market: Market, features: Sequence[Feature], as_of: datetime) -> pa.Table:
    """Return all features of everybody, with a label."""
    spec = SnapshotSpec(None, tuple(features), Behaviour.parse("order"), AS_OF - as_of)
    rows = pa.Table.from_batches(build(market, spec, cutoffs=[as_of]))
    return rows.sort_by("contact_id").combine_chunks()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--contacts", type=int, default=200_000)
    parser.add_argument("--master", default="local-cluster[2,1,2048]")
    given = parser.parse_args()
    if not (given.folder / "orders.parquet").is_file():
        simulate(given.folder, contacts=given.contacts, oracle=False)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = spark_session(
        {
            "spark.master": given.master,
            "spark.executor.memory": "2g" if "2048" in given.master else "1g",
            "spark.driver.memory": "2g",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "8",
            "spark.ui.enabled": "false",
        }
    )
    spark.sparkContext.setLogLevel("ERROR")
    as_of = datetime(2026, 5, 1, 8, 30, 0, 1, tzinfo=UTC)
    tables, seconds = {}, {}
    features = None
    for engine, session in (("duckdb", None), ("spark", spark)):
        began = time.perf_counter()
        market = Market.open(given.folder, spark=session)
        features = features or features_of(market, as_of)
        tables[engine] = built(market, features, as_of)
        seconds[engine] = time.perf_counter() - began
    print(f"{'column':40}{'absolute':>12}{'relative':>12}{'lone rows':>12}")
    found = list(differences(tables["spark"], tables["duckdb"]))
    for one in found:
        print(f"{one.column:40}{one.absolute:12.3g}{one.relative:12.3g}{one.lone:12,}")
    rows = tables["spark"].num_rows
    print(f"\n{len(found)} columns of {rows:,} contacts at {as_of.isoformat()}")
    print(f"largest absolute difference {max(one.absolute for one in found):.3g}")
    print(f"largest relative difference {max(one.relative for one in found):.3g}")
    print(f"rows in which only one has a value {sum(one.lone for one in found):,}")
    print(", ".join(f"{engine} {wall:.1f} s" for engine, wall in seconds.items()))
    spark.stop()


if __name__ == "__main__":
    main()
