"""How good would the answers have been, and better than what?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlmarket.evaluation import CalibrationCurve, GainTable, Interval, ValueDeciles

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Evidence", "FoldScore", "TotalScore"]

_CURVES: Final[dict[str, Any]] = {
    "calibration": CalibrationCurve,
    "gains": GainTable,
    "deciles": ValueDeciles,
}
"""Fields that hold arrays, and what they are."""


@dataclass(frozen=True, slots=True)
class FoldScore:
    """One metric of one model at one origin.

    Parameters
    ----------
    origin : datetime
        Where the model stood; it saw nothing later.
    model : str
        Which model.
    metric : str
        Of probabilities ``log_loss``, ``auc``, ``ece``, ``brier``; of values and dates others.
    value, low, high : float
        The metric and its 95 % interval over contacts.
    rows, positives : int
        How many contacts were judged, and how many of them did it.
    """

    origin: datetime
    model: str
    metric: str
    value: float
    low: float
    high: float
    rows: int
    positives: int


@dataclass(frozen=True, slots=True)
class TotalScore:
    """How many, or how much, was expected at one origin, and what came.

    Parameters
    ----------
    origin : datetime
        Where the model stood.
    expected, observed : float
        Sum of the predictions, and what was counted.
    own_chance : float
        Variance of the sum that each person's own chance explains.
    """

    origin: datetime
    expected: float
    observed: float
    own_chance: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What backs a predictor.

    Parameters
    ----------
    predictor : str
        Its name.
    question : str
        What it answers, in words.
    folds : tuple of FoldScore
        Every metric of every model at every origin.
    baseline : str
        The best of the simple rules.
    chosen : str
        The model that is used: the baseline where nothing beats it.
    gain : Interval
        What the challenger saves of `metric` over the baseline, a contact; an interval that
        includes zero means that the baseline is used.
    verdict : str
        The choice in words.
    calibration : CalibrationCurve or None
        Of the chosen model, over all origins; None where no probability is predicted.
    gains : GainTable or None
        Likewise.
    totals : tuple of TotalScore
        Expected and observed numbers.
    relative_error : float
        By what share totals missed, beyond chance.
    first_cutoff, last_cutoff : datetime
        Between which the training rows lie.
    rows, contacts, positives : int
        Size of the training data.
    features : tuple of str
        What was known of each contact.
    left_out : tuple of (str, str)
        Attributes that were not used, and why.
    limits : tuple of str
        What the reader should not conclude, in words.
    metric : str, default "log_loss"
        By which the models are ranked; smaller is better.
    unit : str, default "probability"
        Of what is predicted: ``probability``, ``currency`` or ``days``.
    deciles : ValueDeciles, optional
        Of the chosen model, over all origins, where an amount is predicted.
    dispersion : float, optional
        How much single contacts differ from the amount expected of them, see
        :func:`mlmarket.evaluation.expected_value_total`.
    seasonal_factor : float, optional
        By which predictions are multiplied because of the season; None where the history does not
        show that it would help.
    challenger : str, default ""
        The model that stood against the simple rules, used or not.
    """

    predictor: str
    question: str
    folds: tuple[FoldScore, ...]
    baseline: str
    chosen: str
    gain: Interval
    verdict: str
    calibration: CalibrationCurve | None
    gains: GainTable | None
    totals: tuple[TotalScore, ...]
    relative_error: float
    first_cutoff: datetime
    last_cutoff: datetime
    rows: int
    contacts: int
    positives: int
    features: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    metric: str = "log_loss"
    unit: str = "probability"
    deciles: ValueDeciles | None = None
    dispersion: float | None = None
    seasonal_factor: float | None = None
    challenger: str = ""

    def to_frame(self) -> "pd.DataFrame":
        """Return the folds as a frame.

        Returns
        -------
        pandas.DataFrame
            Columns ``origin, model, metric, value, low, high, rows, positives``.
        """
        import pandas as pd

        return pd.DataFrame([asdict(fold) for fold in self.folds])

    def summary(self) -> "pd.DataFrame":
        """Return the mean of each metric over the origins.

        Returns
        -------
        pandas.DataFrame
            One row a model, the best by `metric` first; one column a metric.
        """
        frame = self.to_frame()
        means = frame.pivot_table(index="model", columns="metric", values="value", aggfunc="mean")
        return means.sort_values(self.metric)

    def score(self, model: str, metric: str) -> float:
        """Return the mean of a metric of a model over the origins.

        Parameters
        ----------
        model : str
            Which model.
        metric : str
            Such as ``log_loss``.

        Returns
        -------
        float
            NaN where there is no such score.
        """
        values = [
            fold.value for fold in self.folds if fold.model == model and fold.metric == metric
        ]
        return float(np.mean(values)) if values else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for a JSON file.

        Returns
        -------
        dict
            Numbers, texts, lists and dicts; None for a number that is none.
        """
        return {str(name): _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Evidence":
        """Return the evidence that :meth:`to_dict` wrote.

        Parameters
        ----------
        plain : mapping of str to object
            What was written.

        Returns
        -------
        Evidence
            With the same numbers.
        """
        content = dict(plain)
        content["folds"] = tuple(FoldScore(**_scored(fold)) for fold in plain["folds"])
        content["totals"] = tuple(TotalScore(**_scored(total)) for total in plain["totals"])
        content["gain"] = Interval(**_scored(plain["gain"]))
        content["relative_error"] = _number(plain["relative_error"])
        for name in ("first_cutoff", "last_cutoff"):
            content[name] = datetime.fromisoformat(plain[name])
        for name, kind in _CURVES.items():
            if plain.get(name) is not None:
                columns = {key: [_number(one) for one in plain[name][key]] for key in plain[name]}
                content[name] = kind(**{key: np.asarray(value) for key, value in columns.items()})
        for name in ("features", "limits"):
            content[name] = tuple(plain[name])
        content["left_out"] = tuple((name, why) for name, why in plain["left_out"])
        return cls(**content)

    def _repr_html_(self) -> str:
        table = self.summary().round(4).to_html(border=0)
        limits = "".join(f"<li>{escape(limit)}</li>" for limit in self.limits)
        return (
            f"<h4>{escape(self.question)}</h4><p>{escape(self.verdict)}</p>{table}<ul>{limits}</ul>"
        )


def _plain(value: Any) -> Any:  # noqa: ANN401 - a tree of values
    """Return a value as JSON knows it, which has no NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _number(value: Any) -> Any:  # noqa: ANN401 - a JSON number
    return float("nan") if value is None else value


def _scored(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a score, with its origin as a time and NaN where nothing is."""
    fields = {name: _number(value) for name, value in plain.items()}
    if "origin" in fields:
        fields["origin"] = datetime.fromisoformat(fields["origin"])
    return fields
