"""How do a night's values become one page to read and print?"""

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from markupsafe import Markup

from mlmarket.market.time import time_zone
from mlmarket.prediction import Evidence
from mlmarket.orchestration.graph import journey_svg
from mlmarket.reporting.charts import Chart, charts_of
from mlmarket.reporting.content import (
    JourneySection,
    MaturedPromise,
    PredictorSection,
    ReportContent,
)
from mlmarket.reporting.headline import headline, model_name
from mlmarket.reporting.metric_words import METRICS, MetricWords, metrics_shown
from mlmarket.reporting.number_text import (
    change,
    count,
    day,
    decimals,
    local_day,
    percent,
    range_of,
)
from mlmarket.reporting.safe_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from jinja2 import Environment

__all__ = ["render_report"]

_EXAMPLES: Final = 10


@dataclass(frozen=True, slots=True)
class _ModelRow:
    """One model's mean metrics over the origins, as text."""

    name: str
    measured: tuple[str, ...]
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class _PredictorView:
    """A predictor's night as the page lays it out."""

    id: str
    section: PredictorSection
    scored: int
    trained: str
    window: tuple[str, str]
    metrics: tuple[MetricWords, ...]
    models: tuple[_ModelRow, ...]
    charts: tuple[Chart, ...]
    totals: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class _JourneyView:
    """A journey's night as the page lays it out."""

    id: str
    section: JourneySection
    diagram: Markup


@dataclass(frozen=True, slots=True)
class _Track:
    """How earlier nights' promises did, taken together."""

    kept: int
    promises: int
    share: float


def render_report(content: ReportContent) -> str:
    """Lay out a night as one HTML page that needs nothing beside it.

    Parameters
    ----------
    content : ReportContent
        What the night has to tell. Texts in it may come from anywhere: nothing in them is
        obeyed.

    Returns
    -------
    str
        A whole page for UTF-8, without scripts and without addresses to load anything from. The
        same content gives the same text.

    Raises
    ------
    ConfigurationError
        Where the time zone does not exist, or a time has none.
    """
    zone = time_zone(content.timezone)
    predictors = [
        _predictor(section, f"predictor-{number}", zone)
        for number, section in enumerate(content.predictors, start=1)
    ]
    journeys = [
        _journey(section, f"journey-{number}")
        for number, section in enumerate(content.journeys, start=1)
    ]
    values: Mapping[str, Any] = {
        "content": content,
        "headline": headline(content),
        "predictors": predictors,
        "journeys": journeys,
        "track": _track(content.matured),
        "most_examples": _EXAMPLES,
    }
    return _environment().get_template("report.html.j2").render(values)


def _predictor(section: PredictorSection, name: str, zone: "ZoneInfo") -> _PredictorView:
    evidence = section.evidence
    return _PredictorView(
        id=name,
        section=section,
        scored=int(np.isfinite(section.scores).sum()),
        trained=local_day(section.trained_at, zone),
        window=(local_day(evidence.first_cutoff, zone), local_day(evidence.last_cutoff, zone)),
        metrics=tuple(METRICS[name] for name in _shown(evidence)),
        models=_models(evidence),
        charts=charts_of(section, id_prefix=name),
        totals=tuple(
            (local_day(total.origin, zone), total.expected, total.observed)
            for total in evidence.totals
        ),
    )


def _shown(evidence: Evidence) -> tuple[str, ...]:
    return metrics_shown(fold.metric for fold in evidence.folds)


def _models(evidence: Evidence) -> tuple[_ModelRow, ...]:
    """Return the candidates, the best by the metric that ranks them first."""
    rows = []
    for model in dict.fromkeys(fold.model for fold in evidence.folds):
        rank = evidence.score(model, evidence.metric)
        measured = tuple(
            METRICS[metric].text(evidence.score(model, metric)) for metric in _shown(evidence)
        )
        row = _ModelRow(model_name(model), measured, is_chosen=model == evidence.chosen)
        rows.append((math.inf if math.isnan(rank) else rank, row))
    return tuple(row for _, row in sorted(rows, key=lambda ranked: ranked[0]))


def _journey(section: JourneySection, name: str) -> _JourneyView:
    # Our own picture: it escapes every text in it.
    drawing = journey_svg(section.journey, section.counts, id_prefix=f"{name}-way")
    return _JourneyView(name, section, Markup(drawing))  # noqa: S704


def _track(matured: tuple[MaturedPromise, ...]) -> _Track | None:
    if not matured:
        return None
    kept = sum(_is_kept(promise) for promise in matured)
    return _Track(kept, len(matured), float(np.mean([p.promised.level for p in matured])))


def _is_kept(promise: MaturedPromise) -> bool:
    return promise.promised.contains(promise.observed)


def _sentence(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mlmarket.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "change": change,
        "count": count,
        "day": day,
        "decimals": decimals,
        "is_kept": _is_kept,
        "percent": percent,
        "range_of": range_of,
        "sentence": _sentence,
    }
    return environment
