"""Who is still a customer, and how often will each buy: what all such models share."""

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike

from mlmarket.churn.btyd.distinct import distinct_rows
from mlmarket.churn.btyd.histories import (
    FREQUENCY,
    LENGTH,
    RECENCY,
    UNIT,
    Floats,
    Histories,
    History,
    count_histories,
    read_history,
)
from mlmarket.churn.btyd.likelihood_model import LikelihoodModel, Sample
from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market.time import duration_text, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from mlmarket.churn.btyd.maximum import Peak

__all__ = ["BuyTillYouDie", "ExtrapolationWarning"]

_MANY: Final = 100_000
_ENOUGH: Final = 10_000


class ExtrapolationWarning(UserWarning):
    """A horizon is longer than any history that a model has learned from."""


class BuyTillYouDie(LikelihoodModel):
    """Base of the models of when contacts buy and leave.

    Parameters
    ----------
    unit : str or timedelta, default "7D"
        What the times of a summary are in.
    penalty : float, default 0
        As for :class:`LikelihoodModel`.
    start : mapping of str to float, optional
        As for :class:`LikelihoodModel`.
    """

    _informative = "bought again"
    longest_history_: float

    def __init__(
        self,
        *,
        unit: str | timedelta = "7D",
        penalty: float = 0.0,
        start: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(penalty=penalty, start=start)
        self.unit = unit

    @property
    def arguments(self) -> dict[str, Any]:
        """What it was made with."""
        return {"unit": duration_text(self._unit), **super().arguments}

    @property
    def _unit(self) -> timedelta:
        return parse_duration(self.unit)

    @classmethod
    def _learned(cls) -> tuple[str, ...]:
        return (*super()._learned(), "longest_history_")

    def fit(self, summary: object) -> Self:
        """Learn the parameters.

        Parameters
        ----------
        summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            One row a contact with ``frequency``, ``recency`` and ``T``, as
            :func:`~mlmarket.churn.transactions.summarize_transactions` makes it; their order does
            not matter.

        Returns
        -------
        Self
            With the parameters, ``log_likelihood_``, ``standard_errors_``, ``converged_``.

        Raises
        ------
        ConfigurationError
            Where an argument or a column is wrong.
        DataContractError
            Where a row is impossible, or too few contacts bought again.

        Warns
        -----
        ConvergenceWarning
            Where the data do not settle the parameters.
        """
        histories = count_histories(read_history(summary, unit=self._unit), unit=self._unit)
        longest = float(histories.length.max())
        if longest == 0.0:
            raise DataContractError(
                "Every contact bought for the first time on the day of as_of.",
                "Nobody has had any time to buy again.",
                "take a later as_of.",
            )
        self._learn(self._sample(histories, longest))
        self.longest_history_ = longest
        return self

    def _sample(self, histories: Histories, longest: float) -> Sample:
        scaled = histories.scaled(longest)
        purchases = float(histories.frequency @ histories.count)
        many = histories.count.size > _MANY
        thin = self._likelihood(scaled.every(histories.count.size // _ENOUGH)) if many else None
        return Sample(
            likelihood=self._likelihood(scaled),
            thinned=thin,
            scale=np.array([longest if name in {"alpha", "beta"} else 1.0 for name in self.names]),
            centre=self._centre(scaled),
            constant=-purchases * float(np.log(longest)),
            contacts=histories.contacts,
            informative=float(histories.count[histories.frequency > 0.0].sum()),
        )

    @abstractmethod
    def _likelihood(self, histories: Histories) -> "Callable[[Floats], Peak]":
        """Return the log-likelihood of histories, with its slope and curvature."""

    @abstractmethod
    def _centre(self, histories: Histories) -> Floats:
        """Return usual values: rates that differ as much as an exponential's, at their mean."""

    @abstractmethod
    def _log_odds_of_leaving(self, history: History) -> Floats:
        """Return the log odds of each contact to have left."""

    @abstractmethod
    def _expected_while_active(self, history: History, horizon: float) -> Floats:
        """Return the purchases within a horizon that are expected of contacts who have not left."""

    @abstractmethod
    def _bought_while_active(self, history: History, horizon: float) -> Floats:
        """Return the probability of a purchase within a horizon for contacts who have not left."""

    @abstractmethod
    def _expected_of_new(self, ages: Floats) -> Floats:
        """Return the repeat purchases that are expected of new contacts at certain ages."""

    @abstractmethod
    def _draw(self, lengths: Floats, draw: np.random.Generator) -> tuple[Floats, Floats]:
        """Return frequency and recency of contacts, as the model thinks they are."""

    def probability_alive(self, summary: object) -> Floats:
        """Return the probability that each contact has not left for good.

        It is a diagnostic: nobody can ever see whether somebody has left.

        Parameters
        ----------
        summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            As for :meth:`fit`, of any contacts.

        Returns
        -------
        ndarray of float64, shape (contacts,)
            From 0 to 1, in the order of the rows.

        Raises
        ------
        ConfigurationError
            Where the model is not fitted, or a column is wrong.
        DataContractError
            Where a row is impossible.
        """
        self.require_fitted()
        return self._alive(read_history(summary, unit=self._unit))

    def _alive(self, history: History) -> Floats:
        from scipy.special import expit

        alive: Floats = expit(-self._log_odds_of_leaving(history))
        return alive

    def expected_purchases(self, summary: object, *, horizon: str | timedelta) -> Floats:
        """Return how many purchases each contact is expected to make within a horizon.

        Parameters
        ----------
        summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            As for :meth:`fit`, of any contacts.
        horizon : str or timedelta
            How far to look, such as ``"90D"``.

        Returns
        -------
        ndarray of float64, shape (contacts,)
            Days with a purchase, from 0 up, in the order of the rows.

        Raises
        ------
        ConfigurationError
            Where the model is not fitted, or a column or the horizon is wrong.
        DataContractError
            Where a row is impossible.

        Warns
        -----
        ExtrapolationWarning
            Where the horizon is longer than the longest history.
        """
        ahead = self._ahead(horizon)
        history = read_history(summary, unit=self._unit)
        chosen, row = distinct_rows(history.frequency, history.length)
        expected = self._expected_while_active(history.at(chosen), ahead)
        return self._alive(history) * expected[row]

    def probability_purchase(self, summary: object, *, horizon: str | timedelta) -> Floats:
        """Return the probability that each contact buys at all within a horizon.

        Parameters
        ----------
        summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            As for :meth:`fit`, of any contacts.
        horizon : str or timedelta
            How far to look, such as ``"90D"``.

        Returns
        -------
        ndarray of float64, shape (contacts,)
            From 0 to 1, in the order of the rows.

        Raises
        ------
        ConfigurationError
            Where the model is not fitted, or a column or the horizon is wrong.
        DataContractError
            Where a row is impossible.

        Warns
        -----
        ExtrapolationWarning
            Where the horizon is longer than the longest history.
        """
        ahead = self._ahead(horizon)
        history = read_history(summary, unit=self._unit)
        chosen, row = distinct_rows(history.frequency, history.length)
        bought = self._bought_while_active(history.at(chosen), ahead)
        return self._alive(history) * bought[row]

    def expected_repeat_purchases(self, ages: ArrayLike) -> Floats:
        """Return how often a new contact is expected to have bought again at certain ages.

        Parameters
        ----------
        ages : array-like of shape (n,)
            Since the first purchase, in units of the model, from 0 up.

        Returns
        -------
        ndarray of float64, shape (n,)
            Days with a purchase after the first one.

        Raises
        ------
        ConfigurationError
            Where the model is not fitted, or an age is below 0 or missing.
        """
        self.require_fitted()
        return self._expected_of_new(_lengths(ages, "ages"))

    def simulate(
        self, lengths: ArrayLike, *, random_state: int | np.random.Generator
    ) -> "pd.DataFrame":
        """Draw contacts as the model thinks they are.

        Parameters
        ----------
        lengths : array-like of shape (n,)
            How long each contact is observed (T), in units of the model.
        random_state : int or numpy.random.Generator
            Seed or source of the draws.

        Returns
        -------
        pandas.DataFrame
            A summary: ``frequency, recency, T``; times are not whole days.

        Raises
        ------
        ConfigurationError
            Where the model is not fitted, or a length is below 0 or missing.
        """
        import pandas as pd

        self.require_fitted()
        observed = _lengths(lengths, "lengths")
        frequency, recency = self._draw(observed, np.random.default_rng(random_state))
        columns = {FREQUENCY: frequency.astype(np.int64), RECENCY: recency, LENGTH: observed}
        summary = pd.DataFrame(columns)
        summary.attrs[UNIT] = duration_text(self._unit)
        return summary

    def _simulated_like(self, summary: object, draw: np.random.Generator) -> "pd.DataFrame":
        return self.simulate(read_history(summary, unit=self._unit).length, random_state=draw)

    def _ahead(self, horizon: str | timedelta) -> float:
        """Return a horizon in units, and say where it is longer than all that was seen."""
        self.require_fitted()
        ahead = parse_duration(horizon) / self._unit
        if ahead > self.longest_history_ + 1.0:  # as long as the history, give or take a unit
            warnings.warn(
                f"A horizon of {ahead:.4g} units of {duration_text(self._unit)} is longer than the "
                f"longest history, {self.longest_history_:.4g}.\n"
                "What contacts do after that long has never been seen; the answer is the model's "
                "assumption.\n"
                "Fix: ask for a shorter horizon, or fit a longer history.",
                ExtrapolationWarning,
                stacklevel=3,
            )
        return ahead


def _lengths(values: ArrayLike, name: str) -> Floats:
    lengths = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if not ((lengths >= 0.0) & np.isfinite(lengths)).all():
        what = f"'{name}' has values below 0, or missing."
        why = "A contact is observed from its first purchase on."
        raise ConfigurationError(what, why, "pass lengths of time in units of the model.")
    return lengths
