from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.features import (
    SnapshotSpec,
    build,
    choose_attributes,
    choose_features,
    count,
    default_features,
    feature_set,
    recency,
)
from mlmarket.market.settings import MarketSettings, TableSettings

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
THEN = datetime(2026, 2, 1, tzinfo=UTC)


def _event(kind, at=THEN, **more):
    return {"contact_id": "a", "event_type": kind, "occurred_at": at, **more}


def _build(market, features):
    return pa.Table.from_batches(build(market, SnapshotSpec(None, features), cutoffs=[AS_OF]))


def test_event_types_that_read_alike_keep_columns_of_their_own(make_market):
    events = [_event("Page View"), _event("page_view"), _event("page_view"), _event("event")]
    market = make_market(contacts=[{"contact_id": "a"}], events=[*events, _event("!"), _event("?")])
    features = default_features(market, as_of=AS_OF)
    names = [feature.name.casefold() for feature in features]
    assert len(set(names)) == len(names)
    (row,) = _build(market, features).to_pylist()
    counts = {f.behaviour.types: row[f.name] for f in features if f.name.startswith("page_view_c")}
    assert counts == {("Page View",): 1, ("page_view",): 2}


def test_an_attribute_named_like_a_feature_gets_another_name(make_market):
    order = {"contact_id": "a", "order_id": "1", "ordered_at": THEN, "is_return": False}
    market = make_market(contacts=[{"contact_id": "a", "order_count": 7}], orders=[order])
    features = default_features(market, as_of=AS_OF)
    (row,) = _build(market, features).to_pylist()
    assert row["order_count"] == 1
    assert row["contact_order_count"] == 7


def test_types_that_were_not_known_then_are_not_chosen(make_market):
    events = [
        _event("seen"),
        _event("later", datetime(2026, 3, 2, tzinfo=UTC)),
        _event("late", available_at=datetime(2026, 3, 2, tzinfo=UTC)),
    ]
    market = make_market(contacts=[{"contact_id": "a"}], events=events)
    chosen = {
        t for f in default_features(market, as_of=AS_OF) if f.behaviour for t in f.behaviour.types
    }
    assert chosen == {"seen"}


def _contacts(**columns) -> pa.Table:
    size = len(next(iter(columns.values())))
    return pa.table({"contact_id": [f"c{i}" for i in range(size)], **columns})


def test_attributes_are_used_or_left_out_with_a_reason(make_market):
    contacts = _contacts(
        industry=["toys", "food", None],
        employees=[3, 40, 5],
        lead_score=[1, 2, 3],
        email=["x@y.z"] * 3,
        lifecycle_stage=["lead"] * 3,
        nothing=pa.nulls(3, pa.string()),
        birthday=pa.array([date(1980, 1, 1)] * 3),
        is_business=[True, False, None],
        nickname=["x", "y", "z"],
        tier=["1", "2", "x"],
    )
    declared = TableSettings(attributes={"nickname": "ignore", "tier": "numeric"})
    market = make_market(MarketSettings(tables={"contacts": declared}), contacts=contacts)
    choice = choose_attributes(market, as_of=AS_OF)
    used = {feature.name: feature.categorical for feature in choice.features}
    assert used == {"industry": True, "employees": False, "is_business": True, "tier": False}
    reasons = dict(choice.left_out)
    assert set(reasons) == {"lead_score", "lifecycle_stage", "nothing", "birthday", "nickname"}
    assert reasons["nickname"] == "is declared as ignored"
    assert reasons["nothing"] == "has no value in any row"
    assert reasons["lead_score"].startswith("looks like an outcome")
    rows = _build(market, choice.features).to_pylist()
    assert [row["tier"] for row in rows] == [1.0, 2.0, None]
    assert rows[0]["is_business"] == "true"


def test_a_text_of_too_many_values_needs_a_word(make_market):
    contacts = _contacts(street=[f"Street {i}" for i in range(101)])
    choice = choose_attributes(make_market(contacts=contacts), as_of=AS_OF)
    assert choice.left_out[0][1].startswith("has 101 different values")
    declared = TableSettings(attributes={"street": "categorical"})
    market = make_market(MarketSettings(tables={"contacts": declared}), contacts=contacts)
    assert [f.name for f in choose_attributes(market, as_of=AS_OF).features] == ["street"]


@pytest.mark.parametrize(("recorded", "used"), [(timedelta(days=1), False), (timedelta(0), True)])
def test_what_looks_like_an_outcome_is_used_once_it_is_recorded_since_the_first_cutoff(
    make_market, recorded, used
):
    contacts = pa.table(
        {
            "contact_id": ["a", "a"],
            "valid_from": pa.array(
                [THEN + recorded, datetime(2026, 2, 20, tzinfo=UTC)], pa.timestamp("us")
            ),
            "lifecycle_stage": ["lead", "customer"],
        }
    )
    market = make_market(contacts=contacts)
    choice = choose_attributes(market, as_of=AS_OF, earliest=THEN.replace(tzinfo=UTC))
    assert bool(choice.features) is used


def test_only_features_of_tables_and_columns_that_are_there_are_chosen(make_market):
    orders = pa.table(
        {
            "contact_id": ["a"],
            "order_id": ["1"],
            "ordered_at": pa.array([THEN], pa.timestamp("us")),
            "is_return": [False],
        }
    )
    messages = pa.table(
        {
            "contact_id": ["a"],
            "message_id": ["1"],
            "channel": ["email"],
            "sent_at": pa.array([THEN], pa.timestamp("us")),
            "opened_at": pa.array([THEN], pa.timestamp("us")),
        }
    )
    market = make_market(contacts=[{"contact_id": "a"}], orders=orders, messages=messages)
    features = default_features(market, as_of=AS_OF)
    names = {feature.name for feature in features}
    assert {"order_recency", "send_count_30d", "open_rate_90d"} <= names
    assert not {"order_total", "click_count_30d", "unsubscribe_recency"} & names
    assert _build(market, features).num_rows == 1


def _order(**more):
    return {"contact_id": "a", "order_id": "1", "ordered_at": THEN, "is_return": False, **more}


def test_what_is_asked_for_keeps_its_name_and_joins_the_sets(make_market):
    market = make_market(contacts=[{"contact_id": "a"}], orders=[_order()], events=[_event("x")])
    mine = count("event x where value > 3", name="x_count_7d")
    chosen = choose_features(market, ["default", mine, recency("order")], as_of=AS_OF).features
    names = [feature.name for feature in chosen]
    assert names[-2:] == ["x_count_7d", "order_recency"]
    assert names.count("order_recency") == 1
    assert "x_count_7d_2" in names
    assert set(default_features(market, as_of=AS_OF)) - set(chosen) == {count("event x", "7D")}


def test_a_set_gives_what_its_tables_allow(make_market):
    market = make_market(contacts=[{"contact_id": "a", "age": 3}], orders=[_order()])
    assert feature_set("messaging", market, as_of=AS_OF) == ()
    shop = feature_set("shop", market, as_of=AS_OF)
    others = set(shop) - set(default_features(market, as_of=AS_OF))
    assert {feature.name for feature in others} == {"order_last", "order_last_per_mean"}
    only = choose_features(market, ["attributes"], as_of=AS_OF)
    assert [feature.name for feature in only.features] == ["age"]
    assert dict(only.left_out).keys() == {"country", "order_count"}
    assert choose_features(market, ["shop"], as_of=AS_OF).left_out == ()


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (["shp"], "no set of features called 'shp'"),
        (["messaging"], "The tables allow no feature of messaging"),
        ([], "no feature of an empty list"),
        (["default", count("return", name="order_recency")], "called 'order_recency'"),
        ([count("order", name="N"), count("return", name="n")], "called 'n'"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(make_market, wanted, what):
    market = make_market(contacts=[{"contact_id": "a"}], orders=[_order()])
    with pytest.raises(ConfigurationError, match=what) as caught:
        choose_features(market, wanted, as_of=AS_OF)
    assert str(caught.value).count("\n") == 2


def test_no_other_name_is_a_set(make_market):
    market = make_market(contacts=[{"contact_id": "a"}], orders=[_order()])
    with pytest.raises(ConfigurationError, match="did you mean 'shop'"):
        feature_set("shp", market, as_of=AS_OF)
