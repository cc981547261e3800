"""What is each contact worth?"""

from mlmarket.churn.value.model import BuyTillYouDieValue, LifetimeValueModel

__all__ = ["BuyTillYouDieValue", "LifetimeValueModel"]
