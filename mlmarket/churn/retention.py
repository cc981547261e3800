"""Whom is it worth to keep, and how many of them?

A message to somebody who would have stayed earns nothing, and neither does one to somebody who is
worth nothing. The value that a contact is expected to save is what the contact is worth, times the
probability of leaving, times the share of leavers that a message keeps.

That share, the *response*, is an assumption until an experiment has measured it: predictions say who
is leaving, not who can be moved. So profit is shown for a range of responses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from mlmarket.errors import ConfigurationError
from mlmarket.market.columns import CONTACT_ID

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "RetentionCurve",
    "choose_contacts",
    "expected_value_saved",
    "plot_retention",
    "retention_curve",
]

Floats = npt.NDArray[np.float64]

_DOUBT: Final = (0.5, 1.5)
_POINTS: Final = 200


@dataclass(frozen=True, slots=True, eq=False)
class RetentionCurve:
    """Profit of contacting the contacts that save most, against how many are contacted.

    Parameters
    ----------
    share : ndarray of float64, shape (points,)
        Share of the contacts that are contacted, from 0, the most profitable first.
    contacted : ndarray of int, shape (points,)
        How many contacts that is.
    saved : ndarray of float64, shape (points,)
        Value that they are expected to save, in currency, before costs.
    cost : ndarray of float64, shape (points,)
        What contacting them costs.
    profit, profit_low, profit_high : ndarray of float64, shape (points,)
        What is left; with the assumed response, and with the lowest and the highest of its range.
        In all three the same contacts are contacted.
    doubt : tuple of (float, float)
        The range, as multiples of the assumed response.
    total : int
        How many contacts there are, with those who cannot be contacted for want of a number.
    """

    share: Floats
    contacted: npt.NDArray[np.int64]
    saved: Floats
    cost: Floats
    profit: Floats
    profit_low: Floats
    profit_high: Floats
    doubt: tuple[float, float]
    total: int

    @property
    def best_share(self) -> float:
        """Share of contacts at which profit is highest; 0 where no contact pays."""
        return float(self.share[self._best])

    @property
    def best_profit(self) -> float:
        """The highest profit, in currency."""
        return float(self.profit[self._best])

    @property
    def _best(self) -> int:
        return int(np.argmax(self.profit))

    def at_budget(self, budget: float) -> float:
        """Return the highest profit that a budget allows.

        Parameters
        ----------
        budget : float
            What may be spent, in currency.

        Returns
        -------
        float
            Expected profit; not all of the budget is spent where the rest does not pay. Between
            two points of the curve the lower one counts.

        Raises
        ------
        ConfigurationError
            Where the budget is below zero or missing.
        """
        affordable = self.cost <= _amount(budget, "budget")
        return float(self.profit[affordable].max())

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a point.

        Returns
        -------
        pandas.DataFrame
            Columns ``share, contacted, saved, cost, profit, profit_low, profit_high``.
        """
        import pandas as pd

        columns = ("share", "contacted", "saved", "cost", "profit", "profit_low", "profit_high")
        return pd.DataFrame({name: getattr(self, name) for name in columns})

    def _repr_html_(self) -> str:
        low, high = self.doubt
        best = self._best
        return (
            f"<p>Best is to contact {self.contacted[best]:,} of {self.total:,} "
            f"({self.best_share:.1%}), for an expected profit of {self.best_profit:,.2f} "
            f"({self.profit_low[best]:,.2f} with {low:g} times the response that is assumed, "
            f"{self.profit_high[best]:,.2f} with {high:g} times).</p>"
        )


def expected_value_saved(
    value: ArrayLike,
    probability_leaving: ArrayLike,
    *,
    response: ArrayLike,
    cost_per_contact: ArrayLike = 0.0,
) -> Floats:
    r"""Return the profit that contacting each contact is expected to bring.

    It is :math:`v \cdot p \cdot r - c`: what the contact is worth over the horizon, the probability
    of leaving within it, the share of leavers that a message keeps, and what the message costs.

    Parameters
    ----------
    value : array-like of shape (n,)
        Value at stake, in currency, such as ``expected_value_365d``. It is taken as what staying is
        worth. An expectation that already counts the chance of leaving is lower than that, so the
        result errs on the low side.
    probability_leaving : array-like of shape (n,)
        From 0 to 1, such as ``churn_probability_90d``.
    response : float or array-like of shape (n,)
        Share of those who would leave that the message keeps, from 0 to 1. An assumption, until an
        experiment with a random holdout has measured it.
    cost_per_contact : float or array-like of shape (n,), default 0.0
        In currency: sending, and the discount that is given.

    Returns
    -------
    ndarray of float64, shape (n,)
        In currency, below zero where a message does not pay; NaN where the value or the probability
        is missing.

    Raises
    ------
    ConfigurationError
        Where a number is impossible, or lengths differ.

    References
    ----------
    Neslin et al. (2006), Defection detection, Journal of Marketing Research 43(2), for the profit of
    a retention campaign; Ascarza (2018), Retention futility, Journal of Marketing Research 55(1),
    for why those at risk need not be those who respond.

    Examples
    --------
    >>> expected_value_saved([200.0, 10.0], [0.5, 0.5], response=0.1, cost_per_contact=1.0)
    array([ 9. , -0.5])
    """
    saved, cost = _saved_and_cost(value, probability_leaving, response, cost_per_contact)
    return saved - cost


def retention_curve(
    value: ArrayLike,
    probability_leaving: ArrayLike,
    *,
    response: ArrayLike,
    cost_per_contact: ArrayLike = 0.0,
    doubt: tuple[float, float] = _DOUBT,
) -> RetentionCurve:
    """Return profit against the share of contacts that are contacted.

    Contacts are contacted in the order of what they save for each unit of cost.

    Parameters
    ----------
    value, probability_leaving : array-like of shape (n,)
        As for :func:`expected_value_saved`. Where one is missing, the contact is never contacted,
        but counts in the share.
    response : float or array-like of shape (n,)
        Share of leavers that a message keeps: assumed, unless an experiment measured it.
    cost_per_contact : float or array-like of shape (n,), default 0.0
        In currency.
    doubt : tuple of (float, float), default (0.5, 1.5)
        Between which multiples of the response the truth may lie.

    Returns
    -------
    RetentionCurve
        At most some 200 points, among them the best one.

    Raises
    ------
    ConfigurationError
        Where a number is impossible, lengths differ, or nobody can be contacted.

    Examples
    --------
    >>> curve = retention_curve([200, 90, 10], [0.5, 0.5, 0.5], response=0.1, cost_per_contact=1)
    >>> round(curve.best_share, 3), curve.best_profit
    (0.667, 12.5)
    """
    low, high = (_amount(bound, "doubt") for bound in doubt)
    if not low <= 1.0 <= high:
        what = f"'doubt' goes from {low:g} to {high:g}, without 1."
        raise ConfigurationError(
            what, "The response that is assumed lies in its range.", "pass (0.5, 1.5), or wider."
        )
    saved, cost = _saved_and_cost(value, probability_leaving, response, cost_per_contact)
    order = _most_worth_first(saved, cost, np.arange(saved.size))
    if not order.size:
        raise ConfigurationError(
            "No contact has both a value and a probability.",
            "There is nobody who could be contacted.",
            "ask for contacts that have both predictions.",
        )
    # Sums of what is sorted, from the first on: the order of rows does not change a digit.
    all_saved = np.concatenate([[0.0], np.cumsum(saved[order])])
    all_cost = np.concatenate([[0.0], np.cumsum(cost[order])])
    profit = all_saved - all_cost
    shown = np.unique(np.linspace(0, order.size, min(order.size + 1, _POINTS)).round().astype(int))
    shown = np.union1d(shown, [int(np.argmax(profit))])
    return RetentionCurve(
        share=shown / saved.size,
        contacted=shown,
        saved=all_saved[shown],
        cost=all_cost[shown],
        profit=profit[shown],
        profit_low=(low * all_saved - all_cost)[shown],
        profit_high=(high * all_saved - all_cost)[shown],
        doubt=(low, high),
        total=saved.size,
    )


def choose_contacts(
    frame: Any,  # noqa: ANN401 - any frame
    *,
    value: str,
    probability_leaving: str,
    response: float | str,
    cost_per_contact: float | str,
    budget: float | None = None,
) -> "pd.DataFrame":
    """Return whom to contact under a budget.

    Those who save most for each unit of cost come first, equal ones by id, and whoever would cost
    more than is left is passed over. Whose message does not pay is not contacted, even where the
    budget is not spent; neither is anybody of whom a number is missing.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        ``contact_id`` and the columns named below, one row a contact.
    value, probability_leaving : str
        Columns, such as ``"expected_value_365d"`` and ``"churn_probability_90d"``.
    response, cost_per_contact : float or str
        A number for all, or a column.
    budget : float, optional
        What may be spent, in currency; without one whoever pays is contacted.

    Returns
    -------
    pandas.DataFrame
        ``contact_id, value_saved, cost, expected_profit``, in the order of contacting.

    Raises
    ------
    ConfigurationError
        Where a column is not there, an id is missing or there twice, or a number is impossible.
    """
    import pandas as pd

    if hasattr(frame, "to_pandas"):
        frame = frame.to_pandas()
    ids = _ids_of(frame)
    asked = (value, probability_leaving, response, cost_per_contact)
    saved, cost = _saved_and_cost(*(_column(frame, one) for one in asked))
    order = _most_worth_first(saved, cost, np.argsort(np.argsort(ids)))
    order = order[saved[order] > cost[order]]
    if budget is not None:
        order = _within(order, cost, _amount(budget, "budget"))
    chosen = {
        CONTACT_ID: ids[order],
        "value_saved": saved[order],
        "cost": cost[order],
        "expected_profit": saved[order] - cost[order],
    }
    return pd.DataFrame(chosen)


def plot_retention(curve: RetentionCurve, *, ax: "Axes | None" = None) -> "Axes":
    """Draw profit against the share of contacts that are contacted.

    Parameters
    ----------
    curve : RetentionCurve
        From :func:`retention_curve`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new Figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The line is the assumed response, the band its range; a point marks the highest profit.
    """
    from matplotlib.ticker import StrMethodFormatter

    from mlmarket.evaluation.plots import canvas

    low, high = curve.doubt
    with canvas(ax, size=(5.6, 3.4)) as axes:
        share = 100.0 * curve.share
        text = f"{low:g} to {high:g} times the assumed response"
        axes.fill_between(share, curve.profit_low, curve.profit_high, color="#8FBCDB", label=text)
        axes.plot(share, curve.profit, color="#0072B2", label="assumed response")
        best = f"highest: {100.0 * curve.best_share:.3g} % of contacts"
        axes.plot([100.0 * curve.best_share], [curve.best_profit], "o", color="#D55E00", label=best)
        axes.axhline(0.0, color="#767676", linewidth=0.8)
        axes.set_xlim(0.0, max(float(share[-1]), 1e-9))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(visible=True)
        axes.set_xlabel("Contacts contacted, those who save most first (% of all)")
        axes.set_ylabel("Expected profit")
        axes.legend(loc="best")
    return axes


def _saved_and_cost(
    value: ArrayLike, probability: ArrayLike, response: ArrayLike, cost: ArrayLike
) -> tuple[Floats, Floats]:
    """Return what each contact saves, NaN where it is not known, and costs."""
    worth = _numbers(value, "value")
    leaving = _numbers(probability, "probability_leaving", most=1.0)
    if leaving.shape != worth.shape or worth.ndim != 1:
        what = f"There are {worth.size:,} values and {leaving.size:,} probabilities."
        why = "Row i of both must speak of the same contact."
        raise ConfigurationError(what, why, "take both from the same frame.")
    kept = _spread(response, "response", worth.size, most=1.0)
    price = _spread(cost, "cost_per_contact", worth.size)
    return worth * leaving * kept, price


def _spread(number: ArrayLike, name: str, size: int, most: float = np.inf) -> Floats:
    numbers = _numbers(number, name, most=most)
    if numbers.shape not in {(), (size,)}:
        what = f"'{name}' has {numbers.size:,} numbers for {size:,} contacts."
        why = "It is one number for all, or one a contact."
        raise ConfigurationError(what, why, f"pass {name} as a number, or from the same frame.")
    if np.isnan(numbers).any():
        what = f"'{name}' is missing for {int(np.isnan(numbers).sum()):,} contacts."
        why = "Without it nobody can say what a message earns."
        raise ConfigurationError(what, why, "give every contact one, or one number for all.")
    return np.broadcast_to(numbers, (size,))


def _numbers(values: ArrayLike, name: str, *, most: float = np.inf) -> Floats:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        what = f"'{name}' holds something that is not a number: {error}."
        fix = "pass numbers; a missing one is NaN."
        raise ConfigurationError(what, "It is multiplied.", fix) from error
    wrong = (numbers < 0.0) | (numbers > most) | np.isinf(numbers)
    if wrong.any():
        example = float(numbers[wrong].flat[0])
        between = "zero or more" if np.isinf(most) else f"from 0 to {most:g}"
        what = f"'{name}' is {example!r} in {int(wrong.sum()):,} of {numbers.size:,} rows."
        why = f"It is a finite number, {between}."
        raise ConfigurationError(what, why, "look where it comes from.")
    return numbers


def _amount(number: float, name: str) -> float:
    if isinstance(number, bool) or not (np.isfinite(number) and number >= 0.0):
        what = f"'{name}' is {number!r}."
        raise ConfigurationError(what, "It is a finite number, zero or more.", "pass an amount.")
    return float(number)


def _most_worth_first(
    saved: Floats, cost: Floats, tie: npt.NDArray[np.int64]
) -> npt.NDArray[np.intp]:
    """Return the rows that have a number, by what is saved for each unit of cost."""
    known = np.flatnonzero(~np.isnan(saved))
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = saved[known] / cost[known]
    # What costs nothing comes first, unless it saves nothing either.
    worth = np.where(cost[known] > 0.0, worth, np.where(saved[known] > 0.0, np.inf, 0.0))
    return known[np.lexsort((tie[known], cost[known], -saved[known], -worth))]


def _within(order: npt.NDArray[np.intp], cost: Floats, budget: float) -> npt.NDArray[np.intp]:
    """Return those who can be paid, each once all before are, passing over who costs too much."""
    left, chosen = budget, []
    for row in order.tolist():
        if cost[row] <= left:
            left -= float(cost[row])
            chosen.append(row)
    return np.asarray(chosen, dtype=np.intp)


def _column(frame: "pd.DataFrame", asked: float | str) -> Any:  # noqa: ANN401 - a column or number
    if not isinstance(asked, str):
        return asked
    if asked not in frame.columns:
        raise _no_column(asked, list(frame.columns))
    return frame[asked].to_numpy(dtype=np.float64, na_value=np.nan)


def _ids_of(frame: "pd.DataFrame") -> npt.NDArray[np.object_]:
    if CONTACT_ID not in frame.columns:
        raise _no_column(CONTACT_ID, list(frame.columns))
    column = frame[CONTACT_ID]
    repeated = column.duplicated()
    if column.isna().any() or repeated.any():
        example = "" if not repeated.any() else f", such as {column[repeated].iloc[0]!r}"
        raise ConfigurationError(
            f"{int(column.isna().sum())} ids are missing and {int(repeated.sum())} are there twice"
            f"{example}.",
            "Nobody is contacted twice.",
            "give each contact one row.",
        )
    return np.asarray(column.astype(str).to_numpy(dtype=object))


def _no_column(name: str, known: Sequence[str]) -> ConfigurationError:
    from mlmarket.errors import suggestion

    return ConfigurationError(
        f"The frame has no column '{name}'.",
        "The value saved is made of it.",
        suggestion(name, [str(one) for one in known]),
    )
