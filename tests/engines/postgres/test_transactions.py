"""The summary of each contact, computed by DuckDB and by PostgreSQL."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa

from mlmarket.churn import summarize_transactions
from mlmarket.market.settings import BusinessSettings, MarketSettings, TableSettings

AS_OF = datetime(2026, 5, 20, 12, tzinfo=UTC)


def orders(*, rows: int = 800) -> pa.Table:
    """Return orders and returns around a change of the clocks, some without an amount."""
    draw = np.random.default_rng(0)
    cents = draw.integers(0, 9000, rows)
    amounts = [None if some % 50 == 0 else Decimal(int(some)) / 100 for some in cents]
    at = np.datetime64("2026-03-01", "us") + draw.integers(0, 90 * 86_400, rows) * 1_000_000
    return pa.table(
        {
            "contact_id": draw.choice(["Zoe", "anna", "ä\\'", "日本", *map(str, range(60))], rows),
            "order_id": [str(number) for number in range(rows)],
            "ordered_at": pa.array(at),
            "amount": pa.array(amounts, pa.decimal128(18, 4)),
            "back": draw.random(rows) < 0.2,
        }
    )


def test_a_summary_is_the_same_on_the_server(both):
    settings = MarketSettings(
        business=BusinessSettings(timezone="Europe/Lisbon"),
        tables={"orders": TableSettings(returns="back", timezone="UTC")},
    )
    here, there = both(settings=settings, orders=orders())
    summary = summarize_transactions(here, as_of=AS_OF)
    assert summary["frequency"].sum() > 100
    pd.testing.assert_frame_equal(summarize_transactions(there, as_of=AS_OF), summary)


def test_a_summary_without_returns_or_amounts_is_the_same_on_the_server(both):
    here, there = both(orders=orders().drop_columns(["amount", "back"]))
    pd.testing.assert_frame_equal(
        summarize_transactions(there, as_of=AS_OF), summarize_transactions(here, as_of=AS_OF)
    )
