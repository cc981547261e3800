"""Simulate a shop from the command line: ``python -m mlmarket.market.samples --folder shop``."""

import argparse
import sys
from pathlib import Path

from mlmarket.errors import MlmarketError
from mlmarket.market.samples.shop import simulate


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : list of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    options = vars(_parser().parse_args(arguments))
    given = {name: value for name, value in options.items() if value is not None}
    try:
        summary = simulate(**given)
    except MlmarketError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for name, rows in sorted(summary.rows.items()):
        sys.stderr.write(f"{name:<24}{rows:>12,} rows\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlmarket.market.samples",
        description="Simulate a shop whose truth is known and write it as Parquet files.",
    )
    parser.add_argument("--folder", type=Path, required=True, help="where to write")
    parser.add_argument("--contacts", type=int, help="number of contacts")
    parser.add_argument("--months", type=int, help="length of the period")
    parser.add_argument("--seed", type=int, help="source of all chance")
    parser.add_argument("--events-per-contact", type=float, help="mean number of events")
    parser.add_argument("--chunk", type=int, help="contacts held in memory")
    parser.add_argument(
        "--no-oracle", dest="oracle", action="store_false", help="leave out the purchase oracle"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
