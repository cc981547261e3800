"""Journeys of every shape, as the tests of journeys draw them."""

import importlib.util
from pathlib import Path

import pytest

_PLACE = Path(__file__).parents[1] / "journeys" / "conftest.py"


@pytest.fixture(scope="session")
def drawn():
    """Return the strategy that draws journeys as plain content."""
    spec = importlib.util.spec_from_file_location("drawn_journeys", _PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.journeys
