"""Which campaigns does the shop send, when, and which variant truly works?"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.market.samples.calendar import Calendar
from mlmarket.market.samples.draws import Flags, Floats, Ints

__all__ = ["TOPICS_OF_MAIL", "VARIANTS", "Campaigns", "build_campaigns"]

VARIANTS: Final = ("A", "B", "C")
TOPICS_OF_MAIL: Final = ("newsletter", "offers", "product_news")
_SLOTS: Final = ((1, 10), (3, 18), (6, 20))  # weekday, hour of the business time zone
_SLOT_CHANCE: Final = 0.55
_ODD_SLOT_CHANCE: Final = 0.2  # moved to another hour, so that send times vary a little
_ODD_HOURS: Final = (8, 13, 21)
_PUSH_SHARE: Final = 0.15
_EFFECT_SIGMA: Final = 0.35
_NO_EFFECT_SHARE: Final = 0.4
_SPLITS: Final = np.array([[0.5, 0.5, 0.0], [0.8, 0.2, 0.0], [0.5, 0.3, 0.2]])


@dataclass(frozen=True, slots=True)
class Campaigns:
    """The plan of all sends.

    Parameters
    ----------
    day : ndarray of shape (n_campaigns,)
        Day of the send; at most one campaign a day.
    hour : ndarray of shape (n_campaigns,)
        Hour of the business time zone.
    push : ndarray of shape (n_campaigns,)
        Whether the channel is push instead of email.
    topic : ndarray of shape (n_campaigns,)
        Index into ``TOPICS_OF_MAIL``.
    share : ndarray of shape (n_campaigns,)
        Chance that a permitted contact is chosen.
    propensity : ndarray of shape (n_campaigns, 3)
        Chance of each variant.
    effect : ndarray of shape (n_campaigns, 3)
        Multiplier of the click chance of each variant.
    """

    day: Ints
    hour: Ints
    push: Flags
    topic: Ints
    share: Floats
    propensity: Floats
    effect: Floats

    @property
    def mean_effect(self) -> Floats:
        """Multiplier of the click chance before the variant is drawn, one a campaign."""
        mean: Floats = (self.propensity * self.effect).sum(axis=1)
        return mean


def build_campaigns(rng: np.random.Generator, calendar: Calendar) -> Campaigns:
    """Draw the plan of sends.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    calendar : Calendar
        The days.

    Returns
    -------
    Campaigns
        About 1.6 a week.
    """
    hour_of = dict(_SLOTS)
    slotted = np.isin(calendar.weekday, list(hour_of))
    day = np.flatnonzero(slotted & (rng.random(calendar.days) < _SLOT_CHANCE))
    usual = np.array([hour_of[int(w)] for w in calendar.weekday[day]], dtype=np.int64)
    odd = rng.random(day.size) < _ODD_SLOT_CHANCE
    effect = np.exp(rng.normal(0.0, _EFFECT_SIGMA, (day.size, len(VARIANTS))))
    effect[:, 0] = 1.0
    effect[rng.random(day.size) < _NO_EFFECT_SHARE] = 1.0
    return Campaigns(
        day=day,
        hour=np.where(odd, rng.choice(np.array(_ODD_HOURS), day.size), usual),
        push=rng.random(day.size) < _PUSH_SHARE,
        topic=rng.integers(0, len(TOPICS_OF_MAIL), day.size),
        share=rng.uniform(0.45, 1.0, day.size),
        propensity=_SPLITS[rng.integers(0, len(_SPLITS), day.size)],
        effect=effect,
    )
