"""Who are the people, and what is true about them?"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.market.samples.calendar import DAY, HOUR, MINUTE, SECOND, Calendar
from mlmarket.market.samples.catalogue import TOPICS, Catalogue
from mlmarket.market.samples.draws import Flags, Floats, Ints, choose, logistic
from mlmarket.market.samples.habits import Habits, build_habits
from mlmarket.market.samples.places import PLACE_WEIGHTS

__all__ = [
    "KINDS",
    "NEVER",
    "SHAPES",
    "SOURCES",
    "Arrivals",
    "Buying",
    "Mailing",
    "People",
    "draw_people",
]

NEVER: Final = 2**62  # microseconds; later than any moment of the shop
KINDS: Final = ("regular", "irregular", "browser")
SHAPES: Final = np.array([1.0, 4.0, 9.0, 16.0])
SOURCES: Final = (
    "organic",
    "referral",
    "paid_search",
    "paid_social",
    "marketplace",
    "webinar",
)

_OLD_SHARE: Final = 0.32
_SOURCES_FIRST: Final = np.array([0.32, 0.18, 0.22, 0.08, 0.10, 0.10])
_SOURCES_LAST: Final = np.array([0.20, 0.10, 0.18, 0.30, 0.14, 0.08])
_SOURCE_RATE: Final = np.array([1.15, 1.4, 1.0, 0.65, 0.8, 0.95])
_SOURCE_LEAVING: Final = np.array([0.9, 0.7, 1.0, 1.5, 1.3, 1.0])
_KIND_WEIGHTS: Final = np.array([0.14, 0.46, 0.40])
_MEDIAN_DAYS: Final = np.array([np.nan, 130.0, 700.0])  # regular buyers follow their staple
_RATE_SIGMA: Final = np.array([0.2, 0.9, 0.7])
_SIGNUP_ORDER: Final = np.array([0.45, 0.30, 0.06])
_WARM_GAIN: Final = np.array([1.6, 7.0, 7.0])
_SESSIONS_SIGMA: Final = 0.3
_SESSIONS_MEDIAN: Final = 0.120  # a day, for 50 events a contact


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When and from where people came; arrays of shape (n_people,).

    Parameters
    ----------
    created : ndarray
        Microseconds since 1970 UTC.
    day : ndarray
        Day of arrival, -1 before the first day.
    source : ndarray
        Index into ``SOURCES``.
    place : ndarray
        Index into ``places.ZONES``.
    is_lead : ndarray
        Whether the sales team looks at the person.
    """

    created: Ints
    day: Ints
    source: Ints
    place: Ints
    is_lead: Flags


@dataclass(frozen=True, slots=True)
class Buying:
    """What drives purchases; arrays of shape (n_people,), hazards are by the day.

    Parameters
    ----------
    kind : ndarray
        Index into ``KINDS``.
    rate : ndarray
        Speed of the purchase clock; 1 / rate is the mean interval at an even pace.
    shape : ndarray
        Index into ``SHAPES``: gamma shape of the interval, 1 is memoryless.
    signup_order : ndarray
        Chance of an order on the day of arrival.
    dropout, wake, warm_up, cool_down : ndarray
        Hazards of leaving, of returning, of a warm episode's begin and of its end.
    warm_gain, boost_gain : ndarray
        Multipliers of the purchase hazard in a warm episode and after a click.
    sessions : ndarray
        Mean visits a day while cool.
    basket : ndarray
        Multiplier of the number of lines.
    staple : ndarray
        Item that is bought again and again, -1 for none.
    staple_interval : ndarray
        Days between two purchases of it.
    """

    kind: Ints
    rate: Floats
    shape: Ints
    signup_order: Floats
    dropout: Floats
    wake: Floats
    warm_up: Floats
    cool_down: Floats
    warm_gain: Floats
    boost_gain: Floats
    sessions: Floats
    basket: Floats
    staple: Ints
    staple_interval: Floats


@dataclass(frozen=True, slots=True)
class Mailing:
    """What drives messages; arrays of shape (n_people,).

    Parameters
    ----------
    email_at, push_at : ndarray
        When consent was given, microseconds since 1970 UTC; ``NEVER`` where it was not.
    email_refused, push_refused : ndarray
        Whether it was refused outright at arrival.
    reads : ndarray
        Chance that a message that is met is opened.
    clicks : ndarray
        Chance that an opened message of no special variant is clicked, while cool.
    leaves : ndarray
        Chance that an opened email makes the person leave the list.
    proxy : ndarray
        Whether a privacy proxy opens every email.
    dead : ndarray
        Whether the mailbox does not exist.
    """

    email_at: Ints
    push_at: Ints
    email_refused: Flags
    push_refused: Flags
    reads: Floats
    clicks: Floats
    leaves: Floats
    proxy: Flags
    dead: Flags


@dataclass(frozen=True, slots=True)
class People:
    """Everything that is true about some people.

    Parameters
    ----------
    arrivals : Arrivals
        When and from where they came.
    buying : Buying
        What drives their purchases.
    mailing : Mailing
        What drives their reading.
    habits : Habits
        Their hours.
    taste : ndarray of shape (n_people, n_topics)
        Share of each topic of the catalogue in what they like.
    """

    arrivals: Arrivals
    buying: Buying
    mailing: Mailing
    habits: Habits
    taste: Floats

    @property
    def size(self) -> int:
        """Number of people."""
        return self.arrivals.day.size


def draw_people(
    rng: np.random.Generator,
    size: int,
    calendar: Calendar,
    catalogue: Catalogue,
    events_per_contact: float,
) -> People:
    """Draw people and their traits.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    size : int
        Number of people.
    calendar : Calendar
        The days they live through.
    catalogue : Catalogue
        What they may like.
    events_per_contact : float
        Mean number of events that is aimed at.

    Returns
    -------
    People
        The people.
    """
    arrivals = _arrivals(rng, size, calendar)
    topics = rng.gamma(0.35, size=(size, len(TOPICS))) * catalogue.appeal + 1e-9
    taste: Floats = topics / topics.sum(axis=1, keepdims=True)
    buying = _buying(rng, arrivals, taste, catalogue, events_per_contact / 50.0)
    mailing = _mailing(rng, arrivals, buying)
    return People(arrivals, buying, mailing, build_habits(rng, size), taste)


def _arrivals(rng: np.random.Generator, size: int, calendar: Calendar) -> Arrivals:
    share = (np.arange(calendar.days) + 0.5) / calendar.days
    day = choose(rng, 0.5 + 1.5 * share**1.5, size)
    old = rng.random(size) < _OLD_SHARE
    seconds = np.floor(rng.triangular(6.5, 14.0, 22.5, size) * 3600)
    created = calendar.at(day, seconds)
    long_ago = calendar.starts[0] - np.floor(rng.exponential(400, size) + 1).astype(np.int64) * DAY
    created = np.where(old, long_ago + seconds.astype(np.int64) * SECOND - 24 * HOUR, created)
    when = np.where(old, 0.0, share[day])
    mix = (1 - when)[:, np.newaxis] * _SOURCES_FIRST + when[:, np.newaxis] * _SOURCES_LAST
    climbed = np.cumsum(mix, axis=1)
    source = (rng.random((size, 1)) * climbed[:, -1:] >= climbed).sum(axis=1)
    lead_chance = np.array([0.4, 0.5, 0.45, 0.35, 0.15, 0.95])[source]
    return Arrivals(
        created=created,
        day=np.where(old, -1, day),
        source=source,
        place=choose(rng, PLACE_WEIGHTS, size),
        is_lead=rng.random(size) < lead_chance,
    )


def _buying(
    rng: np.random.Generator,
    arrivals: Arrivals,
    taste: Floats,
    catalogue: Catalogue,
    volume: float,
) -> Buying:
    size = arrivals.day.size
    kind = choose(rng, _KIND_WEIGHTS, size)
    regular = kind == 0
    staple, interval = _staples(rng, taste, catalogue)
    usual = np.where(regular, interval, _MEDIAN_DAYS[np.maximum(kind, 1)])
    rate = np.exp(rng.normal(0.0, 1.0, size) * _RATE_SIGMA[kind]) / usual
    rate *= np.where(regular, 1.0, _SOURCE_RATE[arrivals.source])
    rate = np.minimum(rate, 0.5)
    has_staple = regular | (rng.random(size) < 0.35)
    sessions = np.exp(rng.normal(0.0, _SESSIONS_SIGMA, size)) * (rate * 90) ** 0.85
    gone_for_good = rng.random(size) < 0.12
    return Buying(
        kind=kind,
        rate=rate,
        shape=np.where(regular, 1 + choose(rng, np.array([0.35, 0.4, 0.25]), size), 0),
        signup_order=_SIGNUP_ORDER[kind],
        dropout=rng.gamma(2.5, 1 / 560, size) * _SOURCE_LEAVING[arrivals.source],
        wake=np.where(gone_for_good, 0.0, np.exp(rng.normal(np.log(1 / 200), 0.35, size))),
        warm_up=np.exp(rng.normal(np.log(1 / 45), 0.5, size)),
        cool_down=np.exp(rng.normal(np.log(1 / 9), 0.3, size)),
        warm_gain=_WARM_GAIN[kind] * np.exp(rng.normal(0.0, 0.3, size)),
        boost_gain=np.where(regular, 1.4, 2.6) * np.exp(rng.normal(0.0, 0.3, size)),
        sessions=sessions * _SESSIONS_MEDIAN * volume,
        basket=np.exp(rng.normal(0.0, 0.45, size)),
        staple=np.where(has_staple, staple, -1),
        staple_interval=np.where(has_staple, 1 / np.where(regular, rate, 1 / interval), 0.0),
    )


def _staples(rng: np.random.Generator, taste: Floats, catalogue: Catalogue) -> tuple[Ints, Floats]:
    """Draw a consumable that suits each person's taste, and how long it lasts them."""
    consumables = np.flatnonzero(catalogue.interval > 0)
    old = catalogue.popularity[0, consumables] > 0
    consumables = consumables[old]
    liking = np.cumsum(taste[:, catalogue.topic[consumables]] + 1e-3, axis=1)
    drawn = rng.random((len(taste), 1)) * liking[:, -1:]
    staple = consumables[np.minimum((drawn >= liking).sum(axis=1), consumables.size - 1)]
    interval = catalogue.interval[staple] * np.exp(rng.normal(0.0, 0.15, len(taste)))
    return staple, interval


def _mailing(rng: np.random.Generator, arrivals: Arrivals, buying: Buying) -> Mailing:
    size = arrivals.day.size
    keen = logistic(rng.normal(0.0, 1.0, size) + 0.25 * np.log(buying.rate * 100))
    answer = rng.random(size)
    signup = answer < 0.42 + 0.3 * keen
    late = ~signup & (answer < 0.56 + 0.3 * keen)
    refused = ~signup & ~late & (answer < 0.70 + 0.25 * keen)
    shortly = arrivals.created + rng.integers(5, 60, size) * SECOND
    later = arrivals.created + rng.exponential(45 * 24 * 60, size).astype(np.int64) * MINUTE + DAY
    push = rng.random(size)
    return Mailing(
        email_at=np.where(signup, shortly, np.where(late, later, NEVER)),
        push_at=np.where(push < 0.25, shortly + rng.integers(0, 20 * 86_400, size) * SECOND, NEVER),
        email_refused=refused,
        push_refused=(push >= 0.25) & (push < 0.40),
        reads=0.15 + 0.8 * rng.beta(1.6, 2.0, size),
        clicks=rng.beta(1.2, 7.0, size),
        leaves=rng.beta(0.6, 60.0, size),
        proxy=rng.random(size) < 0.27,
        dead=rng.random(size) < 0.015,
    )
