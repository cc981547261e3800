"""What do models of purchases say, and did it come so?

Every function draws on given Axes or on a Figure of its own, as those of
:mod:`mlmarket.evaluation.plots`.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from mlmarket.churn.btyd.model import BuyTillYouDie
from mlmarket.churn.tracking import PurchaseTracking
from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.plots import canvas
from mlmarket.market.time import duration_text, parse_duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_probability_alive", "plot_tracking"]

_EXPECTED: Final = "#D55E00"
_ACTUAL: Final = "#0072B2"
_QUIET: Final = "#767676"
_CELLS: Final = 60


def plot_tracking(
    tracking: PurchaseTracking, *, cumulative: bool = True, ax: "Axes | None" = None
) -> "Axes":
    """Draw the purchases that came beside those that were expected.

    Parameters
    ----------
    tracking : PurchaseTracking
        From :func:`~mlmarket.churn.tracking.track_purchases`.
    cumulative : bool, default True
        Since the beginning; otherwise within each period.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new Figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Right of the upright line the model had seen nothing.
    """
    from matplotlib.dates import date2num
    from matplotlib.ticker import StrMethodFormatter

    expected, actual = tracking.expected, tracking.actual
    if cumulative:
        expected, actual = np.cumsum(expected), np.cumsum(actual)
    with canvas(ax, size=(5.6, 3.4)) as axes:
        axes.plot(tracking.end, actual, color=_ACTUAL, linewidth=1.4, label="actual")
        axes.plot(tracking.end, expected, "--", color=_EXPECTED, linewidth=1.4, label="expected")
        stood = date2num(tracking.as_of)  # type: ignore[no-untyped-call]
        axes.axvline(stood, color=_QUIET, linewidth=0.8, label="model fitted")
        axes.set_ylim(bottom=0.0)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(visible=True, axis="y")
        axes.tick_params(axis="x", rotation=30)
        axes.set_xlabel("Until" if cumulative else "Period that ends")
        axes.set_ylabel("Repeat purchases so far" if cumulative else "Repeat purchases")
        axes.legend(loc="best")
    return axes


def plot_probability_alive(
    model: BuyTillYouDie,
    *,
    length: str | timedelta | None = None,
    most_purchases: int = 20,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw P(alive) by how often a contact bought again and when it last did.

    Parameters
    ----------
    model : BetaGeoModel, ModifiedBetaGeoModel or ParetoNBDModel
        Fitted.
    length : str or timedelta, optional
        How long the contacts are known; by default as long as the longest that the model learned
        from.
    most_purchases : int, default 20
        Repeat purchases up to which to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new Figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        A heat map: up is lately, right is often.

    Raises
    ------
    ConfigurationError
        Where the model is not fitted, or there is nothing to draw.
    """
    import pandas as pd
    from matplotlib.ticker import MaxNLocator

    if most_purchases < 1:
        what = f"most_purchases={most_purchases} leaves nothing to draw."
        raise ConfigurationError(what, "The map begins at one purchase.", "pass 20.")
    unit = parse_duration(model.unit)
    known = _known_for(model) if length is None else parse_duration(length) / unit
    often = np.arange(1, most_purchases + 1)
    last = known * (np.arange(_CELLS) + 0.5) / _CELLS
    cells = pd.DataFrame(
        {
            "frequency": np.tile(often, _CELLS),
            "recency": np.repeat(last, often.size),
            "T": known,
        }
    )
    alive = model.probability_alive(cells).reshape(_CELLS, often.size)
    with canvas(ax, size=(5.0, 3.8)) as axes:
        extent = (0.5, most_purchases + 0.5, 0.0, known)
        image = axes.imshow(
            100.0 * alive, "cividis", aspect="auto", vmin=0, vmax=100, origin="lower", extent=extent
        )
        axes.figure.colorbar(image, ax=axes, label="Still a customer (%)")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        axes.set_xlabel("Repeat purchases")
        axes.set_ylabel(f"Last purchase (units of {duration_text(unit)} after the first)")
    return axes


def _known_for(model: BuyTillYouDie) -> float:
    model.require_fitted()
    return model.longest_history_
