"""How many messages are lost or sent twice where a process dies while it hands them over?

A process that delivers an outbox out of a state file is killed before and after each statement of
the store, each call of an adapter and each step of a request; another one goes on a day later.
The receivers are real: an HTTP server on this machine that honours idempotency keys, one that does
not, a folder of CSV files, and a database table.

    python benchmarks/orchestration_faults.py [ROWS] [BATCH] [STEP]

kills at every STEP-th moment; by default 6 rows in batches of 3 at every moment.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).parents[1] / "tests" / "orchestration" / "handover" / "faults.py"
DEFAULTS: Final = ("6", "3", "1")
HEAD: Final = ("receiver", "killed", "lost", "twice", "unknown", "of them arrived", "most at once")
KEYS: Final = ("receiver", "killed", "lost", "twice", "unknown", "unknown_arrived", "most")


def main() -> None:
    """Print the table as the processes die."""
    given = sys.argv[1:4]
    arguments = (*given, *DEFAULTS[len(given) :])
    print(f"{arguments[0]} rows in batches of {arguments[1]}; sums over all processes killed\n")
    print(f"{HEAD[0]:24}" + "".join(f"{name:>16}" for name in HEAD[1:]), flush=True)
    command = [sys.executable, str(SCRIPT), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            found = json.loads(line)
            cells = "".join(f"{found[key]:>16,}" for key in KEYS[1:])
            print(f"{found['receiver']:24}{cells}", flush=True)
    if running.returncode:
        sys.exit(running.returncode)


if __name__ == "__main__":
    main()
