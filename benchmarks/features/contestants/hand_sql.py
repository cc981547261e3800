"""DuckDB SQL for exactly these features, as a good engineer would write it: hand_sql.sql."""

from pathlib import Path

import duckdb

from benchmarks.features.task import Task

QUERY = Path(__file__).with_suffix(".sql")


def run(task: Task) -> None:
    """Run the query for each cutoff."""
    connection = duckdb.connect()
    connection.execute("SET VARIABLE events = ?", [task.events])
    connection.execute("SET VARIABLE contacts = ?", [task.contacts])
    if task.memory_megabytes is not None:
        connection.execute(f"SET memory_limit = '{task.memory_megabytes * 6 // 10}MB'")
        connection.execute(f"SET temp_directory = '{task.output}/spill'")
    query = QUERY.read_text(encoding="utf-8")
    for cutoff in task.cutoffs:
        connection.execute("SET VARIABLE as_of = ?::BIGINT", [cutoff])
        target = task.file(cutoff)
        connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
