"""Every notebook runs from its first cell to its last."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
SECONDS = 900
EXECUTE = "from nbclient.cli import main; main()"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_notebook_runs_to_its_end(name: str, tmp_path: Path) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "notebooks")
    # The interpreter that runs the tests, whatever kernels the machine has registered.
    write_kernel_spec(tmp_path / "jupyter" / "kernels" / "python3")
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, "--kernel_name=python3", "--inplace", str(copy / name)],
        env={**os.environ, "JUPYTER_PATH": str(tmp_path / "jupyter")},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        cwd=copy,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    cells = nbformat.read(copy / name, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
