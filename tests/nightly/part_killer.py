"""Run a night and die, as `kill -9` does, when some parts of its predictions are on the disk.

Usage: part_killer.py CONFIG DATE PARTS CONTACTS_A_PART.
"""

import os
import signal
import sys
from datetime import date
from pathlib import Path
from typing import Any

from mlmarket.nightly import open_night, parts, run_night


def main() -> None:
    """Count the moves of parts to their names, and die after the last one that is allowed."""
    config, day, left = Path(sys.argv[1]), date.fromisoformat(sys.argv[2]), int(sys.argv[3])
    parts.CONTACTS_A_PART = int(sys.argv[4])
    original = Path.replace
    moved: list[str] = []

    def replace(path: Path, target: Any) -> Path:
        result = original(path, target)
        if Path(target).parent.name == "parts" and Path(target).suffix == ".parquet":
            moved.append(Path(target).name)
            if len(moved) == left:
                os.kill(os.getpid(), signal.SIGKILL)
        return result

    Path.replace = replace  # type: ignore[method-assign]
    run_night(open_night(config, day), decide=False)


if __name__ == "__main__":
    main()
