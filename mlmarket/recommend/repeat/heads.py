"""How likely is it that somebody takes an item: one they have had, or one that is new to them?"""

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.prediction.learner import THREADS
from mlmarket.recommend.ranking.forest import Forest

__all__ = ["RepeatAndNew"]

Features = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

_SETTINGS: Final[dict[str, Any]] = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    "lambda_l2": 10.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": THREADS,
    "verbose": -1,
}

_FEW: Final = 50
"""Takings, and candidates not taken, below which a head knows no more than how often it happens."""

_LEAST: Final = 1e-6
"""Probability of what was never seen to happen: last in every order, and never a promise."""
_MOST: Final = float(np.log((1.0 - _LEAST) / _LEAST))
"""Log odds beyond which no head is sure."""


class RepeatAndNew:
    """Two heads of boosted trees: what comes back and what is new follow different laws.

    The first head learns from candidates that recipients have had, the second from those that are new to them. Both
    answer with the probability that the candidate is taken in the window, so that their answers stand on one scale
    and can be merged into one list.

    Parameters
    ----------
    own : int
        Which feature is above 0 for what a recipient has had.
    trees : int, default 150
        In each head.
    random_state : int, default 0
        Seed of the sampling of features and rows.

    Attributes
    ----------
    rates_ : ndarray of float64, shape (2,)
        How often candidates were taken: new ones, and own ones. An own rate of 0 says that nothing comes back.
    """

    def __init__(self, own: int, *, trees: int = 150, random_state: int = 0) -> None:
        self.own = own
        self.trees = trees
        self.random_state = random_state

    def fit(self, features: Features, relevant: Flags, present: Flags | None = None) -> Self:
        """Learn both heads.

        Parameters
        ----------
        features : ndarray of float32, shape (..., features)
            Of candidates.
        relevant : ndarray of bool, shape (...)
            What was taken.
        present : ndarray of bool, shape (...), optional
            Where there is a candidate; by default wherever it is known whether the recipient has had it.

        Returns
        -------
        Self
        """
        rows = features.reshape(-1, features.shape[-1])
        taken = relevant.reshape(-1)
        there = ~np.isnan(rows[:, self.own]) if present is None else present.reshape(-1)
        own = rows[:, self.own] > 0
        self.rates_ = np.zeros(2)
        self.boosters_: list[str] = []
        for head, chosen in enumerate((there & ~own, there & own)):
            hits, count = int(taken[chosen].sum()), int(chosen.sum())
            self.rates_[head] = hits / max(count, 1)
            enough = min(hits, count - hits) >= _FEW
            self.boosters_.append(self._learned(rows[chosen], taken[chosen]) if enough else "")
        self._forests = self._read()
        return self

    def _learned(self, rows: Features, taken: npt.NDArray[np.bool_]) -> str:
        import lightgbm as lgb

        table = lgb.Dataset(rows, label=taken.astype(np.int8), params={"verbose": -1})
        settings = {**_SETTINGS, "seed": self.random_state}
        return str(lgb.train(settings, table, num_boost_round=self.trees).model_to_string())

    def _read(self) -> list[Forest | None]:
        return [Forest.from_text(text) if text else None for text in self.boosters_]

    def predict(self, features: Features) -> Features:
        """Return the log odds that each candidate is taken: own and new ones on one scale.

        Parameters
        ----------
        features : ndarray of float32, shape (..., features)
            In the order of :meth:`fit`.

        Returns
        -------
        ndarray of float32, shape (...)
            Comparable within a recipient, and between recipients like those learned from.
        """
        rows = features.reshape(-1, features.shape[-1])
        own = rows[:, self.own] > 0
        odds = np.empty(len(rows))
        for head, chosen in enumerate((~own, own)):
            forest = self._forests[head]
            rate = np.clip(self.rates_[head], _LEAST, 1.0 - _LEAST)
            odds[chosen] = (
                np.log(rate / (1.0 - rate)) if forest is None else forest.raw(rows[chosen])
            )
        return np.clip(odds, -_MOST, _MOST).astype(np.float32).reshape(features.shape[:-1])

    def probability(self, features: Features) -> npt.NDArray[np.float64]:
        """Return the probability that each candidate is taken in the window.

        Parameters
        ----------
        features : ndarray of float32, shape (..., features)
            In the order of :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (...)
            Above 0, below 1; of recipients who take something, where only these were learned from.
        """
        likely: npt.NDArray[np.float64] = 1.0 / (
            1.0 + np.exp(-self.predict(features).astype(np.float64))
        )
        return likely

    def to_state(self) -> dict[str, Any]:
        """Return what was learned, the trees in LightGBM's own text format."""
        return {
            "own": self.own,
            "trees": self.trees,
            "random_state": self.random_state,
            "rates": self.rates_,
            "boosters": self.boosters_,
        }

    @classmethod
    def from_state(cls, state: Any) -> Self:  # noqa: ANN401 - any mapping
        """Read it back."""
        read = cls(
            int(state["own"]), trees=int(state["trees"]), random_state=int(state["random_state"])
        )
        read.rates_ = np.asarray(state["rates"], dtype=np.float64)
        read.boosters_ = [str(text) for text in state["boosters"]]
        read._forests = read._read()
        return read
