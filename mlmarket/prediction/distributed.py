"""How does a trained predictor answer where the contacts are, on Spark?

Features are one query of Spark's own. The model's own files go to the executors once, by broadcast;
each Python worker reads them as a night would, and answers batch by batch.
"""

import functools
import importlib
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlmarket.features.ibis_compiler import compile_features
from mlmarket.market.columns import CONTACT_ID
from mlmarket.prediction.predictor import Schema

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa
    from pyspark import Broadcast
    from pyspark.sql import DataFrame

    from mlmarket.market import Market
    from mlmarket.prediction.snapshot_predictor import SnapshotPredictor

__all__ = ["answers_frame", "is_on_spark"]

_TYPES: Final = {"number": "double", "text": "string", "time": "timestamp"}
_RESTORED: Final[dict[str, "SnapshotPredictor"]] = {}
"""What this worker has read, by version: a worker lives longer than a task."""


def is_on_spark(market: "Market") -> bool:
    """Return whether the tables of a market are on Spark.

    Parameters
    ----------
    market : Market
        The tables.

    Returns
    -------
    bool
        False for all other databases.
    """
    return bool(market.table("contacts").get_backend().name == "pyspark")


def answers_frame(
    predictor: "SnapshotPredictor",
    market: "Market",
    *,
    as_of: datetime,
    only: "ir.Table | None" = None,
) -> "DataFrame":
    """Return the answers about every eligible contact; nothing is computed yet.

    Parameters
    ----------
    predictor : SnapshotPredictor
        Trained.
    market : Market
        On Spark.
    as_of : datetime
        Rows after it are not looked at.
    only : ibis.expr.types.Table, optional
        Only contacts whose ``contact_id`` is in it.

    Returns
    -------
    pyspark.sql.DataFrame
        ``contact_id`` and the predictor's columns, in no order.
    """
    connection = market.table("contacts").get_backend()
    known = compile_features(
        market, predictor.features_, at=as_of, eligible=predictor.eligible, only=only
    )
    shipped = connection.session.sparkContext.broadcast(_packed(predictor))
    answer = functools.partial(_answer, shipped)
    return connection.frame(known).mapInArrow(answer, _columns(predictor.outputs))


def _columns(outputs: Schema) -> str:
    """Return the columns of the answers as Spark writes a schema."""
    named = {CONTACT_ID: "string"} | {name: _TYPES[one.type] for name, one in outputs.items()}
    return ", ".join(f"`{name}` {dtype}" for name, dtype in named.items())


def _packed(predictor: "SnapshotPredictor") -> dict[str, Any]:
    """Return a trained predictor as its own files, and the name of what reads them."""
    with tempfile.TemporaryDirectory() as name:
        predictor.save(Path(name))
        files = {path.name: path.read_bytes() for path in sorted(Path(name).iterdir())}
    kind = type(predictor)
    return {
        "reader": f"{kind.__module__}:{kind.__qualname__}",
        "version": f"{predictor.name}-{predictor.version_}",
        "files": files,
    }


def _restored(packed: Mapping[str, Any]) -> "SnapshotPredictor":
    version = str(packed["version"])
    if version not in _RESTORED:
        module, _, name = str(packed["reader"]).partition(":")
        reader: type[SnapshotPredictor] = getattr(importlib.import_module(module), name)
        with tempfile.TemporaryDirectory() as folder:
            for file, content in packed["files"].items():
                (Path(folder) / file).write_bytes(content)
            _RESTORED[version] = reader.load(Path(folder))
    return _RESTORED[version]


def _answer(
    shipped: "Broadcast[dict[str, Any]]", batches: "Iterator[pa.RecordBatch]"
) -> "Iterator[pa.RecordBatch]":
    """Run on a worker: answer for batches of features."""
    predictor = _restored(shipped.value)
    for batch in batches:
        yield from predictor.answer(batch).to_batches()
