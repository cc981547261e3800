import re
import tomllib
from pathlib import Path

import pytest

from mlmarket.market import MarketSettings
from mlmarket.market.columns import ACTIVITY, CHANNELS, RESERVED_TYPES, TABLES, Kind
from mlmarket.market.settings import validate_settings

DOCUMENT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def _documented(table):
    section = DOCUMENT.split(f"\n### {table}\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [tuple(cell.strip().replace(r"\|", "|") for cell in row) for row in cells]


@pytest.mark.parametrize("spec", TABLES.values(), ids=TABLES)
def test_the_document_describes_every_column_of_every_table(spec):
    assert _documented(spec.name) == [
        (
            f"`{column.name}`",
            column.kind.value,
            "yes" if column.needed else "",
            column.description,
        )
        for column in spec.columns
    ]


def test_the_document_describes_the_tables_of_the_contract_and_no_others():
    assert re.findall(r"^### (.+)$", DOCUMENT, re.MULTILINE) == list(TABLES)


@pytest.mark.parametrize("spec", TABLES.values(), ids=TABLES)
def test_the_document_names_purpose_key_and_time(spec):
    section = DOCUMENT.split(f"\n### {spec.name}\n", 1)[1].split("\n|", 1)[0]
    assert spec.purpose in section
    assert all(f"`{name}`" in section for name in spec.key)
    assert (f"Time: `{spec.time}`." if spec.time else "It has no time.") in section


def test_the_document_names_the_columns_and_types_of_behaviour():
    plain = " ".join(DOCUMENT.split())
    assert ", ".join(ACTIVITY) in plain
    assert ", ".join(RESERVED_TYPES) in plain


def test_every_configuration_in_the_document_is_valid():
    examples = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        validate_settings(MarketSettings, tomllib.loads(example), file="mlmarket.toml")


@pytest.mark.parametrize("spec", TABLES.values(), ids=TABLES)
def test_keys_times_and_needed_columns_are_columns(spec):
    names = [column.name for column in spec.columns]
    assert len(set(names)) == len(names)
    assert set(spec.key) <= set(names)
    assert set(spec.needed) <= set(names)
    if spec.time is not None:
        assert spec.column(spec.time).kind is Kind.TIME
        assert spec.time in spec.needed


def test_a_column_that_the_contract_does_not_know_is_none():
    assert TABLES["orders"].column("colour") is None


def test_every_channel_is_named_once():
    assert len(set(CHANNELS)) == len(CHANNELS)
