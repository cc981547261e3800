"""What happened next?

A label looks forward through ``(as_of, as_of + horizon]``. Only a window that is closed is read: a
window that is still open would count those who have not bought *yet* as people who never do.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlmarket.errors import DataContractError
from mlmarket.features.algebra import Behaviour
from mlmarket.features.ibis_compiler import matches
from mlmarket.market.columns import AS_OF, AVAILABLE_AT, CONTACT_ID, OCCURRED_AT, RESERVED_TYPES
from mlmarket.market.time import duration_text, instant, within

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = ["LABEL", "OpenLabelWindowError", "compile_label", "label_complete_until", "label_table"]

LABEL = "label"


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
        end = (cutoff + horizon).astimezone(UTC)
        super().__init__(
            f"The label window of {cutoff:%Y-%m-%d} ends at {end:%Y-%m-%d %H:%M} UTC, but "
            f"'{table}' is complete only until {complete_until:%Y-%m-%d %H:%M} UTC.",
            "Everybody whose time has not come yet would be learned as a 'no'.",
            f"use a cutoff at least {duration_text(horizon)} before that, or set complete_until "
            f"in [tables.{table}] if the table is known to be complete.",
        )


def label_table(behaviour: Behaviour) -> str:
    """Return the table whose rows decide a label."""
    if behaviour.table == "outcomes":
        return "outcomes"
    if set(behaviour.types) <= {"order", "return"}:
        return "orders"
    return "messages" if set(behaviour.types) <= set(RESERVED_TYPES) else "events"


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
        See :meth:`Market.complete_until`.
    """
    return market.complete_until(label_table(behaviour), as_of=as_of)


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
    rows = _rows(market, behaviour)
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


def _rows(market: "Market", behaviour: Behaviour) -> "ir.Table":
    if behaviour.table == "activity":
        return market.activity(*behaviour.types)
    outcomes = market.table("outcomes")
    available = outcomes[OCCURRED_AT]
    if AVAILABLE_AT in outcomes.columns:
        available = outcomes[AVAILABLE_AT].coalesce(available)
    return outcomes.mutate(type=outcomes.outcome, available_at=available)
