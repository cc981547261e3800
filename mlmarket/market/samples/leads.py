"""Which leads are good ones, and which become opportunities and sales?"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.market.samples.calendar import HOUR, SECOND, Calendar
from mlmarket.market.samples.draws import Floats, Ints, choose, logistic
from mlmarket.market.samples.people import Arrivals

__all__ = ["COMPANY_SIZES", "INDUSTRIES", "Leads", "draw_leads"]

INDUSTRIES: Final = (
    "hospitality",
    "retail",
    "offices",
    "healthcare",
    "education",
    "manufacturing",
    "public_sector",
    "construction",
)
COMPANY_SIZES: Final = ("1-9", "10-49", "50-249", "250-999", "1000+")

_INDUSTRY_WEIGHTS: Final = np.array([0.22, 0.18, 0.17, 0.1, 0.09, 0.1, 0.06, 0.08])
_INDUSTRY_EFFECT: Final = np.array([0.9, 0.1, 0.5, 0.2, -0.3, -0.2, -0.7, -0.8])
_SIZE_WEIGHTS: Final = np.array([0.36, 0.3, 0.2, 0.09, 0.05])
_SIZE_EFFECT: Final = np.array([-0.9, 0.1, 0.7, 0.6, -0.2])  # the largest take their time
_SOURCE_EFFECT: Final = np.array([0.1, 0.7, 0.2, -0.7, -0.6, 0.5])
_BASE: Final = -2.1
_INTENT_EFFECT: Final = 1.1
_WON_BASE: Final = -0.6
_WON_EFFECT: Final = 0.55
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Leads:
    """The lead funnel; arrays of shape (n_people,).

    Parameters
    ----------
    industry, company_size : ndarray
        Index into ``INDUSTRIES`` and ``COMPANY_SIZES``.
    intent : ndarray
        How much the person wants it, standard normal; it shows in behaviour only.
    chance, won_chance : ndarray
        Chance that a lead becomes an opportunity ("sql"), and then a sale ("won"); 0 for others.
    sql_at, won_at : ndarray
        When, microseconds since 1970 UTC; -1 where it does not happen before the end.
    won_cents : ndarray
        Worth of the sale in euro cents.
    """

    industry: Ints
    company_size: Ints
    intent: Floats
    chance: Floats
    won_chance: Floats
    sql_at: Ints
    won_at: Ints
    won_cents: Ints


def draw_leads(rng: np.random.Generator, arrivals: Arrivals, calendar: Calendar) -> Leads:
    """Draw the quality of leads and what becomes of them.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    arrivals : Arrivals
        When people came.
    calendar : Calendar
        The days; outcomes after them are not known.

    Returns
    -------
    Leads
        Quality and outcomes.
    """
    size = arrivals.day.size
    industry = choose(rng, _INDUSTRY_WEIGHTS, size)
    company_size = choose(rng, _SIZE_WEIGHTS, size)
    intent = rng.normal(0.0, 1.0, size)
    odds = _BASE + _INDUSTRY_EFFECT[industry] + _SIZE_EFFECT[company_size]
    odds = odds + _SOURCE_EFFECT[arrivals.source] + _INTENT_EFFECT * intent
    chance = np.where(arrivals.is_lead, logistic(odds), 0.0)
    won_chance = np.where(arrivals.is_lead, logistic(_WON_BASE + _WON_EFFECT * odds / 2), 0.0)
    sql_at = arrivals.created + _wait(rng, 14.0, 0.8, size)
    won_at = sql_at + _wait(rng, 28.0, 0.6, size)
    is_sql = rng.random(size) < chance
    is_won = is_sql & (rng.random(size) < won_chance)
    worth = np.exp(rng.normal(7.0, 0.9, size) + 0.5 * company_size)
    known = calendar.end - HOUR
    return Leads(
        industry=industry,
        company_size=company_size,
        intent=intent,
        chance=chance,
        won_chance=won_chance,
        sql_at=np.where(is_sql & (sql_at < known), sql_at, -1),
        won_at=np.where(is_won & (won_at < known), won_at, -1),
        won_cents=np.rint(worth).astype(np.int64) * 100,
    )


def _wait(rng: np.random.Generator, median_days: float, sigma: float, size: int) -> Ints:
    days = median_days * np.exp(rng.normal(0.0, sigma, size)) + 0.1
    return np.floor(days * _DAY_SECONDS).astype(np.int64) * SECOND
