"""On which days did each contact buy, and at what value after returns?"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

import ibis

from mlmarket.churn.local_days import local_day
from mlmarket.market import Market
from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID
from mlmarket.market.tables import IS_RETURN
from mlmarket.market.time import within

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["purchase_days", "purchases_by_contact"]

_SUM: Final = "decimal(38, 4)"
_NOTHING: Final = ibis.literal(0).cast(_SUM)
_UNKNOWN: Final = ibis.null(_SUM)


def purchase_days(market: Market, *, as_of: datetime) -> "ir.Table":
    """Return the days on which each contact bought.

    Parameters
    ----------
    market : Market
        With orders.
    as_of : datetime
        Rows after it, or that were not there yet, are not looked at.

    Returns
    -------
    ibis.expr.types.Table
        ``contact_id``, ``day`` (local, days since 1970) and, where there are amounts, ``value``
        after returns: missing where it is not known.

    Raises
    ------
    ConfigurationError
        Where the market has no orders, or `as_of` no zone.
    """
    orders: Any = market.table("orders")
    known = within(orders.ordered_at, until=as_of)
    if AVAILABLE_AT in orders.columns:
        known &= within(orders[AVAILABLE_AT].coalesce(orders.ordered_at), until=as_of)
    lines = orders.filter(known)
    looked = lines.aggregate(
        first=lines.ordered_at.min(), returns=lines.count(where=lines[IS_RETURN])
    ).to_pyarrow()
    first, returns = (looked.column(name)[0].as_py() for name in ("first", "returns"))
    begin = as_of if first is None else first.replace(tzinfo=UTC)
    day = local_day(lines.ordered_at, market.zone, first=begin, last=max(begin, as_of))
    lines = lines.mutate(day=day)
    return cast("ir.Table", _daily(lines) if not returns else _daily_after_returns(lines))


def _daily(lines: Any) -> Any:  # noqa: ANN401 - its columns are known by name
    """Add up lines of which none is a return."""
    sums: dict[str, Any] = {}
    if "amount" in lines.columns:
        unknown = lines.amount.isnull().ifelse(1, 0).max() == 1
        sums["value"] = unknown.ifelse(_UNKNOWN, lines.amount.sum().cast(_SUM))
    keys = [CONTACT_ID, "day"]
    return lines.group_by(keys).aggregate(**sums) if sums else lines.select(*keys).distinct()


def _daily_after_returns(lines: Any) -> Any:  # noqa: ANN401 - its columns are known by name
    """Add up lines, and take what was given back off the last purchase before it."""
    purchases = _daily(lines.filter(~lines[IS_RETURN]))
    if "amount" not in lines.columns:
        return purchases
    given_back = lines.filter(lines[IS_RETURN])
    rows = ibis.union(
        purchases.mutate(bought=purchases.day, returned=_NOTHING, place=ibis.literal(0)),
        given_back.group_by([CONTACT_ID, "day"]).aggregate(
            value=_UNKNOWN,
            bought=ibis.null("int64"),
            returned=given_back.amount.sum().fill_null(0).cast(_SUM),
            place=ibis.literal(1),
        ),
    )
    # Of one day, the purchase comes before the return: rows of one place would be in any order.
    order = [rows.day, rows.place]
    so_far = ibis.cumulative_window(group_by=rows[CONTACT_ID], order_by=order)
    placed = rows.mutate(day=rows.bought.max().over(so_far))
    placed = placed.filter(placed.day.notnull())
    net = placed.group_by([CONTACT_ID, "day"]).aggregate(
        value=placed.value.max(), returned=placed.returned.sum().cast(_SUM)
    )
    # Returns are below 0. A missing value stays missing: nothing is known of what is left.
    left = net.value + net.returned
    value = (left < _NOTHING).ifelse(_NOTHING, left)
    return net.select(CONTACT_ID, "day", value=value)


def purchases_by_contact(days: "ir.Table") -> "ir.Table":
    """Return how often and when each contact bought, and what it spent after the first day.

    Parameters
    ----------
    days : ibis.expr.types.Table
        As :func:`purchase_days` returns it.

    Returns
    -------
    ibis.expr.types.Table
        ``contact_id``, ``days`` with a purchase, ``first_day``, ``latest_day`` and, where there are
        values, ``spent`` after the first day and the ``known`` days whose values are in it.
    """
    table: Any = days
    sums = {
        "days": table.count(),
        "first_day": table.day.min(),
        "latest_day": table.day.max(),
    }
    if "value" in days.columns:
        value = table.value.fill_null(_NOTHING)
        known = table.value.notnull().ifelse(1, 0)
        sums["spent"] = value.sum() - value.argmin(table.day)
        sums["known"] = known.sum() - known.argmin(table.day)
    return cast("ir.Table", table.group_by(CONTACT_ID).aggregate(**sums))
