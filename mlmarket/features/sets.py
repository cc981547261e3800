"""Which features does a kind of question start from?

Each set has a name that a configuration can choose: ``features = ["shop", "attributes"]``. A set gives what
the tables allow: nothing where its table is missing, no money where orders have no amount.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.expressions.dialects import in_code_order
from mlmarket.features.algebra import (
    count,
    days_active,
    first_touch,
    gap_mean,
    gap_std,
    last,
    maximum,
    mean,
    ratio,
    recency,
    share_by,
    total,
    trend,
)
from mlmarket.features.attributes import AttributeChoice, choose_attributes
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.feature import Feature
from mlmarket.features.rows import known_rows
from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import within

if TYPE_CHECKING:
    from mlmarket.market import Market

__all__ = ["FEATURE_SETS", "NOT_BY_DEFAULT", "Ground", "Groups", "feature_set", "unknown_set"]

Groups = dict[str, list[Feature]]
"""Features by what they have in common, which is what an ablation takes away together."""

NOT_BY_DEFAULT: Final = frozenset({"last order value"})
"""Groups that paid for no question of docs/ablation.md: to be had by the name of their set alone."""

_MOST_EVENT_TYPES: Final = 12
_MOST_CATEGORIES: Final = 4
_SHOPPING: Final = re.compile(r"cart|basket|wish|favou?rite|checkout|product|item|search", re.I)
_LOG_IN: Final = re.compile(r"log_?in|log_?on|sign_?in|session|app_?open|app_?start", re.I)
_FORM: Final = re.compile(
    r"form|sign_?up|regist|download|demo|webinar|trial|pricing|quote|request|contact", re.I
)
_PAGE: Final = re.compile(r"page|view|visit|screen", re.I)


class Ground:
    """What the tables of a market allow at an instant, looked up once for all sets.

    Parameters
    ----------
    market : Market
        The tables.
    as_of : datetime
        Event types and attributes are chosen from what was known then.
    earliest : datetime, optional
        The first cutoff the features will be used at; attributes that look like outcomes are used
        only if they are recorded since then.
    """

    def __init__(
        self, market: "Market", *, as_of: datetime, earliest: datetime | None = None
    ) -> None:
        self.market = market
        self.as_of = as_of
        self.earliest = earliest

    def has(self, table: str, column: str) -> bool:
        """Return whether there is a table with a column.

        Parameters
        ----------
        table, column : str
            Names of the contract.

        Returns
        -------
        bool
            False where the table is missing.
        """
        return self.market.has(table) and column in self.market.table(table).columns

    @cached_property
    def event_types(self) -> tuple[str, ...]:
        """The most frequent types of events, by name."""
        if not self.market.has("events"):
            return ()
        events = self.market.table("events")
        known = events.filter(within(events[OCCURRED_AT], until=self.as_of))
        if AVAILABLE_AT in known.columns:
            available = known[AVAILABLE_AT].coalesce(known[OCCURRED_AT])
            known = known.filter(within(available, until=self.as_of))
        counted = known.group_by("event_type").aggregate(rows=known.count())
        order = [counted.rows.desc(), in_code_order(counted.event_type)]
        top = counted.order_by(order).limit(_MOST_EVENT_TYPES)
        return tuple(sorted(top.to_pyarrow().column("event_type").to_pylist()))

    def types_like(self, words: re.Pattern[str], *, most: int) -> tuple[str, ...]:
        """Return those of the event types whose names say what they are about.

        Parameters
        ----------
        words : re.Pattern
            Found anywhere in a name, blanks and hyphens read as underscores.
        most : int
            How many at most.

        Returns
        -------
        tuple of str
            By name.
        """
        found = [one for one in self.event_types if words.search(re.sub(r"[\s-]+", "_", one))]
        return tuple(found[:most])

    @cached_property
    def item_categories(self) -> tuple[str, ...]:
        """The categories of items that most contacts ordered, by name."""
        if not (self.has("orders", "item_id") and self.has("items", "category")):
            return ()
        rows = known_rows(self.market, [Behaviour(("order",))], at=self.as_of)
        items = self.market.table("items").select("item_id", "category")
        bought = rows.inner_join(items, "item_id")
        bought = bought.filter(bought.category.notnull() & (bought.category != ""))
        counted = bought.group_by("category").aggregate(people=bought[CONTACT_ID].nunique())
        top = counted.order_by([counted.people.desc(), counted.category]).limit(_MOST_CATEGORIES)
        return tuple(sorted(top.to_pyarrow().column("category").to_pylist()))

    @cached_property
    def attributes(self) -> AttributeChoice:
        """The attributes that are used, and why the others are not."""
        return choose_attributes(self.market, as_of=self.as_of, earliest=self.earliest)


def feature_set(
    name: str, market: "Market", *, as_of: datetime, earliest: datetime | None = None
) -> tuple[Feature, ...]:
    """Return the features of a set that the tables of a market allow.

    Parameters
    ----------
    name : str
        ``shop``, ``messaging``, ``events``, ``subscription``, ``leads`` or ``attributes``.
    market : Market
        The tables.
    as_of : datetime
        Event types, categories and attributes are chosen from what was known then.
    earliest : datetime, optional
        The first cutoff the features will be used at; by default `as_of`.

    Returns
    -------
    tuple of Feature
        In a fixed order; empty where the tables are missing.

    Raises
    ------
    ConfigurationError
        Where there is no set of that name.
    """
    if name not in FEATURE_SETS:
        raise unknown_set(name, FEATURE_SETS)
    groups = FEATURE_SETS[name](Ground(market, as_of=as_of, earliest=earliest))
    return tuple(dict.fromkeys(feature for group in groups.values() for feature in group))


def unknown_set(name: str, known: Iterable[str]) -> ConfigurationError:
    """Return the error of a set that does not exist.

    Parameters
    ----------
    name : str
        What was written.
    known : iterable of str
        What could have been meant.

    Returns
    -------
    ConfigurationError
        To be raised.
    """
    return ConfigurationError(
        f"There is no set of features called '{name}'.",
        "A question knows only what its sets and features say.",
        suggestion(name, known),
    )


def _shop(ground: Ground) -> Groups:
    if not ground.market.has("orders"):
        return {}
    order, days = "order", days_active("order")
    groups = {
        "order recency and frequency": [
            recency(order),
            first_touch(order),
            days,
            count(order),
            ratio(days, first_touch(order), name="order_days_per_day"),
        ],
        "orders by window": [
            *(days_active(order, window) for window in ("30D", "90D", "180D", "365D")),
            count(order, "90D"),
        ],
        "order gaps": [
            gap_mean(order),
            gap_std(order),
            ratio(recency(order), gap_mean(order), name="order_overdue"),
            ratio(gap_std(order), gap_mean(order), name="order_irregularity"),
        ],
        "order trends": [trend(order, "30D"), trend(order, "90D")],
        "returns": [
            count("return", "90D"),
            count("return"),
            recency("return"),
            ratio(count("return", "365D"), count(order, "365D"), name="return_rate_365d"),
        ],
    }
    if ground.has("orders", "amount"):
        groups["order value"] = [
            total(order, "90D"),
            total(order, "365D"),
            total(order),
            mean(order),
            maximum(order),
            ratio(total(order), days, name="order_value_per_day"),
        ]
        groups["last order value"] = [
            last(order),
            ratio(last(order), mean(order), name="order_last_per_mean"),
        ]
    if ground.item_categories:
        shares = share_by(order, "item_category", ground.item_categories, "365D")
        groups["items bought"] = list(shares)
    shopping = ground.types_like(_SHOPPING, most=3)
    return groups | _counted(shopping, ("7D", "30D"))


def _messaging(ground: Ground) -> Groups:
    if not ground.market.has("messages"):
        return {}
    sends = count("send", "90D")
    groups = {"sends": [count("send", "30D"), sends, recency("send")]}
    for kind, column in (("open", "opened_at"), ("click", "clicked_at")):
        if ground.has("messages", column):
            groups[f"{kind}s"] = [
                count(kind, "30D"),
                count(kind, "90D"),
                recency(kind),
                ratio(count(kind, "90D"), sends, name=f"{kind}_rate_90d"),
            ]
            groups.setdefault("message trends", []).append(trend(kind, "30D"))
    if {"opens", "clicks"} <= groups.keys():
        opened = ratio(count("click", "90D"), count("open", "90D"), name="click_per_open_90d")
        groups["clicks"].append(opened)
    for kind in ("unsubscribe", "complaint", "bounce"):
        column = {"complaint": "complained_at"}.get(kind, f"{kind}d_at")
        if ground.has("messages", column):
            groups.setdefault("refusals", []).append(recency(kind))
    return groups


def _events(ground: Ground) -> Groups:
    types = ground.event_types
    return _counted(types, ("7D", "30D", "90D")) | _any_event(types)


def _subscription(ground: Ground) -> Groups:
    """Return how steadily a service is used: log-ins where there are such events, else all events."""
    log_ins = ground.types_like(_LOG_IN, most=3)
    usage = Behaviour(log_ins or ground.event_types)
    if not usage.types:
        return {}
    name = usage.label if log_ins else "event"
    gap = gap_mean(usage, name=f"{name}_gap_mean")
    since = recency(usage, name=f"{name}_recency")
    groups = _counted(log_ins, ("7D", "30D", "90D")) | _any_event(ground.event_types)
    groups["usage rhythm"] = [
        days_active(usage, "90D", name=f"{name}_days_90d"),
        first_touch(usage, name=f"{name}_first_touch"),
        gap,
        gap_std(usage, name=f"{name}_gap_std"),
        ratio(since, gap, name=f"{name}_overdue"),
    ]
    groups["usage trends"] = [trend(usage, "90D", name=f"{name}_trend_90d")]
    others = [kind for kind in ground.event_types if kind not in log_ins][:4]
    rest = _counted(others, ("30D",))
    return {name: [*groups.get(name, ()), *rest.get(name, ())] for name in groups | rest}


def _leads(ground: Ground) -> Groups:
    """Return what a lead showed interest in, and whether it fits."""
    forms = ground.types_like(_FORM, most=4)
    pages = [kind for kind in ground.types_like(_PAGE, most=3) if kind not in forms]
    groups = _counted((*forms, *pages), ("7D", "30D", "90D")) | _any_event(ground.event_types)
    if forms:
        groups["first interest"] = [first_touch(Behaviour((kind,))) for kind in forms]
    mails = _messaging(ground)
    groups |= {name: mails[name] for name in ("opens", "clicks") if name in mails}
    return groups | _attributes(ground)


def _attributes(ground: Ground) -> Groups:
    features = list(ground.attributes.features)
    return {"attributes": features} if features else {}


def _counted(types: Sequence[str], windows: Sequence[str]) -> Groups:
    """Return how often and how lately each of some things was done."""
    if not types:
        return {}
    each = [Behaviour((kind,)) for kind in types]
    return {
        "event counts": [count(one, window) for one in each for window in windows],
        "event recency": [recency(one) for one in each],
    }


def _any_event(types: Sequence[str]) -> Groups:
    if not types:
        return {}
    anything = Behaviour(tuple(types))
    return {
        "event days": [
            days_active(anything, "7D", name="event_days_7d"),
            days_active(anything, "30D", name="event_days_30d"),
            recency(anything, name="event_recency"),
        ],
        "event trends": [trend(anything, "30D", name="event_trend_30d")],
    }


FEATURE_SETS: Final[Mapping[str, Callable[[Ground], Groups]]] = MappingProxyType(
    {
        "shop": _shop,
        "messaging": _messaging,
        "events": _events,
        "subscription": _subscription,
        "leads": _leads,
        "attributes": _attributes,
    }
)
"""What makes the features of each set by group, in the order in which a predictor sees them."""
