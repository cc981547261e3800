"""What happened next?

A label looks forward through ``(as_of, as_of + horizon]``. Only a window that is closed is read: a
window that is still open would count those who have not bought *yet* as people who never do.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mlmarket.errors import DataContractError
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.rows import behaviour_rows, matches, tables_of
from mlmarket.market.columns import AS_OF, AVAILABLE_AT, CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import duration_text, instant, to_utc, within

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = [
    "LABEL",
    "ORDER_DAYS",
    "VALUE",
    "OpenLabelWindowError",
    "compile_label",
    "compile_value_label",
    "label_complete_until",
    "refuse_open_windows",
]

LABEL = "label"
VALUE = "value"
ORDER_DAYS = "order_days"
"""What was bought after the cutoff: its worth, and the days with an order."""

_WORTH: Final = Behaviour(("order", "return"))
_MICROSECONDS_A_DAY: Final = 86_400_000_000


class OpenLabelWindowError(DataContractError):
    """A label window that has not ended.

    Parameters
    ----------
    cutoff : datetime
        Where the window begins.
    horizon : timedelta
        How long it is.
    table : str
        Whose rows decide.
    complete_until : datetime
        Until when that table is complete.
    """

    def __init__(
        self, *, cutoff: datetime, horizon: timedelta, table: str, complete_until: datetime
    ) -> None:
        begin, until = cutoff.astimezone(UTC), complete_until.astimezone(UTC)
        super().__init__(
            f"The label window of {begin:%Y-%m-%d} ends at {begin + horizon:%Y-%m-%d %H:%M} UTC, "
            f"but '{table}' is complete only until {until:%Y-%m-%d %H:%M} UTC.",
            "Everybody whose time has not come yet would be learned as a 'no'.",
            f"use a cutoff at least {duration_text(horizon)} before that, or set complete_until "
            f"in [tables.{table}] if the table is known to be complete.",
        )


def label_complete_until(
    market: "Market", behaviour: Behaviour, *, as_of: datetime | None = None
) -> datetime:
    """Return until when a label can be known.

    Parameters
    ----------
    market : Market
        The tables.
    behaviour : Behaviour
        What the label is about.
    as_of : datetime, optional
        What was known then.

    Returns
    -------
    datetime
        See :meth:`mlmarket.market.Market.complete_until`; of the table that ends first where
        several decide.
    """
    return _earliest_end(market, behaviour, as_of)[0]


def _earliest_end(
    market: "Market", behaviour: Behaviour, as_of: datetime | None
) -> tuple[datetime, str]:
    ends = ((market.complete_until(name, as_of=as_of), name) for name in tables_of(behaviour))
    return min(ends)


def refuse_open_windows(
    market: "Market",
    behaviour: Behaviour,
    *,
    cutoffs: Sequence[datetime],
    horizon: timedelta,
    known_at: datetime | None,
) -> None:
    """Refuse cutoffs whose label windows have not ended.

    Parameters
    ----------
    market : Market
        The tables.
    behaviour : Behaviour
        What the label is about.
    cutoffs : sequence of datetime
        Aware instants.
    horizon : timedelta
        How far the label looks.
    known_at : datetime or None
        What was known then; None for all that there is.

    Raises
    ------
    OpenLabelWindowError
        At the latest cutoff, where its window is open.
    ConfigurationError
        Where an instant has no zone.
    """
    for cutoff in cutoffs:
        to_utc(cutoff)
    if not cutoffs:
        return
    until, table = _earliest_end(market, behaviour, known_at)
    latest = max(cutoffs).astimezone(UTC)
    if latest + horizon > until:
        raise OpenLabelWindowError(
            cutoff=latest, horizon=horizon, table=table, complete_until=until
        )


def compile_label(
    market: "Market",
    behaviour: Behaviour,
    *,
    at: "datetime | ir.Table",
    horizon: timedelta,
    known_at: datetime | None = None,
) -> "ir.Table":
    """Return the contacts who did something in ``(at, at + horizon]``.

    Parameters
    ----------
    market : Market
        The tables.
    behaviour : Behaviour
        What counts; `negated` is left to the caller, since absence has no rows.
    at : datetime or ibis.expr.types.Table
        The instant for all contacts, or a table of ``contact_id, as_of``.
    horizon : timedelta
        How far to look.
    known_at : datetime, optional
        Rows that became available later are not seen.

    Returns
    -------
    ibis.expr.types.Table
        ``contact_id`` (and ``as_of``), once each.
    """
    rows = behaviour_rows(market, [behaviour])
    keys = [CONTACT_ID]
    if isinstance(at, datetime):
        rows = rows.filter(within(rows[OCCURRED_AT], after=at, until=at + horizon))
    else:
        import ibis

        keys.append(AS_OF)
        rows = rows.inner_join(at, CONTACT_ID)
        end = rows[AS_OF] + ibis.interval(horizon)
        rows = rows.filter(within(rows[OCCURRED_AT], after=rows[AS_OF], until=end))
    if known_at is not None:
        rows = rows.filter(rows[AVAILABLE_AT] <= instant(known_at))
    return rows.filter(matches(rows, behaviour)).select(*keys).distinct()


def compile_value_label(
    market: "Market", *, at: datetime, horizon: timedelta, known_at: datetime | None = None
) -> "ir.Table":
    """Return what contacts bought in ``(at, at + horizon]``.

    Parameters
    ----------
    market : Market
        The tables.
    at : datetime
        The instant for all contacts.
    horizon : timedelta
        How far to look.
    known_at : datetime, optional
        Rows that became available later are not seen.

    Returns
    -------
    ibis.expr.types.Table
        ``contact_id``, once each, of those who ordered or returned something; ``value``, the worth
        of orders less that of returns, in currency, 0 where more came back than was bought; and
        ``order_days``, the 24-hour days, counted from `at`, that have an order.
    """
    rows = behaviour_rows(market, [_WORTH])
    rows = rows.filter(within(rows[OCCURRED_AT], after=at, until=at + horizon))
    if known_at is not None:
        rows = rows.filter(rows[AVAILABLE_AT] <= instant(known_at))
    rows = rows.filter(matches(rows, _WORTH))
    age = rows[OCCURRED_AT].delta(instant(at), unit="microsecond")
    bought = rows["type"] == "order"
    aged = rows.mutate(day=(age // _MICROSECONDS_A_DAY).cast("int64"), bought=bought)
    worth = aged.group_by(CONTACT_ID).aggregate(
        # Money is added up as decimals, so that no order of the rows changes a digit.
        worth=aged["value"].sum(),
        days=aged["day"].nunique(where=aged["bought"]),
    )
    return worth.select(
        CONTACT_ID,
        **{
            VALUE: worth["worth"].cast("float64").fill_null(0.0).clip(lower=0.0),
            ORDER_DAYS: worth["days"].cast("float64").fill_null(0.0),
        },
    )
