"""Each purchase may be a contact's last: BG/NBD, and its modification."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mlmarket.churn.btyd.geometric import (
    GeometricLikelihood,
    expected_while_active,
    log_odds_of_leaving,
)
from mlmarket.churn.btyd.histories import Floats, Histories, History
from mlmarket.churn.btyd.model import BuyTillYouDie

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlmarket.churn.btyd.maximum import Peak

__all__ = ["BetaGeoModel", "ModifiedBetaGeoModel"]


class BetaGeoModel(BuyTillYouDie):
    """BG/NBD: contacts buy at their own rate and may leave after each repeat purchase.

    Rates are Gamma distributed over contacts (shape `r_`, rate `alpha_`), the chance to leave after
    a repeat purchase is Beta distributed (`a_`, `b_`), and the two are independent. Who has not
    bought again counts as active for sure, since only a repeat purchase can be the last.

    Parameters
    ----------
    unit : str or timedelta, default "7D"
        What the times of a summary are in; that of ``summarize_transactions``.
    penalty : float, default 0
        For little data: the precision of a normal prior on the logarithm of each parameter around a
        usual value. 1 says "within a factor of e, mostly"; 0 is plain maximum likelihood.
    start : mapping of str to float, optional
        Where the search begins, by parameter; it does not matter where a likelihood has one top.

    Attributes
    ----------
    r_, alpha_, a_, b_ : float
        The parameters; `alpha_` in units of time.
    log_likelihood_ : float
        Without the penalty.
    standard_errors_ : dict of str to float, or None
        From the curvature at the top, by the delta method; None where the fit did not converge.
    converged_ : bool
        Whether the data settle the parameters; where not, `message_` says which.
    message_ : str
        The same in words.
    iterations_, contacts_ : int
        How often the likelihood was computed, and of how many contacts.
    longest_history_ : float
        In units of time.

    References
    ----------
    Fader, Hardie and Lee (2005), "Counting your customers" the easy way: an alternative to the
    Pareto/NBD model, Marketing Science 24(2).

    Examples
    --------
    >>> import pandas as pd
    >>> columns = {"frequency": [2, 1, 0, 4, 1, 0], "recency": [30.0, 2, 0, 35, 8, 0], "T": [39.0] * 6}
    >>> model = BetaGeoModel(penalty=1.0).fit(pd.DataFrame(columns))
    >>> model.probability_alive(pd.DataFrame(columns)).round(2)
    array([0.7 , 0.29, 1.  , 0.8 , 0.39, 1.  ])
    """

    kind = "beta_geo"
    names = ("r", "alpha", "a", "b")
    _first_chance: ClassVar[int] = 0

    r_: float
    alpha_: float
    a_: float
    b_: float

    def _likelihood(self, histories: Histories) -> "Callable[[Floats], Peak]":
        return GeometricLikelihood(histories, first_chance=self._first_chance)

    def _centre(self, histories: Histories) -> Floats:
        return np.array([1.0, _time_for_a_purchase(histories), 1.0, 3.0])

    def _log_odds_of_leaving(self, history: History) -> Floats:
        return log_odds_of_leaving(history, self._values, first_chance=self._first_chance)

    def _expected_while_active(self, history: History, horizon: float) -> Floats:
        return expected_while_active(
            self.r_ + history.frequency,
            horizon / (self.alpha_ + history.length),
            self.b_ + history.frequency + self._first_chance,
            self.a_,
        )

    def _bought_while_active(self, history: History, horizon: float) -> Floats:
        stretch = horizon / (self.alpha_ + history.length)
        return -np.expm1(-(self.r_ + history.frequency) * np.log1p(stretch))

    def _expected_of_new(self, ages: Floats) -> Floats:
        new = np.zeros(ages.size)
        shape, stays = new + self.r_, new + self.b_ + self._first_chance
        expected = expected_while_active(shape, ages / self.alpha_, stays, self.a_)
        return expected * (self.b_ / (self.a_ + self.b_)) ** self._first_chance

    def _draw(self, lengths: Floats, draw: np.random.Generator) -> tuple[Floats, Floats]:
        size = lengths.size
        rate = draw.gamma(self.r_, 1.0 / self.alpha_, size)
        leaves = np.maximum(draw.beta(self.a_, self.b_, size), np.finfo(np.float64).tiny)
        made = draw.poisson(rate * lengths).astype(np.float64)  # purchases if nobody left
        most = np.floor(draw.exponential(size=size) / -np.log1p(-leaves)) + 1.0 - self._first_chance
        frequency = np.minimum(made, most)
        # The last of them is an order statistic of uniform times.
        share = np.ones(size)
        again = frequency > 0.0
        share[again] = draw.beta(frequency[again], made[again] - frequency[again] + 1.0)
        return frequency, np.where(again, share * lengths, 0.0)


class ModifiedBetaGeoModel(BetaGeoModel):
    """MBG/NBD: contacts may leave after the first purchase too.

    Otherwise as :class:`BetaGeoModel`, whose parameters, attributes and methods it shares. Who has
    not bought again may have left: P(alive) falls with silence for everybody.

    Parameters
    ----------
    unit : str or timedelta, default "7D"
        As for :class:`BetaGeoModel`.
    penalty : float, default 0
        As for :class:`BetaGeoModel`.
    start : mapping of str to float, optional
        As for :class:`BetaGeoModel`.

    References
    ----------
    Batislam, Denizel and Filiztekin (2007), Empirical validation and comparison of models for
    customer base analysis, International Journal of Research in Marketing 24(3).
    Hoppe and Wagner (2007), Customer base analysis: the case for a central variant of the
    Betageometric/NBD model, Marketing: Journal of Research and Management 3(2).
    """

    kind = "modified_beta_geo"
    _first_chance = 1


def _time_for_a_purchase(histories: Histories) -> float:
    """Return how long contacts were observed for each repeat purchase, at least one of them."""
    purchases = max(float(histories.frequency @ histories.count), 1.0)
    return float(histories.length @ histories.count) / purchases
