"""Without notebooks there is nothing to run."""

from pathlib import Path

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

collect_ignore = [] if any(NOTEBOOKS.glob("*.ipynb")) else ["test_notebooks.py"]
