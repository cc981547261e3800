"""Which features does a market allow, without anybody asking?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mlmarket.expressions.dialects import in_code_order
from mlmarket.features.algebra import (
    attribute,
    count,
    days_active,
    first_touch,
    gap_mean,
    gap_std,
    maximum,
    mean,
    ratio,
    recency,
    total,
    trend,
)
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.feature import Feature, Operation
from mlmarket.market.columns import AS_OF, AVAILABLE_AT, CONTACT_ID, OCCURRED_AT, TABLES
from mlmarket.market.history import looks_like_outcome, recorded_since
from mlmarket.market.time import to_utc, within

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt
    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = ["AttributeChoice", "choose_attributes", "default_features"]

_MOST_EVENT_TYPES: Final = 12
_MOST_CATEGORIES: Final = 100
_NEVER: Final = frozenset({"contact_id", "external_id", "email", "phone", "account_id", "timezone"})


@dataclass(frozen=True, slots=True)
class AttributeChoice:
    """Which attributes of contacts are used, and why the others are not.

    Parameters
    ----------
    features : tuple of Feature
        One for each attribute that is used.
    left_out : tuple of (str, str)
        Attribute and reason.
    """

    features: tuple[Feature, ...]
    left_out: tuple[tuple[str, str], ...]


def default_features(
    market: "Market", *, as_of: datetime, earliest: datetime | None = None
) -> tuple[Feature, ...]:
    """Return the features that the tables of a market allow.

    Parameters
    ----------
    market : Market
        The tables.
    as_of : datetime
        Event types and attributes are chosen from what was known then.
    earliest : datetime, optional
        The first cutoff they will be used at; attributes that look like outcomes are used only
        if they are recorded since then.

    Returns
    -------
    tuple of Feature
        In a fixed order, each with a name of its own: where two would share one, as the event types
        ``Page View`` and ``page_view`` do, the later gets a number, and an attribute the word
        ``contact`` before it.
    """
    features: list[Feature] = []
    if market.has("orders"):
        features += _order_features(market)
    if market.has("messages"):
        features += _message_features(market)
    if market.has("events"):
        features += _event_features(_frequent_types(market, as_of))
    features += choose_attributes(market, as_of=as_of, earliest=earliest).features
    return _with_own_names(features)


def _with_own_names(features: Sequence[Feature]) -> tuple[Feature, ...]:
    taken = {CONTACT_ID, AS_OF, "label"}
    named = []
    for feature in features:
        name, number = feature.name, 1
        if feature.operation is Operation.ATTRIBUTE and name.casefold() in taken:
            name = f"contact_{name}"
        stem = name
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        named.append(replace(feature, name=name))
    return tuple(named)


def _order_features(market: "Market") -> list[Feature]:
    days, orders = days_active("order"), "order"
    features = [
        recency(orders),
        first_touch(orders),
        days,
        *(days_active(orders, window) for window in ("30D", "90D", "180D", "365D")),
        count(orders, "90D"),
        count(orders),
        gap_mean(orders),
        gap_std(orders),
        ratio(recency(orders), gap_mean(orders), name="order_overdue"),
        ratio(gap_std(orders), gap_mean(orders), name="order_irregularity"),
        ratio(days, first_touch(orders), name="order_days_per_day"),
        trend(orders, "30D"),
        trend(orders, "90D"),
    ]
    if "amount" in market.table("orders").columns:
        features += [
            total(orders, "90D"),
            total(orders, "365D"),
            total(orders),
            mean(orders),
            maximum(orders),
            ratio(total(orders), days, name="order_value_per_day"),
        ]
    features += [count("return", "90D"), count("return")]
    return features


def _message_features(market: "Market") -> list[Feature]:
    columns = market.table("messages").columns
    features = [count("send", "30D"), count("send", "90D"), recency("send")]
    for kind, column in (("open", "opened_at"), ("click", "clicked_at")):
        if column in columns:
            features += [
                count(kind, "30D"),
                count(kind, "90D"),
                recency(kind),
                ratio(count(kind, "90D"), count("send", "90D"), name=f"{kind}_rate_90d"),
            ]
    if "unsubscribed_at" in columns:
        features.append(recency("unsubscribe"))
    return features


def _event_features(types: Sequence[str]) -> list[Feature]:
    features: list[Feature] = []
    for kind in types:
        behaviour = Behaviour((kind,))
        features += [
            count(behaviour, "7D"),
            count(behaviour, "30D"),
            count(behaviour, "90D"),
            recency(behaviour),
        ]
    if types:
        anything = Behaviour(tuple(types))
        features += [
            days_active(anything, "7D", name="event_days_7d"),
            days_active(anything, "30D", name="event_days_30d"),
            recency(anything, name="event_recency"),
            trend(anything, "30D", name="event_trend_30d"),
        ]
    return features


def _frequent_types(market: "Market", as_of: datetime) -> list[str]:
    """Return the most frequent types of events known at an instant, by name."""
    events = market.table("events")
    known = events.filter(within(events[OCCURRED_AT], until=as_of))
    if AVAILABLE_AT in known.columns:
        known = known.filter(within(known[AVAILABLE_AT].coalesce(known[OCCURRED_AT]), until=as_of))
    counted = known.group_by("event_type").aggregate(rows=known.count())
    order = [counted.rows.desc(), in_code_order(counted.event_type)]
    top = counted.order_by(order).limit(_MOST_EVENT_TYPES)
    return sorted(top.to_pyarrow().column("event_type").to_pylist())


def choose_attributes(
    market: "Market", *, as_of: datetime, earliest: datetime | None = None
) -> AttributeChoice:
    """Decide which attributes of contacts become features.

    Parameters
    ----------
    market : Market
        The tables.
    as_of : datetime
        Only what contacts known then hold is looked at.
    earliest : datetime, optional
        The first cutoff they will be used at; by default `as_of`.

    Returns
    -------
    AttributeChoice
        What the configuration declares is used as declared. Of the rest, numbers and texts of few
        values are used, unless their names say that they are outcomes and they are not recorded
        since `earliest`.
    """
    contacts = market.contacts(as_of=as_of)
    settings = market.settings.tables.get("contacts")
    declared = settings.attributes if settings is not None else {}
    known = {column.name for column in TABLES["contacts"].columns}
    candidates = [
        name
        for name in contacts.columns
        if name not in _NEVER and (name not in known or name in {"country", "lifecycle_stage"})
    ]
    since = recorded_since(market)
    recorded = since is not None and since <= to_utc(earliest or as_of)
    distinct = _distinct_values(contacts, candidates)
    features: list[Feature] = []
    left_out: list[tuple[str, str]] = []
    for name in candidates:
        kind = declared.get(name)
        if kind is None and looks_like_outcome(name) and not recorded:
            reason = "looks like an outcome, and what it held in the past is not recorded"
        else:
            reason = _reason_against(contacts[name].type(), kind, distinct[name])
        if reason:
            left_out.append((name, reason))
        else:
            features.append(_attribute(contacts, name, kind))
    return AttributeChoice(tuple(features), tuple(left_out))


def _distinct_values(contacts: "ir.Table", names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    measures = {f"of_{place}": _distinct(contacts[name]) for place, name in enumerate(names)}
    row = contacts.aggregate(**measures).to_pyarrow().to_pylist()[0]
    return {name: int(row[f"of_{place}"]) for place, name in enumerate(names)}


def _distinct(value: "ir.Value") -> "ir.Value":
    dtype = value.type()
    # Of other types only presence matters, and not all of them can be compared everywhere.
    counts = dtype.is_string() or dtype.is_numeric() or dtype.is_boolean()
    return value.nunique() if counts else value.count()


def _reason_against(dtype: "dt.DataType", kind: str | None, distinct: int) -> str:
    """Return why an attribute is not used; nothing where it is."""
    number = dtype.is_numeric() or dtype.is_boolean()
    if kind == "ignore":
        return "is declared as ignored"
    if not distinct:
        return "has no value in any row"
    if kind == "categorical" or number:
        return ""
    if not dtype.is_string():
        return f"is of type {dtype}, which is neither number nor category"
    if distinct > _MOST_CATEGORIES and kind is None:
        return f"has {distinct:,} different values; declare it in attributes to use it"
    return ""


def _attribute(contacts: "ir.Table", name: str, kind: str | None) -> Feature:
    dtype = contacts[name].type()
    number = dtype.is_numeric() and not dtype.is_boolean()
    return attribute(name, categorical=kind == "categorical" or (kind is None and not number))
