"""Each set knows what its trade would look at, and only of tables that are there."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from mlmarket.features import (
    FEATURE_SETS,
    SnapshotSpec,
    build,
    choose_features,
    default_features,
    feature_set,
)
from mlmarket.market import Market
from mlmarket.market.samples import sample_folder

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
THEN = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def sample():
    return Market.open(sample_folder() / "mlmarket.toml")


def _event(kind):
    return {"contact_id": "a", "event_type": kind, "occurred_at": THEN}


def _names(name, market):
    return {feature.name for feature in feature_set(name, market, as_of=AS_OF)}


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_a_set_is_of_some_forty_features_that_can_be_built(sample, name):
    june = datetime(2026, 6, 1, tzinfo=UTC)
    features = feature_set(name, sample, as_of=june)
    assert 5 <= len(features) <= 44
    assert len({feature.name for feature in features}) == len(features)
    only = pa.table({"contact_id": ["C000001"]})
    batches = build(sample, SnapshotSpec(None, features), cutoffs=[june], only=only)
    assert pa.Table.from_batches(batches).num_rows == 1


def test_the_default_features_are_of_the_sets(sample):
    of_sets = {one for name in FEATURE_SETS for one in feature_set(name, sample, as_of=AS_OF)}
    assert set(default_features(sample, as_of=AS_OF)) <= of_sets


def test_a_group_that_paid_nowhere_is_there_by_the_name_of_its_set_alone(sample):
    names = {feature.name for feature in default_features(sample, as_of=AS_OF)}
    assert "order_last" not in names
    chosen = choose_features(sample, ["default", "shop"], as_of=AS_OF).features
    assert {feature.name for feature in chosen} == names | {"order_last", "order_last_per_mean"}


def test_what_the_simple_rules_and_facts_read_is_there_by_default(sample):
    names = {feature.name for feature in default_features(sample, as_of=AS_OF)}
    assert {
        "order_recency", "order_days_active", "order_total", "order_days_active_365d",
        "order_total_365d",
    } <= names  # fmt: skip


def test_log_ins_are_told_by_their_names_and_else_all_events_are_usage(make_market):
    kinds = ["App Open", "sign-in", "invoice"]
    market = make_market(contacts=[{"contact_id": "a"}], events=[_event(kind) for kind in kinds])
    names = _names("subscription", market)
    assert {"app_open_or_sign_in_gap_mean", "app_open_count_7d", "invoice_recency"} <= names
    market = make_market(contacts=[{"contact_id": "a"}], events=[_event("invoice")])
    assert {"event_gap_mean", "event_overdue", "invoice_count_30d"} <= _names(
        "subscription", market
    )


def test_leads_are_known_by_forms_pages_mails_and_fit(make_market):
    contacts = [{"contact_id": "a", "country": "PT"}]
    events = [_event(kind) for kind in ("demo_request", "Page View", "invoice")]
    message = {"contact_id": "a", "message_id": "1", "channel": "email", "sent_at": THEN}
    market = make_market(contacts=contacts, events=events, messages=[message])
    names = _names("leads", market)
    assert {"demo_request_first_touch", "page_view_count_30d", "open_rate_90d", "country"} <= names
    assert not [name for name in names if name.startswith(("invoice", "order"))]


def test_shares_are_of_the_categories_that_most_people_bought_by_then(make_market):
    items = pa.table({"item_id": list("abcdef"), "category": [*"uvwxy", None]})
    orders = [
        {"contact_id": who, "order_id": "1", "item_id": item, "ordered_at": at}
        | {"amount": Decimal(1), "is_return": back}
        for who, item, at, back in [
            ("1", "a", THEN, False),
            ("2", "a", THEN, False),
            ("1", "b", THEN, False),
            ("1", "c", THEN, False),
            ("1", "d", THEN, False),
            ("1", "f", THEN, False),
            ("1", "e", THEN, True),
            ("1", "e", datetime(2026, 3, 2, tzinfo=UTC), False),
        ]
    ]
    market = make_market(contacts=[{"contact_id": "1"}], orders=orders, items=items)
    shares = [name for name in sorted(_names("shop", market)) if "_share_" in name]
    assert shares == [f"order_share_{value}_365d" for value in "uvwx"]
    market = make_market(contacts=[{"contact_id": "1"}], orders=orders)
    assert not [name for name in _names("shop", market) if "_share_" in name]


def test_no_table_no_features(make_market):
    market = make_market(contacts=[{"contact_id": "a"}])
    assert all(feature_set(name, market, as_of=AS_OF) == () for name in FEATURE_SETS)
