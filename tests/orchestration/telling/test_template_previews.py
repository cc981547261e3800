"""Each template that comes with mlmarket, previewed on the sample shop."""

from datetime import UTC, datetime

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


@pytest.mark.parametrize("name", template_names())
def test_a_template_can_be_previewed_on_the_sample_shop(market, predictions, name):
    book = template_playbook([name])
    (journey,) = book.journeys
    told = preview(journey, State().under(book), predictions, market, now=NOW, people=4)
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
