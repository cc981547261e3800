"""What does a prediction's quality look like?

Every function draws on given Axes or on a Figure of its own, without pyplot, so nothing stays
behind in the process. Series differ in colour, marker and line, and survive a grey printer.
"""

import re
from contextlib import contextmanager
from io import StringIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.calibration import CalibrationCurve
from mlmarket.evaluation.gains import GainTable
from mlmarket.evaluation.value_deciles import ValueDeciles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "canvas",
    "plot_calibration",
    "plot_deciles",
    "plot_folds",
    "plot_lift",
    "plot_scores",
    "to_svg",
]

# Okabe and Ito (2008), Color Universal Design: apart for every common kind of colour vision.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_LINES: Final = ("-", "--", "-.", ":")
_INK: Final = "#333333"
_QUIET: Final = "#767676"
_FILL: Final = "#8FBCDB"
_STYLE: Final[dict[Any, Any]] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.edgecolor": _QUIET,
    "axes.labelcolor": _INK,
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "figure.facecolor": "white",
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "text.parse_math": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "timezone": "UTC",
}
# Letters become shapes: a page then looks the same whatever fonts its reader has.
_SAVING: Final[dict[Any, Any]] = {
    "svg.fonttype": "path",
    "svg.image_inline": True,
    "savefig.bbox": None,
    "savefig.facecolor": "auto",
    "savefig.transparent": False,
}
_BETTER: Final = {
    "log_loss": "lower",
    "brier_score": "lower",
    "expected_calibration_error": "lower",
    "roc_auc": "higher",
    "average_precision": "higher",
    "lift": "higher",
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def plot_calibration(curve: CalibrationCurve, *, ax: "Axes | None" = None) -> "Axes":
    """Draw what happened against what was predicted.

    Parameters
    ----------
    curve : CalibrationCurve
        From :func:`~mlmarket.evaluation.calibration.calibration_curve`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new Figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Points on the diagonal are right; bars are 95 % intervals.
    """
    low, high = curve.interval()
    with canvas(ax, size=(4.2, 4.0)) as axes:
        reach = 100.0 * 1.05 * max(float(curve.predicted.max()), float(high.max()))
        axes.plot([0.0, reach], [0.0, reach], color=_QUIET, linestyle="--", label="perfect")
        axes.errorbar(
            100.0 * curve.predicted,
            100.0 * curve.observed,
            yerr=100.0 * np.array([curve.observed - low, high - curve.observed]).clip(min=0.0),
            color=_COLOURS[0],
            marker="o",
            markersize=4.5,
            linewidth=1.2,
            elinewidth=1.0,
            capsize=2.0,
            label="observed (95 % interval)",
        )
        axes.set(xlim=(0.0, reach), ylim=(0.0, reach))
        axes.set_xlabel("Predicted probability (%)")
        axes.set_ylabel("Contacts who did it (%)")
        axes.set_aspect("equal")
        axes.grid(visible=True)
        axes.legend(loc="best")
    return axes


def plot_lift(table: GainTable, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the rate in equal shares of contacts, best first.

    Parameters
    ----------
    table : GainTable
        From :func:`~mlmarket.evaluation.gains.gain_table`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new Figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        A bar's number is its rate divided by the rate of all contacts.
    """
    average = float(table.rate.mean())
    with canvas(ax, size=(5.6, 3.4)) as axes:
        place = np.arange(1, table.rate.size + 1)
        bars = axes.bar(place, 100.0 * table.rate, width=0.8, color=_COLOURS[0])
        if average > 0.0:
            texts = [f"{rate / average:.1f}\N{MULTIPLICATION SIGN}" for rate in table.rate]
            paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
            axes.bar_label(bars, labels=texts, padding=2.5, fontsize=8.0, bbox=paper)
        label = f"all contacts: {100.0 * average:.3g} %"
        axes.axhline(100.0 * average, color=_COLOURS[1], linestyle="--", label=label)
        ends = [f"{100.0 * share:.3g}" for share in table.share]
        starts = ["0", *ends[:-1]]
        texts = [f"{start}\N{EN DASH}{end}" for start, end in zip(starts, ends, strict=True)]
        axes.set_xticks(place, texts)
        axes.set_xlabel("Contacts, best ranked first (% of all)")
        axes.set_ylabel("Contacts who did it (%)")
        axes.margins(y=0.12)
        axes.legend(loc="upper right")
    return axes


def plot_deciles(deciles: ValueDeciles, *, ax: "Axes | None" = None) -> "Axes":
    """Draw expected and observed value a contact, by tenths of the prediction.

    Parameters
    ----------
    deciles : ValueDeciles
        From :func:`~mlmarket.evaluation.value_deciles.value_deciles`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new Figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Bars are what contacts were worth, with 95 % intervals; points what was expected.
    """
    from matplotlib.ticker import StrMethodFormatter

    low, high = deciles.interval()
    with canvas(ax, size=(5.6, 3.4)) as axes:
        place = np.arange(1, deciles.count.size + 1)
        axes.bar(
            place,
            deciles.observed,
            width=0.8,
            color=_FILL,
            yerr=np.array([deciles.observed - low, high - deciles.observed]).clip(min=0.0),
            ecolor=_QUIET,
            capsize=2.0,
            label="observed (95 % interval)",
        )
        axes.plot(
            place,
            deciles.predicted,
            color=_COLOURS[1],
            marker="o",
            markersize=4.5,
            linestyle="none",
            label="expected",
        )
        axes.set_xticks(place)
        axes.set_ylim(bottom=0.0)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(visible=True, axis="y")
        axes.set_xlabel("Tenth of contacts, highest expected value first")
        axes.set_ylabel("Value a contact")
        axes.legend(loc="upper right")
    return axes


def plot_scores(
    counts: ArrayLike, edges: ArrayLike, *, percent: bool = True, ax: "Axes | None" = None
) -> "Axes":
    """Draw how many contacts have which probability, or which other number.

    Parameters
    ----------
    counts : array-like of shape (bins,)
        Contacts in each bin, as ``numpy.histogram`` returns them.
    edges : array-like of shape (bins + 1,)
        Edges of the bins; probabilities from 0 to 1.
    percent : bool, default True
        Whether they are probabilities, which are written in percent.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new Figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        A histogram.

    Raises
    ------
    ConfigurationError
        Where there is not one edge more than counts.

    Examples
    --------
    >>> axes = plot_scores(*np.histogram([0.1, 0.2, 0.2], bins=4))
    >>> axes.get_ylabel()
    'Contacts'
    """
    heights = np.asarray(counts, dtype=np.float64)
    borders = np.asarray(edges, dtype=np.float64)
    if heights.ndim != 1 or borders.shape != (heights.size + 1,) or heights.size == 0:
        what = f"There are {heights.size} counts and {borders.size} edges."
        why = "A histogram has one edge more than it has bars."
        raise ConfigurationError(what, why, "pass *numpy.histogram(probabilities, bins=40).")
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    with canvas(ax, size=(5.6, 3.0)) as axes:
        borders = 100.0 * borders if percent else borders
        axes.stairs(heights, borders, fill=True, facecolor=_FILL, edgecolor=_COLOURS[0])
        axes.set_xlim(borders[0], borders[-1])
        axes.set_ylim(bottom=0.0)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.grid(visible=True, axis="y")
        axes.set_xlabel("Predicted probability (%)" if percent else "Predicted number")
        axes.set_ylabel("Contacts")
    return axes


def plot_folds(folds: "pd.DataFrame", *, metric: str, ax: "Axes | None" = None) -> "Axes":
    """Draw a measure of several models at each origin, with intervals.

    Parameters
    ----------
    folds : pandas.DataFrame
        Columns ``origin``, ``model``, ``metric``, ``value``, ``low``, ``high``.
    metric : str
        Which rows of `folds` to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new Figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One line a model, in the order of the frame.

    Raises
    ------
    ConfigurationError
        Where a column is missing, or no row has the metric.
    """
    rows = _folds_of(folds, metric)
    origins = rows["origin"].drop_duplicates().sort_values().to_list()
    models = list(rows["model"].unique())
    with canvas(ax, size=(5.6, 3.2)) as axes:
        for number, model in enumerate(models):
            mine = rows[rows["model"] == model].sort_values("origin")
            # Side by side, so that intervals of one origin do not hide each other.
            shift = 0.5 * ((number + 0.5) / len(models) - 0.5)
            place = np.array([origins.index(origin) for origin in mine["origin"]]) + shift
            colour = _COLOURS[number % len(_COLOURS)]
            axes.vlines(place, mine["low"], mine["high"], color=colour, linewidth=1.0)
            axes.plot(
                place,
                mine["value"],
                label=str(model),
                color=colour,
                marker=_MARKERS[number % len(_MARKERS)],
                linestyle=_LINES[number % len(_LINES)],
                markersize=4.5,
                linewidth=1.2,
            )
        every = 1 + (len(origins) - 1) // 8
        shown = range(0, len(origins), every)
        axes.set_xticks(shown, [f"{origins[place]:%Y\n%m-%d}" for place in shown])
        axes.set_xlim(-0.5, len(origins) - 0.5)
        axes.grid(visible=True, axis="y")
        axes.set_xlabel("Predicted from (UTC)")
        better = f" ({_BETTER[metric]} is better)" if metric in _BETTER else ""
        axes.set_ylabel(metric.replace("_", " ") + better)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes


def to_svg(figure: "Figure", *, id_prefix: str, title: str | None = None) -> str:
    """Return a figure as SVG text to put into an HTML page.

    The same figure gives the same bytes on every run: no date, no version and no random id.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write; of Axes it is ``axes.figure``.
    id_prefix : str
        Put before every id inside, so that several figures live on one page; a letter, then
        letters, digits, hyphens or underscores.
    title : str, optional
        What the figure shows, for readers who do not see it.

    Returns
    -------
    str
        One ``<svg>`` element, without an XML prologue.

    Raises
    ------
    ConfigurationError
        Where `id_prefix` cannot be an id.
    """
    if not _IDENTIFIER.fullmatch(id_prefix):
        what = f"'{id_prefix}' cannot begin an id."
        why = "Ids of a page start with a letter and hold letters, digits, '-' and '_' only."
        raise ConfigurationError(what, why, "pass a short name, such as id_prefix='churn-lift'.")
    bare = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    text = StringIO()
    with _our_settings({**_SAVING, "svg.hashsalt": id_prefix}):
        figure.savefig(text, format="svg", metadata={**bare, "Title": title} if title else bare)
    return _embeddable(text.getvalue(), id_prefix)


def _embeddable(document: str, id_prefix: str) -> str:
    """Return the root element of an SVG document, with every id and style kept to itself."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\sid=")', rf"\g<1>{id_prefix}-", svg)
    svg = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{id_prefix}-", svg)
    # Inside a page, a bare '*' would style everything around the figure too.
    svg = svg.replace(">*{", f">#{id_prefix} *{{")
    return svg.replace("<svg ", f'<svg id="{id_prefix}" role="img" ', 1)


def _folds_of(folds: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    needed = ("origin", "model", "metric", "value", "low", "high")
    missing = [column for column in needed if column not in folds.columns]
    if missing:
        what = f"The folds have no column {', '.join(map(repr, missing))}."
        why = "A fold is drawn as a value with its interval, by origin and model."
        raise ConfigurationError(what, why, "pass the folds of an Evidence.")
    rows = folds[folds["metric"] == metric]
    if rows.empty:
        what = f"No fold has the metric '{metric}'."
        why = "There is nothing to draw."
        known = ", ".join(sorted(map(str, folds["metric"].unique())))
        raise ConfigurationError(what, why, f"use one of: {known}.")
    return rows


@contextmanager
def canvas(ax: "Axes | None", *, size: tuple[float, float]) -> "Iterator[Axes]":
    """Give Axes to draw on, and a Figure whose layout is settled after drawing.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Where to draw; None makes a Figure.
    size : tuple of (float, float)
        Width and height of that Figure, in inches.

    Yields
    ------
    matplotlib.axes.Axes
        In our style, whatever the reader's own settings are.
    """
    from matplotlib.figure import Figure

    with _our_settings():
        if ax is not None:
            yield ax
            return
        figure = Figure(figsize=size, layout="constrained")
        yield figure.add_subplot()
        figure.draw_without_rendering()
        # Each further draw would move the Axes by a hair, and no two files would be equal.
        figure.set_layout_engine("none")


@contextmanager
def _our_settings(more: "Mapping[Any, Any]" = MappingProxyType({})) -> "Iterator[None]":
    """Use our style for a moment, whatever the reader's own settings are."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_STYLE, **more})
        yield
