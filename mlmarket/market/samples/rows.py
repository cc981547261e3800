"""What do the tables look like, row by row?"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.market.samples.attributes import Texts, describe
from mlmarket.market.samples.baskets import Lines
from mlmarket.market.samples.browsing import EVENT_TYPES, FORMS, Events
from mlmarket.market.samples.calendar import SECOND
from mlmarket.market.samples.campaigns import Campaigns
from mlmarket.market.samples.catalogue import TOPICS, Catalogue
from mlmarket.market.samples.leads import Leads
from mlmarket.market.samples.life import Lives
from mlmarket.market.samples.people import People
from mlmarket.market.samples.writer import booleans, money, names, numbers, serial, times

__all__ = [
    "Story",
    "campaign_ids",
    "contact_rows",
    "event_rows",
    "item_ids",
    "item_rows",
    "order_rows",
    "outcome_rows",
]

_LATE_SHARE: Final = 0.1
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that happened to one block of contacts.

    Parameters
    ----------
    block : int
        Number of the block; part of the ids of events, messages and orders.
    ids : ndarray of shape (n_people,)
        Contact ids.
    people : People
        Who they are.
    leads : Leads
        The lead funnel.
    lives : Lives
        What happened day by day.
    lines : Lines
        What was bought.
    events : Events
        Behaviour.
    """

    block: int
    ids: Texts
    people: People
    leads: Leads
    lives: Lives
    lines: Lines
    events: Events


def item_ids(catalogue: Catalogue) -> list[str]:
    """Return the ids of items.

    Parameters
    ----------
    catalogue : Catalogue
        The items.

    Returns
    -------
    list of str
        One for each item.
    """
    return [f"I{i:04d}" for i in range(catalogue.topic.size)]


def campaign_ids(campaigns: Campaigns) -> list[str]:
    """Return the ids of campaigns.

    Parameters
    ----------
    campaigns : Campaigns
        The plan.

    Returns
    -------
    list of str
        One for each campaign.
    """
    return [f"K{i:04d}" for i in range(campaigns.day.size)]


def item_rows(catalogue: Catalogue) -> pa.Table:
    """Return the table ``items``.

    Parameters
    ----------
    catalogue : Catalogue
        The items.

    Returns
    -------
    pyarrow.Table
        A row for each item.
    """
    ids = item_ids(catalogue)
    within = np.arange(len(ids)) // len(TOPICS) + 1
    topics = [TOPICS[t] for t in catalogue.topic]
    tags = [
        "|".join(
            [topic]
            + ["consumable"] * bool(interval)
            + ["organic"] * bool(organic)
            + ["gift"] * int(cents > 2500)
        )
        for topic, interval, organic, cents in zip(
            topics, catalogue.interval, catalogue.organic, catalogue.cents, strict=True
        )
    ]
    titles = [f"{topic.capitalize()} no. {n}" for topic, n in zip(topics, within, strict=True)]
    return pa.table(
        {
            "item_id": pa.array(ids),
            "title": pa.array(titles),
            "url": pa.array([f"https://shop.example/items/{one}" for one in ids]),
            "image_url": pa.array([f"https://shop.example/images/{one}.jpg" for one in ids]),
            "category": pa.array(topics),
            "price": money(catalogue.cents),
            "in_stock": booleans(catalogue.in_stock),
            "published_at": times(catalogue.published),
            "tags": pa.array(tags),
        }
    )


def contact_rows(rng: np.random.Generator, story: Story) -> pa.Table:
    """Return rows of the table ``contacts``.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance: what the CRM does not know.
    story : Story
        What happened.

    Returns
    -------
    pyarrow.Table
        A row for each contact.
    """
    bought = np.isin(np.arange(story.people.size), story.lives.buyer)
    texts = describe(rng, story.people, story.leads, story.ids, bought)
    columns = {"contact_id": pa.array(story.ids, type=pa.string())}
    columns["created_at"] = times(story.people.arrivals.created)
    columns |= {name: pa.array(values, type=pa.string()) for name, values in texts.items()}
    return pa.table(columns)


def event_rows(story: Story, catalogue: Catalogue, campaigns: Campaigns) -> pa.Table:
    """Return rows of the table ``events``.

    Parameters
    ----------
    story : Story
        What happened.
    catalogue : Catalogue
        The items.
    campaigns : Campaigns
        The plan.

    Returns
    -------
    pyarrow.Table
        Sorted by contact and time.
    """
    events, items = story.events, item_ids(catalogue)
    cart = events.kind == EVENT_TYPES.index("add_to_cart")
    pages = [f"/items/{one}" for one in items] + ["/", "/prices", "/search"]
    front, prices, search = range(len(items), len(pages))
    page = np.select(
        [events.item >= 0, events.kind == 0, events.kind == 4, events.kind == 2],
        [events.item, front, prices, search],
        -1,
    )
    forms = [f'{{"form": "{form}"}}' for form in FORMS]
    return pa.table(
        {
            "event_id": serial(f"E{story.block:04d}", np.arange(cart.size), 7),
            "contact_id": names(story.ids, events.person),
            "event_type": names(EVENT_TYPES, events.kind),
            "occurred_at": times(events.time),
            "available_at": times(events.available),
            "item_id": names(items, events.item),
            "value": money(np.where(cart, catalogue.cents[events.item], 0), ~cart),
            "campaign_id": names(campaign_ids(campaigns), events.campaign),
            "url": names(pages, page),
            "properties": names(forms, events.form),
        }
    )


def order_rows(story: Story, catalogue: Catalogue) -> pa.Table:
    """Return rows of the table ``orders``; a return has the id of its order with an R before it.

    Parameters
    ----------
    story : Story
        What happened.
    catalogue : Catalogue
        The items.

    Returns
    -------
    pyarrow.Table
        Sorted by contact and time.
    """
    lines = story.lines
    row = np.lexsort((lines.time, lines.person))
    order, returned = lines.order[row], lines.returned[row]
    ids = serial(f"O{story.block:04d}", order, 6)
    return_ids = serial(f"RO{story.block:04d}", order, 6)
    return pa.table(
        {
            "contact_id": names(story.ids, lines.person[row]),
            "order_id": pc.if_else(booleans(returned), return_ids, ids),
            "ordered_at": times(lines.time[row]),
            "item_id": names(item_ids(catalogue), lines.item[row]),
            "quantity": numbers(lines.quantity[row]),
            "amount": money(lines.cents[row]),
            "available_at": times(lines.available[row]),
        }
    )


def outcome_rows(rng: np.random.Generator, story: Story, begin: int) -> pa.Table:
    """Return rows of the table ``outcomes``.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance: which rows arrive late.
    story : Story
        What happened.
    begin : int
        Begin of the period, microseconds since 1970 UTC; earlier outcomes are cut off.

    Returns
    -------
    pyarrow.Table
        Sorted by contact and time.
    """
    leads = story.leads
    sql, won = np.flatnonzero(leads.sql_at >= begin), np.flatnonzero(leads.won_at >= begin)
    person = np.concatenate([sql, won])
    is_won = np.arange(person.size) >= sql.size
    time = np.concatenate([leads.sql_at[sql], leads.won_at[won]])
    late = rng.random(person.size) < _LATE_SHARE
    wait = np.ceil(rng.exponential(1.5 * _DAY_SECONDS, person.size)).astype(np.int64) * SECOND
    row = np.lexsort((time, person))
    return pa.table(
        {
            "contact_id": names(story.ids, person[row]),
            "outcome": names(("sql", "won"), is_won[row].astype(np.int64)),
            "occurred_at": times(time[row]),
            "value": money(leads.won_cents[person[row]], ~is_won[row]),
            "available_at": times(np.where(late, time + wait, -1)[row]),
        }
    )
