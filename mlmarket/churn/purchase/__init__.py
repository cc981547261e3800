"""Who will buy, and who is leaving without notice?"""

from mlmarket.churn.purchase.model import ChurnModel, PurchaseModel
from mlmarket.churn.purchase.rfm import RecencyRule, RfmCells

__all__ = ["ChurnModel", "PurchaseModel", "RecencyRule", "RfmCells"]
