"""What does a process cost? Wall and processor seconds and peak memory, its children included.

The one who asks must be small itself: a process starts with the peak memory of the one it came from.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "run"]

PAUSE = 0.02
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost, and why it failed where it did.

    Parameters
    ----------
    wall_seconds, cpu_seconds : float
        User and system time, of all threads and children.
    peak_megabytes : float
        Largest resident set, mapped files included.
    failure : str
        Empty where it ended well.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_megabytes: float
    failure: str = ""


def run(command: Sequence[str], *, log: Path, memory_megabytes: int | None = None) -> Cost:
    """Run a command to its end, or until it exceeds a limit.

    Parameters
    ----------
    command : sequence of str
        The command.
    log : Path
        Where its output goes.
    memory_megabytes : int, optional
        It is ended when more memory than this is its own (mapped files aside); needs ``/proc``.

    Returns
    -------
    Cost
        What it cost.
    """
    begin, stopped = time.perf_counter(), False
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=ROOT)
        while True:
            done, status, usage = os.wait4(process.pid, os.WNOHANG if memory_megabytes else 0)
            if done:
                break
            if memory_megabytes and _own_megabytes(process.pid) > memory_megabytes:
                process.kill()
                stopped = True
            time.sleep(PAUSE)
    process.returncode = os.waitstatus_to_exitcode(status)
    failure = ""
    if stopped:
        failure = f"more than {memory_megabytes:,} MB"
    elif process.returncode:
        lines = log.read_text(encoding="utf-8").strip().splitlines() or ["no message"]
        failure = f"exit {process.returncode}: {lines[-1]}"
    return Cost(
        time.perf_counter() - begin,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10),
        failure,
    )


def _own_megabytes(process: int) -> float:
    """Return the anonymous and shared memory of a process; 0 where it has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return 0.0
    sizes = dict(line.split(":", 1) for line in lines)
    kilobytes = (sizes.get(name, "0 kB").split()[0] for name in ("RssAnon", "RssShmem"))
    return sum(int(size) for size in kilobytes) / 1024
