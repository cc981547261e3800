"""How long does a night take, and how much memory? By stage, on a simulated shop of any size.

    python benchmarks/night.py --contacts 200000 --folder /data/big

The shop is simulated into the folder unless it is there (200,000 contacts: about 10 million events and
6 million messages). Then two nights are run, each in a process of its own: one that trains, and the next
day's, which only scores. Printed: wall and CPU seconds and the most memory used by the end of each stage.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from mlmarket.market.samples import sample_folder, simulate

NIGHTS = ("2026-06-29", "2026-06-30")


def prepare(folder: Path, contacts: int) -> Path:
    """Simulate the shop unless it is there, and put the sample shop's configuration beside it."""
    if not (folder / "orders.parquet").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        simulate(folder, contacts=contacts, oracle=False)
    for name in ("mlmarket.toml", "segments.yaml", "journeys"):
        source = sample_folder() / name
        if source.is_dir():
            shutil.copytree(source, folder / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, folder / name)
    return folder / "mlmarket.toml"


def run(config: Path, night: str, output: Path) -> None:
    """Run one night in a process of its own."""
    command = [sys.executable, "-m", "mlmarket", "nightly", "--date", night]
    command += ["--config", str(config), "--output", str(output)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def show(output: Path, night: str, title: str) -> None:
    """Print the stages of a night from their manifests."""
    print(f"\n{title} ({night})")
    print(f"{'stage':14}{'wall s':>10}{'CPU s':>10}{'peak MB':>10}")
    manifests = sorted(
        (output / "runs" / night / "manifests").glob("*.json"),
        key=lambda path: path.stat().st_mtime_ns,
    )
    stages = [json.loads(path.read_text(encoding="utf-8")) for path in manifests]
    for stage in stages:
        print(
            f"{stage['stage']:14}{stage['seconds']:10.1f}{stage['cpu_seconds']:10.1f}"
            f"{stage['peak_megabytes']:10,}"
        )
    wall, cpu = (sum(stage[key] for stage in stages) for key in ("seconds", "cpu_seconds"))
    print(f"{'all':14}{wall:10.1f}{cpu:10.1f}{max(s['peak_megabytes'] for s in stages):10,}")
    rows = {name: count for name, count in stages[0]["counts"].items() if name.endswith("_read")}
    print(", ".join(f"{name.removesuffix('_read')} {count:,}" for name, count in rows.items()))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contacts", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, default=Path("big-shop"))
    given = parser.parse_args()
    config = prepare(given.folder, given.contacts)
    output = given.folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    for night, title in zip(NIGHTS, ("Training and scoring", "Scoring only"), strict=True):
        run(config, night, output)
        show(output, night, title)


if __name__ == "__main__":
    main()
