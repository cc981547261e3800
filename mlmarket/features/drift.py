"""Has a feature moved since the model learned from it?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Drift", "drift_between"]

_FEW: Final = 20
"""Up to so many values each is a bin of its own; beyond, the rest is one."""
_LARGE: Final = 0.25
_UNLIKELY: Final = 0.999


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a feature's distribution lies from that of a reference.

    Parameters
    ----------
    psi : float
        Population stability index, 0 where nothing changed.
    moved : bool
        Whether it is at least 0.25 and more than two samples of one population would show.
    """

    psi: float
    moved: bool


def drift_between(reference: "pd.Series", values: "pd.Series") -> Drift:
    """Compare a feature with what it was at a reference.

    Parameters
    ----------
    reference, values : pandas.Series
        Numbers, or text for categories; missing values are a bin of their own.

    Returns
    -------
    Drift
        Over bins that the reference alone decides: its values where they are few, else its tenths.

    References
    ----------
    Siddiqi (2006), Credit Risk Scorecards, on the index and its 0.25; Yurdakul (2018), Statistical
    properties of the population stability index: over B bins of samples of n and m rows of one
    population it is distributed as (1/n + 1/m) times a chi-square of B - 1 degrees of freedom.
    """
    from scipy.stats import chi2

    before, after = _counts(reference, values)
    bins = len(before)
    if bins < 2:
        return Drift(0.0, moved=False)
    # Half a row in each bin, so that an empty one does not make the index infinite.
    expected = (before + 0.5) / (before.sum() + 0.5 * bins)
    found = (after + 0.5) / (after.sum() + 0.5 * bins)
    psi = float(((found - expected) * np.log(found / expected)).sum())
    chance = chi2.ppf(_UNLIKELY, bins - 1) * (1 / len(reference) + 1 / len(values))
    return Drift(psi, moved=psi >= max(_LARGE, float(chance)))


def _counts(
    reference: "pd.Series", values: "pd.Series"
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return how many rows fall into each bin; bins that are empty twice are left out."""
    present = reference.dropna()
    frequent = present.value_counts(sort=False)
    if len(frequent) > _FEW and present.dtype.kind == "f":
        edges = np.unique(np.quantile(present, np.linspace(0.1, 0.9, 9)))
        places = [_by_edge(column, edges) for column in (reference, values)]
        bins = len(edges) + 2
    else:
        ordered = sorted(frequent.items(), key=lambda item: (-item[1], str(item[0])))
        known = {value: place for place, (value, _) in enumerate(ordered[:_FEW])}
        places = [_by_value(column, known) for column in (reference, values)]
        bins = len(known) + 2
    before, after = (np.bincount(one, minlength=bins).astype(np.float64) for one in places)
    seen = (before + after) > 0
    return before[seen], after[seen]


def _by_edge(column: "pd.Series", edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    numbers = column.to_numpy(dtype=np.float64)
    place = np.searchsorted(edges, numbers, side="left")
    return np.where(np.isnan(numbers), len(edges) + 1, place)


def _by_value(column: "pd.Series", known: dict[object, int]) -> npt.NDArray[np.int64]:
    other = len(known)
    place = column.map(known).fillna(other).to_numpy(dtype=np.int64)
    return np.where(column.isna().to_numpy(), other + 1, place)
