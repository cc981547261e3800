"""Trees and a line that know what a buy-till-you-die model says."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import numpy.typing as npt

from mlmarket.churn.beta_geo_learner import BetaGeoLearner
from mlmarket.prediction.columns import FeatureRows
from mlmarket.prediction.learner import Blend, Floats, Learner

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HistoryBlend", "widened"]


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

    References
    ----------
    Wolpert (1992), Stacked generalization, Neural Networks 5(2).
    """

    def __init__(
        self, parts: Sequence[Learner], history: BetaGeoLearner, *, name: str = "blend"
    ) -> None:
        super().__init__(parts, name=name)
        self.history = history

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Fit the history, then every part; see :class:`~mlmarket.prediction.learner.Learner`."""
        self.history.fit(features, label)
        return super().fit(cast("pd.DataFrame", widened(features, self.history)), label)

    def predict(self, features: FeatureRows) -> Floats:
        """Return the mean of the parts; see :class:`~mlmarket.prediction.learner.Learner`."""
        return super().predict(widened(features, self.history))

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
        parts = super().predict_parts(widened(features, self.history))
        return parts | {self.history.name: self.history.predict(features)}

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

    def restore(self, folder: Path) -> Self:
        """Read them back; see :class:`~mlmarket.prediction.learner.Learner`."""
        self.history.restore(folder)
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
