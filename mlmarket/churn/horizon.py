"""How long a silence is long, in this shop?

A horizon is the user's to choose; this proposes one from how long people who ordered again took.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import numpy.typing as npt

from mlmarket.churn.gates import order_history
from mlmarket.churn.local_days import day_number
from mlmarket.churn.purchase_days import purchase_days
from mlmarket.errors import ConfigurationError
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.time import duration_text, to_utc

if TYPE_CHECKING:
    import pandas as pd

    from mlmarket.market import Market

__all__ = ["HorizonProposal", "suggest_horizon"]

_QUANTILES: Final = (0.5, 0.75, 0.8, 0.9, 0.95)
_USUAL: Final = (7, 14, 30, 60, 90, 120, 180, 365)
"""Days of the horizons that are proposed: what people plan in."""
_FEWEST_GAPS: Final = 100
_WINDOWS: Final = 3
"""Closed windows that leave one to judge on after two to learn from."""


@dataclass(frozen=True, slots=True)
class HorizonProposal:
    """A horizon for churn, and what it is made of.

    Parameters
    ----------
    horizon : timedelta
        The proposal, in days that people plan in.
    share : float
        Of the gaps that are looked at, how many are no longer.
    gaps : int
        Gaps between two days with orders of one contact, over all contacts.
    quantiles : mapping of float to float
        Days within which that share of gaps had ended.
    windows : int
        Closed windows of the proposal that the orders hold.
    limited : bool
        Whether a longer horizon would have been proposed if the orders went back further.
    """

    horizon: timedelta
    share: float
    gaps: int
    quantiles: dict[float, float]
    windows: int
    limited: bool

    @property
    def in_words(self) -> str:
        """The proposal in a sentence or two."""
        said = (
            f"{duration_text(self.horizon)}: of {self.gaps:,} gaps between orders, "
            f"{self.share:.0%} were no longer."
        )
        if self.limited:
            said += (
                f" A longer one would fit better, but the orders hold only {self.windows} windows "
                "of this length."
            )
        return said

    def to_frame(self) -> "pd.DataFrame":
        """Return the quantiles as a frame.

        Returns
        -------
        pandas.DataFrame
            Columns ``share, days``.
        """
        import pandas as pd

        return pd.DataFrame({"share": list(self.quantiles), "days": list(self.quantiles.values())})

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, border=0)
        return f"<p>{self.in_words}</p>{table}"


def suggest_horizon(market: "Market", *, as_of: datetime, share: float = 0.9) -> HorizonProposal:
    """Propose a horizon for churn from the gaps between orders.

    Of the contacts who had time to show it: a gap is looked at only where it began so early that one
    of the longest horizon proposed would have ended by `as_of`. Otherwise short gaps would be seen
    more often than long ones. Who never ordered again has no gap, so the proposal says when those who
    come back are back, not how many do.

    Parameters
    ----------
    market : Market
        With orders.
    as_of : datetime
        Rows after it are not looked at.
    share : float, default 0.9
        Of those who come back, how many should be back within the horizon.

    Returns
    -------
    HorizonProposal
        The first of 7, 14, 30, 60, 90, 120, 180 and 365 days that holds that share and of which the
        orders hold three closed windows.

    Raises
    ------
    ConfigurationError
        Where `share` is no share, or there are fewer than 100 gaps.

    References
    ----------
    Buckinx and Van den Poel (2005), Customer base analysis: partial defection of behaviourally loyal
    clients in a non-contractual FMCG retail setting, European Journal of Operational Research 164(1).
    """
    if not 0.0 < share < 1.0:
        raise ConfigurationError(
            f"'share' is {share!r}.",
            "It says how many of those who come back should be back within the horizon.",
            "pass a number between 0 and 1, such as 0.9.",
        )
    to_utc(as_of)
    history = order_history(market, as_of=as_of)
    gaps = _gaps(market, as_of)
    if len(gaps) < _FEWEST_GAPS:
        raise ConfigurationError(
            f"The orders hold {len(gaps)} gaps that had the time to end.",
            f"A horizon from fewer than {_FEWEST_GAPS} would be a guess that looks like a number.",
            "choose the horizon yourself, such as horizon='90D'.",
        )
    whole = min(history.complete_until, as_of.astimezone(UTC)) - cast("datetime", history.first)
    wanted = float(np.quantile(gaps, share))
    fitting = next((days for days in _USUAL if days >= wanted), _USUAL[-1])
    possible = [days for days in _USUAL if whole.days // days >= _WINDOWS] or [_USUAL[0]]
    days = min(fitting, possible[-1])
    return HorizonProposal(
        horizon=timedelta(days=days),
        share=float((gaps <= days).mean()),
        gaps=len(gaps),
        quantiles={one: float(np.quantile(gaps, one)) for one in _QUANTILES},
        windows=whole.days // days,
        limited=fitting > days,
    )


def _gaps(market: "Market", as_of: datetime) -> npt.NDArray[np.float64]:
    """Return the gaps in days that began early enough to be seen whole, whatever their length."""
    days = purchase_days(market, as_of=as_of).select(CONTACT_ID, "day")
    frame = days.to_pyarrow().to_pandas().sort_values([CONTACT_ID, "day"])
    day, contact = frame["day"].to_numpy(), frame[CONTACT_ID].to_numpy()
    follows = contact[1:] == contact[:-1]
    gap, began = np.diff(day)[follows], day[:-1][follows]
    if not len(gap):
        return np.empty(0)
    today = day_number(as_of, market.zone)
    longest = min(_USUAL[-1], (today - int(day.min())) // 2)
    seen: npt.NDArray[np.float64] = gap[(today - began >= longest) & (gap <= longest)].astype(float)
    return seen
