"""What do the models of buying and leaving expect, from the features of a snapshot?

They learn from what contacts did until now, and need nobody's outcome.
"""

import warnings
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.btyd import (
    BetaGeoModel,
    ConvergenceWarning,
    ExtrapolationWarning,
    GammaGammaModel,
)
from mlmarket.churn.value.learners import Lesson
from mlmarket.errors import DataContractError
from mlmarket.market.time import duration_text
from mlmarket.prediction.columns import FeatureRows, numbers_of
from mlmarket.prediction.learner import one_thread, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["BuyTillYouDieAmounts"]

Floats = npt.NDArray[np.float64]

_PENALTY: Final = 1.0
"""Of the parameters' logarithms: next to nothing for thousands of contacts, and what settles the
parameters where hardly anybody has left yet.
"""
_FEWEST: Final = 20
"""Contacts who bought again, without whom nothing is said."""
_MOST_DAYS: Final = 1e5
_MOST_MONEY: Final = 1e15
_SMALLEST: Final = 0.01
"""Of the mean value of a purchase: what is assumed where returns have eaten all of it."""


class BuyTillYouDieAmounts:
    """Days with an order by BG/NBD, and their value by Gamma-Gamma.

    Of a snapshot, x is the days with an order less one, T the days since the first order, and t_x
    those from the first to the last. The value of a purchase is the net total over all days with
    an order, the first one too.

    Parameters
    ----------
    horizon : timedelta
        How far to look.
    of_value : bool, default True
        Whether value is expected, or days with an order alone.

    References
    ----------
    Fader, Hardie and Lee (2005), "Counting your customers" the easy way, Marketing Science 24(2).
    Fader, Hardie and Lee (2005), RFM and CLV: using iso-value curves for customer base analysis,
    Journal of Marketing Research 42(4).
    """

    name = "buy_till_you_die"
    _FILE: Final = "buy_till_you_die.json"

    def __init__(self, horizon: timedelta, *, of_value: bool = True) -> None:
        self.horizon = horizon
        self.of_value = of_value
        self._purchases = BetaGeoModel(unit="1D", penalty=_PENALTY)
        self._spend = GammaGammaModel(penalty=_PENALTY)
        self._least = 0.0

    def fit(self, lesson: Lesson) -> Self:
        """Learn from the present alone; see :class:`AmountLearner`.

        Raises
        ------
        DataContractError
            Where too few bought again, or the data do not settle the parameters.
        """
        known = numbers_of(lesson.present, "order_days_active") > 0.0
        present = lesson.present[known].reset_index(drop=True)
        again = int((numbers_of(present, "order_days_active") >= 2.0).sum())
        if again < _FEWEST:
            raise DataContractError(
                f"Only {again:,} contacts bought again, {_FEWEST} are needed.",
                "Who never comes back says nothing of how often others do.",
                "wait for more orders.",
            )
        with _unsettled_is_refused(), one_thread():
            self._purchases = BetaGeoModel(unit="1D", penalty=_PENALTY).fit(_summary(present, 0.0))
            if self.of_value:
                self._learn_spend(present)
        return self

    def _learn_spend(self, present: "FeatureRows") -> None:
        value = _value_of_purchases(present)
        if not (value > 0.0).any():
            raise DataContractError(
                "No contact has bought for more than came back.",
                "Nothing is known of what a purchase is worth.",
                "look at the amounts of orders and returns.",
            )
        self._least = _SMALLEST * float(value[value > 0.0].mean())
        self._spend = GammaGammaModel(penalty=_PENALTY).fit(_summary(present, self._least))
        # An infinite mean is refused here, not in the night.
        self._spend.expected_value(_summary(present, self._least))

    def predict(self, features: FeatureRows) -> Floats:
        """Return expected days with an order, times their value; see :class:`AmountLearner`."""
        if not len(features):
            return np.empty(0)
        summary = _summary(features, self._least)
        with warnings.catch_warnings():
            # Whoever asks is told so by the evidence, once, not in each bucket of a night.
            warnings.simplefilter("ignore", ExtrapolationWarning)
            span = duration_text(self.horizon)
            amount = self._purchases.expected_purchases(summary, horizon=span)
        if self.of_value:
            amount = amount * self._spend.expected_value(summary)
        expected: Floats = np.maximum(amount, 0.0)
        return expected

    @property
    def longest_history(self) -> timedelta:
        """How long the contact that is known longest was known."""
        return timedelta(days=self._purchases.longest_history_)

    def save(self, folder: Path) -> None:
        """Write the parameters as JSON."""
        content = {
            "purchases": self._purchases.to_dict(),
            "spend": self._spend.to_dict() if self.of_value else None,
            "least": self._least,
        }
        write_json(folder / self._FILE, content)

    def restore(self, folder: Path) -> Self:
        """Read them back."""
        content = read_json(folder / self._FILE)
        self._purchases = BetaGeoModel.from_dict(content["purchases"])
        if content["spend"] is not None:
            self._spend = GammaGammaModel.from_dict(content["spend"])
        self._least = float(content["least"])
        return self


@contextmanager
def _unsettled_is_refused() -> "Iterator[None]":
    """Turn a search that did not converge into an error, so that it is never used in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            yield
        except ConvergenceWarning as warning:
            what = str(warning).splitlines()[0]
            why = "Parameters that the data do not settle may be anything."
            raise DataContractError(what, why, "use a longer history.") from warning


def _value_of_purchases(features: FeatureRows) -> Floats:
    days = np.maximum(np.nan_to_num(numbers_of(features, "order_days_active")), 1.0)
    net = np.clip(np.nan_to_num(numbers_of(features, "net_order_total")), 0.0, _MOST_MONEY)
    value: Floats = net / days
    return value


def _summary(features: FeatureRows, least: float) -> "pa.Table":
    """Return what the models ask for, in days; each row by itself."""
    import pyarrow as pa

    days = np.clip(np.nan_to_num(numbers_of(features, "order_days_active")), 1.0, _MOST_DAYS)
    length = np.clip(np.nan_to_num(numbers_of(features, "order_first_touch")), 0.0, _MOST_DAYS)
    since_last = np.nan_to_num(numbers_of(features, "order_recency"))
    recency = np.clip(length - since_last, 0.0, length)
    # Several orders of one day are one purchase, whatever their times.
    again = (days >= 2.0) & (recency > 0.0)
    frequency = np.where(again, np.floor(days) - 1.0, 0.0)
    recency = np.where(again, recency, 0.0)
    value = _value_of_purchases(features) if least else np.zeros_like(frequency)
    return pa.table(
        {
            "frequency": frequency,
            "recency": recency,
            "T": length,
            "monetary_value": np.maximum(value, least),
        }
    )
