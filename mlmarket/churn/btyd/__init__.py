"""Is this contact still a customer, how often will it buy, and at what value?

Buy-till-you-die models: everybody buys at a rate of their own until they leave, unseen.
"""

from mlmarket.churn.btyd.beta_geo import BetaGeoModel, ModifiedBetaGeoModel
from mlmarket.churn.btyd.gamma_gamma import GammaGammaModel
from mlmarket.churn.btyd.likelihood_model import ParameterDraws
from mlmarket.churn.btyd.maximum import ConvergenceWarning
from mlmarket.churn.btyd.model import ExtrapolationWarning
from mlmarket.churn.btyd.pareto_nbd import ParetoNBDModel

__all__ = [
    "BetaGeoModel",
    "ConvergenceWarning",
    "ExtrapolationWarning",
    "GammaGammaModel",
    "ModifiedBetaGeoModel",
    "ParameterDraws",
    "ParetoNBDModel",
]
