"""Can what a configuration says of recommendations be kept, before anything is learned?

A slip in a rule is found at once, and not after an hour of learning.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.recommend.night_facts import contacts_of, items_of, rule_tables
from mlmarket.recommend.rules import Rules
from mlmarket.recommend.weights import weights_of

if TYPE_CHECKING:
    from mlmarket.market import Market

__all__ = ["check_rules", "check_urls", "check_weights_occur"]


def check_rules(
    market: "Market",
    rules: Rules,
    *,
    as_of: datetime,
    weights: Mapping[str, float],
    urls: Sequence[str],
) -> None:
    """Refuse rules that tonight's tables cannot answer.

    Parameters
    ----------
    market : Market
        The tables.
    rules : Rules
        What is asked.
    as_of : datetime
        Tonight.
    weights : mapping of str to float
        What counts as interest: items that occur there are known as well.
    urls : sequence of str
        How pages become items.

    Raises
    ------
    ConfigurationError
        Where a rule names an item, category or column that is not there.
    """
    from mlmarket.recommend.from_market import market_interactions
    from mlmarket.recommend.items import ItemFacts, catalogue

    items, contacts = items_of(market), contacts_of(market, as_of)
    tables = rule_tables(market, rules, as_of=as_of)
    if items is not None:
        listed = ItemFacts.from_frame(items, items.column("item_id").combine_chunks())
        try:
            rules.compile(listed, contacts, as_of=as_of, tables=tables)
        except ConfigurationError:  # it may name an item that is sold no more
            pass
        else:
            return
    known = market_interactions(market, as_of=as_of, weights=weights, urls=urls)
    facts = ItemFacts.from_frame(items, catalogue(known.items, items))
    rules.compile(facts, contacts, as_of=as_of, tables=tables)


def check_weights_occur(market: "Market", weights: Mapping[str, float] | None) -> None:
    """Refuse a weight of something that nobody ever did.

    Parameters
    ----------
    market : Market
        The tables.
    weights : mapping of str to float or None
        What was asked for; where there is no table of events, they count once there is one.

    Raises
    ------
    ConfigurationError
        With the type that was probably meant.
    """
    asked = sorted(set(weights or ()) - {"order"})
    if not asked or not market.has("events"):
        return  # without events, weights of theirs are said for later
    found = market.table("events").select("event_type").distinct().to_pyarrow()
    types = [one for one in found.column("event_type").to_pylist() if one is not None]
    for kind in asked:
        if kind not in types:
            raise ConfigurationError(
                f"'weights' names '{kind}', which no event is of.",
                "It was meant to count as interest, and would never do.",
                f"{suggestion(kind, types)} Or leave '{kind}' out.",
            )


def check_urls(
    market: "Market",
    urls: Sequence[str],
    *,
    as_of: datetime,
    weights: Mapping[str, float] | None,
) -> None:
    """Refuse patterns by which no page becomes an item.

    Parameters
    ----------
    market : Market
        The tables.
    urls : sequence of str
        Patterns; where there are none, nothing is checked.
    as_of : datetime
        Rows after it are not looked at.
    weights : mapping of str to float or None
        What counts as interest.

    Raises
    ------
    ConfigurationError
        With how many addresses were looked at.
    """
    from mlmarket.recommend.from_market import count_urls

    if not urls:
        return
    counted = count_urls(market, urls, as_of=as_of, weights=weights)
    if counted.matched:
        return
    events = sorted(set(weights_of(market, weights)) - {"order"})
    why = "Pages visited were meant to count as interest, and would never do."
    if not events or not counted.visits:
        types = f"of the types {', '.join(events)}" if events else "of any type"
        raise ConfigurationError(
            f"'urls' are given, and no event {types} that has a weight has an address: 0 addresses were looked at.",
            why,
            "weigh the type of the pages visited, such as {order = 1.0, page_view = 0.1}, or leave `urls` out.",
        )
    if counted.unknown_item:
        raise ConfigurationError(
            f"{counted.unknown_item:,} of {counted.visits:,} addresses looked at fit `urls`, and none of them names an "
            "item of the table of items.",
            why,
            "correct the pattern, or write the items as they stand in the addresses.",
        )
    raise ConfigurationError(
        f"None of {counted.visits:,} addresses looked at fits `urls`: {', '.join(urls)}.",
        why,
        'write how the addresses look, such as "/blog/{item_id}"; see mlmarket.recommend.UrlPattern.',
    )
