"""What did contacts buy after a cutoff?"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mlmarket.features import Behaviour, OpenLabelWindowError, SnapshotSpec, total
from mlmarket.features.labels import compile_value_label
from mlmarket.prediction.training import Snapshots

DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
CONTACTS = [{"contact_id": name} for name in "abcdef"]


def _order(contact, at, amount, *, available_at=None, is_return=False):
    return {
        "contact_id": contact,
        "order_id": "1",
        "ordered_at": at,
        "amount": None if amount is None else Decimal(amount),
        "available_at": available_at,
        "is_return": is_return,
    }


END = _order("z", AS_OF + 60 * DAY, "1")


def _bought(market, **options):
    found = compile_value_label(market, at=AS_OF, horizon=MONTH, **options)
    rows = found.to_pyarrow().to_pylist()
    return {row["contact_id"]: (row["value"], row["order_days"]) for row in rows}


def test_the_window_begins_after_as_of_and_ends_on_the_horizon(make_market):
    times = [AS_OF, AS_OF + TICK, AS_OF + MONTH, AS_OF + MONTH + TICK]
    orders = [_order(who, at, "5") for who, at in zip("abcd", times, strict=True)]
    market = make_market(contacts=CONTACTS, orders=[*orders, END])
    assert _bought(market) == {"b": (5.0, 1.0), "c": (5.0, 1.0)}


def test_returns_are_taken_off_and_nobody_is_worth_less_than_nothing(make_market):
    orders = [
        _order("a", AS_OF + DAY, "77183.60"),
        _order("a", AS_OF + DAY + TICK, "-77183.60", is_return=True),
        _order("b", AS_OF + DAY, "30.10"),
        _order("b", AS_OF + 3 * DAY, "-10.05", is_return=True),
        _order("c", AS_OF + 2 * DAY, "-500", is_return=True),
    ]
    market = make_market(contacts=CONTACTS, orders=[*orders, END])
    assert _bought(market) == {"a": (0.0, 1.0), "b": (20.05, 1.0), "c": (0.0, 0.0)}


def test_lines_of_a_day_are_one_day_with_an_order(make_market):
    times = [AS_OF + TICK, AS_OF + DAY, AS_OF + DAY + TICK, AS_OF + 5 * DAY]
    market = make_market(contacts=CONTACTS, orders=[*(_order("a", at, "1") for at in times), END])
    # The 24-hour days begin at as_of: the second order is on the second of them, as the third is.
    assert _bought(market) == {"a": (4.0, 3.0)}


def test_an_order_without_an_amount_is_worth_nothing_and_still_an_order(make_market):
    market = make_market(contacts=CONTACTS, orders=[_order("a", AS_OF + DAY, None), END])
    assert _bought(market) == {"a": (0.0, 1.0)}


def test_an_order_that_arrived_later_than_known_at_is_not_seen(make_market):
    late = _order("a", AS_OF + DAY, "9", available_at=AS_OF + 50 * DAY)
    market = make_market(contacts=CONTACTS, orders=[late, END])
    assert _bought(market) == {"a": (9.0, 1.0)}
    assert _bought(market, known_at=AS_OF + 45 * DAY) == {}


def _snapshots(market, **options):
    order = Behaviour.parse("order")
    spec = SnapshotSpec(None, (total("order"),), order, MONTH)
    given = {
        "known_at": AS_OF + 60 * DAY,
        "most_rows": 1000,
        "cutoffs": 2,
        "latest": AS_OF,
        **options,
    }
    return Snapshots(market, spec, **given)


def test_what_was_bought_stands_in_the_order_of_the_rows(make_market):
    orders = [
        _order("a", AS_OF - DAY, "3"),
        _order("c", AS_OF + DAY, "7"),
        _order("b", AS_OF + 2 * DAY, "2"),
        _order("c", AS_OF + 4 * DAY, "5"),
    ]
    market = make_market(contacts=CONTACTS, orders=[*orders, END])
    snapshots = _snapshots(market)
    cutoffs = [AS_OF - 2 * DAY, AS_OF]
    rows, bought = snapshots.at(cutoffs), snapshots.bought_at(cutoffs)
    table = list(zip(rows.contact_id, bought.value, bought.orders, strict=True))
    assert len(table) == len(rows)
    assert [row for row in table if row[1]] == [
        ("a", 3.0, 1.0),
        ("b", 2.0, 1.0),
        ("c", 12.0, 2.0),
        ("b", 2.0, 1.0),
        ("c", 12.0, 2.0),
    ]
    assert ((bought.orders > 0) == (rows.label == 1)).all()


def test_an_open_window_is_refused_but_its_features_are_not(make_market):
    market = make_market(contacts=CONTACTS, orders=[_order("a", AS_OF + 20 * DAY, "1")])
    snapshots = _snapshots(market)
    assert len(snapshots.features_at(AS_OF)) == 6
    with pytest.raises(OpenLabelWindowError):
        snapshots.bought_at([AS_OF])
