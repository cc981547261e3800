"""Did contacts buy as often as a model expected, week by week?

A likelihood is of the past. What counts is whether purchases after `as_of` come as they were expected,
and whether the error grows with time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

from mlmarket.churn.btyd.model import BuyTillYouDie
from mlmarket.churn.local_days import day_number
from mlmarket.churn.purchase_days import purchase_days, purchases_by_contact
from mlmarket.churn.transactions import orders_market
from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.time import parse_duration

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    import pyarrow as pa

__all__ = ["PurchaseTracking", "track_purchases"]

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PurchaseTracking:
    """Repeat purchases of contacts known at an instant: expected and actual, by period.

    Parameters
    ----------
    end : ndarray of datetime64[D], shape (periods,)
        Last local day of each period.
    expected, actual : ndarray of float64, shape (periods,)
        Days with a purchase after a contact's first one, within each period.
    as_of : numpy.datetime64
        Local day at which the model stood.
    """

    end: npt.NDArray[np.datetime64]
    expected: Floats
    actual: Floats
    as_of: np.datetime64

    @property
    def holdout(self) -> npt.NDArray[np.bool_]:
        """Which periods end after the model stood."""
        return self.end > self.as_of

    @property
    def holdout_error(self) -> float | None:
        """Purchases expected after the model stood, over those that came, less 1.

        None where no purchase came.
        """
        came = float(self.actual[self.holdout].sum())
        return float(self.expected[self.holdout].sum()) / came - 1.0 if came else None

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a period.

        Returns
        -------
        pandas.DataFrame
            ``end, expected, actual, expected_total, actual_total, holdout``.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "end": self.end.astype("datetime64[s]"),
                "expected": self.expected,
                "actual": self.actual,
                "expected_total": np.cumsum(self.expected),
                "actual_total": np.cumsum(self.actual),
                "holdout": self.holdout,
            }
        )

    def _repr_html_(self) -> str:
        return self.to_frame()._repr_html_()  # type: ignore[operator,no-any-return]


def track_purchases(
    model: BuyTillYouDie,
    orders: object,
    *,
    as_of: datetime,
    until: datetime,
    every: str | timedelta = "7D",
    timezone: str | None = None,
) -> PurchaseTracking:
    """Compare the purchases that a model expects with those that came.

    Parameters
    ----------
    model : BetaGeoModel, ModifiedBetaGeoModel or ParetoNBDModel
        Fitted on what was known at `as_of`.
    orders : Market, pandas.DataFrame, polars.DataFrame or pyarrow.Table
        As for :func:`~mlmarket.churn.transactions.summarize_transactions`.
    as_of : datetime
        Where the model stands; contacts that bought by then are followed.
    until : datetime
        How far they are followed; rows after it are not looked at.
    every : str or timedelta, default "7D"
        Length of a period, in whole days.
    timezone : str, optional
        As for :func:`~mlmarket.churn.transactions.summarize_transactions`.

    Returns
    -------
    PurchaseTracking
        From the first purchase of anybody on; a last period that is not whole is left out.

    Raises
    ------
    ConfigurationError
        Where an argument is wrong.
    DataContractError
        Where nobody bought by `as_of`.

    Notes
    -----
    Expected is what the model says of new contacts, since their first purchase; what each did
    since is not used. Contacts of all ages add up.

    References
    ----------
    Fader, Hardie and Lee (2005), "Counting your customers" the easy way: an alternative to the
    Pareto/NBD model, Marketing Science 24(2), figures 2 and 3.
    """
    width = parse_duration(every)
    if width % _DAY or until <= as_of:
        what = f"Purchases cannot be tracked every {every} from {as_of} until {until}."
        why = "A period is of whole days, and purchases are compared with what was expected before."
        raise ConfigurationError(what, why, "pass every='7D', and until= after as_of=.")
    market = orders_market(orders, timezone=timezone)
    days = purchase_days(market, as_of=until)
    stood = day_number(as_of, market.zone)
    first, new = _counts(_first_days(days, stood))
    if not first.size:
        what = f"Nobody bought by {as_of.isoformat()}."
        raise DataContractError(what, "There is nobody to follow.", "pass a later as_of=.")
    day, bought = _counts(_all_days(days, stood))
    ends = np.arange(first[0], day_number(until, market.zone) + 1, width // _DAY)[1:]
    repeats = np.concatenate([[0.0], np.cumsum(bought)])[np.searchsorted(day, ends, "right")]
    repeats -= np.concatenate([[0.0], np.cumsum(new)])[np.searchsorted(first, ends, "right")]
    return PurchaseTracking(
        end=ends.astype("datetime64[D]"),
        expected=np.diff(_expected(model, first, new, ends), prepend=0.0),
        actual=np.diff(repeats, prepend=0.0),
        as_of=np.datetime64(stood, "D"),
    )


def _first_days(days: "ir.Table", stood: int) -> "ir.Table":
    people: Any = purchases_by_contact(days)
    known = people.filter(people.first_day <= stood)
    return cast("ir.Table", known.group_by(day=known.first_day).aggregate(count=known.count()))


def _all_days(days: "ir.Table", stood: int) -> "ir.Table":
    people: Any = purchases_by_contact(days)
    known: Any = days.semi_join(people.filter(people.first_day <= stood), CONTACT_ID)
    return cast("ir.Table", known.group_by("day").aggregate(count=known.count()))


def _counts(table: "ir.Table") -> tuple[Days, Floats]:
    found: pa.Table = table.order_by("day").to_pyarrow()
    day = found.column("day").to_numpy().astype(np.int64)
    return day, found.column("count").to_numpy().astype(np.float64)


def _expected(model: BuyTillYouDie, first: Days, new: Floats, ends: Days) -> Floats:
    """Return the repeat purchases expected until each end, of contacts of all ages."""
    ages = ends[:, None] - first
    distinct, place = np.unique(np.maximum(ages, 0), return_inverse=True)
    a_day = _DAY / parse_duration(model.unit)
    each = model.expected_repeat_purchases(distinct * a_day)[place].reshape(ages.shape)
    return cast("Floats", (each * new).sum(axis=1))
