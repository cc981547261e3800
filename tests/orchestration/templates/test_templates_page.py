"""docs/templates.md and its pictures are those of the templates."""

import importlib.util
from pathlib import Path

import pytest

from mlmarket.orchestration.graph import journey_svg
from mlmarket.orchestration.templates import load_template, templates

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("templates_page", DOCS / "templates.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (DOCS / "templates.md").read_text(encoding="utf-8")
    assert written == module.page(), "run python docs/templates.py"


@pytest.mark.parametrize("name", templates())
def test_each_picture_is_that_of_its_template(name):
    picture = (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    assert picture == journey_svg(load_template(name)), "run python docs/templates.py"
