"""Markets made of a few rows, without the checks, so that hundreds can be tried."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from mlmarket.market import Market
from mlmarket.market.settings import MarketSettings

IS_RETURN = "is_return"
TEXT, TIME, MONEY = pa.string(), pa.timestamp("us"), pa.decimal128(18, 4)
SCHEMAS = {
    "contacts": pa.schema(
        {
            "contact_id": TEXT,
            "created_at": TIME,
            "country": TEXT,
            "age": pa.float64(),
            "order_count": pa.int64(),
        }
    ),
    "orders": pa.schema(
        {
            "contact_id": TEXT,
            "order_id": TEXT,
            "ordered_at": TIME,
            "item_id": TEXT,
            "amount": MONEY,
            "available_at": TIME,
            IS_RETURN: pa.bool_(),
        }
    ),
    "events": pa.schema(
        {
            "contact_id": TEXT,
            "event_type": TEXT,
            "occurred_at": TIME,
            "available_at": TIME,
            "value": MONEY,
        }
    ),
    "messages": pa.schema(
        {
            "message_id": TEXT,
            "contact_id": TEXT,
            "channel": TEXT,
            "sent_at": TIME,
            "opened_at": TIME,
            "clicked_at": TIME,
            "unsubscribed_at": TIME,
            "is_machine_open": pa.bool_(),
        }
    ),
    "outcomes": pa.schema(
        {
            "contact_id": TEXT,
            "outcome": TEXT,
            "occurred_at": TIME,
            "available_at": TIME,
            "value": MONEY,
        }
    ),
}

Rows = Sequence[dict[str, Any]]
MakeMarket = Callable[..., Market]


@pytest.fixture(scope="session")
def as_of() -> datetime:
    """Return an instant to look from."""
    return datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def make_market() -> MakeMarket:
    """Return a function from rows by table to a market on one connection."""
    first = pa.table({"contact_id": ["a"], "order_id": ["1"], "ordered_at": ["2026-01-01"]})
    base = Market.from_tables(orders=first)
    connection = base.table("contacts").get_backend()

    def make(settings: MarketSettings | None = None, **tables: Rows | pa.Table) -> Market:
        written = {}
        for name, given in tables.items():
            is_table = isinstance(given, pa.Table)
            rows = given if is_table else _table(given, SCHEMAS[name])
            written[name] = connection.create_table(f"tried_{name}", rows, overwrite=True)
        return replace(base, tables=written, settings=settings or MarketSettings())

    return make


def _table(rows: Rows, schema: pa.Schema) -> pa.Table:
    """Return rows as the tables hold them: times in UTC, without a zone."""
    naive = [
        {k: v.replace(tzinfo=None) if isinstance(v, datetime) else v for k, v in row.items()}
        for row in rows
    ]
    return pa.Table.from_pylist(naive, schema=schema)
