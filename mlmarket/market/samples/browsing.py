"""What do people do on the site?

Visits follow the mood of the day, so that they tell of what the orders do not show yet.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from mlmarket.market.samples.baskets import Lines
from mlmarket.market.samples.calendar import DAY, HOUR, SECOND, Calendar
from mlmarket.market.samples.catalogue import TOPICS, Catalogue
from mlmarket.market.samples.draws import Floats, Ints, choose_in_rows, ladder
from mlmarket.market.samples.leads import Leads
from mlmarket.market.samples.life import BOOST_BIT, Lives
from mlmarket.market.samples.people import People

__all__ = ["EVENT_TYPES", "FORMS", "NONE", "Events", "browse"]

EVENT_TYPES: Final = (
    "page_view",
    "log_in",
    "search",
    "add_to_cart",
    "pricing_view",
    "form_submit",
    "upgrade",
)
FORMS: Final = ("sign_up", "demo", "contact")
NONE: Final = -1

_VIEW, _LOG_IN, _SEARCH, _CART, _PRICING, _FORM, _UPGRADE = range(len(EVENT_TYPES))
_SIGN_UP, _DEMO, _CONTACT = range(len(FORMS))
_VISITS: Final = np.array([0.02, 1.0, 3.2])  # by mood
_BOOST_VISITS: Final = 1.5
_MIX: Final = np.array(  # rows: away, cool, warm; columns: EVENT_TYPES
    [
        [0.80, 0.02, 0.11, 0.030, 0.030, 0.008, 0.001],
        [0.76, 0.02, 0.12, 0.050, 0.035, 0.010, 0.003],
        [0.66, 0.03, 0.14, 0.120, 0.035, 0.010, 0.005],
    ]
)
_LOG_IN_FIRST: Final = 0.3
_LAST_PAGE: Final = 0.65
_INTENT_ON_PRICING: Final = 0.8
_ITEM_ON_VIEW: Final = 0.8
_LATE_SHARE: Final = 0.06
_DEMO_SHARE: Final = 0.6
_VIEWED_BEFORE_ORDER: Final = 0.75


@dataclass(frozen=True, slots=True)
class Events:
    """Behaviour; arrays of shape (n_events,), ``NONE`` where a fact is missing.

    Parameters
    ----------
    person, kind, time : ndarray
        Who, what (index into ``EVENT_TYPES``), microseconds since 1970 UTC.
    item, campaign, form : ndarray
        Index of the item, of the campaign that led to it, and into ``FORMS``.
    available : ndarray
        When it reached the table; ``NONE`` where it was there at once.
    """

    person: Ints
    kind: Ints
    time: Ints
    item: Ints
    campaign: Ints
    form: Ints
    available: Ints


def browse(
    rng: np.random.Generator,
    people: People,
    leads: Leads,
    calendar: Calendar,
    catalogue: Catalogue,
    ahead: Ints,
    story: tuple[Lives, Lines],
) -> Events:
    """Draw all behaviour: visits, what leads to orders, clicks, sign-ups and demo requests.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    people : People
        The visitors.
    leads : Leads
        Intent, which shows in views of prices and forms.
    calendar : Calendar
        The days.
    catalogue : Catalogue
        What can be seen.
    ahead : ndarray of shape (n_zones, n_days)
        Hours by which each zone's clocks are ahead of the business's.
    story : tuple of Lives and Lines
        What happened, and what was bought.

    Returns
    -------
    Events
        Sorted by person and time.
    """
    lives, lines = story
    parts = [
        _visits(rng, people, leads, calendar, catalogue, ahead, lives),
        _before_orders(rng, people, lines),
        _clicks(lives),
        _sign_ups(people),
        _demos(rng, people, leads),
    ]
    whole = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Events)}
    time = whole["time"]
    kept = (time >= calendar.starts[0]) & (time < calendar.end - HOUR)
    kept &= time >= people.arrivals.created[whole["person"]]
    row = np.flatnonzero(kept)
    row = row[np.lexsort((time[row], whole["person"][row]))]
    late = rng.random(row.size) < _LATE_SHARE
    wait = np.minimum(rng.lognormal(np.log(6 * 3600), 1.3, row.size), 6 * 86_400)
    whole = {name: values[row] for name, values in whole.items()}
    arrived = whole["time"] + np.ceil(wait).astype(np.int64) * SECOND
    whole["available"] = np.where(late, arrived, NONE)
    return Events(**whole)


def _events(person: Ints, kind: Ints | int, time: Ints, **facts: Ints | int) -> Events:
    columns = {"item": NONE, "campaign": NONE, "form": NONE, "available": NONE, "kind": kind}
    full = {name: np.full(person.size, NONE) for name in columns}
    for name, values in (columns | facts).items():
        full[name][:] = values
    return Events(person=person, time=time, **full)


def _visits(
    rng: np.random.Generator,
    people: People,
    leads: Leads,
    calendar: Calendar,
    catalogue: Catalogue,
    ahead: Ints,
    lives: Lives,
) -> Events:
    day, person = _visited(rng, people, calendar, lives)
    local = people.habits.hour_of_day(rng, person, calendar.weekday[day])
    hour = (local - ahead[people.arrivals.place[person], day]) % 24
    begin = calendar.at(day, hour * 3600.0 + np.floor(rng.uniform(0, 3600, day.size)))
    pages = rng.geometric(_LAST_PAGE, day.size)
    visit = np.repeat(np.arange(day.size), pages)
    first = np.repeat(np.cumsum(pages) - pages, pages) == np.arange(visit.size)
    gaps = np.where(first, 0.0, np.ceil(rng.exponential(45.0, visit.size)))
    spent = np.cumsum(gaps)
    spent -= np.repeat(spent[first], pages)
    mood = (lives.moods[day, person] % BOOST_BIT)[visit].astype(np.int64)
    kind = _kinds(rng, people, leads, person[visit], mood)
    opening = np.where(rng.random(visit.size) < _LOG_IN_FIRST, _LOG_IN, _VIEW)
    kind = np.where(first, opening, kind)
    topic = choose_in_rows(rng, ladder(people.taste), person[visit], len(TOPICS))
    item = catalogue.choose(rng, topic, calendar.month[day[visit]])
    seen = (kind == _CART) | ((kind == _VIEW) & (rng.random(visit.size) < _ITEM_ON_VIEW))
    return _events(
        person[visit],
        kind,
        begin[visit] + spent.astype(np.int64) * SECOND,
        item=np.where(seen, item, NONE),
        form=np.where(kind == _FORM, _CONTACT, NONE),
    )


def _visited(
    rng: np.random.Generator, people: People, calendar: Calendar, lives: Lives
) -> tuple[Ints, Ints]:
    """Draw who visits on which day; a pair occurs once for each visit."""
    level = np.concatenate([_VISITS, [0.0], _VISITS * _BOOST_VISITS])
    mean = level[lives.moods] * people.buying.sessions * np.sqrt(calendar.pace)[:, np.newaxis]
    mean *= np.arange(calendar.days)[:, np.newaxis] > people.arrivals.day
    count = rng.poisson(mean)
    day, person = np.nonzero(count)
    repeats = count[day, person]
    return np.repeat(day, repeats), np.repeat(person, repeats)


def _kinds(
    rng: np.random.Generator, people: People, leads: Leads, person: Ints, mood: Ints
) -> Ints:
    """Draw types of events; leads with intent look at prices and fill in forms."""
    eager = np.where(people.arrivals.is_lead, np.exp(_INTENT_ON_PRICING * leads.intent), 0.5)
    drawn = rng.random(person.size)
    kind = np.full(person.size, _VIEW)
    reached: Floats = np.zeros(person.size)
    for column in range(1, len(EVENT_TYPES)):
        chance = _MIX[mood, column]
        if column in (_PRICING, _FORM):
            chance = np.minimum(chance * eager[person], 0.25)
        kind[(drawn >= reached) & (drawn < reached + chance)] = column
        reached = reached + chance
    return kind


def _before_orders(rng: np.random.Generator, people: People, lines: Lines) -> Events:
    bought = np.flatnonzero(~lines.returned)
    bought = bought[rng.random(bought.size) < _VIEWED_BEFORE_ORDER]
    created = people.arrivals.created[lines.person[bought]]
    view = lines.time[bought] - rng.integers(180, 2400, bought.size) * SECOND
    cart = lines.time[bought] - rng.integers(30, 170, bought.size) * SECOND
    return _events(
        np.tile(lines.person[bought], 2),
        np.repeat([_VIEW, _CART], bought.size),
        np.concatenate([np.maximum(view, created), np.maximum(cart, created)]),
        item=np.tile(lines.item[bought], 2),
    )


def _clicks(lives: Lives) -> Events:
    person = [batch.person[batch.clicked >= 0] for batch in lives.batches]
    time = [batch.clicked[batch.clicked >= 0] + 2 * SECOND for batch in lives.batches]
    campaign = [np.full(p.size, b.campaign) for p, b in zip(person, lives.batches, strict=True)]
    nobody = np.zeros(0, dtype=np.int64)
    return _events(
        np.concatenate([nobody, *person]),
        _VIEW,
        np.concatenate([nobody, *time]),
        campaign=np.concatenate([nobody, *campaign]),
    )


def _sign_ups(people: People) -> Events:
    new = np.flatnonzero(people.arrivals.day >= 0)
    return _events(new, _FORM, people.arrivals.created[new] + SECOND, form=_SIGN_UP)


def _demos(rng: np.random.Generator, people: People, leads: Leads) -> Events:
    """Most opportunities asked for a demonstration a few days before; so did some others."""
    size = people.size
    asks = np.where(leads.sql_at >= 0, _DEMO_SHARE, 0.03 * people.arrivals.is_lead)
    person = np.flatnonzero(rng.random(size) < asks)
    days = rng.uniform(0.05, 6.0, size)
    before = leads.sql_at - np.floor(days * DAY / SECOND).astype(np.int64) * SECOND
    other = people.arrivals.created + np.floor(days * 20 * DAY / SECOND).astype(np.int64) * SECOND
    time = np.where(leads.sql_at >= 0, before, other)
    time = np.maximum(time, people.arrivals.created + 2 * SECOND)
    return _events(person, _FORM, time[person], form=_DEMO)
