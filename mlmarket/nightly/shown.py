"""What did tonight's recommendations choose, and for whom did they have to fall back?"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.reporting import ItemsSection

if TYPE_CHECKING:
    from mlmarket.market import Market

__all__ = ["items_section"]

_TOLD: Final = frozenset({"by_fallback", "occasions"})
"""Columns of items that were chosen to be shown; what is due again has none of them."""
_COUNTS: Final = "SELECT count(DISTINCT contact_id), count(DISTINCT item_id) FROM shown"
_TOP: Final = """
SELECT item_id, count(*) FROM shown GROUP BY item_id ORDER BY count(*) DESC, item_id LIMIT 10
"""
_LENGTHS: Final = """
SELECT least(occasions, 3) AS length, count(DISTINCT contact_id), avg(by_fallback::INT)
FROM shown GROUP BY length ORDER BY length
"""
_HISTORIES: Final = ("none", "one occasion", "two occasions", "three or more")


def items_section(market: "Market", run: Path, predictor: str) -> ItemsSection | None:
    """Return what the report says of the items that a predictor chose.

    Parameters
    ----------
    market : Market
        Where titles and the catalogue are.
    run : Path
        The run folder.
    predictor : str
        Its name.

    Returns
    -------
    ItemsSection or None
        None where it chose none.
    """
    path = run / "predictions" / "items" / f"{predictor}.parquet"
    if not path.is_file():
        return None
    import duckdb
    import pyarrow.parquet as pq

    if not set(pq.read_schema(path).names) >= _TOLD:
        return None
    with duckdb.connect() as base:
        base.read_parquet(str(path)).create_view("shown")
        ((people, different),) = base.sql(_COUNTS).fetchall()
        top = base.sql(_TOP).fetchall()
        lengths = base.sql(_LENGTHS).fetchall()
    titles = _titles(market, [item for item, _ in top])
    return ItemsSection(
        people=people,
        different=different,
        catalogue=_catalogue(market),
        top=tuple((titles.get(item, item), number) for item, number in top),
        fallback=tuple((_HISTORIES[length], number, share) for length, number, share in lengths),
    )


def _titles(market: "Market", items: list[str]) -> dict[str, str]:
    if not market.has("items") or "title" not in market.table("items").columns:
        return {}
    table = market.table("items")
    few = table.filter(table["item_id"].isin(items)).select("item_id", "title").to_pyarrow()
    return {row["item_id"]: row["title"] or row["item_id"] for row in few.to_pylist()}


def _catalogue(market: "Market") -> int | None:
    """Return how many items the table of items has; None where there is none."""
    if not market.has("items"):
        return None
    return int(market.table("items").count().to_pyarrow().as_py())
