"""docs/churn.md lists the columns that the predictors write."""

from pathlib import Path

from mlmarket.churn import predictors
from mlmarket.nightly.retention import SAVED

PAGE = Path(__file__).parents[2] / "docs" / "churn.md"
ASKED = ("purchase", "churn", "value", "next_order", "replenishment", "subscription")


def test_every_column_is_on_the_page_in_its_order():
    rows = PAGE.read_text(encoding="utf-8").partition("## All columns")[2].splitlines()
    listed = [row.split("`")[1] for row in rows if row.startswith("| `")]
    written = [name for one in predictors({name: {} for name in ASKED}) for name in one.outputs]
    assert listed == [*written, SAVED]
