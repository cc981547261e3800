"""Templates of the reason why somebody is in a segment."""

from datetime import datetime

import ibis
import pyarrow as pa
import pytest
from pydantic_core import PydanticCustomError

from mlmarket.orchestration.wording import clauses_of, filled

VALUES = pa.table(
    {
        "risk": pa.array([0.434, 0.001, 0.999, 0.0, 1.0, None, float("nan")]),
        "orders": pa.array([3, 1, 0, 0, 0, None, 0], pa.int64()),
        "worth": pa.array([12.25, 12.0, -0.04, 0.0, 1e6, 1.5, None]),
        "last": pa.array([datetime(2026, 3, 1, 23, 59)] * 6 + [None], pa.timestamp("us")),  # noqa: DTZ001
        "city": pa.array(["Évora", "", "'; DROP", "x", "x", "x", None]),
    }
)


def fill(template, otherwise="(none)"):
    table = ibis.memtable(VALUES)
    return (
        table.select(why=filled(template, table, otherwise=otherwise))
        .to_pyarrow()["why"]
        .to_pylist()
    )


def test_percents_never_claim_certainty_and_missing_values_drop_their_clause():
    expected = ["43%", "under 1%", "over 99%", "0%", "100%", "(none)", "(none)"]
    assert fill("{risk:percent}") == expected


def test_numbers_dates_and_text_are_written_plainly():
    assert fill("{orders:number} orders")[:3] == ["3 orders", "1 orders", "0 orders"]
    assert fill("{worth:number}")[:2] == ["12.3", "12"]
    assert fill("last {last:date}")[0] == "last 2026-03-01"
    assert fill("from {city}")[:3] == ["from Évora", "from ", "from '; DROP"]
    assert fill("{orders}")[0] == "3"


def test_only_the_clause_with_the_missing_value_is_left_out():
    found = fill("{risk:percent} risk; {worth:number} euros ; always")
    assert found[0] == "43% risk; 12.3 euros; always"
    assert found[5] == "1.5 euros; always"
    assert found[6] == "always"


def test_a_column_that_is_not_there_is_missing_for_everyone():
    assert fill("{nowhere} times; {orders} orders")[0] == "3 orders"
    assert fill("{nowhere}")[0] == "(none)"
    assert fill(None)[0] == "(none)"


@pytest.mark.parametrize("template", ["{}", "{a", "a}", "{{a}}", "{a:b:c}", "{a:}"])
def test_a_brace_that_holds_no_column_is_refused(template):
    with pytest.raises(PydanticCustomError):
        clauses_of(template)
