from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.expressions import ExpressionError
from mlmarket.features import (
    Behaviour,
    OpenLabelWindowError,
    SnapshotSpec,
    build,
    label_complete_until,
)
from mlmarket.market.settings import MarketSettings, TableSettings

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
CONTACTS = [{"contact_id": name} for name in "abcdef"]


def _order(contact, at, available_at=None, amount=None):
    return {
        "contact_id": contact,
        "order_id": "1",
        "ordered_at": at,
        "amount": amount,
        "available_at": available_at,
        "is_return": False,
    }


END = _order("z", AS_OF + 60 * DAY)


def _labels(market, label, *, horizon=MONTH, cutoffs=(AS_OF,), **options):
    spec = SnapshotSpec(None, (), Behaviour.parse(label), horizon)
    frame = pa.Table.from_batches(
        build(
            market,
            spec,
            cutoffs=cutoffs if isinstance(cutoffs, pd.DataFrame) else [*cutoffs],
            **options,
        )
    ).to_pandas()
    return dict(zip(frame["contact_id"], frame["label"], strict=True))


@pytest.fixture
def bought(make_market):
    """Return a market in which each contact bought at another border of the window."""
    times = {
        "a": AS_OF,
        "b": AS_OF + TICK,
        "c": AS_OF + 30 * DAY,
        "d": AS_OF + 30 * DAY + TICK,
        "e": AS_OF - DAY,
    }
    orders = [_order(contact, at) for contact, at in times.items()]
    return make_market(contacts=CONTACTS, orders=[*orders, END])


def test_the_window_begins_after_as_of_and_ends_on_the_horizon(bought):
    assert _labels(bought, "order") == {"a": 0, "b": 1, "c": 1, "d": 0, "e": 0, "f": 0}


def test_absence_is_the_opposite_for_everybody(bought):
    did, did_not = _labels(bought, "order"), _labels(bought, "no order")
    assert {contact: 1 - label for contact, label in did.items()} == did_not


def test_a_frame_of_cutoffs_has_the_same_labels(bought):
    asked = pd.DataFrame({"contact_id": list("abcdef"), "as_of": [AS_OF] * 6})
    assert _labels(bought, "order", cutoffs=asked) == _labels(bought, "order")


def test_an_order_that_arrived_later_than_known_at_is_no_yes(make_market):
    late = _order("a", AS_OF + DAY, available_at=AS_OF + 50 * DAY)
    market = make_market(contacts=CONTACTS, orders=[late, END])
    assert _labels(market, "order")["a"] == 1
    now = AS_OF + 45 * DAY
    soon = _order("b", AS_OF + 44 * DAY)
    market = make_market(contacts=CONTACTS, orders=[late, soon, END])
    assert _labels(market, "order", known_at=now)["a"] == 0


def test_an_outcome_is_not_an_event_of_the_same_name(make_market):
    at = AS_OF + DAY
    events = [
        {"contact_id": "a", "event_type": "won", "occurred_at": at},
        {"contact_id": "z", "event_type": "won", "occurred_at": AS_OF + 60 * DAY},
    ]
    outcomes = [
        {"contact_id": "b", "outcome": "won", "occurred_at": at},
        {"contact_id": "z", "outcome": "lost", "occurred_at": AS_OF + 60 * DAY},
    ]
    market = make_market(contacts=CONTACTS, events=events, outcomes=outcomes)
    assert [c for c, label in _labels(market, "outcome won").items() if label] == ["b"]
    assert [c for c, label in _labels(market, "event won").items() if label] == ["a"]


def test_an_event_with_spaces_and_a_condition_is_found(make_market):
    rows = [("a", "Page View", "6"), ("b", "Page View", "5"), ("c", "page_view", "9")]
    events = [
        {"contact_id": who, "event_type": kind, "occurred_at": AS_OF + DAY, "value": Decimal(value)}
        for who, kind, value in rows
    ]
    events.append({"contact_id": "z", "event_type": "x", "occurred_at": AS_OF + 60 * DAY})
    market = make_market(contacts=CONTACTS, events=events)
    found = _labels(market, 'event "Page View" where value > 5')
    assert [contact for contact, label in found.items() if label] == ["a"]


@pytest.mark.parametrize("cutoffs", ["instants", "frame"])
def test_an_open_window_is_refused_and_never_read_as_no(make_market, cutoffs):
    market = make_market(contacts=CONTACTS, orders=[_order("a", AS_OF + 29 * DAY)])
    asked = pd.DataFrame({"contact_id": ["a"], "as_of": [AS_OF]})
    spec = SnapshotSpec(None, (), Behaviour.parse("order"), MONTH)
    with pytest.raises(OpenLabelWindowError) as refused:
        build(market, spec, cutoffs=[AS_OF] if cutoffs == "instants" else asked)
    what, why, fix = str(refused.value).split("\n")
    assert what == (
        "The label window of 2026-03-01 ends at 2026-03-31 00:00 UTC, but 'orders' is complete "
        "only until 2026-03-30 00:00 UTC."
    )
    assert "no" in why
    assert fix.startswith("Fix: use a cutoff at least 30D before")


def test_a_window_is_closed_where_the_configuration_says_so(make_market):
    until = datetime(2026, 4, 15, tzinfo=UTC)
    settings = MarketSettings(tables={"orders": TableSettings(complete_until=until)})
    market = make_market(settings, contacts=CONTACTS, orders=[_order("a", AS_OF + DAY)])
    assert _labels(market, "order")["a"] == 1
    assert label_complete_until(market, Behaviour.parse("order")) == until


def test_a_label_of_two_tables_ends_with_the_one_that_ends_first(make_market):
    events = [{"contact_id": "a", "event_type": "cart", "occurred_at": AS_OF + 40 * DAY}]
    market = make_market(contacts=CONTACTS, orders=[END], events=events)
    both = Behaviour.parse("order | cart")
    assert label_complete_until(market, both) == AS_OF + 40 * DAY


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: SnapshotSpec(None, (), Behaviour.parse("order"), None), "has no horizon"),
        (lambda: SnapshotSpec(None, (), Behaviour.parse("order within 9D"), MONTH), "looks back"),
        (lambda: SnapshotSpec(Behaviour.parse("order within 12H"), ()), "not whole days"),
    ],
)
def test_a_question_that_would_silently_mean_another_is_refused(make, what):
    with pytest.raises(ConfigurationError, match=what) as refused:
        make()
    assert str(refused.value).count("\n") == 2


def test_a_condition_over_an_unknown_column_is_refused(bought):
    with pytest.raises(ExpressionError, match="amuont"):
        _labels(bought, "order where amuont > 5")
