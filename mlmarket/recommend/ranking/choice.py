"""Which ranker is better, and how sure is that?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

__all__ = ["Choice", "gain_at_ten", "judged"]

Floats = npt.NDArray[np.float64]

_TOP: Final = 10
_SURE: Final = 1.645
"""Standard errors: one chance in twenty that a gain above it is luck."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What orders candidates, and why.

    Parameters
    ----------
    ranker : str
        ``lambdarank`` or ``blend``.
    reason : str
        In words.
    recipients : int
        On how many it was judged.
    lambdarank, blend : float
        Mean NDCG@10 of both there; NaN where it was not measured.
    low : float
        Lower end of the interval of their difference, paired by recipient.
    """

    ranker: str
    reason: str
    recipients: int = 0
    lambdarank: float = float("nan")
    blend: float = float("nan")
    low: float = float("nan")

    @classmethod
    def without_labels(cls) -> Self:
        """Nothing was ever taken after anything else."""
        reason = "No history goes on after an earlier window; all generators count alike."
        return cls("blend", reason)

    @classmethod
    def blend_of(cls, labels: int, *, asked: bool) -> Self:
        """No trees were tried."""
        why = "The blend was asked for" if asked else "There are too few labels for trees"
        return cls("blend", f"{why}; its weights were chosen on {labels:,} recipients.", labels)

    def to_state(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Read them back."""
        numbers = {name: float(state[name]) for name in ("lambdarank", "blend", "low")}
        return cls(str(state["ranker"]), str(state["reason"]), int(state["recipients"]), **numbers)


def judged(trees: Floats, blend: Floats, *, asked: bool) -> Choice:
    """Return which of two rankers is taken.

    Parameters
    ----------
    trees, blend : ndarray of float64, shape (recipients,)
        Discounted gain of each recipient.
    asked : bool
        Whether the trees are taken whatever the evidence.

    Returns
    -------
    Choice
        The trees only where the interval of the mean difference is above 0.
    """
    gain = trees - blend
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    low = float(gain.mean() - _SURE * error)
    better = low > 0
    told = "rank better than the blend" if better else "are not surely better than the blend"
    reason = f"Trees {told} in the latest window" + (", and were asked for." if asked else ".")
    ranker = "lambdarank" if better or asked else "blend"
    return Choice(ranker, reason, len(gain), float(trees.mean()), float(blend.mean()), low)


def gain_at_ten(
    score: npt.NDArray[Any], relevant: npt.NDArray[np.bool_], answers: npt.NDArray[np.int64]
) -> Floats:
    """Return NDCG@10 of each recipient.

    Parameters
    ----------
    score : ndarray, shape (recipients, m)
        Larger is better.
    relevant : ndarray of bool, shape (recipients, m)
        Which candidates were taken.
    answers : ndarray of int64, shape (recipients,)
        How many items were taken, among the candidates or not.

    Returns
    -------
    ndarray of float64, shape (recipients,)
        0 to 1.
    """
    order = np.argsort(-score, axis=1, kind="stable")[:, :_TOP]
    hits = np.take_along_axis(relevant, order, axis=1)
    discount = 1.0 / np.log2(np.arange(_TOP) + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(answers, _TOP)]
    gains: Floats = hits @ discount[: hits.shape[1]]
    relative: Floats = np.divide(gains, ideal, out=np.zeros(len(gains)), where=ideal > 0)
    return relative
