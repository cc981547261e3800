"""What is a message expected to earn?

``probability * value - cost - fatigue``, where fatigue is what each message that the person has had
lately, or is planned to get, costs in attention. A part that is missing, infinite, or a probability
outside of 0 to 1 leaves the value unknown.
"""

import numpy as np
import numpy.typing as npt

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.candidates import Candidates, Rows
from mlmarket.orchestration.arbitration.facts import PeopleFacts
from mlmarket.orchestration.policy import Policy

__all__ = ["expected_values", "not_worth_it"]

Floats = npt.NDArray[np.float64]


def expected_values(
    candidates: Candidates, people: PeopleFacts, policy: Policy, *, channel: Rows, recent: Rows
) -> Floats:
    """Return what each candidate is expected to earn.

    Parameters
    ----------
    candidates : Candidates
        The messages.
    people : PeopleFacts
        Probabilities and values.
    policy : Policy
        Costs of channels, and fatigue. A transactional message is not charged for fatigue, as it
        passes caps.
    channel : ndarray of int64, shape (n,)
        The place in ``CHANNELS`` that each would use.
    recent : ndarray of int64, shape (n,)
        How many marketing messages its person has had within ``policy.fatigue.within``.

    Returns
    -------
    ndarray of float64, shape (n,)
        In the business's currency; NaN where not known or where nothing is said about it.
    """
    worths = [offer.worth for offer in candidates.offers]
    own = np.array([np.nan if worth is None else worth.cost for worth in worths], np.float64)
    rules = [policy.channels.get(name) for name in CHANNELS]
    costs = np.array([0.0 if rule is None else rule.cost for rule in rules], np.float64)
    chance = people.probability
    known = np.isfinite(people.gain) & (chance >= 0) & (chance <= 1)
    earned = np.where(known, chance, np.nan) * np.where(known, people.gain, np.nan)
    spent = own[candidates.offer] + costs[channel]
    if policy.fatigue is not None:
        charged = np.array([not offer.transactional for offer in candidates.offers], np.bool_)
        spent = spent + policy.fatigue.cost * (recent * charged[candidates.offer])
    value: Floats = earned - spent
    return value


def not_worth_it(candidates: Candidates, value: Floats) -> npt.NDArray[np.bool_]:
    """Return whose expected value is not known to be above what the message asks for.

    Parameters
    ----------
    candidates : Candidates
        The messages.
    value : ndarray of float64, shape (n,)
        See :func:`expected_values`.

    Returns
    -------
    ndarray of bool, shape (n,)
        False for messages that ask for nothing.
    """
    asked = [
        np.nan if offer.worth is None or offer.worth.needed is None else offer.worth.needed
        for offer in candidates.offers
    ]
    needed = np.array(asked, np.float64)[candidates.offer]
    return ~np.isnan(needed) & ~(value > needed)
