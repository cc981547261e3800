"""mlmarket's event store: prepared, grown by a day, and swept.

The tables are read as they are, without the checks of a market, so that what is measured is the store.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis

from benchmarks.features.contestants.mlmarket_build import EPOCH, write
from benchmarks.features.definitions import FEATURES
from benchmarks.features.task import Task
from mlmarket.features import SnapshotSpec
from mlmarket.features.parts import base_features
from mlmarket.features.preparation import prepare_store
from mlmarket.features.program import conditions_of
from mlmarket.features.store import Contents, EventStore, read_contents
from mlmarket.features.sweeping import Sweep
from mlmarket.market import CheckReport, Market, MarketSettings

LAST_DAY = datetime(2025, 6, 30, tzinfo=UTC).replace(tzinfo=None)
"""The log ends with it."""


CONDITIONS = conditions_of(base_features(FEATURES, None))


def run(task: Task, what: str) -> None:
    """Prepare the store, add a day to it, or sweep it."""
    {"prepare": prepare, "add": add_a_day, "sweep": sweep}[what](task)


def prepare(task: Task) -> None:
    """Write a store of the log up to the day before the last."""
    shutil.rmtree(_folder(task), ignore_errors=True)
    prepare_store(_market(task, until=LAST_DAY), CONDITIONS, folder=_folder(task))


def add_a_day(task: Task) -> None:
    """Add the last day to that store."""
    before = _contents(task)
    store = prepare_store(_market(task), CONDITIONS, folder=_folder(task))
    if store.contents.base != before.base:
        message = "the base was written anew"
        raise SystemExit(message)


def sweep(task: Task) -> None:
    """Compute features from the store."""
    store = EventStore(_folder(task), _contents(task))
    cutoffs = [EPOCH + timedelta(microseconds=cutoff) for cutoff in task.cutoffs]
    sweep = Sweep(_market(task), SnapshotSpec(None, FEATURES), store)
    write(sweep.at_instants(cutoffs), task)


def _contents(task: Task) -> Contents:
    contents = read_contents(_folder(task))
    if contents is None:
        message = "there is no store"
        raise SystemExit(message)
    return contents


def _folder(task: Task) -> Path:
    return Path(task.folder) / "store"


def _market(task: Task, until: datetime | None = None) -> Market:
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    tables = {
        name: connection.read_parquet(f"{task.folder}/{name}.parquet")
        for name in ("contacts", "events")
    }
    if until is not None:
        tables["events"] = tables["events"].filter(tables["events"].occurred_at < until)
    return Market(tables=tables, settings=MarketSettings(), report=CheckReport((), (), ()))
