from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlmarket.market import Market

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """When the tests take place."""
    return NOW


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration and the files it names; return the path of the configuration."""

    def write(configuration: str, files: Mapping[str, str | bytes] | None = None) -> Path:
        for name, content in (files or {}).items():
            data = content.encode() if isinstance(content, str) else content
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        path = tmp_path / "mlmarket.toml"
        path.write_text(configuration, encoding="utf-8")
        return path

    return write


@pytest.fixture
def open_orders(shop: Callable[..., Path]) -> Callable[..., Market]:
    """Open one CSV file of orders under further lines of ``[tables.orders]``."""

    def open_(content: str | bytes, declared: str = 'timezone = "UTC"', **options: Any) -> Market:
        path = shop(f'[tables.orders]\nsource = "orders.csv"\n{declared}', {"orders.csv": content})
        return Market.open(path, now=NOW, **options)

    return open_


@pytest.fixture
def rows() -> Callable[[Any], list[dict[str, Any]]]:
    """Return the rows of an Ibis table, sorted by all their values."""

    def rows_of(table: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
        return sorted(found, key=lambda row: [str(value) for value in row.values()])

    return rows_of
