"""What can learn a probability from feature rows?

Each learner learns from a plain frame of features and 0/1 labels, answers for frames and Arrow batches
alike, and is kept in a format of its own: text, JSON or arrays, never a pickle.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from mlmarket.prediction.columns import FeatureRows

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pandas as pd

__all__ = [
    "THREADS",
    "BaseRate",
    "Blend",
    "Diagnoses",
    "Learner",
    "kept_from_certainty",
    "one_thread",
    "read_json",
    "write_json",
]

Floats = npt.NDArray[np.float64]

_CLIP: Final = 1e-6
"""No learner is surer than one in a million."""

THREADS: Final = 1
"""Of every learner: results must not depend on the machine, and on one that has other work to do
two threads that wait for each other took five times as long as one.
"""


class Learner(Protocol):
    """Learns P(label = 1) from features."""

    @property
    def name(self) -> str:
        """What it is called in evidence."""
        ...

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn from rows.

        Parameters
        ----------
        features : pandas.DataFrame
            Numbers, and text for categories; both may be missing.
        label : ndarray of int8, shape (rows,)
            0 or 1, both of them present.

        Returns
        -------
        Self
        """
        ...

    def predict(self, features: FeatureRows) -> Floats:
        """Return a probability for each row.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Between 0 and 1, both left out; the answer for a row depends neither on other rows nor
            on whether they came as a frame or as a batch.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what was learned, in files of its own.

        Parameters
        ----------
        folder : Path
            An existing folder.
        """
        ...

    def restore(self, folder: Path) -> Self:
        """Read what was learned back.

        Parameters
        ----------
        folder : Path
            Where :meth:`save` wrote.

        Returns
        -------
        Self
            Predicts the very same numbers.
        """
        ...


@runtime_checkable
class Diagnoses(Protocol):
    """Knows something beside the answer, which never decides anything."""

    def diagnostics(self, features: FeatureRows) -> dict[str, Floats]:
        """Return what else is known of each row.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`Learner.fit`.

        Returns
        -------
        dict of str to ndarray of float64, shape (rows,)
            By name; NaN where it is not known.
        """
        ...


def kept_from_certainty(probability: Floats) -> Floats:
    """Return probabilities at least one in a million away from 0 and 1.

    Parameters
    ----------
    probability : ndarray of float64
        From 0 to 1.

    Returns
    -------
    ndarray of float64
        Of the same shape.
    """
    kept: Floats = np.clip(probability, _CLIP, 1.0 - _CLIP)
    return kept


def one_thread() -> "AbstractContextManager[object]":
    """Let linear algebra run on one thread for a while.

    Sums of floats depend on how they are split among threads, and so on the machine.

    Returns
    -------
    context manager
        The limit ends with it.
    """
    from threadpoolctl import threadpool_limits

    return cast("AbstractContextManager[object]", threadpool_limits(limits=THREADS))


def write_json(path: Path, content: object) -> None:
    """Write plain values so that equal values give equal bytes.

    Parameters
    ----------
    path : Path
        The file.
    content : object
        Numbers, texts, lists and dicts; a number that is none is refused.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the plain values that :func:`write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


class BaseRate:
    """The same probability for everybody: the share of positives so far."""

    name = "base_rate"
    _FILE: Final = "base_rate.json"

    def __init__(self) -> None:
        self._rate = float("nan")

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Learn the share of positives, half a row of each kind added; see :class:`Learner`."""
        self._rate = float((label.sum() + 0.5) / (len(features) + 1.0))
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return it for each row; see :class:`Learner`."""
        return np.full(len(features), self._rate)

    def save(self, folder: Path) -> None:
        """Write ``base_rate.json``; see :class:`Learner`."""
        write_json(folder / self._FILE, {"rate": self._rate})

    def restore(self, folder: Path) -> Self:
        """Read ``base_rate.json``; see :class:`Learner`."""
        self._rate = float(read_json(folder / self._FILE)["rate"])
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

    References
    ----------
    Clemen (1989), Combining forecasts: a review and annotated bibliography, International Journal
    of Forecasting 5(4).
    """

    def __init__(self, parts: Sequence[Learner], *, name: str = "blend") -> None:
        self.parts = tuple(parts)
        self.name = name

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Fit every part on the same rows; see :class:`Learner`."""
        for part in self.parts:
            part.fit(features, label)
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the mean probability of the parts; see :class:`Learner`."""
        probability: Floats = np.mean([part.predict(features) for part in self.parts], axis=0)
        return probability

    def predict_parts(self, features: FeatureRows) -> dict[str, Floats]:
        """Return what each part says alone.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        dict of str to ndarray of float64
            Probabilities of the rows, by name of the part.
        """
        return {part.name: part.predict(features) for part in self.parts}

    def save(self, folder: Path) -> None:
        """Write every part; see :class:`Learner`."""
        for part in self.parts:
            part.save(folder)

    def restore(self, folder: Path) -> Self:
        """Read every part; see :class:`Learner`."""
        for part in self.parts:
            part.restore(folder)
        return self
