"""How good is a model of a table without dates, and what must not be read into it?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import (
    CalibrationCurve,
    Interval,
    bootstrap,
    brier_score,
    calibration_curve,
    expected_calibration_error,
    log_loss,
    paired_difference,
    roc_auc,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NOT_VALIDATED", "CrossSectionEvidence", "CrossSectionScore", "judge_rows"]

Floats = npt.NDArray[np.float64]

NOT_VALIDATED: Final = "not time validated"
"""Stands wherever something of a cross-section is shown."""

_METRICS: Final = {
    "log_loss": log_loss,
    "auc": roc_auc,
    "ece": expected_calibration_error,
    "brier": brier_score,
}
_LIMITS: Final = (
    "The table has no dates: rows were held back at random, not by time. On next month's customers it "
    "will be worse, by how much nobody can say.",
    "Whatever was filled in after somebody left gives the answer away, and looks like skill here.",
    "It says who resembles those who left, not when they leave, nor whom a message would keep.",
)


@dataclass(frozen=True, slots=True)
class CrossSectionScore:
    """One metric of one model over all rows, each judged by a model that had not seen it.

    Parameters
    ----------
    model : str
        Which model.
    metric : str
        ``log_loss``, ``auc``, ``ece`` or ``brier``.
    value, low, high : float
        The metric and its 95 % interval over rows.
    """

    model: str
    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CrossSectionEvidence:
    """What backs a model of a table without dates.

    Parameters
    ----------
    scores : tuple of CrossSectionScore
        Every metric of every model.
    chosen : str
        The model that is used: the base rate where nothing beats it.
    gain : Interval
        Log loss that the model saves over the base rate, a row.
    calibration : CalibrationCurve
        Of the chosen model.
    folds, rows, positives : int
        Parts of the table, its rows, and those of them that left.
    validation : str
        Always ``not time validated``.
    limits : tuple of str
        What the reader should not conclude, in words.
    """

    scores: tuple[CrossSectionScore, ...]
    chosen: str
    gain: Interval
    calibration: CalibrationCurve
    folds: int
    rows: int
    positives: int
    validation: str = NOT_VALIDATED
    limits: tuple[str, ...] = _LIMITS

    @property
    def verdict(self) -> str:
        """The choice in words."""
        gain = self.gain
        interval = f"95 % interval {gain.low:+.4f} to {gain.high:+.4f}"
        if self.chosen == "base_rate":
            text = (
                "Used is the same probability for everybody: the model does not beat it (log loss "
                f"saved {gain.value:+.4f}, {interval})."
            )
        else:
            text = (
                "Used is the model (boosted trees and logistic regression): against the same "
                f"probability for everybody it saves {gain.value:.4f} of log loss a row ({interval}, "
                f"{self.folds} folds at random)."
            )
        return f"{text} It is {self.validation}."

    def score(self, model: str, metric: str) -> float:
        """Return a metric of a model.

        Parameters
        ----------
        model, metric : str
            Which one.

        Returns
        -------
        float
            NaN where there is no such score.
        """
        found = [one.value for one in self.scores if (one.model, one.metric) == (model, metric)]
        return found[0] if found else float("nan")

    def to_frame(self) -> "pd.DataFrame":
        """Return the scores as a frame.

        Returns
        -------
        pandas.DataFrame
            Columns ``model, metric, value, low, high, validation``.
        """
        import pandas as pd

        frame = pd.DataFrame([asdict(score) for score in self.scores])
        return frame.assign(validation=self.validation)

    def summary(self) -> "pd.DataFrame":
        """Return the metrics of each model.

        Returns
        -------
        pandas.DataFrame
            One row a model, the smallest log loss first; one column a metric, and ``validation``.
        """
        frame = self.to_frame().pivot_table(index="model", columns="metric", values="value")
        return frame.sort_values("log_loss").assign(validation=self.validation)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for a file."""
        plain = asdict(self)
        curve = self.calibration
        columns = {"predicted": curve.predicted, "observed": curve.observed, "count": curve.count}
        plain["calibration"] = {name: values.tolist() for name, values in columns.items()}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "CrossSectionEvidence":
        """Return what :meth:`to_dict` wrote."""
        content = dict(plain)
        content["scores"] = tuple(CrossSectionScore(**score) for score in plain["scores"])
        content["gain"] = Interval(**plain["gain"])
        columns = {name: np.asarray(values) for name, values in plain["calibration"].items()}
        content["calibration"] = CalibrationCurve(**columns)
        content["limits"] = tuple(plain["limits"])
        return cls(**content)

    def __str__(self) -> str:
        """Return the verdict, the scores and the limits in lines to read."""
        table = self.summary().round(4).to_string()
        return "\n".join([self.verdict, table, *(f"- {limit}" for limit in self.limits)])

    def _repr_html_(self) -> str:
        table = self.summary().round(4).to_html(border=0)
        limits = "".join(f"<li>{escape(limit)}</li>" for limit in self.limits)
        return f"<h4>{self.validation}</h4><p>{escape(self.verdict)}</p>{table}<ul>{limits}</ul>"


def judge_rows(
    label: npt.NDArray[np.int8], said: Mapping[str, Floats], *, folds: int
) -> CrossSectionEvidence:
    """Compare what models said of rows that they had not seen.

    Parameters
    ----------
    label : ndarray of int8, shape (rows,)
        1 for those who left.
    said : mapping of str to ndarray of float64, shape (rows,)
        Probability by model; ``blend`` is the model, ``base_rate`` the rule to beat.
    folds : int
        Into how many parts the table was split.

    Returns
    -------
    CrossSectionEvidence
        With the model where it saves log loss with an interval that excludes zero, else with the
        base rate.
    """
    scores = []
    for model, probability in said.items():
        for name, metric in _METRICS.items():
            found = bootstrap(metric, label, probability, n_resamples=400, random_state=0)
            scores.append(CrossSectionScore(model, name, found.value, found.low, found.high))
    gain = paired_difference(
        log_loss, label, said["base_rate"], said["blend"], n_resamples=1000, random_state=0
    )
    chosen = "blend" if gain.low > 0.0 else "base_rate"
    return CrossSectionEvidence(
        tuple(scores),
        chosen,
        gain,
        calibration_curve(label, said[chosen]),
        folds,
        len(label),
        int(label.sum()),
    )
