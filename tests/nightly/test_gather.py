"""What the report says of earlier nights is what really happened."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mlmarket.nightly import Night, backfill
from mlmarket.nightly.gather import about_a_week_ago, gather_report
from mlmarket.nightly.models import ModelStore
from mlmarket.reporting import ReportContent

Opens = Callable[..., Night]
pytestmark = pytest.mark.usefixtures("quick_page")


def gathered(night: Night) -> ReportContent:
    result = night.folder.result("models")
    assert result is not None
    predictors = ModelStore(night.workspace, night.settings).load(
        night.day, result.details["versions"]
    )
    return gather_report(night, night.market(), predictors, decided=True)


def test_promises_are_held_against_what_came_and_only_when_the_window_is_closed(
    own_shop: Path, night_of: Opens
) -> None:
    early, late = date(2026, 5, 15), date(2026, 6, 1)
    for day in (early, late):
        list(backfill(own_shop / "mlmarket.toml", day, day))
    matured = gathered(night_of(own_shop, 20)).matured
    assert [(one.night, one.predictor) for one in matured] == [
        (early, "churn"),
        (early, "purchase"),
    ]
    start = datetime(2026, 5, 14, 23)  # noqa: DTZ001 - midnight in Lisbon, as tables hold it
    orders = pq.read_table(own_shop / "tables" / "orders.parquet").to_pandas()
    inside = orders[(orders.ordered_at > start) & (orders.ordered_at <= start + timedelta(days=30))]
    bought = set(inside[inside.amount >= 0].contact_id)
    scored = pq.read_table(own_shop / "runs" / str(early) / "predictions" / "contacts.parquet")
    frame = scored.to_pandas()
    buyers = frame[frame.purchase_probability_30d.notna()]
    stayers = frame[frame.churn_probability_30d.notna()]
    assert matured[1].people == len(buyers)
    assert matured[1].observed == buyers.contact_id.isin(bought).sum() > 0
    assert matured[0].observed == (~stayers.contact_id.isin(bought)).sum() > 0
    assert matured[1].promised.value == pytest.approx(buyers.purchase_probability_30d.sum())


def test_tonight_is_compared_with_the_night_nearest_to_a_week_ago(
    first_night: Path, night_of: Opens
) -> None:
    found = {day: about_a_week_ago(night_of(first_night, day)) for day in range(21, 31)}
    assert [day for day, before in found.items() if before == date(2026, 6, 20)] == list(
        range(24, 31)
    )


def test_people_of_a_journey_are_counted_once(first_night: Path, night_of: Opens) -> None:
    content = gathered(night_of(first_night, 20))
    (journey,) = content.journeys
    decisions = night_of(first_night, 20).folder.result("decisions")
    assert decisions is not None
    assert journey.entered == decisions.counts["entered"]
    assert journey.active == journey.entered - decisions.counts.get("completed", 0)
    assert 0 < journey.held_out < journey.entered
    assert 0 < len(journey.examples) <= 10
    sizes = {segment.name: segment.size for segment in content.segments}
    assert sizes == decisions.details["segment_sizes"]
    assert all(segment.expected is not None for segment in content.segments)
