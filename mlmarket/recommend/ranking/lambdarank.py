"""Trees that learn an order: which candidate should stand above which?"""

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.prediction.learner import THREADS
from mlmarket.recommend.ranking.forest import Forest
from mlmarket.recommend.ranking.shown_lessons import ShownLessons

__all__ = ["LambdaRank"]

Features = npt.NDArray[np.float32]

_SETTINGS: Final[dict[str, Any]] = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 15,
    "num_leaves": 31,
    "learning_rate": 0.08,
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "bagging_by_query": True,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": THREADS,
    "verbose": -1,
}


class LambdaRank:
    """Gradient-boosted trees that learn the order of candidates.

    Parameters
    ----------
    trees : int, default 120
        How many; each is asked about every candidate of every recipient.
    random_state : int, default 0
        Seed of the sampling of features and recipients.

    References
    ----------
    Burges (2010), From RankNet to LambdaRank to LambdaMART, MSR-TR-2010-82. Places of shown items: Hu, Wang, Peng and
    Li (2019), Unbiased LambdaMART, The World Wide Web Conference, pp. 2830-2836, in the additive form of LightGBM.
    """

    def __init__(self, *, trees: int = 120, random_state: int = 0) -> None:
        self.trees = trees
        self.random_state = random_state

    def fit(
        self,
        features: Features,
        relevant: npt.NDArray[np.bool_],
        size: npt.NDArray[np.integer],
        shown: ShownLessons | None = None,
    ) -> Self:
        """Learn the order.

        Parameters
        ----------
        features : ndarray of float32, shape (candidates, features)
            Of the candidates of one recipient after another.
        relevant : ndarray of bool, shape (candidates,)
            What was taken.
        size : ndarray of int, shape (recipients,)
            How many candidates each recipient has.
        shown : ShownLessons, optional
            Lists that were shown, as further groups. How much each place adds is learned beside the trees, and is no
            part of what they say; candidates that were not shown all stand in one place.

        Returns
        -------
        Self
        """
        import lightgbm as lgb

        kept: Any = {"params": {"max_bin": _SETTINGS["max_bin"], "verbose": -1}}
        if shown is None or not len(shown.size):
            rows = lgb.Dataset(features, relevant.astype(np.int8), group=size, **kept)
        else:
            position = np.append(np.zeros(len(relevant), np.int32), shown.position)
            rows = lgb.Dataset(
                [features, shown.features],
                np.append(relevant, shown.relevant).astype(np.int8),
                group=np.append(size, shown.size),
                position=position,
                **kept,
            )
        settings = {**_SETTINGS, "seed": self.random_state}
        booster = lgb.train(settings, rows, num_boost_round=self.trees)
        self.text_ = str(booster.model_to_string())
        self.forest_ = Forest.from_text(self.text_)
        return self

    def predict(self, features: Features) -> Features:
        """Return a score for each candidate.

        Parameters
        ----------
        features : ndarray of float32, shape (candidates, features)
            In the order of :meth:`fit`.

        Returns
        -------
        ndarray of float32, shape (candidates,)
            Comparable within a recipient.
        """
        return self.forest_.raw(features).astype(np.float32)

    def to_text(self) -> str:
        """Return LightGBM's own text format."""
        return self.text_

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read LightGBM's own text format."""
        read = cls()
        read.text_, read.forest_ = text, Forest.from_text(text)
        read.trees = len(read.forest_.first)
        return read
