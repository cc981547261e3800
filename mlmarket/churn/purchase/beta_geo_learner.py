"""What does a buy-till-you-die model say of the contacts whose features are known?

Recency, frequency and the time since the first order are features of every shop, and all that BG/NBD
looks at: it can stand in the contest, and what it says can be a feature of other learners.
"""

import warnings
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.btyd import BetaGeoModel, ConvergenceWarning, ExtrapolationWarning
from mlmarket.prediction.columns import FeatureRows, numbers_of
from mlmarket.prediction.learner import (
    Floats,
    kept_from_certainty,
    one_thread,
    read_json,
    write_json,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["ALIVE", "BetaGeoLearner"]

ALIVE: Final = "probability_alive"
"""Name of the diagnostic."""

_FILE: Final = "beta_geo.json"
_PENALTY: Final = 1.0
_FEWEST: Final = 1e-6


class BetaGeoLearner:
    """BG/NBD on features: frequency, recency and age of a customer, and no label.

    Frequency is the number of days with an order after the first, recency and T are whole days. It
    learns from the snapshots of all cutoffs together. Contacts without an order have no history: of
    them it says their share of positives.

    Parameters
    ----------
    horizon : timedelta
        How far to look.
    negated : bool, default False
        Whether the label is *no* order.

    References
    ----------
    Fader, Hardie and Lee (2005), "Counting your customers" the easy way: an alternative to the
    Pareto/NBD model, Marketing Science 24(2).
    """

    name = "beta_geo"

    def __init__(self, horizon: timedelta, *, negated: bool = False) -> None:
        self.horizon = horizon
        self.negated = negated
        self._share = float("nan")
        self._model: BetaGeoModel | None = None

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn the parameters; see :class:`~mlmarket.prediction.learner.Learner`.

        The label counts only for contacts without an order. A weak penalty draws the parameters to
        usual values, which settles them where there are few orders.
        """
        ordered = _has_ordered(features)
        others = label if ordered.all() else label[~ordered]
        self._share = float((others.sum() + 0.5) / (len(others) + 1.0))
        self._model = None
        histories = _histories(features, ordered)
        if ordered.any() and histories.column("T").to_numpy().max() > 0.0:
            with warnings.catch_warnings(), one_thread():
                # Whether it converged is asked of the model, where it matters.
                warnings.simplefilter("ignore", ConvergenceWarning)
                self._model = BetaGeoModel(unit="1D", penalty=_PENALTY).fit(histories)
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return a probability for each row; see :class:`~mlmarket.prediction.learner.Learner`."""
        probability = np.full(len(features), self._share)
        ordered = _has_ordered(features)
        if self._model is not None and ordered.any():
            bought = self._bought(_histories(features, ordered))
            probability[ordered] = 1.0 - bought if self.negated else bought
        return kept_from_certainty(probability)

    def stacked(self, features: FeatureRows) -> dict[str, Floats]:
        """Return what it says as features of other learners.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        dict of str to ndarray of float64, shape (rows,)
            Probability to be active, odds against an order within the horizon, and days for an
            expected order; missing for contacts without an order.
        """
        ordered = _has_ordered(features)
        columns = np.full((3, len(features)), np.nan)
        if self._model is not None and ordered.any():
            histories = _histories(features, ordered)
            bought = kept_from_certainty(self._bought(histories))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExtrapolationWarning)
                orders = self._model.expected_purchases(histories, horizon=self.horizon)
            days = self.horizon / timedelta(days=1)
            columns[0, ordered] = self._model.probability_alive(histories)
            columns[1, ordered] = (1.0 - bought) / bought
            columns[2, ordered] = days / np.maximum(orders, _FEWEST)
        names = ("beta_geo_alive", "beta_geo_odds_against", "beta_geo_days_an_order")
        return dict(zip(names, columns, strict=True))

    def diagnostics(self, features: FeatureRows) -> dict[str, Floats]:
        """Return the probability that each contact is still a customer.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        dict of str to ndarray of float64, shape (rows,)
            ``probability_alive``; missing without an order, and everywhere if the model did not
            converge.
        """
        alive = np.full(len(features), np.nan)
        ordered = _has_ordered(features)
        if self._model is not None and self._model.converged_ and ordered.any():
            alive[ordered] = self._model.probability_alive(_histories(features, ordered))
        return {ALIVE: alive}

    def _bought(self, histories: "pa.Table") -> Floats:
        if self._model is None:
            return np.empty(0)
        with warnings.catch_warnings():
            # A shop younger than the horizon is no reason to say nothing: the contest judges.
            warnings.simplefilter("ignore", ExtrapolationWarning)
            return self._model.probability_purchase(histories, horizon=self.horizon)

    def save(self, folder: Path) -> None:
        """Write ``beta_geo.json``; see :class:`~mlmarket.prediction.learner.Learner`."""
        model = None if self._model is None else self._model.to_dict()
        write_json(folder / _FILE, {"share": self._share, "model": model})

    def restore(self, folder: Path) -> Self:
        """Read ``beta_geo.json``; see :class:`~mlmarket.prediction.learner.Learner`."""
        content = read_json(folder / _FILE)
        self._share = float(content["share"])
        kept = content["model"]
        self._model = None if kept is None else BetaGeoModel.from_dict(kept)
        return self


def _has_ordered(features: FeatureRows) -> npt.NDArray[np.bool_]:
    return numbers_of(features, "order_days_active") > 0.0


def _histories(features: FeatureRows, ordered: npt.NDArray[np.bool_]) -> "pa.Table":
    """Return frequency, recency and T of those who have ordered, in whole days.

    Days of an order are counted by 24 hours, so two of them may be less than a day apart: who came
    back did so on the next day at the earliest.
    """
    import pyarrow as pa

    frequency = numbers_of(features, "order_days_active")[ordered] - 1.0
    since_first = numbers_of(features, "order_first_touch")[ordered]
    between = since_first - numbers_of(features, "order_recency")[ordered]
    recency = np.where(frequency > 0.0, np.maximum(np.rint(between), 1.0), 0.0)
    length = np.maximum(np.rint(since_first), recency)
    return pa.table({"frequency": frequency, "recency": recency, "T": length})
