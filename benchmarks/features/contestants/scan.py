"""The floor: DuckDB reads every column of the log and computes nothing worth having."""

import duckdb

from benchmarks.features.task import Task


def run(task: Task) -> None:
    """Read all rows."""
    query = (
        "SELECT max(contact_id), max(event_type), max(occurred_at), sum(value) FROM read_parquet(?)"
    )
    duckdb.connect().execute(query, [task.events]).fetchall()
