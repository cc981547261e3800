"""A contact may leave at any time: Pareto/NBD."""

from typing import TYPE_CHECKING

import numpy as np

from mlmarket.churn.btyd.distinct import distinct_rows
from mlmarket.churn.btyd.exponential import (
    ExponentialLikelihood,
    bought_before_leaving,
    log_odds_of_leaving,
)
from mlmarket.churn.btyd.histories import Floats, Histories, History
from mlmarket.churn.btyd.model import BuyTillYouDie

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlmarket.churn.btyd.maximum import Peak

__all__ = ["ParetoNBDModel"]


class ParetoNBDModel(BuyTillYouDie):
    """Pareto/NBD: contacts buy at their own rate and leave after a lifetime of their own.

    Rates of buying are Gamma distributed over contacts (shape `r_`, rate `alpha_`), so are the
    rates of leaving (shape `s_`, rate `beta_`), and the two are independent. Silence makes leaving
    likelier for everybody, also for those who bought once.

    Parameters
    ----------
    unit : str or timedelta, default "7D"
        What the times of a summary are in; that of ``summarize_transactions``.
    penalty : float, default 0
        As for :class:`~mlmarket.churn.btyd.beta_geo.BetaGeoModel`.
    start : mapping of str to float, optional
        Where the search begins, by parameter.

    Attributes
    ----------
    r_, alpha_, s_, beta_ : float
        The parameters; `alpha_` and `beta_` in units of time.
    log_likelihood_, standard_errors_, converged_, message_, iterations_, contacts_, \
longest_history_
        As for :class:`~mlmarket.churn.btyd.beta_geo.BetaGeoModel`.

    References
    ----------
    Schmittlein, Morrison and Colombo (1987), Counting your customers: who are they and what will
    they do next?, Management Science 33(1).
    Fader and Hardie (2005), A note on deriving the Pareto/NBD model and related expressions.
    """

    kind = "pareto_nbd"
    names = ("r", "alpha", "s", "beta")

    r_: float
    alpha_: float
    s_: float
    beta_: float

    def _likelihood(self, histories: Histories) -> "Callable[[Floats], Peak]":
        return ExponentialLikelihood(histories)

    def _centre(self, histories: Histories) -> Floats:
        purchases = max(float(histories.frequency @ histories.count), 1.0)
        observed = float(histories.length @ histories.count)
        return np.array([1.0, observed / purchases, 1.0, observed / histories.contacts])

    def _log_odds_of_leaving(self, history: History) -> Floats:
        chosen, row = distinct_rows(history.frequency, history.recency, history.length)
        return log_odds_of_leaving(history.at(chosen), self._values)[row]

    def _expected_while_active(self, history: History, horizon: float) -> Floats:
        rate = (self.r_ + history.frequency) / (self.alpha_ + history.length)
        return rate * self._time_active(self.beta_ + history.length, horizon)

    def _bought_while_active(self, history: History, horizon: float) -> Floats:
        return bought_before_leaving(history, self._values, horizon=horizon)

    def _expected_of_new(self, ages: Floats) -> Floats:
        return self.r_ / self.alpha_ * self._time_active(np.full(ages.size, self.beta_), ages)

    def _time_active(self, scale: Floats, ahead: Floats | float) -> Floats:
        """Return how much of a time ahead is expected before leaving."""
        from scipy.special import exprel

        longer = np.log1p(ahead / scale)
        # The usual quotient by s - 1 loses its digits near s = 1; this one is smooth there.
        active: Floats = scale * longer * exprel(-(self.s_ - 1.0) * longer)
        return active

    def _draw(self, lengths: Floats, draw: np.random.Generator) -> tuple[Floats, Floats]:
        size = lengths.size
        rate = draw.gamma(self.r_, 1.0 / self.alpha_, size)
        leaving = np.maximum(draw.gamma(self.s_, 1.0 / self.beta_, size), np.finfo(np.float64).tiny)
        active = np.minimum(draw.exponential(size=size) / leaving, lengths)
        frequency = draw.poisson(rate * active).astype(np.float64)
        again = frequency > 0.0
        share = np.zeros(size)
        share[again] = draw.beta(frequency[again], 1.0)  # the latest of uniform times
        return frequency, share * active
