"""Trees and a line that know what a buy-till-you-die model says."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, cast

import numpy as np
import numpy.typing as npt

from mlmarket.churn.purchase.beta_geo_learner import BetaGeoLearner
from mlmarket.prediction.columns import FeatureRows
from mlmarket.prediction.learner import (
    Blend,
    Floats,
    Learner,
    kept_from_certainty,
    read_json,
    write_json,
)
from mlmarket.prediction.level import level_belief, level_shift
from mlmarket.prediction.training import Rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HistoryBlend", "widened"]

_FILE: Final = "history_blend.json"


class HistoryBlend(Blend):
    """The mean of learners that have the answers of BG/NBD among their features.

    A model of how people buy needs few of them to learn from, but knows nothing of seasons, carts
    or mails; learners that know everything need many. Stacked, the ones begin where the other
    ends.

    Parameters
    ----------
    parts : sequence of Learner
        The learners.
    history : BetaGeoLearner
        Fitted on the same rows before them.
    name : str, default "blend"
        What it is called.

    Notes
    -----
    Where it is known which rows are of the latest cutoff, each part is moved towards their level, by
    less the longer the horizon; see :mod:`mlmarket.prediction.level`.

    References
    ----------
    Wolpert (1992), Stacked generalization, Neural Networks 5(2).
    """

    def __init__(
        self, parts: Sequence[Learner], history: BetaGeoLearner, *, name: str = "blend"
    ) -> None:
        super().__init__(parts, name=name)
        self.history = history
        self._shifts = np.zeros(len(self.parts))

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Fit the history, then every part; see :class:`~mlmarket.prediction.learner.Learner`."""
        self.history.fit(features, label)
        self._shifts = np.zeros(len(self.parts))
        return super().fit(cast("pd.DataFrame", widened(features, self.history)), label)

    def fit_over_time(self, rows: Rows) -> Self:
        """Fit everything, and move each part towards the level of the latest cutoff.

        Parameters
        ----------
        rows : Rows
            Of closed cutoffs.

        Returns
        -------
        Self
        """
        self.fit(rows.features, rows.label)
        if rows.cutoff is not None:
            latest = rows.cutoff == rows.cutoff.max()
            wide = widened(rows.features[latest], self.history)
            belief = level_belief(self.history.horizon)
            for place, part in enumerate(self.parts):
                said = part.predict(wide)
                self._shifts[place] = level_shift(said, rows.label[latest], belief=belief)
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the mean of the parts; see :class:`~mlmarket.prediction.learner.Learner`."""
        probability: Floats = np.mean(self._of_parts(features), axis=0)
        return probability

    def predict_parts(self, features: FeatureRows) -> dict[str, Floats]:
        """Return what each part says alone, and what the history says.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        dict of str to ndarray of float64
            Probabilities of the rows, by name.
        """
        names = [part.name for part in self.parts]
        parts = dict(zip(names, self._of_parts(features), strict=True))
        return parts | {self.history.name: self.history.predict(features)}

    def _of_parts(self, features: FeatureRows) -> list[Floats]:
        from scipy.special import expit, logit

        wide = widened(features, self.history)
        return [
            kept_from_certainty(np.asarray(expit(logit(part.predict(wide)) + shift)))
            for part, shift in zip(self.parts, self._shifts, strict=True)
        ]

    def diagnostics(self, features: FeatureRows) -> dict[str, Floats]:
        """Return the probability that each contact is still a customer.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        dict of str to ndarray of float64, shape (rows,)
            See :meth:`BetaGeoLearner.diagnostics`.
        """
        return self.history.diagnostics(features)

    def save(self, folder: Path) -> None:
        """Write every part and the history; see :class:`~mlmarket.prediction.learner.Learner`."""
        super().save(folder)
        self.history.save(folder)
        write_json(folder / _FILE, {"shifts": self._shifts.tolist()})

    def restore(self, folder: Path) -> Self:
        """Read them back; see :class:`~mlmarket.prediction.learner.Learner`."""
        self.history.restore(folder)
        self._shifts = np.asarray(read_json(folder / _FILE)["shifts"], dtype=np.float64)
        return super().restore(folder)


def widened(features: FeatureRows, history: BetaGeoLearner) -> FeatureRows:
    """Return features with the answers of a fitted history beside them.

    Parameters
    ----------
    features : pandas.DataFrame or pyarrow.RecordBatch
        The rows.
    history : BetaGeoLearner
        Fitted.

    Returns
    -------
    pandas.DataFrame or pyarrow.RecordBatch
        As `features` is.
    """
    import pyarrow as pa

    answers = history.stacked(features)
    if not isinstance(features, pa.RecordBatch):
        return features.assign(**answers)
    kept = [name for name in features.schema.names if name not in answers]
    columns = {name: features.column(name) for name in kept} | answers
    return pa.RecordBatch.from_arrays(
        [pa.array(column) for column in columns.values()], names=list(columns)
    )
