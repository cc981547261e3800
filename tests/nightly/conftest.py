"""A shop so small that a night takes seconds, and a night of it that everybody may copy."""

import hashlib
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mlmarket.market.samples import simulate
from mlmarket.nightly import Night, open_night, run_night
from mlmarket.nightly.authoring import approve_journeys

FIRST = date(2026, 6, 20)

CONFIGURATION = """\
[business]
timezone = "Europe/Lisbon"

[tables.contacts]
source = "tables/contacts.parquet"
timezone = "UTC"

[tables.orders]
source = "tables/orders.parquet"
timezone = "UTC"
complete_until = 2026-07-01T00:00:00+01:00
returns = "amount < 0"

[tables.consents]
source = "tables/consents.parquet"
timezone = "UTC"

[predict.purchase]
needs = {buyers = 50, span_days = 90, regulars = 5}

[predict.churn]
horizon = "30D"
needs = {buyers = 50, span_days = 90, regulars = 5}

[predict.value]
enabled = false

[predict.next_order]
enabled = false

[segments]
files = ["segments.yaml"]

[journeys]
files = ["journeys/*.yaml"]
"""

SEGMENTS = """\
segments:
  likely_to_buy:
    title: Likely to buy in 30 days
    top: {column: purchase_probability_30d, share: 0.10}
    why: "{purchase_probability_30d:percent} chance to order within 30 days"
    action: Show new arrivals
  leaving:
    title: Customers about to leave
    top: {column: churn_probability_30d, share: 0.30}
    why: "{churn_probability_30d:percent} chance of no order within 30 days"
    action: Win back
"""

JOURNEY = """\
journey: win_back
title: Win back
entry: {segment: leaving}
reentry: 180D
steps:
  - message: {name: hello, channel: email, topic: offers, template: one}
  - wait: 2D
  - message: {name: again, channel: email, topic: offers, template: two}
goal: order
exit: {left_segment: true}
expires_after: 30D
holdout: 0.10
"""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a shop where no night was run yet; to be copied, never written to."""
    folder = tmp_path_factory.mktemp("shop")
    simulate(folder / "tables", contacts=400, months=6, oracle=False, events_per_contact=5)
    shutil.rmtree(folder / "tables" / "truth")
    (folder / "mlmarket.toml").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "segments.yaml").write_text(SEGMENTS, encoding="utf-8")
    (folder / "journeys").mkdir()
    (folder / "journeys" / "win_back.yaml").write_text(JOURNEY, encoding="utf-8")
    first = open_night(folder / "mlmarket.toml", FIRST)
    approve_journeys(first, [], by="tests", at=first.as_of)
    return folder


@pytest.fixture(scope="session")
def first_night(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the shop after its first night; to be copied, never written to."""
    folder = tmp_path_factory.mktemp("first") / "shop"
    shutil.copytree(shop, folder)
    run_night(open_night(folder / "mlmarket.toml", FIRST))
    return folder


@pytest.fixture
def new_shop(shop: Path, tmp_path: Path) -> Path:
    """Return a shop of one's own where no night was run yet."""
    return Path(shutil.copytree(shop, tmp_path / "shop"))


@pytest.fixture
def own_shop(first_night: Path, tmp_path: Path) -> Path:
    """Return a shop of one's own after its first night."""
    return Path(shutil.copytree(first_night, tmp_path / "shop"))


@pytest.fixture
def quick_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay out no page: charts take longer than all the rest of a small night."""
    monkeypatch.setattr("mlmarket.reporting.render_report", lambda _: "<html></html>")


@pytest.fixture(scope="session")
def night_of() -> Callable[..., Night]:
    """Return how to open a night of June 2026 in a folder."""

    def open_it(folder: Path, day: int, **options: Any) -> Night:
        return open_night(folder / "mlmarket.toml", date(2026, 6, day), **options)

    return open_it


@pytest.fixture(scope="session")
def results_of() -> Callable[[Path, date], dict[str, object]]:
    """Return how to read all that a night leaves: bytes of files, content of databases."""

    def read(folder: Path, day: date) -> dict[str, object]:
        run = folder / "runs" / day.isoformat()
        files = [path for path in sorted(run.rglob("*")) if path.is_file()]
        found: dict[str, object] = {
            str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if path.parent.name != "manifests"
        }
        for database in (folder / "mlmarket.duckdb", folder / "state" / "journeys.duckdb"):
            found |= _content(database)
        for path in sorted((folder / "models").rglob("*")):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
        for path in sorted((folder / "history").rglob("*")):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
        return found

    return read


def _content(database: Path) -> dict[str, object]:
    with duckdb.connect(str(database), read_only=True) as connection:
        names = [
            row[0] for row in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()
        ]
        return {
            f"{database.name}/{name}": sorted(map(repr, connection.table(name).fetchall()))
            for name in sorted(names)
        }


@pytest.fixture(scope="session")
def tree_of() -> Callable[[Path], dict[str, tuple[int, bytes]]]:
    """Return how to read a folder as it is: every file, when it was written, and its bytes.

    Of the lock only that it is there and empty: some versions of filelock touch it when they
    take it.
    """

    def read(folder: Path) -> dict[str, tuple[int, bytes]]:
        return {
            str(path.relative_to(folder)): (
                0 if path.name == ".mlmarket.lock" else path.stat().st_mtime_ns,
                path.read_bytes(),
            )
            if path.is_file()
            else (0, b"")
            for path in sorted(folder.rglob("*"))
        }

    return read


@pytest.fixture(scope="session")
def leftovers_of() -> Callable[[Path], list[str]]:
    """Return how to find what is not complete and was not cleared away."""

    def read(folder: Path) -> list[str]:
        return [
            str(path.relative_to(folder))
            for path in sorted(folder.rglob("*"))
            if path.name.startswith(".tmp-") or path.suffix in {".tmp", ".wal"}
        ]

    return read
