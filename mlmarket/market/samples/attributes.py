"""What does the CRM believe about people, and what does it not know?

The CRM sees the truth through missing answers and typing errors. Answers are missing not at
random: small companies skip their size, rare buyers the loyalty scheme.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mlmarket.market.samples.catalogue import TOPICS
from mlmarket.market.samples.draws import Flags, Floats, Ints, logistic
from mlmarket.market.samples.leads import COMPANY_SIZES, INDUSTRIES, Leads
from mlmarket.market.samples.people import SOURCES, People
from mlmarket.market.samples.places import COUNTRIES, ZONES

__all__ = ["LOYALTY_TIERS", "PLANS", "Texts", "describe"]

Texts = NDArray[np.object_]

PLANS: Final = ("free", "basic", "pro")
LOYALTY_TIERS: Final = ("bronze", "silver", "gold")
_DIRTY_SHARE: Final = 0.035
_WRONG_ZONE_SHARE: Final = 0.03
_NO_ZONE_SHARE: Final = 0.06
_NO_COUNTRY_SHARE: Final = 0.04
_DIRTY_ZONES: Final = ("GMT+1", "CET", "europe/lisbon", "Lisbon", "UTC+01:00", "WEST", "", "n/a")
_PERSONAL_DOMAINS: Final = ("example.com", "example.org", "example.net")


def describe(
    rng: np.random.Generator, people: People, leads: Leads, ids: Texts, bought: Flags
) -> dict[str, Texts]:
    """Draw the attributes of contacts.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    people : People
        The truth.
    leads : Leads
        Companies and outcomes.
    ids : ndarray of shape (n_people,)
        Contact ids.
    bought : ndarray of shape (n_people,)
        Whether the person ordered in the period.

    Returns
    -------
    dict of str to ndarray
        Text columns by name, None where the CRM knows nothing.
    """
    size = people.size
    arrivals, buying = people.arrivals, people.buying
    keen = np.log(buying.rate * 100)
    plan = np.digitize(keen + rng.normal(0.0, 1.3, size), [0.2, 1.7])
    tier = np.digitize(keen + rng.normal(0.0, 1.0, size), [0.3, 1.5])
    return {
        "external_id": _where(rng.random(size) < 0.9, _serial("crm-", ids)),
        "email": _emails(rng, ids, rng.random(size) < 0.97),
        "phone": _phones(rng, size),
        "account_id": _accounts(rng, people, leads),
        "timezone": _zones(rng, arrivals.place),
        "country": _where(rng.random(size) >= _NO_COUNTRY_SHARE, _name(COUNTRIES, arrivals.place)),
        "lifecycle_stage": _stages(people, leads, bought),
        "acquisition_source": _where(rng.random(size) >= 0.05, _name(SOURCES, arrivals.source)),
        "industry": _where(
            arrivals.is_lead & (rng.random(size) < 0.8), _name(INDUSTRIES, leads.industry)
        ),
        "company_size": _company_sizes(rng, people, leads),
        "plan": _where(rng.random(size) < 0.92, _name(PLANS, plan)),
        "interest": _interests(rng, people),
        "loyalty_tier": _where(
            rng.random(size) < logistic(0.1 + 0.8 * keen), _name(LOYALTY_TIERS, tier)
        ),
    }


def _where(known: Flags, texts: Texts) -> Texts:
    shown: Texts = np.where(known, texts, np.array(None, dtype=np.object_))
    return shown


def _name(names: tuple[str, ...], index: Ints) -> Texts:
    return np.array(names, dtype=np.object_)[index]


def _serial(prefix: str, ids: Texts) -> Texts:
    return np.array([prefix + one[1:] for one in ids], dtype=np.object_)


def _emails(rng: np.random.Generator, ids: Texts, known: Flags) -> Texts:
    domain = rng.integers(0, len(_PERSONAL_DOMAINS), ids.size)
    texts = [f"{one.lower()}@{_PERSONAL_DOMAINS[d]}" for one, d in zip(ids, domain, strict=True)]
    return _where(known, np.array(texts, dtype=np.object_))


def _phones(rng: np.random.Generator, size: int) -> Texts:
    """Numbers from the range that Ofcom keeps free for drama, so that no phone ever rings."""
    digits = rng.integers(0, 1000, size)
    texts = np.array([f"+447700900{number:03d}" for number in digits], dtype=np.object_)
    return _where(rng.random(size) < 0.25, texts)


def _accounts(rng: np.random.Generator, people: People, leads: Leads) -> Texts:
    """Colleagues share an account; the larger the company, the more of them."""
    crowd = 1 + 2 * leads.company_size
    number = rng.integers(0, people.size, people.size) // crowd * crowd
    texts = [f"A{s}{n:07d}" for s, n in zip(leads.company_size, number, strict=True)]
    return _where(people.arrivals.is_lead, np.array(texts, dtype=np.object_))


def _zones(rng: np.random.Generator, place: Ints) -> Texts:
    drawn = rng.random(place.size)
    texts = _name(ZONES, place)
    wrong = _name(ZONES, rng.integers(0, len(ZONES), place.size))
    dirty = _name(_DIRTY_ZONES, rng.integers(0, len(_DIRTY_ZONES), place.size))
    edges = np.cumsum([_NO_ZONE_SHARE, _DIRTY_SHARE, _WRONG_ZONE_SHARE])
    texts = np.where(drawn < edges[2], wrong, texts)
    texts = np.where(drawn < edges[1], dirty, texts)
    return _where(drawn >= edges[0], texts)


def _stages(people: People, leads: Leads, bought: Flags) -> Texts:
    """Return the stage at the end: it knows outcomes, as an overwritten field does."""
    stage = np.where(people.arrivals.is_lead, "lead", "subscriber").astype(np.object_)
    stage[bought] = "customer"
    stage[leads.sql_at >= 0] = "opportunity"
    stage[leads.won_at >= 0] = "customer"
    return stage


def _company_sizes(rng: np.random.Generator, people: People, leads: Leads) -> Texts:
    answered = rng.random(people.size) < logistic(0.2 + 0.6 * leads.company_size)
    return _where(people.arrivals.is_lead & answered, _name(COMPANY_SIZES, leads.company_size))


def _interests(rng: np.random.Generator, people: People) -> Texts:
    favourite = np.argmax(people.taste, axis=1)
    other = rng.integers(0, len(TOPICS), people.size)
    told = np.where(rng.random(people.size) < 0.65, favourite, other)
    strength: Floats = people.taste.max(axis=1)
    return _where(rng.random(people.size) < 0.35 + 0.5 * strength, _name(TOPICS, told))
