"""What can be done from the command line?

Data goes to files, what people read to the terminal, logs to standard error: a line for each stage on
a terminal, JSON otherwise. Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration, 3 the
data broke the contract, 4 a quality gate stopped publication.
"""

import os
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from mlmarket.cli import journeys, nights, outgoing
from mlmarket.cli.application import app
from mlmarket.cli.terminal import ROOT, complain
from mlmarket.errors import MlmarketError, RunError

__all__ = ["app", "journeys", "main", "nights", "outgoing"]


def main() -> None:
    """Run the command line and leave with the exit code of what went wrong."""
    try:
        app(standalone_mode=True)
    except MlmarketError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except Exception as error:  # a fault of ours: whoever runs the night gets three lines too
        crash = _crashed(error)
        complain(str(crash))
        sys.exit(crash.exit_code)
    finally:
        _stop_spark()


def _stop_spark() -> None:
    """Stop the session that a command made, so that its executors are given back at once."""
    if "pyspark" in sys.modules:
        from pyspark.sql import SparkSession

        session = SparkSession.getActiveSession()
        if session is not None:
            session.stop()


def _crashed(error: Exception) -> RunError:
    """Write down where an unexpected error came from, and return what to say of it."""
    text = "".join(traceback.format_exception(error))
    name = f"crash-{datetime.now(UTC):%Y-%m-%dT%H%M%S}-{os.getpid()}.log"
    root = ROOT.get()
    places = [Path(tempfile.gettempdir()) / f"mlmarket-{name}"]
    if root is not None and root.is_dir():
        places.insert(0, root / "logs" / name)
    written = "nowhere, since nothing could be written"
    for place in places:
        try:
            place.parent.mkdir(exist_ok=True)
            place.write_text(text, encoding="utf-8")
        except OSError:
            continue
        written = f"'{place}'"
        break
    return RunError(
        f"mlmarket stopped on an error that it does not know: {type(error).__name__}.",
        "Finished stages are whole; running the same night again goes on from there.",
        f"report it with the log in {written}; look through it first, it may quote your data.",
    )
