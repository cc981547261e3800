"""Which rows tell what a contact did, and when were they known?"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from mlmarket.expressions import parse_condition, schema_of
from mlmarket.features.behaviour import Behaviour
from mlmarket.market.columns import (
    ACTIVITY,
    AS_OF,
    AVAILABLE_AT,
    CONTACT_ID,
    OCCURRED_AT,
    RESERVED_TYPES,
)
from mlmarket.market.time import instant, within

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = ["behaviour_rows", "known_rows", "matches", "tables_of"]

ITEM: Final = "item_"
"""Before a column of items, where a condition over rows looks at it."""

_NO: Final = False
_OF_ITEM: Final = re.compile(rf"\b{ITEM}(?!id\b)\w", re.IGNORECASE)
_ORDER_TYPES: Final = frozenset({"order", "return"})


def tables_of(behaviour: Behaviour) -> frozenset[str]:
    """Return the tables that hold the rows of a behaviour.

    Parameters
    ----------
    behaviour : Behaviour
        What is asked for.

    Returns
    -------
    frozenset of str
        Of ``orders, messages, events, outcomes``.
    """
    if behaviour.table == "outcomes":
        return frozenset({"outcomes"})
    types = set(behaviour.types)
    held = {
        "orders": types & _ORDER_TYPES,
        "messages": types & (set(RESERVED_TYPES) - _ORDER_TYPES),
        "events": types - set(RESERVED_TYPES),
    }
    return frozenset(table for table, some in held.items() if some)


def behaviour_rows(market: "Market", behaviours: Sequence[Behaviour]) -> "ir.Table":
    """Return the rows that some behaviours may be made of, in the form of activity.

    Parameters
    ----------
    market : Market
        The tables.
    behaviours : sequence of Behaviour
        What is asked for; nothing means all activity.

    Returns
    -------
    ibis.expr.types.Table
        The columns of :data:`mlmarket.market.columns.ACTIVITY`; ``source`` is ``outcomes`` for
        outcomes, whose ``type`` is the outcome. Where a condition looks at the item of a row, also
        the columns of items, as ``item_category`` and the like.
    """
    import ibis

    types = {kind for one in behaviours if one.table == "activity" for kind in one.types}
    parts = [market.activity(*sorted(types))] if types or not behaviours else []
    if any(one.table == "outcomes" for one in behaviours):
        parts.append(_outcomes(market))
    rows = ibis.union(*parts) if len(parts) > 1 else parts[0]
    if market.has("items") and any(_OF_ITEM.search(one.where or "") for one in behaviours):
        rows = _with_items(rows, market.table("items"))
    return rows


def _with_items(rows: "ir.Table", items: "ir.Table") -> "ir.Table":
    facts = {f"{ITEM}{name}": items[name] for name in items.columns if name != "item_id"}
    named = items.select("item_id", **facts)
    joined = rows.left_join(named, "item_id")
    return joined.select(*rows.columns, *facts)


def _outcomes(market: "Market") -> "ir.Table":
    import ibis

    table = market.table("outcomes")
    schema = market.activity("order").schema()
    available = table[OCCURRED_AT]
    if AVAILABLE_AT in table.columns:
        available = table[AVAILABLE_AT].coalesce(available)
    columns: dict[str, Any] = {
        CONTACT_ID: table[CONTACT_ID],
        "type": table["outcome"],
        OCCURRED_AT: table[OCCURRED_AT],
        AVAILABLE_AT: available,
        "source": ibis.literal("outcomes"),
    }
    if "value" in table.columns:
        columns["value"] = table["value"]
    return table.select(**{name: columns.get(name, ibis.null(schema[name])) for name in ACTIVITY})


def known_rows(
    market: "Market",
    behaviours: Sequence[Behaviour],
    *,
    at: "datetime | ir.Table",
    only: "ir.Table | None" = None,
) -> "ir.Table":
    """Return the rows that had happened and were known at an instant.

    Parameters
    ----------
    market : Market
        The tables.
    behaviours : sequence of Behaviour
        What is asked for; nothing means all activity.
    at : datetime or ibis.expr.types.Table
        The instant for all contacts, or a table of ``contact_id, as_of``.
    only : ibis.expr.types.Table, optional
        Only contacts whose ``contact_id`` is in it.

    Returns
    -------
    ibis.expr.types.Table
        As :func:`behaviour_rows`, with ``as_of`` where `at` is a table.
    """
    rows = behaviour_rows(market, behaviours)
    if only is not None:
        rows = rows.semi_join(only, CONTACT_ID)
    if isinstance(at, datetime):
        moment: Any = instant(at)
    else:
        rows = rows.inner_join(at, CONTACT_ID)
        moment = rows[AS_OF]
    known = within(rows[OCCURRED_AT], until=moment) & within(rows[AVAILABLE_AT], until=moment)
    return rows.filter(known)


def matches(table: "ir.Table", behaviour: Behaviour) -> "ir.BooleanValue":
    """Return whether a row belongs to a behaviour.

    Parameters
    ----------
    table : ibis.expr.types.Table
        With the columns of activity.
    behaviour : Behaviour
        Its types, table and condition; `within` and `negated` are not looked at.

    Returns
    -------
    ibis.expr.types.BooleanValue
        Never missing: a condition that cannot be decided does not hold.

    Raises
    ------
    ExpressionError
        Where the condition cannot be read.
    """
    same = table["type"].isin(behaviour.types)
    of_outcomes = table["source"] == "outcomes"
    same &= of_outcomes if behaviour.table == "outcomes" else ~of_outcomes
    if behaviour.where is not None:
        kinds = schema_of(table)
        items = [name for name in kinds if name.startswith(ITEM) and name not in ACTIVITY]
        schema = {name: kinds[name] for name in (*ACTIVITY, *items)}
        condition = parse_condition(behaviour.where, schema=schema).to_ibis(table)
        same &= cast("ir.BooleanValue", condition)
    return same.fill_null(_NO)
