"""How likely is a contract that has lasted so far to end in the next month?

A discrete-time hazard: any classifier on rows of contracts and months learns it, if it knows for how
long each has run. The chance to end within several months follows month by month, as tenure grows.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

import numpy as np
import numpy.typing as npt

from mlmarket.churn.plain_estimator import PlainEstimator, content_order, require_columns
from mlmarket.churn.subscription.periods import TENURE
from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.time import parse_duration
from mlmarket.prediction.columns import FeatureRows, numbers_of
from mlmarket.prediction.learner import Floats, kept_from_certainty, read_json, write_json
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.trees import BoostedTrees

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DiscreteHazard", "TenureHazard", "period_hazards", "steps_of"]

_DAY: Final = timedelta(days=1)
_KNOTS: Final = (3.0, 6.0, 12.0, 24.0)
"""Periods at which the line of the hazard over log tenure may bend."""

_MODELS: Final = ("logistic", "trees")
_FILE: Final = "tenure_hazard.json"


class _Hazard(Protocol):
    tenure: str
    period: str | timedelta

    def predict_hazard(self, X: FeatureRows) -> Floats: ...


def steps_of(horizon: str | timedelta, period: str | timedelta) -> Iterator[tuple[float, float]]:
    """Yield the periods of a horizon.

    Parameters
    ----------
    horizon, period : str or timedelta
        How far to look, in steps of what length.

    Yields
    ------
    tuple of (float, float)
        Days from now to its beginning, and what share of a period it is: 1, but for the last one
        of a horizon that is no multiple of the period.
    """
    far, step = parse_duration(horizon), parse_duration(period)
    begin = timedelta(0)
    while begin < far:
        yield begin / _DAY, min((far - begin) / step, 1.0)
        begin += step


def period_hazards(
    model: _Hazard, X: FeatureRows, *, horizon: str | timedelta
) -> tuple[Floats, Floats]:
    """Return the chance to end in each period of a horizon, of those who last until then.

    Parameters
    ----------
    model : DiscreteHazard or TenureHazard
        Fitted.
    X : pandas.DataFrame or pyarrow.RecordBatch
        Contracts as they are now; their tenure grows on the way, all else stays.
    horizon : str or timedelta
        How far to look.

    Returns
    -------
    tuple of (ndarray of float64, shape (rows, periods), ndarray of float64, shape (periods,))
        The chances, and what share of each period lies within the horizon.
    """
    now = numbers_of(X, model.tenure)
    steps = list(steps_of(horizon, model.period))
    hazards = [
        model.predict_hazard(_with_columns(X, {model.tenure: now + later})) for later, _ in steps
    ]
    return np.column_stack(hazards), np.array([share for _, share in steps])


def _survival(model: _Hazard, X: FeatureRows, horizon: str | timedelta) -> Floats:
    """Return the product of the chances to last each period, the last one perhaps in part."""
    hazard, share = period_hazards(model, X, horizon=horizon)
    survived: Floats = np.exp((share * np.log1p(-hazard)).sum(axis=1))
    return survived


class DiscreteHazard(PlainEstimator):
    """Chance that a contract ends in the next period, from tenure and whatever is known of it.

    Parameters
    ----------
    model : {"logistic", "trees"}
        A logistic regression on logarithms, with terms for tenure: its logarithm, whose slope may
        change at 3, 6, 12 and 24 periods, and a term of its own for each of the first periods. Or
        small boosted trees.
    tenure : str, default "tenure"
        Column of the days a contract has run.
    period : str or timedelta, default "30D"
        What "the next period" is.
    early : int, default 3
        First periods that have a term of their own.
    strength : float, default 1.0
        L2 penalty of the logistic regression.
    trees : int, default 150
        How many boosted trees, of 8 leaves with at least 60 rows.
    random_state : int, default 0
        Of the boosted trees.

    Attributes
    ----------
    classes_ : ndarray
        0 and 1.
    n_rows_ : int
        Rows it learned from.
    n_ended_ : int
        Of them those whose contract ended.

    References
    ----------
    Singer and Willett (1993), It's about time: using discrete-time survival analysis to study
    duration and the timing of events, Journal of Educational Statistics 18(2).

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"tenure": [0.0, 30.0] * 50, "plan": ["basic", "pro"] * 50})
    >>> model = DiscreteHazard().fit(rows, [1, 0] * 10 + [0] * 80)
    >>> bool(model.predict_survival(rows[:1], horizon="90D")[0] < 0.9)
    True
    """

    def __init__(
        self,
        model: str = "logistic",
        *,
        tenure: str = TENURE,
        period: str | timedelta = "30D",
        early: int = 3,
        strength: float = 1.0,
        trees: int = 150,
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.tenure = tenure
        self.period = period
        self.early = early
        self.strength = strength
        self.trees = trees
        self.random_state = random_state

    def fit(self, X: "pd.DataFrame", y: npt.ArrayLike) -> Self:
        """Learn from rows of contracts and periods.

        Parameters
        ----------
        X : pandas.DataFrame, shape (rows, columns)
            Tenure at the beginning of a period and covariates as they were then, such as
            :func:`~mlmarket.churn.person_periods` returns: numbers, and text for categories; of
            the covariates any may be missing.
        y : array-like of shape (rows,)
            1 where the contract ended within the period, else 0.

        Returns
        -------
        Self

        Raises
        ------
        ConfigurationError
            Where tenure is missing or below zero, or labels are not both 0 and 1.
        """
        ended = _both_labels(y, X)
        _tenure_of(X, self.tenure)
        learner, order = self._learner(), content_order(X, ended)
        frame = cast("pd.DataFrame", self._prepared(X.iloc[order]))
        self._learner_ = learner.fit(frame, ended[order])
        self.classes_ = np.array([0, 1])
        self.n_rows_, self.n_ended_ = len(ended), int(ended.sum())
        return self

    def predict_hazard(self, X: FeatureRows) -> Floats:
        """Return the chance to end within the next period.

        Parameters
        ----------
        X : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Between 0 and 1, both left out.
        """
        self._require_learned("_learner_")
        return self._learner_.predict(self._prepared(X))

    def predict_proba(self, X: FeatureRows) -> Floats:
        """Return the chances to stay and to end within the next period.

        Parameters
        ----------
        X : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (rows, 2)
            As scikit-learn orders them.
        """
        hazard = self.predict_hazard(X)
        return np.column_stack([1.0 - hazard, hazard])

    def predict_survival(self, X: FeatureRows, *, horizon: str | timedelta) -> Floats:
        """Return the chance to last beyond a horizon, tenure growing and all else as it is now.

        Parameters
        ----------
        X : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.
        horizon : str or timedelta
            How far to look, such as ``90D``.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Between 0 and 1; the farther, the smaller.
        """
        return _survival(self, X, horizon)

    def contributions(self, X: FeatureRows) -> dict[str, Floats]:
        """Return what each column adds to the log odds of the next period.

        Parameters
        ----------
        X : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        dict of str to ndarray of float64, shape (rows,)
            By column; all terms of tenure under its own.
        """
        self._require_learned("_learner_")
        parts = self._learner_.contributions(self._prepared(X))
        whole = {name: part for name, part in parts.items() if not self._is_term(name)}
        for name in parts.keys() - whole.keys():
            whole[self.tenure] = whole[self.tenure] + parts[name]
        return whole

    def save(self, folder: Path) -> None:
        """Write what was learned; see :class:`~mlmarket.prediction.learner.Learner`."""
        self._require_learned("_learner_")
        self._learner_.save(folder)

    def restore(self, folder: Path) -> Self:
        """Read it back; see :class:`~mlmarket.prediction.learner.Learner`."""
        self._learner_ = self._learner().restore(folder)
        return self

    def _learner(self) -> LogisticModel | BoostedTrees:
        if self.model == "logistic":
            return LogisticModel(strength=self.strength)
        if self.model == "trees":
            return BoostedTrees(leaves=8, trees=self.trees, seed=self.random_state)
        raise ConfigurationError(
            f"A hazard has no model {self.model!r}.",
            "It is learned by a logistic regression or by boosted trees.",
            suggestion(str(self.model), _MODELS),
        )

    def _prepared(self, X: FeatureRows) -> FeatureRows:
        tenure = _tenure_of(X, self.tenure)
        if self.model == "trees":
            return X
        periods = tenure / (parse_duration(self.period) / _DAY)
        terms: dict[str, npt.NDArray[np.float64]] = {}
        for place in range(self.early):
            terms[self._term(f"period_{place}")] = (np.floor(periods) == place).astype(float)
        for knot in _KNOTS:
            # LogisticModel takes the logarithm of every number: so does the bend.
            terms[self._term(f"beyond_{knot:g}")] = np.maximum(periods - knot, 0.0)
        return _with_columns(X, terms)

    def _term(self, name: str) -> str:
        return f"{self.tenure}: {name}"

    def _is_term(self, name: str) -> bool:
        return name.startswith(f"{self.tenure}: ")


class TenureHazard(PlainEstimator):
    """The share that ended at each tenure, whatever else is known: a life table.

    Parameters
    ----------
    tenure : str, default "tenure"
        Column of the days a contract has run.
    period : str or timedelta, default "30D"
        What "the next period" is.
    prior : float, default 20
        Weight of the overall share at each tenure, in rows; with 0 it is the life table itself.
    longest : int, default 36
        Contracts that have run for more periods count as that old.

    Attributes
    ----------
    hazard_ : ndarray of float64, shape (longest + 1,)
        By number of whole periods.
    """

    def __init__(
        self,
        *,
        tenure: str = TENURE,
        period: str | timedelta = "30D",
        prior: float = 20.0,
        longest: int = 36,
    ) -> None:
        self.tenure = tenure
        self.period = period
        self.prior = prior
        self.longest = longest

    def fit(self, X: "pd.DataFrame", y: npt.ArrayLike) -> Self:
        """Count; see :meth:`DiscreteHazard.fit`."""
        ended = _both_labels(y, X)
        place = self._places(X)
        at_risk = np.bincount(place, minlength=self.longest + 1)
        ends = np.bincount(place, weights=ended, minlength=self.longest + 1)
        overall = (ended.sum() + 0.5) / (len(ended) + 1.0)
        weight = at_risk + self.prior
        share = (ends + self.prior * overall) / np.where(weight > 0, weight, 1.0)
        self.hazard_ = np.where(weight > 0, share, overall)
        return self

    def predict_hazard(self, X: FeatureRows) -> Floats:
        """Return the share of each row's tenure; see :meth:`DiscreteHazard.predict_hazard`."""
        self._require_learned("hazard_")
        return kept_from_certainty(self.hazard_[self._places(X)])

    def predict_survival(self, X: FeatureRows, *, horizon: str | timedelta) -> Floats:
        """Return the chance to last; see :meth:`DiscreteHazard.predict_survival`."""
        return _survival(self, X, horizon)

    def save(self, folder: Path) -> None:
        """Write the table; see :class:`~mlmarket.prediction.learner.Learner`."""
        self._require_learned("hazard_")
        write_json(folder / _FILE, {"hazard": self.hazard_.tolist()})

    def restore(self, folder: Path) -> Self:
        """Read it back; see :class:`~mlmarket.prediction.learner.Learner`."""
        self.hazard_ = np.asarray(read_json(folder / _FILE)["hazard"], dtype=np.float64)
        return self

    def _places(self, X: FeatureRows) -> npt.NDArray[np.int64]:
        periods = _tenure_of(X, self.tenure) / (parse_duration(self.period) / _DAY)
        return np.minimum(np.floor(periods), self.longest).astype(np.int64)


def _tenure_of(X: FeatureRows, name: str) -> Floats:
    import pyarrow as pa

    if not isinstance(X, pa.RecordBatch):
        require_columns(X, [name], "The hazard of a contract depends on how long it has run.")
    days = numbers_of(X, name)
    wrong = ~np.isfinite(days) | (days < 0)
    if wrong.any():
        raise ConfigurationError(
            f"Column '{name}' holds {int(wrong.sum()):,} values that are missing or below zero, "
            f"such as {float(days[wrong][0])} in row {int(np.flatnonzero(wrong)[0]):,}.",
            "The hazard of a contract depends on how long it has run.",
            "ask only about contracts that run, with the days since they started.",
        )
    return days


def _both_labels(y: npt.ArrayLike, X: "pd.DataFrame") -> npt.NDArray[np.int8]:
    labels = np.asarray(y)
    if labels.shape != (len(X),):
        raise ConfigurationError(
            f"There are {len(X):,} rows and labels of shape {labels.shape}.",
            "Each row needs to say whether its contract ended in that period.",
            "pass one label a row.",
        )
    if not np.isin(labels, [0, 1]).all() or len(np.unique(labels)) < 2:
        found = ", ".join(map(str, np.unique(labels)[:4]))
        raise ConfigurationError(
            f"The labels of {len(X):,} rows are {found or 'none'}.",
            "A hazard is learned from contracts that ended and contracts that went on.",
            "label a row 1 where its contract ended within the period and 0 where it did not, and "
            "pass rows of both kinds.",
        )
    return labels.astype(np.int8)


def _with_columns(rows: FeatureRows, columns: Mapping[str, Floats]) -> FeatureRows:
    """Return rows with some columns set, in a frame or in a batch."""
    import pyarrow as pa

    if not isinstance(rows, pa.RecordBatch):
        return cast("pd.DataFrame", rows).assign(**cast("dict[str, Any]", dict(columns)))
    kept = {name: rows.column(name) for name in rows.schema.names}
    added = {name: pa.array(values, pa.float64()) for name, values in columns.items()}
    return pa.RecordBatch.from_pydict(kept | added)
