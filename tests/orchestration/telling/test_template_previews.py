"""Each template that comes with mlmarket, previewed on the sample shop."""

from datetime import UTC, datetime

import ibis
import numpy as np
import pyarrow as pa
import pytest

from mlmarket.evaluation.assignment import stable_fractions
from mlmarket.expressions import Type
from mlmarket.market import Market
from mlmarket.market.samples import sample_folder
from mlmarket.orchestration import State, preview, template_names, template_playbook
from mlmarket.orchestration.templates.columns import DOCUMENTED

NOW = datetime(2026, 6, 20, tzinfo=UTC)
WORDS = {
    "churn_risk": ("high", "medium", "low"),
    "lead_grade": ("A", "B", "C", "D"),
    "send_weekday": ("mon", "tue", "wed", "thu", "fri"),
}


@pytest.fixture(scope="module")
def market():
    return Market.open(sample_folder() / "mlmarket.toml", check=False)


@pytest.fixture(scope="module")
def predictions(market):
    """Return made-up values in every documented column, drawn by the ids of 5,000 people."""
    ids = sorted(
        market.table("contacts").select("contact_id").to_pyarrow()["contact_id"].to_pylist()
    )
    columns = {"contact_id": pa.array(ids)}
    columns["as_of"] = pa.array(np.full(len(ids), np.datetime64("2026-06-20", "us")))
    for one in DOCUMENTED:
        lots = stable_fractions(one.name, ids)
        if one.type is Type.TIME:
            days = (lots * 60).astype("timedelta64[D]")
            columns[one.name] = pa.array(np.datetime64("2026-06-15", "us") + days)
        elif one.type is Type.NUMBER:
            top = 1 if "probability" in one.name or "weight" in one.name else 24
            top = {"lead_score": 100, "value_decile": 10, "days_since_last_order": 200}.get(
                one.name, top
            )
            columns[one.name] = pa.array(lots * top)
        else:
            words = WORDS.get(one.name, (f"{one.name} one", f"{one.name} two"))
            columns[one.name] = pa.array([words[int(lot * len(words))] for lot in lots])
    return pa.table(columns)


class WithTriggers:
    """The sample shop, in which some people did yesterday what a journey waits for."""

    def __init__(self, market, event):
        self._market, self._event = market, event

    def has(self, table):
        return self._market.has(table)

    def table(self, name):
        return self._market.table(name)

    def activity(self, *types):
        rows = self._market.activity(*types)
        if self._event is None or (types and self._event not in types):
            return rows
        contacts = self._market.table("contacts")
        known = contacts.select("contact_id").order_by("contact_id").limit(60)
        hours = [
            ibis.timestamp(f"2026-06-19 {hour:02}:00:00").cast("timestamp(6)")
            for hour in (9, 12, 15)
        ]
        given = [
            {"contact_id": known.contact_id, "type": ibis.literal(self._event), "occurred_at": hour}
            for hour in hours
        ]
        more = [
            known.select(
                **{
                    name: one[name].name(name) if name in one else ibis.null(kind).name(name)
                    for name, kind in rows.schema().items()
                }
            )
            for one in given
        ]
        return ibis.union(rows, *more)


@pytest.mark.parametrize("name", template_names())
def test_a_template_can_be_previewed_on_the_sample_shop(market, predictions, name):
    book = template_playbook([name])
    (journey,) = book.journeys
    shop = WithTriggers(market, journey.entry.event)
    told = preview(journey, State().under(book), predictions, shop, now=NOW, people=4)
    assert told.entrants > 0
    outcomes = {step.outcome for one in told.people for step in one.steps}
    assert "entered" in outcomes
    assert outcomes & {"send", "act", "withheld", "suppressed"}
    kinds = {type(node.content).__name__.lower() for node in journey.nodes}
    if "wait" in kinds:
        assert "wait" in outcomes
    if "branch" in kinds:
        assert "branch" in outcomes
    assert name in told.to_text()
