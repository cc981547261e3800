"""Why is this contract at risk, in words?

What a feature adds to the log odds is turned into points of the probability itself: by how much it
would be lower if the feature said what it usually says. Features about the same thing, such as all
that count log-ins, speak together, through the one that weighs most.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlmarket.churn.subscription.words import Wording
from mlmarket.prediction.columns import FeatureRows, numbers_of
from mlmarket.prediction.learner import Floats

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Part", "Usual", "reasons_in_words"]

_POINTS: Final = 100.0
_LEAST: Final = 1.0
"""Points below which a reason is none."""

_MOST: Final = 3
NOTHING: Final = "nothing stands out: about as likely as usual"


@dataclass(frozen=True, slots=True)
class Part:
    """What one of the models behind a probability says of some rows.

    Parameters
    ----------
    hazard : ndarray of float64, shape (rows, periods)
        Its probability in each period; one period where it answers for the whole horizon at once.
    share : ndarray of float64, shape (periods,)
        How much of each period lies within the horizon.
    adds : mapping of str to ndarray of float64, shape (rows,)
        What each feature adds to the log odds, by name.
    weight : float, default 1.0
        How much it counts beside the others.
    """

    hazard: Floats
    share: Floats
    adds: Mapping[str, Floats]
    weight: float = 1.0

    def probability(self, less: Floats | float = 0.0) -> Floats:
        """Return the probability within the horizon.

        Parameters
        ----------
        less : ndarray of float64, shape (rows,), or float
            Log odds that are taken away in each period.

        Returns
        -------
        ndarray of float64, shape (rows,)
            From 0 to 1.
        """
        from scipy.special import expit, logit

        odds = logit(self.hazard) - np.reshape(np.asarray(less, dtype=np.float64), (-1, 1))
        # log(1 - p) of a logistic p, without the rounding of 1 - p.
        lasting = self.share * np.log(expit(-odds))
        return np.asarray(-np.expm1(lasting.sum(axis=1)))


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual of each feature among the rows that a model learned from.

    Parameters
    ----------
    adds : tuple of mapping of str to float
        For each part, what each feature adds to the log odds on average.
    middle : mapping of str to float
        Median of each feature that is a number.
    """

    adds: tuple[Mapping[str, float], ...] = ()
    middle: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def learn(cls, parts: Sequence[Part], rows: "pd.DataFrame") -> "Usual":
        """Look at the rows that a model learned from.

        Parameters
        ----------
        parts : sequence of Part
            What its models say of them.
        rows : pandas.DataFrame
            The rows.

        Returns
        -------
        Usual
            Means and medians.
        """
        adds = tuple({name: _mean(values) for name, values in part.adds.items()} for part in parts)
        middle = {}
        for name in dict.fromkeys(name for part in parts for name in part.adds):
            if name in rows.columns and rows[name].dtype.kind in "fiub":
                values = numbers_of(rows, name)
                if np.isfinite(values).any():
                    middle[name] = float(np.nanmedian(values))
        return cls(adds, middle)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for a file."""
        return {"adds": [dict(part) for part in self.adds], "middle": dict(self.middle)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Usual":
        """Return what :meth:`to_dict` wrote."""
        return cls(tuple(content["adds"]), content["middle"])


def reasons_in_words(
    parts: Sequence[Part],
    usual: Usual,
    rows: FeatureRows,
    *,
    wordings: Mapping[str, Wording],
    corrected: Callable[[Floats], Floats],
) -> npt.NDArray[np.object_]:
    """Return up to three reasons for each row, the weightiest first.

    Parameters
    ----------
    parts : sequence of Part
        What the models behind the probability say; it is their mean.
    usual : Usual
        Of the rows they learned from.
    rows : pandas.DataFrame or pyarrow.RecordBatch
        The features.
    wordings : mapping of str to Wording
        How a feature speaks, by name.
    corrected : callable
        What makes the final probability of the mean.

    Returns
    -------
    ndarray of str, shape (rows,)
        The same for a row whatever stands beside it.
    """
    groups = _groups(parts, wordings)
    if not len(rows) or not groups:
        return np.full(len(rows), NOTHING, dtype=object)
    weights = [part.weight for part in parts]
    full = corrected(np.average([part.probability() for part in parts], axis=0, weights=weights))
    points, speakers = [], []
    for names in groups.values():
        excess = [
            {name: part.adds[name] - usual.adds[place].get(name, 0.0) for name in names}
            for place, part in enumerate(parts)
        ]
        without = [
            part.probability(np.sum(list(one.values()), axis=0))
            for part, one in zip(parts, excess, strict=True)
        ]
        mean = np.average(without, axis=0, weights=weights)
        points.append(_POINTS * (full - corrected(mean)))
        way = np.where(points[-1] < 0, -1.0, 1.0)
        # What all models see: one alone may set two features that move together off against
        # each other.
        lean = [np.min([way * one[name] for one in excess], axis=0) for name in names]
        speakers.append(np.argmax(np.array(lean), axis=0))
    return _sentences(np.array(points), speakers, list(groups.values()), rows, usual, wordings)


def _groups(parts: Sequence[Part], wordings: Mapping[str, Wording]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in parts[0].adds if parts else ():
        if name in wordings:
            groups.setdefault(wordings[name].about, []).append(name)
    return groups


def _sentences(
    points: Floats,
    speakers: Sequence[npt.NDArray[np.intp]],
    names: Sequence[Sequence[str]],
    rows: FeatureRows,
    usual: Usual,
    wordings: Mapping[str, Wording],
) -> npt.NDArray[np.object_]:
    columns = {name: wordings[name].values(rows, name) for group in names for name in group}
    said = np.full(len(rows), NOTHING, dtype=object)
    # Stable: of reasons that weigh the same, the one that is named first comes first.
    order = np.argsort(-np.abs(points), axis=0, kind="stable")[:_MOST]
    for row in range(len(rows)):
        reasons = []
        for group in order[:, row]:
            weight = float(points[group, row])
            if abs(weight) < _LEAST:
                break
            name = names[group][speakers[group][row]]
            fact = wordings[name].say(columns[name][row], usual.middle.get(name))
            way = "raises" if weight > 0 else "lowers"
            reasons.append(f"{fact} {way} it by {_points(abs(weight))}")
        if reasons:
            said[row] = "; ".join(reasons)
    return said


def _points(weight: float) -> str:
    rounded = round(weight)
    return f"{rounded} point" if rounded == 1 else f"{rounded} points"


def _mean(values: Floats) -> float:
    return float(np.mean(values)) if len(values) else 0.0
