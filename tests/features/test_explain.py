"""The rows behind a number give the number."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import mean as average
from statistics import stdev

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.features import (
    Feature,
    FeatureExplanation,
    Operation,
    attribute,
    count,
    days_active,
    explain_feature,
    feature_frame,
    first_touch,
    gap_mean,
    gap_std,
    last,
    maximum,
    mean,
    minimum,
    ratio,
    recency,
    share_by,
    total,
    trend,
)

AS_OF = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
DAY = timedelta(days=1)
ITEMS = pa.table({"item_id": ["i", "j"], "category": ["Shoes", "Hats"]})
BEHAVIOURS = ("order", "return | visit", "event visit where value > 3", "outcome won")


def _features(of: str) -> list[Feature]:
    return [
        count(of),
        count(of, "7D"),
        total(of, "7D"),
        mean(of, "30D"),
        minimum(of),
        maximum(of, "7D"),
        last(of),
        recency(of),
        first_touch(of),
        days_active(of, "7D"),
        gap_mean(of),
        gap_std(of),
        trend(of, "7D"),
        ratio(count(of, "7D"), count(of)),
    ]


FEATURES = [feature for of in BEHAVIOURS for feature in _features(of)]
FEATURES += share_by("order", "item_category", ["Shoes"], "30D")
FEATURES += [attribute("age"), ratio(count("order"), attribute("age"))]

MOMENTS = st.builds(
    lambda days, ticks: AS_OF - days * DAY + timedelta(microseconds=ticks),
    st.sampled_from([-1, 0, 1, 6, 7, 8, 14, 30, 31]),
    st.integers(-1, 1),
)
VALUES = st.none() | st.integers(-9, 9).map(Decimal)


def _rows(**columns: st.SearchStrategy) -> st.SearchStrategy:
    one = st.fixed_dictionaries({"contact_id": st.sampled_from(["a", "a", "b"]), **columns})
    return st.lists(one, max_size=12)


LOGS = st.fixed_dictionaries(
    {
        "orders": _rows(
            order_id=st.sampled_from(["1", "2"]),
            ordered_at=MOMENTS,
            item_id=st.sampled_from([None, "i", "j"]),
            amount=VALUES,
            available_at=st.none() | MOMENTS,
            is_return=st.booleans(),
        ),
        "events": _rows(
            event_type=st.sampled_from(["visit", "other"]),
            occurred_at=MOMENTS,
            available_at=st.none() | MOMENTS,
            value=VALUES,
        ),
        "outcomes": _rows(
            outcome=st.just("won"),
            occurred_at=MOMENTS,
            available_at=st.none() | MOMENTS,
            value=VALUES,
        ),
    }
)


def _recomputed(found: FeatureExplanation):
    """Return the number that the rows of an explanation give."""
    operation, feature = found.feature.operation, found.feature
    if operation is Operation.RATIO:
        above, below = (_recomputed(part) for part in found.parts)
        return above / below if above is not None and below else None
    rows = found.rows[found.rows["counts"]]
    if operation is Operation.ATTRIBUTE:
        return rows[feature.column].iloc[0]
    ages = [(AS_OF - at) / DAY for at in rows["occurred_at"]]
    days = sorted({int(age // 1) for age in ages})
    gaps = [later - earlier for earlier, later in pairwise(days)]
    valued = rows.dropna(subset="value")
    values = [Decimal(str(value)) for value in valued["value"]]
    latest = max(zip(valued["occurred_at"], values, strict=True), default=(None, None))[1]
    recent = len([age for age in ages if feature.window and age < feature.window / DAY])
    return {
        Operation.COUNT: lambda: len(rows),
        Operation.TOTAL: lambda: sum(values),
        Operation.MEAN: lambda: sum(values) / len(values) if values else None,
        Operation.MINIMUM: lambda: min(values, default=None),
        Operation.MAXIMUM: lambda: max(values, default=None),
        Operation.LAST: lambda: latest,
        Operation.RECENCY: lambda: min(ages, default=None),
        Operation.FIRST_TOUCH: lambda: max(ages, default=None),
        Operation.DAYS_ACTIVE: lambda: len(days),
        Operation.GAP_MEAN: lambda: average(gaps) if gaps else None,
        Operation.GAP_STD: lambda: stdev(gaps) if len(gaps) > 1 else None,
        Operation.TREND: lambda: math.log((1 + recent) / (1 + len(rows) - recent)),
    }[operation]()


def _contacts():
    return [{"contact_id": name, "age": 40.0, "created_at": None} for name in ("a", "b")]


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(log=LOGS, features=st.lists(st.sampled_from(FEATURES), min_size=5, max_size=5))
def test_the_rows_that_count_give_the_number(make_market, log, features):
    market = make_market(contacts=_contacts(), items=ITEMS, **log)
    for feature in features:
        found = explain_feature(market, "a", feature, as_of=AS_OF)
        wanted = _recomputed(found)
        if wanted is None:
            assert found.value is None, feature
        else:
            assert found.value == pytest.approx(float(wanted), rel=1e-12, abs=1e-12), feature
        seen = feature_frame(market, as_of=AS_OF, features=[feature]).set_index("contact_id")
        assert found.value == seen[feature.name].replace({math.nan: None})["a"]


def _order(at, amount="1", **more):
    row = {"contact_id": "a", "order_id": "1", "ordered_at": at, "amount": Decimal(amount)}
    return row | {"is_return": False} | more


@pytest.fixture
def market(make_market):
    orders = [
        _order(AS_OF - DAY, "5", item_id="i"),
        _order(AS_OF - 40 * DAY, "7", order_id="0"),
        _order(AS_OF - 3 * DAY, available_at=AS_OF + DAY),
        _order(AS_OF + DAY),
        _order(AS_OF - DAY, is_return=True),
        _order(AS_OF - DAY) | {"contact_id": "b"},
    ]
    return make_market(contacts=_contacts(), orders=orders, items=ITEMS)


def test_only_known_rows_are_shown_by_time_with_those_that_count(market):
    found = explain_feature(market, "a", total("order", "30D"), as_of=AS_OF)
    assert found.value == 5.0
    assert list(found.rows.columns) == [
        "occurred_at", "available_at", "type", "value", "item_id", "campaign_id", "source",
        "row_id", "counts",
    ]  # fmt: skip
    assert found.rows["row_id"].tolist() == ["0", "1"]
    assert found.rows["counts"].tolist() == [False, True]
    assert str(found.rows["occurred_at"].dt.tz) == "UTC"
    assert found.description.startswith("summed value of 'order' in the last 30D")


def test_a_ratio_shows_both_its_parts(market):
    (share,) = share_by("order", "item_category", ["Shoes"], name="share")
    found = explain_feature(market, "a", share, as_of=AS_OF)
    assert found.value == 0.5
    assert [part.value for part in found.parts] == [1.0, 2.0]
    assert len(found.rows) == 0
    assert found.to_frame()["row_id"].tolist() == ["1", "0", "1"]
    assert "order_count_shoes = 1" in found.to_text()
    assert "order_count = 2" in found.to_text()


def test_nothing_is_explained_by_no_rows(market):
    found = explain_feature(market, "b", recency("return"), as_of=AS_OF)
    assert found.value is None
    assert found.to_text().splitlines()[0] == (
        "return_recency = missing of b, as of 2026-03-29 01:30 UTC"
    )
    assert found.to_text().endswith("no rows")
    assert len(found.to_frame()) == 0


def test_an_explanation_in_a_notebook_escapes_what_it_quotes(make_market):
    order = _order(AS_OF - DAY, item_id="<script>")
    market = make_market(contacts=[{"contact_id": "a"}], orders=[order])
    found = explain_feature(market, "a", count("order where item_id <> '<b>'"), as_of=AS_OF)
    html = found._repr_html_()
    assert "<script>" not in html
    assert "<b>'" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(("contact", "wrong"), [("nobody", "nobody"), ("unborn", "unborn")])
def test_nobody_of_that_id_is_said(make_market, contact, wrong):
    contacts = [{"contact_id": "unborn", "created_at": AS_OF + DAY}]
    market = make_market(contacts=contacts, orders=[])
    with pytest.raises(ConfigurationError, match=f"Nobody with the contact_id '{wrong}'"):
        explain_feature(market, contact, count("order"), as_of=AS_OF)


def _periods(*records):
    return pa.table(
        {
            "contact_id": pa.array(["a"] * len(records), pa.string()),
            "valid_from": pa.array([at for at, _ in records], pa.timestamp("us")),
            "plan": pa.array([plan for _, plan in records], pa.string()),
        }
    )


NAIVE = AS_OF.replace(tzinfo=None)
PLAN = attribute("plan", categorical=True)


def test_the_period_that_held_is_the_record_behind_an_attribute(make_market):
    periods = _periods((NAIVE + DAY, "gold"), (None, "free"), (NAIVE - DAY, "basic"))
    found = explain_feature(make_market(contacts=periods), "a", PLAN, as_of=AS_OF)
    assert found.value == "basic"
    assert found.rows["plan"].tolist() == ["free", "basic"]
    assert found.rows["counts"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("records", "value", "shown"),
    [
        ([(NAIVE - DAY, "free"), (NAIVE + DAY, "gold")], "free", ["free"]),
        ([(NAIVE + DAY, "free"), (NAIVE + 2 * DAY, "gold")], "free", ["free"]),
        ([], "now", ["now"]),
    ],
)
def test_the_record_of_a_night_is_behind_an_attribute(make_market, records, value, shown):
    contacts = pa.table({"contact_id": ["a"], "plan": ["now"]})
    market = make_market(contacts=contacts, orders=[])
    connection = market.table("contacts").get_backend()
    history = connection.create_table("tried_history", _periods(*records), overwrite=True)
    found = explain_feature(replace(market, history=history), "a", PLAN, as_of=AS_OF)
    assert found.value == value
    assert found.rows["plan"].tolist() == shown
    assert found.rows["counts"].tolist() == [True]
    assert found.rows["source"].tolist() == ["history" if records else "contacts"]
    assert isinstance(found.to_frame(), pd.DataFrame)
