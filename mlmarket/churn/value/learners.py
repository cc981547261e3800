"""What can learn an amount from feature rows, and what would a simple rule say?

An amount is what a contact is worth within the horizon, or on how many days it orders. Every learner
predicts its expectation, which is never below zero, and is kept in a format of its own.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.purchase.rfm import RfmCells
from mlmarket.prediction.columns import FeatureRows, numbers_of
from mlmarket.prediction.learner import read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AmountLearner",
    "Lesson",
    "MeanOf",
    "PastRate",
    "RfmAmounts",
    "kept_from_outliers",
    "restore_part",
    "save_part",
]

Floats = npt.NDArray[np.float64]

_FIRST: Final = "order_first_touch"
_WEEK: Final = 7.0
_YEAR: Final = 365.0
_OUTLIER: Final = 10.0
_UPPER: Final = 0.99


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a learner that stands at an instant knows.

    Parameters
    ----------
    features : pandas.DataFrame
        Rows of past cutoffs.
    amount : ndarray of float64, shape (rows,)
        What came after each of them, zero or more.
    present : pandas.DataFrame
        Features where the learner stands. What comes after is not known: it is for models that
        learn from the past alone.
    """

    features: "pd.DataFrame"
    amount: Floats
    present: "pd.DataFrame"


class AmountLearner(Protocol):
    """Learns the expectation of an amount from features."""

    @property
    def name(self) -> str:
        """What it is called in evidence."""
        ...

    def fit(self, lesson: Lesson) -> Self:
        """Learn; the same rows give the same model.

        Parameters
        ----------
        lesson : Lesson
            Rows and amounts, of which at least one is above zero.

        Returns
        -------
        Self

        Raises
        ------
        DataContractError
            Where there is too little to learn from.
        """
        ...

    def predict(self, features: FeatureRows) -> Floats:
        """Return the expected amount of each row.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Finite, zero or more; the answer for a row does not depend on other rows.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what was learned into an existing folder."""
        ...

    def restore(self, folder: Path) -> Self:
        """Read it back; predicts the very same numbers."""
        ...


class _Keeps(Protocol):
    def save(self, folder: Path) -> None: ...


def save_part(part: _Keeps, folder: Path, prefix: str) -> None:
    """Write one of several models into a folder, its files under a prefix.

    Parameters
    ----------
    part : object with a method ``save(folder)``
        The model.
    folder : Path
        An existing folder, without folders inside.
    prefix : str
        Before the names of its files.
    """
    with tempfile.TemporaryDirectory() as name:
        part.save(Path(name))
        for path in sorted(Path(name).iterdir()):
            shutil.copyfile(path, folder / f"{prefix}.{path.name}")


def restore_part(restore: Callable[[Path], object], folder: Path, prefix: str) -> None:
    """Read back what :func:`save_part` wrote.

    Parameters
    ----------
    restore : callable
        Takes a folder with the files as the model named them.
    folder : Path
        Where they were written.
    prefix : str
        Before the names of its files.
    """
    with tempfile.TemporaryDirectory() as name:
        for path in sorted(folder.glob(f"{prefix}.*")):
            shutil.copyfile(path, Path(name) / path.name.removeprefix(f"{prefix}."))
        restore(Path(name))


def kept_from_outliers(amount: Floats) -> Floats:
    """Return amounts of which none is far beyond the highest hundredth of those above zero.

    A single mistyped order must not lift what is expected of everybody like its buyer.

    Parameters
    ----------
    amount : ndarray of float64, shape (rows,)
        Zero or more.

    Returns
    -------
    ndarray of float64, shape (rows,)
        At most ten times the 99th percentile of those above zero.
    """
    if not amount.any():
        return amount
    most = _OUTLIER * float(np.quantile(amount[amount > 0.0], _UPPER, method="inverted_cdf"))
    kept: Floats = np.minimum(amount, most)
    return kept


class PastRate:
    """What a contact did in the past 365 days goes on at the same pace, a little more or less.

    The pace is the sum over the days that the contact is known, from `shortest` up to 365, drawn
    towards the mean pace by one week of it. How many days of that pace follow is one number for all,
    learned from what did follow.

    Parameters
    ----------
    column : str
        Of the features: the sum over 365 days.
    shortest : float, default 90
        Days that everybody counts as known: one order yesterday is no pace.
    """

    name = "past_rate"
    _FILE: Final = "past_rate.json"

    def __init__(self, column: str, *, shortest: float = 90.0) -> None:
        self.column = column
        self.shortest = shortest
        self._mean = float("nan")
        self._days = float("nan")

    def _sums(self, features: FeatureRows) -> tuple[Floats, Floats]:
        total = np.maximum(np.nan_to_num(numbers_of(features, self.column)), 0.0)
        return total, np.clip(np.nan_to_num(numbers_of(features, _FIRST)), self.shortest, _YEAR)

    def fit(self, lesson: Lesson) -> Self:
        """Learn the mean pace, and how much of it follows; see :class:`AmountLearner`."""
        total, known = self._sums(lesson.features)
        self._mean = float(kept_from_outliers(total).sum() / known.sum())
        pace = self._pace(lesson.features)
        self._days = float(kept_from_outliers(lesson.amount).sum() / max(pace.sum(), 1e-12))
        return self

    def _pace(self, features: FeatureRows) -> Floats:
        total, known = self._sums(features)
        pace: Floats = (total + _WEEK * self._mean) / (known + _WEEK)
        return pace

    def predict(self, features: FeatureRows) -> Floats:
        """Return the pace times the days; see :class:`AmountLearner`."""
        return self._days * self._pace(features)

    def save(self, folder: Path) -> None:
        """Write ``past_rate.json``."""
        write_json(folder / self._FILE, {"mean": self._mean, "days": self._days})

    def restore(self, folder: Path) -> Self:
        """Read ``past_rate.json``."""
        content = read_json(folder / self._FILE)
        self._mean, self._days = float(content["mean"]), float(content["days"])
        return self


class RfmAmounts:
    """The mean amount in each cell of recency, frequency and monetary value."""

    name = "rfm_cells"

    def __init__(self) -> None:
        self._cells = RfmCells()

    def fit(self, lesson: Lesson) -> Self:
        """Learn the cells and their means; see :class:`AmountLearner`."""
        self._cells.fit(lesson.features, kept_from_outliers(lesson.amount))
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the mean of each row's cell; see :class:`AmountLearner`."""
        return self._cells.predict(features)

    def save(self, folder: Path) -> None:
        """Write the cells as JSON."""
        self._cells.save(folder)

    def restore(self, folder: Path) -> Self:
        """Read them back."""
        self._cells.restore(folder)
        return self


class MeanOf:
    """The mean of several learners, which err in different places.

    Parameters
    ----------
    parts : sequence of AmountLearner
        The learners, of different names.
    name : str, default "blend"
        What it is called.

    References
    ----------
    Clemen (1989), Combining forecasts: a review and annotated bibliography, International Journal
    of Forecasting 5(4).
    """

    def __init__(self, parts: Sequence[AmountLearner], *, name: str = "blend") -> None:
        self.parts: Mapping[str, AmountLearner] = {part.name: part for part in parts}
        self.name = name

    def fit(self, lesson: Lesson) -> Self:
        """Fit every part on the same rows; see :class:`AmountLearner`."""
        for part in self.parts.values():
            part.fit(lesson)
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the mean of the parts; see :class:`AmountLearner`."""
        amounts = [part.predict(features) for part in self.parts.values()]
        mean: Floats = np.mean(amounts, axis=0)
        return mean

    def save(self, folder: Path) -> None:
        """Write every part."""
        for name, part in self.parts.items():
            save_part(part, folder, name)

    def restore(self, folder: Path) -> Self:
        """Read every part."""
        for name, part in self.parts.items():
            restore_part(part.restore, folder, name)
        return self
