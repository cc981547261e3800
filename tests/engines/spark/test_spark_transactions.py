"""The summary of each contact, computed by DuckDB and by Spark."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from mlmarket.churn import summarize_transactions
from mlmarket.market import Market

AS_OF = datetime(2026, 5, 20, 12, tzinfo=UTC)


def test_a_summary_is_the_same_on_spark(spark: Any, shop: Path) -> None:
    there = Market.open(shop / "mlmarket.toml", spark=spark)
    summary = summarize_transactions(Market.open(shop / "mlmarket.toml"), as_of=AS_OF)
    assert summary["frequency"].sum() > 0
    pd.testing.assert_frame_equal(summarize_transactions(there, as_of=AS_OF), summary)
