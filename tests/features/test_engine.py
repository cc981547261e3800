"""Which engine computes, and do both say the same?"""

import logging
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.features import (
    Behaviour,
    SnapshotSpec,
    attribute,
    build,
    count,
    days_active,
    share_by,
)
from mlmarket.features.engine import choose_engine, event_store

DAY = timedelta(days=1)
AS_OF = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def _order(contact, at, **more):
    row = {"contact_id": contact, "order_id": "1", "ordered_at": at, "is_return": False}
    return {**row, "amount": None, "available_at": None, **more}


@pytest.fixture
def market(make_market):
    orders = [_order("a", AS_OF + days * DAY) for days in (-40, -9, -1, 3, 8, 9)]
    orders += [
        _order("b", AS_OF - 20 * DAY),
        _order("b", AS_OF + DAY, available_at=AS_OF + 9 * DAY),
    ]
    people = [
        {"contact_id": "a", "country": "PT", "age": 30.0},
        {"contact_id": "b", "created_at": AS_OF - 25 * DAY, "age": None},
        {"contact_id": "c"},
    ]
    return make_market(contacts=people, orders=orders)


BOUGHT = SnapshotSpec(
    Behaviour.parse("order within 30D"),
    (count("order", "30D"), days_active("order"), attribute("country", categorical=True)),
    Behaviour.parse("order"),
    7 * DAY,
)


def _both(market, spec, **options):
    first, second = (
        pa.Table.from_batches(build(market, spec, engine=engine, **options))
        for engine in ("reference", "sweep")
    )
    assert first.to_pylist() == second.to_pylist()
    assert first.schema == second.schema
    assert first.equals(second)
    return first


@pytest.mark.parametrize("negated", [False, True])
def test_labels_are_the_same_by_both_engines(market, negated):
    label = Behaviour.parse("no order" if negated else "order")
    spec = SnapshotSpec(BOUGHT.eligible, BOUGHT.features, label, 7 * DAY)
    found = _both(market, spec, cutoffs=[AS_OF, AS_OF - 7 * DAY])
    assert set(found.column("label").to_pylist()) == {0, 1}


def test_a_label_row_that_became_known_later_is_not_seen_by_either(market):
    then = _both(market, BOUGHT, cutoffs=[AS_OF], known_at=AS_OF + 8 * DAY)
    now = _both(market, BOUGHT, cutoffs=[AS_OF], known_at=AS_OF + 9 * DAY)
    assert then.column("label").to_pylist() == [1, 0]
    assert now.column("label").to_pylist() == [1, 1]


def test_each_contact_may_have_instants_of_its_own(market):
    asked = pd.DataFrame(
        {
            "contact_id": ["b", "a", "a", "nobody", "b"],
            "as_of": [AS_OF, AS_OF - 8 * DAY, AS_OF, AS_OF, AS_OF - 26 * DAY],
        }
    )
    spec = SnapshotSpec(None, BOUGHT.features, BOUGHT.label, 7 * DAY)
    found = _both(market, spec, cutoffs=asked)
    assert found.column("contact_id").to_pylist() == ["a", "a", "b"]


def test_only_those_asked_for_are_swept(market):
    only = pa.table({"contact_id": ["b", "nobody"]})
    found = _both(market, BOUGHT, cutoffs=[AS_OF], only=only)
    assert found.column("contact_id").to_pylist() == ["b"]


def test_cutoffs_before_all_data_and_none_at_all(market):
    early = _both(market, BOUGHT, cutoffs=[datetime(1999, 1, 1, tzinfo=UTC)])
    assert early.num_rows == 0
    assert list(build(market, BOUGHT, cutoffs=[])) == []


def test_contacts_that_changed_are_seen_as_they_were(make_market):
    people = [
        {"contact_id": "a", "country": "PT", "valid_from": None},
        {"contact_id": "a", "country": "ES", "valid_from": AS_OF - DAY},
        {"contact_id": "b", "country": "FR", "valid_from": AS_OF},
    ]
    table = pa.Table.from_pylist(
        [
            {**row, "valid_from": row["valid_from"] and row["valid_from"].replace(tzinfo=None)}
            for row in people
        ],
        pa.schema(
            {"contact_id": pa.string(), "country": pa.string(), "valid_from": pa.timestamp("us")}
        ),
    )
    market = make_market(contacts=table, orders=[_order("a", AS_OF - 3 * DAY)])
    spec = SnapshotSpec(None, BOUGHT.features)
    found = _both(market, spec, cutoffs=[AS_OF - 2 * DAY])
    assert found.column("country").to_pylist() == ["PT"]
    assert _both(market, spec, cutoffs=[AS_OF]).column("country").to_pylist() == ["ES", "FR"]
    pairs = pd.DataFrame({"contact_id": ["a", "a"], "as_of": [AS_OF, AS_OF - 2 * DAY]})
    assert _both(market, spec, cutoffs=pairs).column("country").to_pylist() == ["PT", "ES"]


def test_more_conditions_than_one_word_of_marks_holds(make_market):
    kinds = [f"kind_{number}" for number in range(130)]
    events = [
        {"contact_id": "a", "event_type": kind, "occurred_at": AS_OF - (1 + place % 9) * DAY}
        for place, kind in enumerate(kinds)
    ]
    market = make_market(contacts=[{"contact_id": "a"}], events=events)
    features = tuple(count(f"event {kind}", "5D") for kind in kinds)
    found = _both(market, SnapshotSpec(None, features), cutoffs=[AS_OF])
    assert sum(found.column(f.name)[0].as_py() for f in features) == 60


def test_the_engine_is_said_with_its_reason(market, caplog):
    with caplog.at_level(logging.INFO, "mlmarket.features.engine"):
        choice = choose_engine(market, BOUGHT)
    assert choice.engine == "sweep"
    assert "features by the sweep: the tables are on this machine" in caplog.text
    bare = SnapshotSpec(None, (attribute("age"),))
    assert choose_engine(market, bare).reason == "nothing is made of behaviour"


def test_an_engine_that_cannot_is_refused_and_one_that_does_not_exist(market):
    bare = SnapshotSpec(None, (attribute("age"),))
    with pytest.raises(ConfigurationError, match="The sweep cannot compute this") as refused:
        build(market, bare, cutoffs=[AS_OF], engine="sweep")
    assert str(refused.value).count("\n") == 2
    with pytest.raises(ConfigurationError, match="did you mean 'sweep'"):
        build(market, bare, cutoffs=[AS_OF], engine="sweeep")


def test_rows_are_prepared_once_for_as_long_as_no_condition_is_new(market):
    order, back = Behaviour.parse("order"), Behaviour.parse("return")
    first = event_store(market, [order])
    assert event_store(market, [order]) is first
    second = event_store(market, [back])
    assert set(second.conditions) == {order, back}
    assert event_store(market, [order]) is second


def test_an_instant_asked_for_twice_is_built_once(market):
    found = _both(market, BOUGHT, cutoffs=[AS_OF, AS_OF])
    assert found.column("contact_id").to_pylist() == ["a", "b"]


@pytest.mark.parametrize(
    ("features", "fix"),
    [
        (["shop"], "feature_set"),
        ([share_by("order", "item_id", ["i"])], "put a star before it"),
        (count("order"), "pass a list"),
        ("shop", "pass a list"),
    ],
)
def test_what_is_no_list_of_features_is_refused(market, features, fix):
    with pytest.raises(ConfigurationError) as refused:
        market.features(as_of=AS_OF, features=features)
    assert fix in refused.value.fix


def test_the_index_of_a_frame_is_kept(market):
    asked = pd.DataFrame({"contact_id": ["b", "a"], "as_of": [AS_OF, AS_OF]}, index=[5, 1])
    asked["orders"] = market.features(contacts=asked, features=[count("order")])["order_count"]
    assert asked["orders"].to_dict() == {5: 1, 1: 3}
