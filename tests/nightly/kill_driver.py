"""Run a night and die, as `kill -9` does, at every step that could leave something half done.

Usage: kill_driver.py CONFIG DATE SCRATCH. First an unbroken night is run in SCRATCH, in a process of
its own, to list its steps; then, for each step, the night of CONFIG is taken up again until that step
and killed there. At the end it is run once more, to its end. What was killed is printed.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from mlmarket.nightly import open_night, run_night
from mlmarket.nightly.folder import StageResult
from mlmarket.orchestration import StateStore


class Steps:
    """Notices each step of a night, and calls somebody."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self.notice = notice
        self.stage = ""

    def started(self, stage: str) -> None:
        self.stage = stage
        self.notice(f"{stage}: begins")

    def working(self, stage: str, what: str) -> None:
        self.notice(f"{stage}: {what}")

    def finished(self, result: StageResult, *, skipped: bool) -> None:
        """Notice nothing: a stage is over with the move of its manifest."""

    def watch(self, owner: type | Any, name: str, word: str) -> None:
        """Notice a call of a method when it is done; that is also before the next."""
        original = getattr(owner, name)

        def watched(first: Any, *arguments: Any, **options: Any) -> Any:
            what = Path(arguments[0]).name if word == "move" and arguments else word
            result = original(first, *arguments, **options)
            self.notice(f"{self.stage}: {word} {what}")
            return result

        setattr(owner, name, watched)


def run(config: Path, day: date, notice: Callable[[str], None]) -> None:
    """Run a night in which every step is noticed."""
    steps = Steps(notice)
    steps.watch(Path, "rename", "move")
    steps.watch(Path, "replace", "move")
    steps.watch(StateStore, "commit", "commit")
    run_night(open_night(config, day), progress=steps)


def in_a_process(work: Callable[[], None]) -> int:
    """Run something in a copy of this process, and return how it ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def main() -> None:
    """List the steps, die at each, and end the night."""
    config, day, scratch = Path(sys.argv[1]), date.fromisoformat(sys.argv[2]), Path(sys.argv[3])
    listing = scratch / "steps.txt"

    def write_down(step: str) -> None:
        with listing.open("a", encoding="utf-8") as file:
            file.write(f"{step}\n")

    if in_a_process(lambda: run(scratch / "mlmarket.toml", day, write_down)):
        sys.exit("the unbroken night failed")
    steps = list(dict.fromkeys(listing.read_text(encoding="utf-8").splitlines()))
    for step in steps:

        def die(now: str, at: str = step) -> None:
            if now == at:
                os.kill(os.getpid(), signal.SIGKILL)

        status = in_a_process(lambda die=die: run(config, day, die))
        if os.WIFSIGNALED(status):
            sys.stdout.write(f"killed at {step}\n")
        elif status:
            sys.exit(f"the night failed before {step}")
        else:
            sys.stdout.write(f"ended before {step}\n")
    if in_a_process(lambda: run(config, day, lambda _: None)):
        sys.exit("the night could not be ended")


if __name__ == "__main__":
    main()
