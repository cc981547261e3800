"""Which features does a kind of question start from?

Each set has a name that a configuration can choose: ``features = ["shop", "attributes"]``. A set gives what
the tables allow: nothing where its table is missing, no money where orders have no amount.
"""

from collections.abc import Callable, Mapping, Sequence
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
    maximum,
    mean,
    ratio,
    recency,
    total,
    trend,
)
from mlmarket.features.attributes import AttributeChoice, choose_attributes
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.feature import Feature
from mlmarket.market.columns import AVAILABLE_AT, OCCURRED_AT
from mlmarket.market.time import within

if TYPE_CHECKING:
    from mlmarket.market import Market

__all__ = ["FEATURE_SETS", "Ground", "feature_set"]

_MOST_EVENT_TYPES: Final = 12


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
        raise ConfigurationError(
            f"There is no set of features called '{name}'.",
            "A question knows only what its sets and features say.",
            suggestion(name, FEATURE_SETS),
        )
    return tuple(FEATURE_SETS[name](Ground(market, as_of=as_of, earliest=earliest)))


def _shop(ground: Ground) -> list[Feature]:
    if not ground.market.has("orders"):
        return []
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
    if ground.has("orders", "amount"):
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


def _messaging(ground: Ground) -> list[Feature]:
    if not ground.market.has("messages"):
        return []
    features = [count("send", "30D"), count("send", "90D"), recency("send")]
    for kind, column in (("open", "opened_at"), ("click", "clicked_at")):
        if ground.has("messages", column):
            features += [
                count(kind, "30D"),
                count(kind, "90D"),
                recency(kind),
                ratio(count(kind, "90D"), count("send", "90D"), name=f"{kind}_rate_90d"),
            ]
    if ground.has("messages", "unsubscribed_at"):
        features.append(recency("unsubscribe"))
    return features


def _events(ground: Ground) -> list[Feature]:
    features: list[Feature] = []
    for kind in ground.event_types:
        features += _counts(kind)
    return features + _any_event(ground.event_types)


def _counts(kind: str) -> list[Feature]:
    """Return how often and how lately something was done."""
    behaviour = Behaviour((kind,))
    return [
        count(behaviour, "7D"),
        count(behaviour, "30D"),
        count(behaviour, "90D"),
        recency(behaviour),
    ]


def _any_event(types: Sequence[str]) -> list[Feature]:
    if not types:
        return []
    anything = Behaviour(tuple(types))
    return [
        days_active(anything, "7D", name="event_days_7d"),
        days_active(anything, "30D", name="event_days_30d"),
        recency(anything, name="event_recency"),
        trend(anything, "30D", name="event_trend_30d"),
    ]


def _attributes(ground: Ground) -> list[Feature]:
    return list(ground.attributes.features)


FEATURE_SETS: Final[Mapping[str, Callable[[Ground], list[Feature]]]] = MappingProxyType(
    {
        "shop": _shop,
        "messaging": _messaging,
        "events": _events,
        "attributes": _attributes,
    }
)
"""What makes the features of each set, in the order in which a predictor sees them."""
