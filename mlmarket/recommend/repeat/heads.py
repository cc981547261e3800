"""How likely is it that somebody takes an item: one they have had, or one that is new to them?"""

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.prediction.learner import THREADS
from mlmarket.recommend.ranking.forest import Forest
from mlmarket.recommend.ranking.shown_lessons import ShownLessons

__all__ = ["RepeatAndNew", "position_effects"]

Features = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

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

_ORDER: Final[dict[str, Any]] = {
    **_SETTINGS,
    "objective": "lambdarank",
    "lambdarank_truncation_level": 15,
}
_ORDER_TREES: Final = 100

_FEW: Final = 50
"""Takings, and candidates not taken, below which a head knows no more than how often it happens."""

_TURNS: Final = 2
"""How often effects of places and trees are learned in turn."""

_STEPS: Final = 30
"""Of Newton's method, each at most 1."""

_LEAST: Final = 1e-6
"""Probability of what was never seen to happen: last in every order, and never a promise."""
_MOST: Final = float(np.log((1.0 - _LEAST) / _LEAST))
"""Log odds beyond which no head is sure."""


class RepeatAndNew:
    """Two heads of boosted trees: what comes back and what is new follow different laws.

    The first head learns from candidates that recipients have had, the second from those that are new to them. Both
    answer with the probability that the candidate is taken in the window, so that their answers stand on one scale
    and can be merged into one list. Where it is known which candidates are of one recipient, LambdaRank learns the
    order among own items as well, which is all that counts at the top of a list: its scores, brought to the mean and
    the spread of the log odds, are averaged with these.

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

    def fit(
        self,
        features: Features,
        relevant: Flags,
        present: Flags | None = None,
        size: npt.NDArray[np.integer] | None = None,
        shown: ShownLessons | None = None,
    ) -> Self:
        """Learn both heads.

        Parameters
        ----------
        features : ndarray of float32, shape (..., features)
            Of candidates.
        relevant : ndarray of bool, shape (...)
            What was taken.
        present : ndarray of bool, shape (...), optional
            Where there is a candidate; by default wherever it is known whether the recipient has had it.
        size : ndarray of int, shape (recipients,), optional
            How many candidates each recipient has, one recipient after another. By default no order is
            learned, nor where own items were shown: it would not know of their places.
        shown : ShownLessons, optional
            Items that were shown. How much their places add to the log odds is learned in turn with the trees, and
            is no part of what is said of candidates.

        Returns
        -------
        Self
        """
        rows = features.reshape(-1, features.shape[-1])
        taken = relevant.reshape(-1)
        there = ~np.isnan(rows[:, self.own]) if present is None else present.reshape(-1)
        own = rows[:, self.own] > 0
        shown_own = None if shown is None else shown.features[:, self.own] > 0
        self.rates_, self.bases_ = np.zeros(2), np.zeros(2)
        self.boosters_: list[str] = []
        places = [False, False]
        for head, chosen in enumerate((there & ~own, there & own)):
            hits, count = int(taken[chosen].sum()), int(chosen.sum())
            self.rates_[head] = hits / max(count, 1)
            if min(hits, count - hits) < _FEW:
                self.boosters_.append("")
                continue
            text = self._learned([rows[chosen]], taken[chosen])
            if shown is not None and shown_own is not None:
                too = shown_own if head else ~shown_own
                if int(shown.relevant[too].sum()) >= _FEW:
                    places[head] = True
                    self.bases_[head] = _log_odds(self.rates_[head])
                    some = (shown.features[too], shown.relevant[too], shown.position[too])
                    text = self._with_shown(rows[chosen], taken[chosen], some, text)
            self.boosters_.append(text)
        self.order_, self.scale_ = "", np.array([0.0, 1.0])
        self._forests = self._read()
        if size is not None and self.boosters_[1] and not places[1]:
            self._learn_order(rows[there & own], taken[there & own], _own_sizes(size, there & own))
        return self

    def _learn_order(
        self, rows: Features, taken: npt.NDArray[np.bool_], size: npt.NDArray[np.integer]
    ) -> None:
        import lightgbm as lgb

        table = lgb.Dataset(rows, label=taken.astype(np.int8), group=size, params={"verbose": -1})
        settings = {**_ORDER, "seed": self.random_state}
        self.order_ = str(lgb.train(settings, table, _ORDER_TREES).model_to_string())
        order = Forest.from_text(self.order_).raw(rows)
        odds = self._odds(1, rows)
        slope = float(odds.std() / order.std()) if order.std() > 0 else 0.0
        self.scale_ = np.array([odds.mean() - slope * order.mean(), slope])
        self._forests = self._read()

    def _with_shown(
        self, rows: Features, taken: Flags, shown: tuple[Features, Flags, Codes], text: str
    ) -> str:
        """Learn from shown items too, and what their places add in turn; return the trees without it."""
        features, hit, position = shown
        base, said = _log_odds(float(taken.mean())), Forest.from_text(text).raw(features)
        for _ in range(_TURNS):
            effect = position_effects(said, hit, position)
            offset = np.append(np.full(len(rows), base), base + effect[position])
            text = self._learned([rows, features], np.append(taken, hit), offset)
            said = base + Forest.from_text(text).raw(features)
        return text

    def _learned(self, rows: list[Features], taken: Flags, offset: Floats | None = None) -> str:
        import lightgbm as lgb

        label = taken.astype(np.int8)
        table = lgb.Dataset(rows, label, init_score=offset, params={"verbose": -1})
        settings = {**_SETTINGS, "seed": self.random_state}
        return str(lgb.train(settings, table, num_boost_round=self.trees).model_to_string())

    def _read(self) -> list[Forest | None]:
        texts = (*self.boosters_, self.order_)
        return [Forest.from_text(text) if text else None for text in texts]

    def _odds(self, head: int, rows: Features) -> Floats:
        forest = self._forests[head]
        if forest is None:
            return np.full(len(rows), _log_odds(self.rates_[head]))
        said: Floats = self.bases_[head] + forest.raw(rows)
        return said

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
            odds[chosen] = self._odds(head, rows[chosen])
        order = self._forests[2]
        if order is not None:
            offset, slope = self.scale_
            odds[own] = 0.5 * odds[own] + 0.5 * (offset + slope * order.raw(rows[own]))
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
            "bases": self.bases_,
            "boosters": self.boosters_,
            "order": self.order_,
            "scale": self.scale_,
        }

    @classmethod
    def from_state(cls, state: Any) -> Self:  # noqa: ANN401 - any mapping
        """Read it back."""
        read = cls(
            int(state["own"]), trees=int(state["trees"]), random_state=int(state["random_state"])
        )
        read.rates_ = np.asarray(state["rates"], dtype=np.float64)
        read.bases_ = np.asarray(state.get("bases", np.zeros(2)), dtype=np.float64)
        read.boosters_ = [str(text) for text in state["boosters"]]
        read.order_ = str(state["order"])
        read.scale_ = np.asarray(state["scale"], dtype=np.float64)
        read._forests = read._read()
        return read


def _own_sizes(size: npt.NDArray[np.integer], own: Flags) -> npt.NDArray[np.int64]:
    """Return how many own candidates each recipient has, of those who have any."""
    recipient = np.repeat(np.arange(len(size)), size)
    count = np.bincount(recipient[own], minlength=len(size))
    return count[count > 0].astype(np.int64)


def position_effects(
    said: Floats, taken: Flags, position: Codes, *, penalty: float = 1.0
) -> Floats:
    """Return how much each place of a list adds to the log odds that an item is taken.

    The effect e of place p solves ``Σ_p taken - sigmoid(said + e_p) = penalty · e_p``: a logistic regression on places
    beside what is said of the items themselves, so that a place whose items are better is not taken for a better
    place.

    Parameters
    ----------
    said : ndarray of float64, shape (items,)
        Log odds by the items alone.
    taken : ndarray of bool, shape (items,)
        Whether each was taken.
    position : ndarray of int32, shape (items,)
        Places, from 1.
    penalty : float, default 1
        Pulls places that hardly anybody was shown to 0.

    Returns
    -------
    ndarray of float64, shape (places + 1,)
        By place; 0 for the place 0.

    References
    ----------
    X. Wang, N. Golbandi, M. Bendersky, D. Metzler and M. Najork (2018), Position bias estimation for unbiased learning
    to rank in personal search, WSDM, pp. 610-618: examination estimated in turn with relevance by regression. Z. Zhao
    et al. (2019), Recommending what video to watch next, RecSys, pp. 43-51: the place as an additive term of the log
    odds that is left out when items are ranked.
    """
    many = int(position.max(initial=0)) + 1
    effect = np.zeros(many)
    hits = np.bincount(position, weights=taken, minlength=many)
    for _ in range(_STEPS):
        likely = 1.0 / (1.0 + np.exp(-(said + effect[position])))
        slope = np.bincount(position, weights=likely * (1.0 - likely), minlength=many) + penalty
        gap = hits - np.bincount(position, weights=likely, minlength=many) - penalty * effect
        effect += np.clip(gap / slope, -1.0, 1.0)
    return effect


def _log_odds(rate: float) -> float:
    rate = min(max(rate, _LEAST), 1.0 - _LEAST)
    return float(np.log(rate / (1.0 - rate)))
