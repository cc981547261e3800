"""What would a simple rule say: how recent, how often, how much?

The baseline that every marketer knows: customers are put into cells by recency, frequency and
monetary value, and each cell buys as often as it did before.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.prediction.columns import FeatureRows, has_column, numbers_of
from mlmarket.prediction.learner import Floats, read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RecencyRule", "RfmCells"]

_RECENCY: Final = "order_recency"
_FREQUENCY: Final = "order_days_active"
_MONETARY: Final = "order_total"
_FILE: Final = "rfm_cells.json"


class RfmCells:
    """The share of buyers in each cell of recency, frequency and monetary value.

    Recency is cut at its quintiles, money at its terciles, frequency at fixed numbers of order
    days, since most customers have few. A cell's share is drawn towards the overall share by
    `prior` customers, so that small cells stay near it.

    Parameters
    ----------
    prior : float, default 20
        Weight of the overall share in each cell, in customers.
    use_frequency, use_money : bool, default True
        Whether the cells are split by them; without both, this is a recency rule.
    name : str, default "rfm_cells"
        What it is called.

    References
    ----------
    Hughes (1994), Strategic Database Marketing, on recency, frequency and monetary cells.
    """

    _FREQUENCY_EDGES: Final = (1.5, 2.5, 4.5, 9.5)

    def __init__(
        self,
        *,
        prior: float = 20.0,
        use_frequency: bool = True,
        use_money: bool = True,
        name: str = "rfm_cells",
    ) -> None:
        self.prior = prior
        self.use_frequency = use_frequency
        self.use_money = use_money
        self.name = name
        self._recency_edges = np.empty(0)
        self._money_edges = np.empty(0)
        self._share = np.empty(0)

    def _cells(self, features: FeatureRows) -> npt.NDArray[np.int64]:
        # Who never ordered has no recency; NaN is sorted behind every edge, as long ago is.
        recency = numbers_of(features, _RECENCY)
        cell = np.searchsorted(self._recency_edges, recency, side="left")
        if self.use_frequency:
            frequency = numbers_of(features, _FREQUENCY)
            cell = cell * 5 + np.searchsorted(self._FREQUENCY_EDGES, frequency)
        if self.use_money and has_column(features, _MONETARY):
            money = numbers_of(features, _MONETARY)
            cell = cell * 3 + np.searchsorted(self._money_edges, money, side="left")
        return cell.astype(np.int64)

    def fit(self, features: "pd.DataFrame", label: "npt.NDArray[np.int8 | np.float64]") -> Self:
        """Learn the edges of the cells and their shares.

        Parameters
        ----------
        features : pandas.DataFrame
            With ``order_recency``, ``order_days_active`` and, where there is one,
            ``order_total``.
        label : ndarray of int8 or float64, shape (rows,)
            0 or 1, or amounts, of which the mean of each cell is learned.

        Returns
        -------
        Self
        """
        recency = numbers_of(features, _RECENCY)
        self._recency_edges = _quantiles(recency[np.isfinite(recency)], (0.2, 0.4, 0.6, 0.8))
        if self.use_money and has_column(features, _MONETARY):
            money = numbers_of(features, _MONETARY)
            self._money_edges = _quantiles(money, (1 / 3, 2 / 3))
        cells = self._cells(features)
        overall = (float(label.sum()) + 0.5) / (len(label) + 1.0)
        people = np.bincount(cells, minlength=75).astype(np.float64)
        buyers = np.bincount(cells, weights=label, minlength=75)
        self._share = (buyers + self.prior * overall) / (people + self.prior)
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the share of each row's cell.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Between 0 and 1, both left out.
        """
        shares: Floats = self._share[self._cells(features)]
        return shares

    def save(self, folder: Path) -> None:
        """Write ``rfm_cells.json``.

        Parameters
        ----------
        folder : Path
            An existing folder.
        """
        content = {
            "use_frequency": self.use_frequency,
            "use_money": self.use_money,
            "recency_edges": self._recency_edges.tolist(),
            "money_edges": self._money_edges.tolist(),
            "share": self._share.tolist(),
        }
        write_json(folder / _FILE, content)

    def restore(self, folder: Path) -> Self:
        """Read it back.

        Parameters
        ----------
        folder : Path
            Where :meth:`save` wrote.

        Returns
        -------
        Self
        """
        content = read_json(folder / _FILE)
        self.use_frequency = bool(content["use_frequency"])
        self.use_money = bool(content["use_money"])
        self._recency_edges = np.asarray(content["recency_edges"], dtype=np.float64)
        self._money_edges = np.asarray(content["money_edges"], dtype=np.float64)
        self._share = np.asarray(content["share"], dtype=np.float64)
        return self


def RecencyRule() -> RfmCells:  # noqa: N802 - it makes an object, as a class does
    """Return the simplest rule of all: quintiles of the days since the last order.

    Returns
    -------
    RfmCells
        Cells of recency alone.
    """
    return RfmCells(use_frequency=False, use_money=False, name="recency_rule")


def _quantiles(values: Floats, shares: Sequence[float]) -> Floats:
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, shares))
