"""Whose contract will end?"""

from mlmarket.churn.subscription.hazard import DiscreteHazard, TenureHazard
from mlmarket.churn.subscription.model import SubscriptionChurnModel
from mlmarket.churn.subscription.periods import life_table, person_periods

__all__ = [
    "DiscreteHazard",
    "SubscriptionChurnModel",
    "TenureHazard",
    "life_table",
    "person_periods",
]
