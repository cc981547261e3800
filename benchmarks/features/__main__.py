"""How fast and lean are point-in-time features, beside the tools that people use today?

    python -m benchmarks.features --size medium                       # all scenarios, all contestants
    python -m benchmarks.features --size large --scenario one --only "hand SQL" "mlmarket sweep"

The same 40 features (definitions.py) of every contact known at a cutoff, read from two Parquet files and
written to Parquet. Each contestant runs in a process of its own, one after the other. Printed, a table a
scenario: wall seconds, processor seconds of all threads and children, peak resident memory, rows
(contacts times cutoffs) per processor second, processor time per row as a multiple of hand-written SQL's, and
the largest relative difference from its numbers on a sample. ``mlmarket sweep`` opens and checks the tables
and prepares its rows anew, ``mlmarket store`` begins with rows prepared on an earlier night. Peers that are not installed are named and
left out.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.features.measure import ROOT, Cost, run
from benchmarks.features.task import Task

SIZES = {
    "small": (20_000, 1_000_000),
    "medium": (200_000, 10_000_000),
    "large": (1_000_000, 50_000_000),
    "huge": (3_000_000, 150_000_000),
}
"""Contacts and events."""
MONTHS = [datetime(2024 + (6 + n) // 12, (6 + n) % 12 + 1, 1, tzinfo=UTC) for n in range(12)]
"""The firsts of July 2024 to June 2025; the log ends a month later."""
YARDSTICK = "hand SQL"
PEERS = (
    "scan only",
    "hand SQL",
    "polars",
    "pandas",
    "featuretools",
    "mlmarket reference",
    "mlmarket sweep",
    "mlmarket store",
)
"""Who computes features, in this order: all after the yardstick are compared with it."""
PACKAGES = ("duckdb", "polars", "pandas", "pyarrow", "ibis-framework", "numpy", "numba")


@dataclass(frozen=True, slots=True)
class Result:
    """What one contestant cost, and what it wrote."""

    contestant: str
    cost: Cost
    steps: dict[str, float] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def rows_per_second(self) -> float | None:
        """Rows written per second of processor time."""
        rows = self.found.get("rows")
        return rows / self.cost.cpu_seconds if rows else None


@dataclass(frozen=True, slots=True)
class Arena:
    """Where and how contestants are run."""

    folder: Path
    only: tuple[str, ...]
    pythons: dict[str, str]
    repeat: int

    def features_at(self, cutoffs: list[datetime], limit: int | None = None) -> list[Result]:
        """Ask the peers for features at some cutoffs, within a limit of memory."""
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        asked = [name for name in PEERS if not self.only or name in self.only]
        results = [self.best(name, cutoffs, limit) for name in asked]
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        return results

    def best(self, name: str, cutoffs: list[datetime], limit: int | None = None) -> Result:
        """Run a contestant as often as asked, and return its run of least processor time."""
        runs = [self.run(name, cutoffs, limit) for _ in range(self.repeat)]
        best = min(runs, key=lambda one: (bool(one.cost.failure), one.cost.cpu_seconds))
        print(f"  {name}: {_told(best)}", file=sys.stderr)
        return best

    def store(self) -> list[Result]:
        """Prepare mlmarket's event store, and add a day to it."""
        return [self.run(name, []) for name in ("store prepared", "store and a day")]

    def run(self, name: str, cutoffs: list[datetime], limit: int | None = None) -> Result:
        """Run a contestant once; what it wrote is compared with the yardstick, if that has run."""
        output = self.folder / "work" / name
        if name == "mlmarket store" and not (self.folder / "store").is_dir():
            self.run("store prepared", [])
            self.run("store and a day", [])
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        moments = [int(cutoff.timestamp()) * 1_000_000 for cutoff in cutoffs]
        place = output.with_suffix(".json")
        Task(str(self.folder), str(output), moments, limit).write(place)
        python = self.pythons.get(name, sys.executable)
        command = [python, "-m", "benchmarks.features.contestant", name, str(place)]
        cost = run(command, log=output.with_suffix(".log"), memory_megabytes=limit)
        if cost.failure:
            return Result(name, cost)
        steps = json.loads(place.with_suffix(".steps.json").read_text(encoding="utf-8"))
        expected = output.with_name(YARDSTICK)
        found = {}
        if any(output.iterdir()):
            found = _compare(expected if expected.is_dir() else output, output)
        if name != YARDSTICK:
            shutil.rmtree(output)
        return Result(name, cost, steps, found)


def _compare(expected: Path, output: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.features.agreement", str(expected), str(output)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _told(result: Result) -> str:
    cost = result.cost
    spent = (
        f"{cost.wall_seconds:,.1f} s, {cost.cpu_seconds:,.1f} CPU s, {cost.peak_megabytes:,.0f} MB"
    )
    return cost.failure or spent


SCENARIOS: dict[str, tuple[str, Callable[[Arena], list[Result]]]] = {
    "store": ("Event store, two years and then a day more", Arena.store),
    "one": ("One cutoff", lambda arena: arena.features_at(MONTHS[-1:])),
    "twelve": ("Twelve monthly cutoffs", lambda arena: arena.features_at(MONTHS)),
    "memory": (
        "One cutoff, with 1,000 MB of memory",
        lambda arena: arena.features_at(MONTHS[-1:], limit=1_000),
    ),
}
"""Title of each, and what runs it."""


def show(title: str, results: list[Result]) -> None:
    """Print one table, by processor seconds; those that failed stand below."""
    header = f"{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'rows':>13}{'rows/CPU s':>12}{'x SQL':>8}"
    print(f"\n{title}\n{'':20}{header}{'differs by':>12}")
    yardstick = next((one for one in results if one.contestant == YARDSTICK), None)
    for one in sorted(results, key=lambda one: (bool(one.cost.failure), one.cost.cpu_seconds)):
        cost = one.cost
        if cost.failure:
            print(f"{one.contestant:20}  {cost.failure}")
            continue
        cells = f"{cost.wall_seconds:9.1f}{cost.cpu_seconds:9.1f}{cost.peak_megabytes:9,.0f}"
        if one.rows_per_second is not None:
            speed = one.rows_per_second
            beside = yardstick.rows_per_second / speed if yardstick and yardstick.found else None
            multiple = f"{beside:8.2f}" if beside else f"{'':8}"
            apart = f"{one.found['largest_relative_difference']:12.0e}"
            cells += f"{one.found['rows']:13,}{speed:12,.0f}{multiple}{apart}"
        print(f"{one.contestant:20}{cells}{_notes(one)}")


def _notes(result: Result) -> str:
    """Return what a contestant spent on each step, and values that only one side has."""
    parts = [f"{name} {seconds:.1f}" for name, seconds in result.steps.items()]
    lone = result.found.get("values_of_one_only", 0)
    parts += [f"{lone:,} values on one side only"] if lone else []
    return f"  ({', '.join(parts)})" if parts else ""


def prepare(folder: Path, size: str) -> Path:
    """Generate the log unless it is there."""
    target = folder / size
    if not (target / "events.parquet").is_file():
        contacts, events = SIZES[size]
        command = [sys.executable, "-m", "benchmarks.features.data", "--folder", str(target)]
        command += ["--contacts", str(contacts), "--events", str(events)]
        subprocess.run(command, check=True, cwd=ROOT)
    return target


def versions() -> dict[str, str]:
    """Return what was run, and on what."""
    found = {"python": platform.python_version(), "processors": str(os.cpu_count())}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def main() -> None:
    """Run scenarios and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("features-benchmark"))
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--only", nargs="+", choices=PEERS, default=[])
    parser.add_argument("--repeat", type=int, default=1, help="the run of least CPU time counts")
    parser.add_argument("--featuretools", metavar="PYTHON", help="an interpreter that has it")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    pythons = {"featuretools": given.featuretools} if given.featuretools else {}
    folder = prepare(given.folder.absolute(), given.size)
    arena = Arena(folder, tuple(given.only), pythons, given.repeat)
    written: dict[str, Any] = {"size": given.size, "versions": versions(), "scenarios": {}}
    contacts, events = SIZES[given.size]
    for name in given.scenario:
        title, scenario = SCENARIOS[name]
        results = scenario(arena)
        show(f"{title}, {contacts:,} contacts, {events:,} events", results)
        written["scenarios"][name] = [asdict(one) for one in results]
        if given.json:
            given.json.write_text(json.dumps(written, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
