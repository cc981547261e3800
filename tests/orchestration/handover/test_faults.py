"""Processes that die in the middle of a delivery, at real receivers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("faults.py")


def killed(kind, *, rows, batch, step):
    """Return what became of the rows, over all processes that were killed."""
    command = [sys.executable, SCRIPT, str(rows), str(batch), str(step), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("kind", "step"), [("webhook, keys honoured", 3), ("table", 5)], ids=["webhook", "table"]
)
def test_where_keys_are_honoured_nothing_is_lost_and_nothing_comes_twice(kind, step):
    found = killed(kind, rows=2, batch=1, step=step)
    assert found["killed"] >= 10
    assert (found["lost"], found["twice"], found["unknown"], found["not_ended"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(("kind", "step"), [("webhook", 3), ("csv", 3)])
def test_elsewhere_nothing_comes_twice_and_what_is_in_doubt_is_counted(kind, step):
    found = killed(kind, rows=2, batch=1, step=step)
    assert found["killed"] >= 18
    assert (found["lost"], found["twice"], found["not_ended"]) == (0, 0, 0)
    # One process in doubt about one batch, no more.
    assert 0 < found["unknown"] < found["killed"]
    assert found["most"] == 1
