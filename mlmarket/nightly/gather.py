"""What did this night find, beside what earlier nights found?"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import expected_total, expected_value_total, log_loss, roc_auc
from mlmarket.features import Behaviour, label_complete_until
from mlmarket.features.labels import VALUE, compile_label, compile_value_label
from mlmarket.market import Market
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.time import day_start, parse_duration
from mlmarket.nightly.journeys import journey_sections
from mlmarket.nightly.predictions import read_predictions
from mlmarket.nightly.segments import in_currency, segment_sections
from mlmarket.nightly.shown import items_section
from mlmarket.orchestration import StateStore
from mlmarket.prediction import BatchPredictor, Predictions
from mlmarket.reporting import MaturedPromise, PredictorSection, ReportContent

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.nightly.night import Night

__all__ = ["gather_report"]

_NEARLY_A_WEEK_AGO: Final = 3
"""Days that the night to compare with may lie off, for who does not run it at weekends."""
_MOST_NIGHTS: Final = 12
"""Earlier nights whose promises are looked up, the latest first."""


def gather_report(
    night: "Night",
    market: Market,
    predictors: Sequence[BatchPredictor],
    *,
    decided: bool,
) -> ReportContent:
    """Return everything the report of a night says.

    Parameters
    ----------
    night : Night
        Tonight, with predictions written.
    market : Market
        The tables.
    predictors : sequence of BatchPredictor
        Those that answered.
    decided : bool
        Whether segments and journeys were decided.

    Returns
    -------
    ReportContent
        Plain values.
    """
    tonight = read_predictions(night.folder.path)
    models = night.folder.result("models")
    skipped = models.details["skipped"] if models is not None else []
    earlier = about_a_week_ago(night)
    before = None if earlier is None else read_predictions(night.workspace.run(earlier).path)
    segments: Any = ()
    journeys: Any = ()
    if decided:
        with StateStore.open(night.workspace.state) as store:
            decisions = store.decisions_of(_tick_id(night))
            journeys = journey_sections(store, decisions, tonight.contacts, market)
        segments = segment_sections(
            night, market, decisions, tonight.contacts, predictors, earlier=earlier
        )
    return ReportContent(
        night=night.day,
        timezone=night.settings.business.timezone,
        currency=night.settings.business.currency,
        contacts=tonight.contacts.num_rows,
        tables=market.report,
        predictors=tuple(
            replace(
                _predictor(one, tonight, before, night.settings.business.currency),
                items=items_section(market, night.folder.path, one.name),
            )
            for one in predictors
        ),
        skipped=tuple((str(name), str(why)) for name, why in skipped),
        segments=tuple(segments),
        journeys=tuple(journeys),
        matured=tuple(_matured(night, market)),
    )


def _tick_id(night: "Night") -> str:
    result = night.folder.result("decisions")
    return "" if result is None else str(result.details["tick_id"])


def about_a_week_ago(night: "Night") -> date | None:
    """Return the finished night nearest to a week ago, None where none is within three days of it.

    Parameters
    ----------
    night : Night
        Tonight.

    Returns
    -------
    date or None
        Of that night.
    """
    target = night.day - timedelta(days=7)
    near = [
        day for day in night.workspace.predicted() if abs((day - target).days) <= _NEARLY_A_WEEK_AGO
    ]
    return min(near, key=lambda day: (abs((day - target).days), day), default=None)


def _predictor(
    predictor: BatchPredictor, tonight: Predictions, before: Predictions | None, currency: str
) -> PredictorSection:
    column = predictor.headline.column
    scores = scores_of(tonight, column)
    earlier = None
    if before is not None and column in before.contacts.column_names:
        earlier = scores_of(before, column)
    return PredictorSection(
        name=predictor.name,
        column=column,
        version=predictor.version_,
        trained_at=predictor.as_of_,
        evidence=predictor.evidence_,
        scores=scores,
        earlier_scores=earlier,
        missing=_reasons(tonight.missing, predictor.name),
        unit=predictor.headline.unit,
        counts=in_currency(predictor, currency),
        total=predictor.total(scores) if len(scores) else None,
    )


def _reasons(missing: "pa.Table", predictor: str) -> tuple[tuple[str, int], ...]:
    """Return why a predictor has no answer, and for how many."""
    import pyarrow.compute as pc

    mine = missing.filter(pc.equal(missing.column("predictor"), predictor))
    counted = mine.column("reason").value_counts().to_pylist()
    return tuple(sorted((str(one["values"]), int(one["counts"])) for one in counted))


def scores_of(predictions: Predictions, column: str) -> npt.NDArray[np.float64]:
    """Return the probabilities that are there."""
    values = predictions.contacts.column(column).drop_null().to_numpy()
    return np.asarray(values, dtype=np.float64)


def _matured(night: "Night", market: Market) -> list[MaturedPromise]:
    """Compare what earlier nights promised with what came, where the window has closed."""
    promises: list[MaturedPromise] = []
    outcomes = _Outcomes(market, night.as_of)
    nights = [day for day in night.workspace.predicted() if day < night.day]
    for day in reversed(nights):
        path = night.workspace.run(day).path
        cards = json.loads((path / "models.json").read_text(encoding="utf-8"))
        for name, card in sorted(cards.items()):
            promise = _promise(night, day, name, card, outcomes)
            if promise is not None:
                promises.append(promise)
        if len({promise.night for promise in promises}) >= _MOST_NIGHTS:
            break
    return sorted(promises, key=lambda promise: (promise.night, promise.predictor))


def _promise(
    night: "Night", day: date, name: str, card: dict[str, Any], outcomes: "_Outcomes"
) -> MaturedPromise | None:
    if "label" not in card:
        return None
    label = Behaviour.parse(card["label"])
    horizon = parse_duration(card["horizon"])
    start = day_start(day, outcomes.market.zone)
    if start + horizon > outcomes.known_until(label):
        return None
    columns = [CONTACT_ID, card["column"]]
    path = night.workspace.run(day).path
    scored = read_predictions(path, columns=columns).contacts.drop_null()
    if not scored.num_rows:
        return None
    numbers = np.asarray(scored.column(card["column"]).to_numpy(), dtype=np.float64)
    people = scored.column(CONTACT_ID)
    error = float(card["relative_error"])
    if card.get("unit") == "currency":
        came = outcomes.worth_of(people, start, horizon)
        spread = float(card.get("dispersion") or 0.0)
        promised = expected_value_total(numbers, dispersion=spread, relative_error=error)
    else:
        came = outcomes.of(people, label, start, horizon)
        promised = expected_total(numbers, relative_error=error)
    both = card.get("unit") != "currency" and 0 < came.sum() < len(came)
    return MaturedPromise(
        night=day,
        predictor=name,
        people=len(came),
        promised=promised,
        observed=round(float(np.sort(came).sum())),
        log_loss=log_loss(came, numbers) if both else float("nan"),
        auc=roc_auc(came, numbers) if both else float("nan"),
    )


class _Outcomes:
    """What people did, as far as it is known tonight."""

    def __init__(self, market: Market, as_of: datetime) -> None:
        self.market = market
        self._as_of = as_of
        self._until: dict[str, datetime] = {}

    def known_until(self, label: Behaviour) -> datetime:
        """Return until when a label is known; a day that has begun to arrive counts as over."""
        key = str(label)
        if key not in self._until:
            until = label_complete_until(self.market, label, as_of=self._as_of)
            self._until[key] = min(until.astimezone(UTC) + timedelta(days=1), self._as_of)
        return self._until[key]

    def of(
        self, people: "pa.ChunkedArray", label: Behaviour, start: datetime, horizon: timedelta
    ) -> npt.NDArray[np.float64]:
        """Return 1.0 for those who showed the label within the horizon, else 0.0."""
        import pyarrow.compute as pc

        did = compile_label(self.market, label, at=start, horizon=horizon, known_at=self._as_of)
        ids = did.to_pyarrow().column(CONTACT_ID).combine_chunks().cast(people.type)
        happened = np.asarray(pc.is_in(people, value_set=ids).to_numpy(), dtype=bool)
        return (~happened if label.negated else happened).astype(np.float64)

    def worth_of(
        self, people: "pa.ChunkedArray", start: datetime, horizon: timedelta
    ) -> npt.NDArray[np.float64]:
        """Return what each of them bought within the horizon, less what came back."""
        import pyarrow.compute as pc

        bought = compile_value_label(
            self.market, at=start, horizon=horizon, known_at=self._as_of
        ).to_pyarrow()
        ids = bought.column(CONTACT_ID).combine_chunks().cast(people.type)
        place = pc.index_in(people, value_set=ids)
        worth = bought.column(VALUE).combine_chunks().take(place.combine_chunks())
        return np.asarray(pc.fill_null(worth, 0.0).to_numpy(zero_copy_only=False), np.float64)
