"""docs/features.md names every operation and set, and its examples are read."""

import re
import tomllib
from pathlib import Path

from mlmarket.features import FEATURE_SETS, Behaviour, FeatureSettings, algebra, declared_features

PAGE = (Path(__file__).parents[2] / "docs" / "features.md").read_text(encoding="utf-8")


def rows_below(heading: str) -> list[str]:
    section = re.split(rf"^## {heading}$", PAGE, flags=re.MULTILINE)[1].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_every_operation_and_every_set_is_on_the_page() -> None:
    assert sorted(rows_below("Operations")) == sorted(algebra.__all__)
    assert rows_below("Sets") == list(FEATURE_SETS)


def test_the_declarations_on_the_page_are_read() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    declared = [tomllib.loads(block).get("features", {}) for block in blocks]
    found = declared_features({k: FeatureSettings(**v) for one in declared for k, v in one.items()})
    assert list(found) == ["shoe_share", "deep_reading", "late", "tariff"]


def test_the_behaviours_on_the_page_are_read() -> None:
    (block,) = re.findall(r"^```text\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [re.split(r" {3,}", line)[0] for line in block.splitlines()]
    assert [str(Behaviour.parse(line)) for line in lines] == [
        "order",
        "upgrade",
        '"Page View" where value > 3',
        "click | open",
        "outcome won",
        "order where item_category = 'Shoes'",
    ]
