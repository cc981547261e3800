"""How often has each contact bought, when last, for how long is it known, and at what value?

The one way from order lines to the summary that buy-till-you-die models learn from.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mlmarket.churn.btyd.histories import FREQUENCY, LENGTH, MONETARY_VALUE, RECENCY, UNIT
from mlmarket.churn.local_days import day_number
from mlmarket.churn.purchase_days import purchase_days, purchases_by_contact
from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.market.settings import BusinessSettings, MarketSettings, TableSettings
from mlmarket.market.tables import IS_RETURN
from mlmarket.market.time import duration_text, parse_duration, to_utc

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["orders_market", "summarize_transactions"]

_DAY: Final = timedelta(days=1)
_FAR: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""No row of a frame is refused for being late: what is after as_of is not looked at."""


def summarize_transactions(
    orders: object, *, as_of: datetime, unit: str | timedelta = "7D", timezone: str | None = None
) -> "pd.DataFrame":
    """Return what buy-till-you-die models need to know of each contact.

    Parameters
    ----------
    orders : Market, pandas.DataFrame, polars.DataFrame or pyarrow.Table
        A market with orders, or order lines with ``contact_id``, ``ordered_at`` and, where there
        are any, ``amount``, ``is_return``, ``available_at``. Without ``is_return``, lines below 0
        (by ``amount``, else by ``quantity``) are returns.
    as_of : datetime
        The end of observation; rows after it, or that were not there yet, are not looked at.
    unit : str or timedelta, default "7D"
        What times are measured in.
    timezone : str, optional
        IANA zone in which a day begins, and of times of a frame that carry none; by default UTC.
        A market has its own.

    Returns
    -------
    pandas.DataFrame
        One row a contact that has bought, sorted by ``contact_id``:

        - ``frequency``: days with a purchase after the first one (x), int64;
        - ``recency``: units from the first such day to the last (t_x), 0 where frequency is;
        - ``T``: units from the first such day to that of `as_of`;
        - ``monetary_value``, where there are amounts: mean value of the days counted in frequency,
          0 where there is none.

        ``attrs["unit"]`` holds the unit, and models refuse another than theirs.

    Raises
    ------
    ConfigurationError
        Where an argument is wrong.
    ContractViolationError
        Where the rows break the data contract.

    Notes
    -----
    Lines of one local day are one purchase, however many orders they belong to; a line that stands
    twice therefore changes no time, but counts twice in the value. A return is no purchase: it
    lessens the value of the contact's last purchase at or before it, at most to 0, and a purchase
    that was returned whole is still one. Where any line of a day has no amount, the value of that
    day is unknown and left out of the mean; ``monetary_value`` is missing where none is known.

    References
    ----------
    Fader, Hardie and Lee (2005), "Counting your customers" the easy way: an alternative to the
    Pareto/NBD model, Marketing Science 24(2).

    Examples
    --------
    >>> import pandas as pd
    >>> days = ["2026-05-01", "2026-05-15", "2026-05-15"]
    >>> orders = pd.DataFrame({"contact_id": "a", "ordered_at": days, "amount": [9, 4, 8]})
    >>> summarize_transactions(orders, as_of=datetime(2026, 5, 29, tzinfo=UTC))
      contact_id  frequency  recency    T  monetary_value
    0          a          1      2.0  4.0            12.0
    """
    length = parse_duration(unit)
    to_utc(as_of)
    market = orders_market(orders, timezone=timezone)
    days = purchase_days(market, as_of=as_of)
    table = purchases_by_contact(days).to_pyarrow().sort_by(CONTACT_ID)  # by bytes, on any engine
    return _in_units(table, last_day=day_number(as_of, market.zone), unit=length)


def orders_market(orders: object, *, timezone: str | None = None) -> Market:
    """Return a market of order lines, or the one given.

    Parameters
    ----------
    orders : Market, pandas.DataFrame, polars.DataFrame or pyarrow.Table
        As :func:`summarize_transactions` takes it.
    timezone : str, optional
        As there.

    Returns
    -------
    Market
        With orders.

    Raises
    ------
    ConfigurationError
        Where a market is given a zone that is not its own, or the frame is none.
    ContractViolationError
        Where the rows break the data contract.
    """
    if isinstance(orders, Market):
        own = orders.settings.business.timezone
        if timezone not in {None, own}:
            raise ConfigurationError(
                f"The market's days begin in {own}, not in {timezone}.",
                "One purchase a day needs one answer to when a day begins.",
                "leave timezone= out, or set it in [business].",
            )
        return orders
    lines = _with_order_ids(to_arrow(orders, name="orders"))
    table = TableSettings(returns=_returns(lines.schema))
    settings = MarketSettings(
        business=BusinessSettings(timezone=timezone or "UTC"), tables={"orders": table}
    )
    return Market.from_tables(timezone=timezone or "UTC", settings=settings, now=_FAR, orders=lines)


def _with_order_ids(lines: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    if "order_id" in lines.column_names:
        return lines
    return lines.append_column("order_id", pa.array(range(lines.num_rows), pa.int64()))


def _returns(schema: "pa.Schema") -> str | None:
    """Return by what the returns of a frame are known."""
    import pyarrow.types as types

    if IS_RETURN in schema.names:
        return IS_RETURN
    for name in ("amount", "quantity"):
        if name in schema.names:
            kind = schema.field(name).type
            is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
            return f"{name} < 0" if is_number else None
    return None


def _in_units(table: "pa.Table", *, last_day: int, unit: timedelta) -> "pd.DataFrame":
    import pandas as pd

    wide = table.to_pandas()
    day = _DAY / unit
    frequency = wide["days"].astype("int64") - 1
    columns = {
        CONTACT_ID: wide[CONTACT_ID].astype("str"),
        FREQUENCY: frequency,
        RECENCY: (wide["latest_day"] - wide["first_day"]).astype("float64") * day,
        LENGTH: (last_day - wide["first_day"]).astype("float64") * day,
    }
    if "spent" in wide:
        mean = wide["spent"].astype("float64") / wide["known"].where(wide["known"] > 0)
        columns[MONETARY_VALUE] = mean.where(frequency > 0, 0.0)
    summary = pd.DataFrame(columns)
    summary.attrs[UNIT] = duration_text(unit)
    return summary
