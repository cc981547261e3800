"""One contestant, in a process of its own.

    python -m benchmarks.features.contestant CONTESTANT TASK.json

Writes the processor time of its steps beside the task, if it has several.
"""

import importlib
import json
import sys
from pathlib import Path

from benchmarks.features.task import Task

MODULES = {
    "scan only": ("scan",),
    "hand SQL": ("hand_sql",),
    "polars": ("polars_streaming",),
    "pandas": ("pandas_frames",),
    "featuretools": ("featuretools_matrix",),
    "mlmarket reference": ("mlmarket_build", "reference"),
    "mlmarket sweep": ("mlmarket_build", "sweep"),
    "mlmarket store": ("mlmarket_store", "sweep"),
    "store prepared": ("mlmarket_store", "prepare"),
    "store and a day": ("mlmarket_store", "add"),
}
"""Module of each contestant, and what its ``run`` takes besides the task."""


def main() -> None:
    """Run it."""
    name, path = sys.argv[1], Path(sys.argv[2])
    task = Task.read(path)
    module, *options = MODULES[name]
    try:
        contestant = importlib.import_module(f"benchmarks.features.contestants.{module}")
    except ModuleNotFoundError as error:
        message = f"not installed: pip install {error.name}"
        raise SystemExit(message) from error
    contestant.run(task, *options)
    path.with_suffix(".steps.json").write_text(json.dumps(task.steps), encoding="utf-8")


if __name__ == "__main__":
    main()
