"""What does a predictor's evidence look like, and what does each picture say?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from mlmarket.evaluation import (
    CalibrationCurve,
    GainTable,
    ValueDeciles,
    plot_calibration,
    plot_deciles,
    plot_folds,
    plot_lift,
    plot_scores,
    to_svg,
)
from mlmarket.prediction import Evidence
from mlmarket.reporting.content import PredictorSection
from mlmarket.reporting.headline import model_name
from mlmarket.reporting.number_text import percent
from mlmarket.reporting.safe_text import cut, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Chart", "charts_of"]

_SIZE: Final = (4.5, 3.3)
_BARS: Final = 25
_ROUND: Final = 20.0
_MOST_PEOPLE: Final = 0.98
_EARLIER: Final = "#D55E00"
_TEXT: Final = {"family": "DejaVu Sans", "size": 8.0}
_LONGEST_NAME: Final = 40


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and its sentence.

    Parameters
    ----------
    title : str
        What it shows.
    sentence : str
        How to read it.
    svg : Markup
        One ``<svg>`` element.
    """

    title: str
    sentence: str
    svg: Markup


def charts_of(section: PredictorSection, *, id_prefix: str) -> tuple[Chart, ...]:
    """Draw what backs a predictor, and what it said tonight.

    Parameters
    ----------
    section : PredictorSection
        One predictor's night.
    id_prefix : str
        Put before every id, see :func:`~mlmarket.evaluation.plots.to_svg`.

    Returns
    -------
    tuple of Chart
        Those for which there is something to draw.
    """
    evidence = section.evidence
    charts = []
    scores = section.scores[np.isfinite(section.scores)]
    if scores.size:
        name = f"{id_prefix}-scores"
        if section.unit == "probability":
            charts.append(_scores(scores, section.earlier_scores, name))
        elif section.unit == "currency":
            charts.append(_values(scores, section.counts, name))
    if evidence.calibration is not None and evidence.calibration.count.size:
        charts.append(_calibration(evidence.calibration, f"{id_prefix}-calibration"))
    if evidence.gains is not None and evidence.gains.rate.size:
        charts.append(_lift(evidence.gains, f"{id_prefix}-lift"))
    if evidence.deciles is not None and evidence.deciles.count.size:
        charts.append(_deciles(evidence.deciles, f"{id_prefix}-deciles"))
    if any(fold.metric == evidence.metric for fold in evidence.folds):
        charts.append(_folds(evidence, f"{id_prefix}-folds"))
    return tuple(charts)


def _scores(
    scores: npt.NDArray[np.float64], earlier: npt.NDArray[np.float64] | None, id_prefix: str
) -> Chart:
    before = np.empty(0) if earlier is None else earlier[np.isfinite(earlier)]
    highest = max(float(scores.max()), float(before.max()) if before.size else 0.0)
    edges = np.linspace(0.0, max(np.ceil(highest * _ROUND) / _ROUND, 1.0 / _ROUND), _BARS + 1)
    axes = plot_scores(*np.histogram(scores, bins=edges), ax=None)
    sentence = "How many people have which probability tonight: the further right, the likelier."
    if before.size:
        heights = np.histogram(before, bins=edges)[0]
        axes.patches[-1].set_label("tonight")
        axes.stairs(
            heights,
            100.0 * edges,
            color=_EARLIER,
            linestyle="--",
            linewidth=1.3,
            label="a week ago",
        )
        axes.set_ylim(bottom=0.0)
        axes.legend(loc="upper right", frameon=False, prop=_TEXT)
        sentence += " The dashed line is a week ago; the two should look alike in a quiet week."
    return _chart(axes, "Probabilities tonight", sentence, id_prefix)


def _values(values: npt.NDArray[np.float64], counts: str, id_prefix: str) -> Chart:
    """Draw how values are spread; the few largest would push all others into one bar."""
    highest = float(np.quantile(values, _MOST_PEOPLE, method="inverted_cdf")) or 1.0
    edges = np.linspace(0.0, highest, _BARS + 1)
    axes = plot_scores(*np.histogram(values, bins=edges), percent=False)
    axes.set_xlabel(f"Expected {counts}" if counts else "Expected value")
    beyond = int((values > highest).sum())
    sentence = "How many people are expected to be worth how much: the further right, the more."
    if beyond:
        sentence += f" {beyond:,} more people lie to the right of the last bar."
    return _chart(axes, "Values tonight", sentence, id_prefix)


def _calibration(curve: CalibrationCurve, id_prefix: str) -> Chart:
    axes = plot_calibration(curve)
    middle = percent(float(np.median(curve.predicted)))
    sentence = (
        f"Does a percent mean what it says? Of people given about {middle}, about {middle} should "
        "do it: dots near the dashed line are right, dots below it promise too much."
    )
    return _chart(axes, "Promised and happened", sentence, id_prefix)


def _lift(gains: GainTable, id_prefix: str) -> Chart:
    axes = plot_lift(gains)
    # Ends alone are read as well as ranges, and leave the letters room.
    axes.set_xticks(axes.get_xticks(), [f"{100.0 * share:.3g}" for share in gains.share])
    axes.set_xlabel("Contacts, best ranked first (up to … % of all)")
    sentence = (
        "Are the right people at the top? Each bar is an equal share of people, the likeliest on "
        "the left; the number above it says how many times the average did it."
    )
    if np.isfinite(gains.captured[0]):
        sentence += (
            f" The first {percent(float(gains.share[0]))} of people held "
            f"{percent(float(gains.captured[0]))} of all who did it."
        )
    return _chart(axes, "From the likeliest to the least likely", sentence, id_prefix)


def _deciles(deciles: ValueDeciles, id_prefix: str) -> Chart:
    sentence = (
        "Is the expected number right at both ends? Each bar is a tenth of the people, those of whom "
        "most was expected on the left, with what came; points are what was expected."
    )
    return _chart(plot_deciles(deciles), "Expected and come, by tenths", sentence, id_prefix)


def _folds(evidence: Evidence, id_prefix: str) -> Chart:
    frame = evidence.to_frame()
    rivals = [fold.model for fold in evidence.folds if fold.model != evidence.baseline]
    stood = [evidence.challenger] if evidence.challenger in rivals else rivals
    # The last model of a contest is the one that stands against the rules.
    rival = evidence.chosen if evidence.chosen in rivals else (stood or [""])[-1]
    shown = [rival, evidence.baseline]
    frame = frame[frame["model"].isin(shown) & (frame["metric"] == evidence.metric)].sort_values(
        "model", key=lambda names: names.map(shown.index), kind="stable"
    )
    frame = frame.assign(model=[_short_name(name) for name in frame["model"]])
    axes = plot_folds(frame, metric=evidence.metric)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.45, -0.3), frameon=False, prop=_TEXT, borderpad=0.0
    )
    sentence = (
        "Is it better than a simple rule, and always? Each place is a day in the past from which "
        "the following weeks were predicted; lower is better, and bars show how sure that is."
    )
    return _chart(axes, "Against the simple rule", sentence, id_prefix)


def _short_name(model: str) -> str:
    """Return a model's name without what stands in brackets, which the table says."""
    return cut(str(visible(model_name(model))).partition(" (")[0], _LONGEST_NAME)


def _chart(axes: "Axes", title: str, sentence: str, id_prefix: str) -> Chart:
    from matplotlib.figure import Figure

    figure = axes.get_figure(root=True)
    if not isinstance(figure, Figure):
        what = f"The chart '{title}' has no figure."
        raise TypeError(what)
    figure.set_size_inches(*_SIZE)
    svg = to_svg(figure, id_prefix=id_prefix, title=f"{title}. {sentence}")
    # The drawing was made here and holds no text from outside as markup.
    return Chart(title, sentence, Markup(svg))  # noqa: S704
