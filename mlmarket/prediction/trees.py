"""Small gradient-boosted trees: where does the probability jump?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from mlmarket.prediction.columns import FeatureColumns, FeatureRows
from mlmarket.prediction.learner import (
    THREADS,
    Floats,
    kept_from_certainty,
    read_json,
    write_json,
)

if TYPE_CHECKING:
    import lightgbm as lgb
    import pandas as pd

__all__ = ["BoostedTrees"]


class BoostedTrees:
    """Small gradient-boosted trees on the features as they are.

    Few leaves, slow learning and many rows a leaf: marketing tables are small and noisy.

    Parameters
    ----------
    leaves : int, default 15
        Leaves of each tree.
    trees : int, default 200
        How many trees.
    rows_a_leaf : int, default 60
        Rows a leaf holds at least.
    learning_rate : float, default 0.03
        Weight of each tree.
    seed : int, default 0
        Of the sampling of columns and rows.

    References
    ----------
    Ke et al. (2017), LightGBM: a highly efficient gradient boosting decision tree, NeurIPS.
    """

    name = "boosted_trees"

    def __init__(
        self,
        *,
        leaves: int = 15,
        trees: int = 200,
        rows_a_leaf: int = 60,
        learning_rate: float = 0.03,
        seed: int = 0,
    ) -> None:
        self.leaves = leaves
        self.trees = trees
        self.rows_a_leaf = rows_a_leaf
        self.learning_rate = learning_rate
        self.seed = seed
        self._columns = FeatureColumns((), {})
        self._booster: lgb.Booster | None = None

    def _matrix(self, features: FeatureRows) -> npt.NDArray[np.float32]:
        columns = self._columns
        first = len(columns.numbers)
        matrix = np.empty((len(features), first + len(columns.categories)), dtype=np.float32)
        columns.fill(features, matrix)
        for place, name in enumerate(columns.categories, first):
            codes = columns.codes(features, name)
            matrix[:, place] = np.where(codes < 0, np.nan, codes)
        return matrix

    def _parameters(self) -> dict[str, Any]:
        return {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.rows_a_leaf,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "cat_smooth": 20.0,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": THREADS,
            "verbose": -1,
        }

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn the trees; the same rows give the same trees. See :class:`Learner`."""
        import lightgbm as lgb

        self._columns = FeatureColumns.learn(features)
        first = len(self._columns.numbers)
        rows = lgb.Dataset(
            self._matrix(features),
            label=label,
            categorical_feature=list(range(first, first + len(self._columns.categories))),
            params={"verbose": -1, "min_data_in_bin": 3},
            free_raw_data=True,
        )
        parameters = self._parameters()
        self._booster = lgb.train(parameters, rows, num_boost_round=self.trees)
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return a probability for each row; see :class:`Learner`."""
        booster = self._trained()
        if not len(features):
            return np.empty(0)
        probability = booster.predict(self._matrix(features), num_threads=THREADS)
        return kept_from_certainty(np.asarray(probability, dtype=np.float64))

    def contributions(self, features: FeatureRows) -> dict[str, Floats]:
        """Return what each feature adds to the log odds of each row.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        dict of str to ndarray of float64, shape (rows,)
            By feature; with the mean over the training rows they add up to the log odds.

        References
        ----------
        Lundberg et al. (2020), From local explanations to global understanding with explainable AI
        for trees, Nature Machine Intelligence 2.
        """
        names = [*self._columns.numbers, *self._columns.categories]
        if not len(features):
            return {name: np.empty(0) for name in names}
        matrix = self._matrix(features)
        parts = np.asarray(self._trained().predict(matrix, pred_contrib=True, num_threads=THREADS))
        return {name: np.ascontiguousarray(parts[:, place]) for place, name in enumerate(names)}

    def _trained(self) -> "lgb.Booster":
        if self._booster is None:
            from sklearn.exceptions import NotFittedError

            text = "The trees have not been fitted; call fit(features, label) first."
            raise NotFittedError(text)
        return self._booster

    def importance(self) -> dict[str, float]:
        """Return the share of the total gain by feature.

        Returns
        -------
        dict of str to float
            They add up to 1, or are all 0 where no tree has a split.
        """
        gain = self._trained().feature_importance("gain")
        names = [*self._columns.numbers, *self._columns.categories]
        whole = float(gain.sum()) or 1.0
        return {name: float(part) / whole for name, part in zip(names, gain, strict=True)}

    def save(self, folder: Path) -> None:
        """Write LightGBM's own text format and the columns; see :class:`Learner`."""
        text = self._trained().model_to_string()
        (folder / "lightgbm.txt").write_text(text, encoding="utf-8", newline="\n")
        write_json(folder / "lightgbm_columns.json", self._columns.to_dict())

    def restore(self, folder: Path) -> Self:
        """Read them back; see :class:`Learner`."""
        import lightgbm as lgb

        text = (folder / "lightgbm.txt").read_text(encoding="utf-8")
        self._booster = lgb.Booster(model_str=text)
        self._columns = FeatureColumns.from_dict(read_json(folder / "lightgbm_columns.json"))
        return self
