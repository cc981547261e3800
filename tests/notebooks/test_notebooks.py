"""Every notebook runs from its first cell to its last."""

import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
SECONDS_A_CELL = 300


@pytest.fixture
def kernel(tmp_path: Path) -> AsyncKernelManager:
    """The interpreter that runs the tests, whatever kernels the machine has registered."""
    kernels = tmp_path / "kernels"
    write_kernel_spec(kernels / "python3")
    known = KernelSpecManager(kernel_dirs=[str(kernels)], ensure_native_kernel=False)
    return AsyncKernelManager(kernel_name="python3", kernel_spec_manager=known)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_notebook_runs_to_its_end(
    name: str, kernel: AsyncKernelManager, tmp_path: Path
) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "notebooks")
    notebook = nbformat.read(copy / name, as_version=4)
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=SECONDS_A_CELL,
        resources={"metadata": {"path": str(copy)}},
    )
    client.execute()
    assert kernel.kernel_spec.argv[0] == sys.executable
