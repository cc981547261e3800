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
from mlmarket.features import OpenLabelWindowError
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.time import parse_duration

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

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
        The last local day that was over when the model stood.
    """

    end: npt.NDArray[np.datetime64]
    expected: Floats
    actual: Floats
    as_of: np.datetime64

    @property
    def holdout(self) -> npt.NDArray[np.bool_]:
        """Which periods are after the model stood."""
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
        Where the model stands; contacts known to have bought by then are followed.
    until : datetime
        How far they are followed; rows after it are not looked at.
    every : str or timedelta, default "7D"
        Length of a period, in whole days.
    timezone : str, optional
        As for :func:`~mlmarket.churn.transactions.summarize_transactions`.

    Returns
    -------
    PurchaseTracking
        From about the first purchase of anybody on; one period ends where the model stands, and a
        last one that is not over is left out.

    Raises
    ------
    ConfigurationError
        Where an argument is wrong.
    DataContractError
        Where nobody bought by `as_of`.
    OpenLabelWindowError
        Where orders end more than a period before `until`: weeks without rows would look like weeks without
        purchases.

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
    complete = market.complete_until("orders")
    if until > complete + width:  # the last order may be some days before the end of the table
        raise OpenLabelWindowError(
            cutoff=as_of, horizon=until - as_of, table="orders", complete_until=complete
        )
    known = purchase_days(market, as_of=as_of)
    days = cast("ir.Table", purchase_days(market, as_of=until).semi_join(known, CONTACT_ID))
    people: Any = purchases_by_contact(days)
    first, new = _counts(people.group_by(day=people.first_day))
    if not first.size:
        what = f"Nobody bought by {as_of.isoformat()}."
        raise DataContractError(what, "There is nobody to follow.", "pass a later as_of=.")
    day, bought = _counts(days.group_by("day"))
    stood, last = (_last_whole_day(moment, market.zone) for moment in (as_of, until))
    step = width // _DAY
    ends = np.arange(stood - (stood - first[0]) // step * step, last + 1, step)
    repeats = np.concatenate([[0.0], np.cumsum(bought)])[np.searchsorted(day, ends, "right")]
    repeats -= np.concatenate([[0.0], np.cumsum(new)])[np.searchsorted(first, ends, "right")]
    return PurchaseTracking(
        end=ends.astype("datetime64[D]"),
        expected=np.diff(_expected(model, first, new, ends), prepend=0.0),
        actual=np.diff(repeats, prepend=0.0),
        as_of=np.datetime64(stood, "D"),
    )


def _last_whole_day(moment: datetime, zone: "ZoneInfo") -> int:
    return day_number(moment + timedelta(microseconds=1), zone) - 1


def _counts(by_day: Any) -> tuple[Days, Floats]:  # noqa: ANN401 - a grouped table
    """Return days in order, and how many rows each has."""
    counted = by_day.aggregate(count=lambda rows: rows.count())
    found: pa.Table = counted.order_by("day").to_pyarrow()
    day = found.column("day").to_numpy().astype(np.int64)
    return day, found.column("count").to_numpy().astype(np.float64)


def _expected(model: BuyTillYouDie, first: Days, new: Floats, ends: Days) -> Floats:
    """Return the repeat purchases expected until each end, of contacts of all ages."""
    ages = ends[:, None] - first
    distinct, place = np.unique(np.maximum(ages, 0), return_inverse=True)
    a_day = _DAY / parse_duration(model.unit)
    each = model.expected_repeat_purchases(distinct * a_day)[place].reshape(ages.shape)
    return cast("Floats", (each * new).sum(axis=1))
