"""What was true all along? For tests and benchmarks only; a market never opens it."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from mlmarket.market.samples.calendar import Calendar
from mlmarket.market.samples.campaigns import TOPICS_OF_MAIL, VARIANTS, Campaigns
from mlmarket.market.samples.catalogue import TOPICS, Catalogue
from mlmarket.market.samples.draws import Floats, Ints
from mlmarket.market.samples.life import BOOST_BIT
from mlmarket.market.samples.oracle import Foresight
from mlmarket.market.samples.people import KINDS, SHAPES
from mlmarket.market.samples.places import ZONES
from mlmarket.market.samples.rows import Story, campaign_ids, item_ids
from mlmarket.market.samples.writer import booleans, names, numbers, times

__all__ = ["campaign_truth", "contact_truth", "item_truth", "oracle_rows"]


def contact_truth(story: Story, calendar: Calendar, catalogue: Catalogue) -> pa.Table:
    """Return rows of the table ``truth/contacts``.

    Parameters
    ----------
    story : Story
        What happened.
    calendar : Calendar
        The days.
    catalogue : Catalogue
        The items.

    Returns
    -------
    pyarrow.Table
        A row for each contact.
    """
    people, leads = story.people, story.leads
    buying, mailing, habits = people.buying, people.mailing, people.habits
    columns = {
        "contact_id": pa.array(story.ids, type=pa.string()),
        "kind": names(KINDS, buying.kind),
        "shape": numbers(SHAPES[buying.shape]),
        "mood_at_end": names(("away", "cool", "warm"), story.lives.moods[-1] % BOOST_BIT),
        "dropped_out_at": times(_starts(calendar, story.lives.left_day)),
        "returned_at": times(_starts(calendar, story.lives.returned_day)),
        "staple_item_id": names(item_ids(catalogue), buying.staple),
        "true_timezone": names(ZONES, people.arrivals.place),
        "uses_privacy_proxy": booleans(mailing.proxy),
        "has_dead_mailbox": booleans(mailing.dead),
    }
    traits = {
        "rate_per_day": buying.rate,
        "dropout_hazard": buying.dropout,
        "wake_hazard": buying.wake,
        "warm_up_hazard": buying.warm_up,
        "cool_down_hazard": buying.cool_down,
        "warm_gain": buying.warm_gain,
        "boost_gain": buying.boost_gain,
        "visits_per_day": buying.sessions,
        "basket_gain": buying.basket,
        "staple_interval_days": buying.staple_interval,
        "read_chance": mailing.reads,
        "click_chance": mailing.clicks,
        "leave_chance": mailing.leaves,
        "first_peak_hour": habits.first_peak,
        "second_peak_hour": habits.second_peak,
        "weekend_gain": habits.weekend,
        "lead_chance": leads.chance,
        "won_chance": leads.won_chance,
        "lead_intent": leads.intent,
    }
    traits |= {f"taste_{topic}": people.taste[:, i] for i, topic in enumerate(TOPICS)}
    return pa.table(columns | {name: _short(values) for name, values in traits.items()})


def campaign_truth(campaigns: Campaigns, calendar: Calendar) -> pa.Table:
    """Return the table ``truth/campaigns``.

    Parameters
    ----------
    campaigns : Campaigns
        The plan.
    calendar : Calendar
        The days.

    Returns
    -------
    pyarrow.Table
        A row for each variant of each campaign that can be drawn.
    """
    campaign, variant = np.nonzero(campaigns.propensity)
    planned = calendar.at(campaigns.day[campaign], campaigns.hour[campaign] * 3600.0)
    return pa.table(
        {
            "campaign_id": names(campaign_ids(campaigns), campaign),
            "variant": names(VARIANTS, variant),
            "channel": names(("email", "push"), campaigns.push[campaign].astype(np.int64)),
            "topic": names(TOPICS_OF_MAIL, campaigns.topic[campaign]),
            "planned_at": times(planned),
            "audience_share": numbers(campaigns.share[campaign]),
            "propensity": numbers(campaigns.propensity[campaign, variant]),
            "click_effect": numbers(campaigns.effect[campaign, variant]),
        }
    )


def item_truth(catalogue: Catalogue) -> pa.Table:
    """Return the table ``truth/items``: how popular each item is within its topic.

    Parameters
    ----------
    catalogue : Catalogue
        The items.

    Returns
    -------
    pyarrow.Table
        A row for each item and month; ``lasts_days`` is missing unless it is a consumable.
    """
    months, items = catalogue.popularity.shape
    in_topic = np.zeros_like(catalogue.popularity)
    for topic in range(len(TOPICS)):
        same = catalogue.topic == topic
        weights = catalogue.popularity[:, same]
        in_topic[:, same] = weights / weights.sum(axis=1, keepdims=True)
    item = np.tile(np.arange(items), months)
    lasts = catalogue.interval[item]
    return pa.table(
        {
            "item_id": names(item_ids(catalogue), item),
            "month": pa.array(np.repeat(np.arange(months), items)),
            "share_of_topic": _short(in_topic.ravel()),
            "lasts_days": pa.array(lasts, mask=lasts == 0),
        }
    )


def oracle_rows(story: Story, answers: Iterable[Foresight]) -> pa.Table:
    """Return rows of the table ``truth/purchase_oracle``.

    Parameters
    ----------
    story : Story
        What happened.
    answers : iterable of Foresight
        What the oracle said.

    Returns
    -------
    pyarrow.Table
        Sorted by moment, horizon and contact.
    """
    tables = [
        pa.table(
            {
                "contact_id": names(story.ids, answer.person),
                "as_of": times(np.full(answer.person.size, answer.as_of)),
                "horizon_days": pa.array(np.full(answer.person.size, answer.horizon_days)),
                "probability": pa.array(np.round(answer.chance, 6)),
            }
        )
        for answer in answers
    ]
    nothing = pa.schema(
        {
            "contact_id": pa.string(),
            "as_of": pa.timestamp("us"),
            "horizon_days": pa.int64(),
            "probability": pa.float64(),
        }
    )
    return pa.concat_tables([nothing.empty_table(), *tables])


def _starts(calendar: Calendar, day: Ints) -> Ints:
    return np.where(day >= 0, calendar.starts[day], -1)


def _short(values: Floats) -> pa.Array:
    """Six significant digits tell the truth well enough, at half the size."""
    return pa.array(values.astype(np.float32))
