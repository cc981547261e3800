"""On which days did each contact order?

A day is 24 hours counted back from the instant that is asked about, as the features count days: what a
model knows of a contact and what is said about its orders are then the same.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from mlmarket.features import Behaviour
from mlmarket.features.rows import known_rows
from mlmarket.market.columns import CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import instant

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = ["ORDER", "order_days"]

ORDER: Final = Behaviour.parse("order")
_DAY: Final = timedelta(days=1) // timedelta(microseconds=1)


def order_days(market: "Market", *, as_of: datetime) -> "ir.Table":
    """Return the days on which contacts ordered, of what was known at an instant.

    Parameters
    ----------
    market : Market
        With orders.
    as_of : datetime
        Rows after it are not looked at.

    Returns
    -------
    ibis.expr.types.Table
        ``contact_id``, ``day`` (whole days back from `as_of`), and ``first`` and ``last``, the times
        of that day's orders; one row a contact and day.
    """
    rows = known_rows(market, [ORDER], at=as_of)
    age: Any = instant(as_of).delta(rows[OCCURRED_AT], unit="microsecond")
    aged = rows.mutate(day=(age // _DAY).cast("int64"))
    days = aged.group_by([CONTACT_ID, "day"]).aggregate(
        first=aged[OCCURRED_AT].min(), last=aged[OCCURRED_AT].max()
    )
    return cast("ir.Table", days)
