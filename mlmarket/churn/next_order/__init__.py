"""When is the next order due?"""

from mlmarket.churn.next_order.model import NextOrderModel

__all__ = ["NextOrderModel"]
