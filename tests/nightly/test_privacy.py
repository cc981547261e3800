"""A person is told everything that is kept, or forgotten, for good."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mlmarket import cli
from mlmarket.nightly import Night, run_night
from mlmarket.orchestration import StateStore

Opens = Callable[..., Night]
pytestmark = pytest.mark.usefixtures("quick_page")


def command(*arguments: str, answer: str | None = None) -> Any:
    return CliRunner().invoke(cli.app, list(arguments), input=answer)


def naming(folder: Path, *words: str) -> list[str]:
    """Return the files beside the business's own tables in which a word stands, packed or not."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_relative_to(folder / "tables"):
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(pq.read_table(path).to_pylist()).encode()
        if any(word.encode() in content for word in words):
            found.append(str(path.relative_to(folder)))
    return found


def test_a_forgotten_person_is_in_no_file_and_no_later_import_brings_them_back(
    own_shop: Path, night_of: Opens
) -> None:
    night = night_of(own_shop, 20)
    config = ("--config", str(own_shop / "mlmarket.toml"))
    with StateStore.open(night.workspace.state) as store:
        contact = store.outbox("sent")["contact_id"][0].as_py()
    row = next(
        one
        for one in pq.read_table(own_shop / "tables" / "contacts.parquet").to_pylist()
        if one["contact_id"] == contact
    )
    words = [
        str(row[name]) for name in ("contact_id", "email", "external_id", "phone") if row[name]
    ]
    assert naming(own_shop, contact)
    before = json.loads(command("export-person", contact, *config).stdout)
    assert before["state"]["decisions"]
    assert before["state"]["outbox"]
    assert list(before["predictions"]) == ["2026-06-20"]
    assert before["tables"]["contacts"][0]["email"] == row["email"]
    assert command("forget", contact, *config, answer="n\n").exit_code == 1
    assert naming(own_shop, contact)
    done = command("forget", contact, "--yes", *config)
    assert done.exit_code == 0, done.output
    assert "is forgotten here" in done.stdout
    assert naming(own_shop, *words) == []
    after = json.loads(command("export-person", contact, *config).stdout)
    # What stands in the business's own tables is not kept here, and is not shown any more.
    assert (after["predictions"], after["tables"]) == ({}, {})
    assert not any(rows for name, rows in after["state"].items() if name != "contact_id")
    run_night(night_of(own_shop, 22))
    assert naming(own_shop, *words) == []
    predicted = pq.read_table(night_of(own_shop, 22).folder.path / "predictions/contacts.parquet")
    assert contact not in predicted["contact_id"].to_pylist()
    assert predicted.num_rows > 300


def test_a_person_who_comes_back_under_another_id_stays_forgotten(
    own_shop: Path, night_of: Opens
) -> None:
    config = ("--config", str(own_shop / "mlmarket.toml"))
    file = own_shop / "tables" / "contacts.parquet"
    table = pq.read_table(file)
    email = table["email"].drop_null()[0].as_py()
    place = table["email"].to_pylist().index(email)
    contact = table["contact_id"][place].as_py()
    assert command("forget", contact, "--yes", *config).exit_code == 0
    for path in (own_shop / "tables").glob("*.parquet"):
        content = pq.read_table(path)
        if "contact_id" in content.column_names:
            ids = content["contact_id"].to_pylist()
            renamed = ["renamed" if one == contact else one for one in ids]
            at = content.schema.get_field_index("contact_id")
            pq.write_table(content.set_column(at, "contact_id", [renamed]), path)
    market = night_of(own_shop, 22).market()
    assert "renamed" not in market.table("contacts").to_pyarrow()["contact_id"].to_pylist()
