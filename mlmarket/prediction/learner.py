"""What can learn a probability from feature rows?

Each learner works on a plain frame of features and 0/1 labels, and is kept in a format of its own:
text, JSON or arrays, never a pickle.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import lightgbm as lgb
    import pandas as pd

__all__ = ["BaseRate", "Blend", "BoostedTrees", "Learner", "LogisticModel"]

Floats = npt.NDArray[np.float64]

_CLIP: Final = 1e-6
"""No learner is surer than one in a million."""

_ROWS_FOR_TWO_THREADS: Final = 100_000
"""Below it, threads wait for each other longer than they work."""


class Learner(Protocol):
    """Learns P(label = 1) from features."""

    @property
    def name(self) -> str:
        """What it is called in evidence."""
        ...

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn from rows."""
        ...

    def predict(self, features: "pd.DataFrame") -> Floats:
        """Return a probability for each row."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was learned."""
        ...

    def restore(self, folder: Path) -> Self:
        """Read what was learned back."""
        ...


def _clip(probability: Floats) -> Floats:
    return np.clip(probability, _CLIP, 1.0 - _CLIP)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _read_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(slots=True)
class BaseRate:
    """The same probability for everybody: the share of positives so far."""

    rate: float = float("nan")
    name: str = "base_rate"

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn the share of positives."""
        self.rate = float((label.sum() + 0.5) / (len(features) + 1.0))
        return self

    def predict(self, features: "pd.DataFrame") -> Floats:
        """Return it for each row."""
        return np.full(len(features), self.rate)

    def save(self, folder: Path) -> None:
        """Write ``base_rate.json``."""
        _write_json(folder / "base_rate.json", {"rate": self.rate})

    def restore(self, folder: Path) -> Self:
        """Read ``base_rate.json``."""
        self.rate = float(_read_json(folder / "base_rate.json")["rate"])
        return self


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which features are numbers, and the categories of the others."""

    numbers: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def learn(cls, features: "pd.DataFrame", *, most: int = 40) -> "_Columns":
        numbers = [name for name in features.columns if features[name].dtype.kind in "fiub"]
        categories = {}
        for name in features.columns:
            if name not in numbers:
                counts = features[name].value_counts()
                frequent = sorted(counts.index, key=lambda value: (-counts[value], str(value)))
                categories[str(name)] = tuple(str(value) for value in frequent[:most])
        return cls(tuple(str(name) for name in numbers), categories)

    def codes(self, features: "pd.DataFrame", name: str) -> npt.NDArray[np.int64]:
        """Return the place of each value among the categories, -1 where it is none of them."""
        import pandas as pd

        values = features[name].astype("object")
        return pd.Categorical(values, categories=list(self.categories[name])).codes.astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        return {"numbers": list(self.numbers), "categories": dict(self.categories)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "_Columns":
        categories = {name: tuple(values) for name, values in content["categories"].items()}
        return cls(tuple(content["numbers"]), categories)


def _threads(rows: int) -> int:
    """Return a number of threads that depends on the data only, so that results do too."""
    return 2 if rows >= _ROWS_FOR_TWO_THREADS else 1


class BoostedTrees:
    """Small gradient-boosted trees on the features as they are.

    Few leaves, slow learning and many rows a leaf: marketing tables are small and noisy.

    Parameters
    ----------
    leaves, trees, rows_a_leaf : int
        Size of the model.
    learning_rate : float
        Weight of each tree.
    seed : int
        Of LightGBM's column and row sampling.
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
        self._columns = _Columns((), {})
        self._booster: lgb.Booster | None = None

    def _matrix(self, features: "pd.DataFrame") -> npt.NDArray[np.float32]:
        columns = self._columns
        width = len(columns.numbers) + len(columns.categories)
        matrix = np.empty((len(features), width), dtype=np.float32)
        for place, name in enumerate(columns.numbers):
            matrix[:, place] = features[name].to_numpy(dtype=np.float32, na_value=np.nan)
        for place, name in enumerate(columns.categories, start=len(columns.numbers)):
            codes = columns.codes(features, name).astype(np.float32)
            matrix[:, place] = np.where(codes < 0, np.nan, codes)
        return matrix

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn the trees; the same rows give the same trees."""
        import lightgbm as lgb

        self._columns = _Columns.learn(features)
        first = len(self._columns.numbers)
        places = list(range(first, first + len(self._columns.categories)))
        rows = lgb.Dataset(
            self._matrix(features),
            label=label,
            categorical_feature=places,
            params={"verbose": -1, "min_data_in_bin": 3},
            free_raw_data=True,
        )
        parameters = {
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
            "num_threads": _threads(len(label)),
            "verbose": -1,
        }
        self._booster = lgb.train(parameters, rows, num_boost_round=self.trees)
        return self

    def predict(self, features: "pd.DataFrame") -> Floats:
        """Return a probability for each row."""
        if self._booster is None or not len(features):
            return np.empty(0)
        return _clip(
            np.asarray(
                self._booster.predict(self._matrix(features), num_threads=_threads(len(features)))
            )
        )

    def importance(self) -> dict[str, float]:
        """Return the share of the total gain by feature."""
        if self._booster is None:
            return {}
        gain = self._booster.feature_importance("gain")
        names = [*self._columns.numbers, *self._columns.categories]
        whole = float(gain.sum()) or 1.0
        return {name: float(part) / whole for name, part in zip(names, gain, strict=True)}

    def save(self, folder: Path) -> None:
        """Write LightGBM's own text format and the columns."""
        if self._booster is not None:
            (folder / "lightgbm.txt").write_text(self._booster.model_to_string(), encoding="utf-8")
        _write_json(folder / "lightgbm_columns.json", self._columns.to_dict())

    def restore(self, folder: Path) -> Self:
        """Read them back."""
        import lightgbm as lgb

        text = (folder / "lightgbm.txt").read_text(encoding="utf-8")
        self._booster = lgb.Booster(model_str=text)
        self._columns = _Columns.from_dict(_read_json(folder / "lightgbm_columns.json"))
        return self


class LogisticModel:
    """Logistic regression on logarithms of the features.

    Counts, sums and days enter as ``sign(x) · log(1 + |x|)``, standardised; a missing value is the
    mean, with a column of its own that says so; categories have a column each.

    Parameters
    ----------
    strength : float, default 0.02
        L2 penalty for each row-independent coefficient (1 / C of scikit-learn).
    """

    name = "logistic"

    def __init__(self, *, strength: float = 1.0) -> None:
        self.strength = strength
        self._columns = _Columns((), {})
        self._center = np.empty(0)
        self._scale = np.empty(0)
        self._has_missing = np.empty(0, dtype=bool)
        self._weights = np.empty(0)

    def _numbers(self, features: "pd.DataFrame") -> Floats:
        names = list(self._columns.numbers)
        raw = features[names].to_numpy(dtype=np.float64, na_value=np.nan)
        logs: Floats = np.sign(raw) * np.log1p(np.abs(raw))
        return logs

    def _design(self, features: "pd.DataFrame") -> Floats:
        logs = self._numbers(features)
        missing = np.isnan(logs)
        # Far outside what was seen, a straight line on the log odds knows nothing.
        standard = np.clip((logs - self._center) / self._scale, -5.0, 5.0)
        blocks = [np.where(missing, 0.0, standard), missing[:, self._has_missing].astype(float)]
        for name, values in self._columns.categories.items():
            codes = self._columns.codes(features, name)
            blocks.append((codes[:, None] == np.arange(len(values))).astype(float))
        return np.hstack(blocks)

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn the weights."""
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        self._columns = _Columns.learn(features)
        logs = self._numbers(features)
        seen = ~np.isnan(logs)
        count = np.maximum(seen.sum(axis=0), 1)
        self._center = np.where(seen, logs, 0.0).sum(axis=0) / count
        deviation = np.where(seen, logs - self._center, 0.0)
        self._scale = np.sqrt((deviation**2).sum(axis=0) / count)
        self._scale[self._scale < 1e-9] = 1.0
        self._has_missing = ~seen.all(axis=0)
        model = LogisticRegression(C=1.0 / self.strength, max_iter=500, tol=1e-5)
        # One thread: sums of floats depend on how they are split.
        with threadpool_limits(limits=1):
            model.fit(self._design(features), label)
        self._weights = np.concatenate([model.intercept_, model.coef_[0]])
        return self

    def predict(self, features: "pd.DataFrame") -> Floats:
        """Return a probability for each row."""
        from scipy.special import expit

        log_odds = self._design(features) @ self._weights[1:] + self._weights[0]
        return _clip(np.asarray(expit(log_odds), dtype=np.float64))

    def save(self, folder: Path) -> None:
        """Write the weights as JSON."""
        content = {
            "columns": self._columns.to_dict(),
            "center": self._center.tolist(),
            "scale": self._scale.tolist(),
            "has_missing": self._has_missing.tolist(),
            "weights": self._weights.tolist(),
        }
        _write_json(folder / "logistic.json", content)

    def restore(self, folder: Path) -> Self:
        """Read them back."""
        content = _read_json(folder / "logistic.json")
        self._columns = _Columns.from_dict(content["columns"])
        self._center = np.asarray(content["center"], dtype=np.float64)
        self._scale = np.asarray(content["scale"], dtype=np.float64)
        self._has_missing = np.asarray(content["has_missing"], dtype=bool)
        self._weights = np.asarray(content["weights"], dtype=np.float64)
        return self


class Blend:
    """The mean of several learners.

    Trees and a line err in different places; their mean is better than either on small data.

    Parameters
    ----------
    parts : sequence of Learner
        The learners.
    name : str, default "blend"
        What it is called.
    """

    def __init__(self, parts: Sequence[Learner], *, name: str = "blend") -> None:
        self.parts = tuple(parts)
        self.name = name

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Fit every part on the same rows."""
        for part in self.parts:
            part.fit(features, label)
        return self

    def predict(self, features: "pd.DataFrame") -> Floats:
        """Return the mean probability of the parts."""
        return np.mean([part.predict(features) for part in self.parts], axis=0)

    def save(self, folder: Path) -> None:
        """Write every part."""
        for part in self.parts:
            part.save(folder)

    def restore(self, folder: Path) -> Self:
        """Read every part."""
        for part in self.parts:
            part.restore(folder)
        return self
