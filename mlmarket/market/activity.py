"""What did people do, whichever table says so?

Orders, messages and events become rows of one form. A branch that cannot hold the types asked for
is not read at all.
"""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

import ibis

from mlmarket.market.casts import MONEY
from mlmarket.market.columns import ACTIVITY, RESERVED_TYPES
from mlmarket.market.tables import IS_RETURN

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["activity_of"]

_MESSAGE_TIMES: Final = {
    "send": "sent_at",
    "open": "opened_at",
    "click": "clicked_at",
    "bounce": "bounced_at",
    "complaint": "complained_at",
    "unsubscribe": "unsubscribed_at",
}


def activity_of(tables: Mapping[str, "ir.Table"], types: Collection[str] = ()) -> "ir.Table":
    """Return the union of behaviour of several tables.

    Parameters
    ----------
    tables : mapping of str to ibis.expr.types.Table
        In the contract's form.
    types : collection of str, optional
        Types wanted; empty means all.

    Returns
    -------
    ibis.expr.types.Table
        The columns of :data:`mlmarket.market.columns.ACTIVITY`; no rows where no table can hold
        the types.
    """
    wanted = set(types)
    branches: list[ir.Table] = []
    if "orders" in tables:
        branches += _orders(tables["orders"], wanted)
    if "messages" in tables:
        branches += _messages(tables["messages"], wanted)
    if "events" in tables and (not wanted or wanted - set(RESERVED_TYPES)):
        branches.append(_events(tables["events"], wanted - set(RESERVED_TYPES)))
    if not branches:
        anything = next(iter(tables.values()))
        return _row(anything, "", type=ibis.literal("")).filter(ibis.literal(value=False))
    return ibis.union(*branches) if len(branches) > 1 else branches[0]


def _row(table: "ir.Table", source: str, **columns: Any) -> "ir.Table":  # noqa: ANN401
    """Return a table in the form of activity; columns not given are missing."""
    absent: dict[str, Callable[[], ir.Value]] = {
        "contact_id": lambda: ibis.null("string"),
        "type": lambda: ibis.null("string"),
        "occurred_at": lambda: ibis.null("timestamp(6)"),
        "available_at": lambda: ibis.null("timestamp(6)"),
        "item_id": lambda: ibis.null("string"),
        "value": lambda: ibis.null(MONEY),
        "campaign_id": lambda: ibis.null("string"),
        "row_id": lambda: ibis.null("string"),
    }
    columns["source"] = ibis.literal(source)
    for name, make in absent.items():
        columns.setdefault(name, make())
    return table.select(**{name: columns[name] for name in ACTIVITY})


def _given(table: "ir.Table", **names: str) -> "dict[str, ir.Value]":
    """Return those columns of a table that it has, under the names of activity."""
    return {target: table[name] for target, name in names.items() if name in table.columns}


def _orders(orders: "ir.Table", wanted: set[str]) -> "list[ir.Table]":
    if wanted and not wanted & {"order", "return"}:
        return []
    if wanted and "order" not in wanted:
        orders = orders.filter(orders[IS_RETURN])
    elif wanted and "return" not in wanted:
        orders = orders.filter(~orders[IS_RETURN])
    given = _given(
        orders, available_at="available_at", item_id="item_id", value="amount", row_id="order_id"
    )
    given["available_at"] = ibis.coalesce(
        given.get("available_at", ibis.null("timestamp(6)")), orders.ordered_at
    )
    kind = orders[IS_RETURN].ifelse("return", "order")
    row = _row(
        orders,
        "orders",
        contact_id=orders.contact_id,
        type=kind,
        occurred_at=orders.ordered_at,
        **given,
    )
    return [row]


def _messages(messages: "ir.Table", wanted: set[str]) -> "list[ir.Table]":
    branches = []
    for kind, column in _MESSAGE_TIMES.items():
        if (wanted and kind not in wanted) or column not in messages.columns:
            continue
        rows = messages.filter(messages[column].notnull())
        if kind == "open" and "is_machine_open" in messages.columns:
            rows = rows.filter(~rows.is_machine_open.fill_null(ibis.literal(value=False)))
        branches.append(
            _row(
                rows,
                "messages",
                contact_id=rows.contact_id,
                type=ibis.literal(kind),
                occurred_at=rows[column],
                available_at=rows[column],
                row_id=rows.message_id,
                **_given(rows, campaign_id="campaign_id"),
            )
        )
    return branches


def _events(events: "ir.Table", wanted: set[str]) -> "ir.Table":
    if wanted:
        events = events.filter(events.event_type.isin(sorted(wanted)))
    given = _given(
        events,
        available_at="available_at",
        item_id="item_id",
        value="value",
        campaign_id="campaign_id",
        row_id="event_id",
    )
    given["available_at"] = ibis.coalesce(
        given.get("available_at", ibis.null("timestamp(6)")), events.occurred_at
    )
    return _row(
        events,
        "events",
        contact_id=events.contact_id,
        type=events.event_type,
        occurred_at=events.occurred_at,
        **given,
    )
