"""What is known tonight of items and of people?

A model is some weeks old. What is sold, what it costs and who said yes to mail is told by tonight's tables.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mlmarket.market.columns import CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import within
from mlmarket.recommend.interactions import ITEM_ID, Interactions

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.market import Market
    from mlmarket.recommend.items import ItemFacts
    from mlmarket.recommend.plain import PlainRecommender
    from mlmarket.recommend.recommender import Recommender
    from mlmarket.recommend.rules import Rules, RuleTables

__all__ = ["KnownTonight", "contacts_of", "in_shop", "items_of", "rule_tables", "told"]

_COUNTRY: Final = "country"
_CART: Final = "add_to_cart"
_KEPT_CART: Final = timedelta(days=30)
"""What was put into a cart earlier is taken to have been forgotten."""


@dataclass(frozen=True, slots=True)
class KnownTonight:
    """What answers, and what is known tonight of items and contacts."""

    learner: "PlainRecommender | Recommender"
    histories: Interactions
    facts: "ItemFacts"
    contacts: "pa.Table"
    eligible: "pa.StringArray | None"
    tables: "RuleTables"


def items_of(market: "Market") -> "pa.Table | None":
    """Return the table of items, the same in any order of its rows."""
    if not market.has("items"):
        return None
    table = market.table("items").to_pyarrow()
    return table.sort_by(ITEM_ID).replace_schema_metadata(None)


def contacts_of(market: "Market", as_of: datetime) -> "pa.Table":
    """Return everybody known at an instant, with the country where it is told."""
    import pyarrow as pa

    people = market.contacts(as_of=as_of)
    columns = [CONTACT_ID, *({_COUNTRY} & set(people.columns))]
    table = people.select(columns).to_pyarrow()
    return pa.table({name: table.column(name).cast(pa.string()) for name in columns}).sort_by(
        CONTACT_ID
    )


def told(people: "pa.StringArray", contacts: "pa.Table") -> "pa.Table":
    """Return what is known of some people tonight."""
    import pyarrow as pa
    import pyarrow.compute as pc

    place = pc.index_in(people, value_set=contacts.column(CONTACT_ID).combine_chunks())
    columns: dict[str, Any] = {CONTACT_ID: people}
    for name in contacts.column_names[1:]:
        columns[name] = contacts.column(name).combine_chunks().take(place)
    return pa.table(columns)


def in_shop(items: "pa.Table | None", catalogue: "pa.StringArray") -> "pa.StringArray | None":
    """Return the items of the catalogue that are sold tonight; None where there is no table of items.

    A model is some weeks old, and what it knows may be gone.
    """
    import pyarrow.compute as pc

    if items is None:
        return None
    return catalogue.filter(pc.is_in(catalogue, value_set=items.column(ITEM_ID).combine_chunks()))


def rule_tables(market: "Market", rules: "Rules", *, as_of: datetime) -> "RuleTables":
    """Return what the rules ask of single contacts: what they said yes to, and what is in their cart.

    Parameters
    ----------
    market : Market
        The tables.
    rules : Rules
        What is asked.
    as_of : datetime
        Rows after it are not looked at.

    Returns
    -------
    RuleTables
        Without consents, where the market has none: then nobody is known to have given one.
    """
    from mlmarket.recommend.rules import RuleTables

    consents = carts = None
    if rules.consent is not None:
        consents = _no_consents()
        if market.has("consents"):
            given = market.table("consents")
            consents = given.filter(within(given["changed_at"], until=as_of)).to_pyarrow()
    if rules.not_in_cart and market.has("events"):
        done = market.activity(_CART)
        lately = within(done[OCCURRED_AT], after=as_of - _KEPT_CART, until=as_of)
        known = within(done["available_at"], until=as_of)
        rows = done.filter(lately & known & done[ITEM_ID].notnull())
        carts = rows.select(CONTACT_ID, ITEM_ID, OCCURRED_AT).to_pyarrow()
    return RuleTables(consents=consents, carts=carts)


def _no_consents() -> "pa.Table":
    import pyarrow as pa

    text = pa.array([], pa.string())
    return pa.table({CONTACT_ID: text, "channel": text, "granted": pa.array([], pa.bool_())})
