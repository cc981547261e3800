from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mlmarket.features import Behaviour, OpenLabelWindowError, SnapshotSpec, count
from mlmarket.market import Market
from mlmarket.prediction.training import Snapshots, first_behaviour, plan_training

DAY = timedelta(days=1)
START = datetime(2025, 1, 1, 9, tzinfo=UTC)
ORDER = Behaviour.parse("order")
SPEC = SnapshotSpec(ORDER, (count("order"),), ORDER, 30 * DAY)


def _market(days=200, *, people=20, zone="UTC", **more):
    """Return a shop in which everybody orders every 20 days, each on a day of their own."""
    rows = [
        (f"c{person:02d}", f"{person}-{day}", START + day * DAY)
        for person in range(people)
        for day in range(person % 20, days, 20)
    ]
    orders = pd.DataFrame(rows, columns=["contact_id", "order_id", "ordered_at"])
    orders["ordered_at"] = orders["ordered_at"].dt.tz_localize(None)
    for column, make in more.items():
        orders[column] = make(orders)
    return Market.from_tables(orders=orders, timezone=zone, now=START + 400 * DAY)


def _plan(market, as_of, *, folds=4, most_cutoffs=12, spec=SPEC):
    return plan_training(
        market, spec, as_of=as_of, folds=folds, warm_up=28 * DAY, most_cutoffs=most_cutoffs
    )


@pytest.fixture(scope="module")
def market():
    return _market()


def test_every_window_of_the_plan_is_closed_at_as_of(market):
    as_of = START + 170 * DAY
    plan = _plan(market, as_of)
    assert plan.cutoffs[-1] + plan.horizon <= as_of
    assert plan.cutoffs[0] >= START + 28 * DAY
    assert plan.origins
    for origin in plan.origins:
        closed = plan.closed_at(origin)
        assert closed
        assert closed[-1] + plan.horizon <= origin


def test_the_plan_is_the_same_all_day_long_and_keeps_local_midnights():
    market = _market(zone="America/New_York")
    morning, evening = (_plan(market, datetime(2025, 6, 20, hour, tzinfo=UTC)) for hour in (14, 23))
    assert morning == evening
    assert morning.cutoffs[-1] == datetime(2025, 5, 21, 4, tzinfo=UTC)


def test_a_history_that_is_too_short_gives_no_plan(market):
    assert _plan(market, START + 57 * DAY) is None
    assert _plan(market, START - DAY) is None


def test_no_more_cutoffs_than_allowed_are_planned(market):
    plan = _plan(market, START + 199 * DAY, most_cutoffs=2, folds=1)
    assert (len(plan.cutoffs), len(plan.origins)) == (2, 1)
    assert len(plan.closed_at(plan.origins[0])) <= 2


def test_the_past_begins_with_the_first_row_that_was_known(market):
    assert first_behaviour(market, [ORDER], START + 100 * DAY) == START
    assert first_behaviour(market, [Behaviour.parse("return")], START + 100 * DAY) is None
    assert first_behaviour(market, [], START) == START
    late = _market(available_at=lambda orders: orders["ordered_at"] + 9 * DAY)
    assert first_behaviour(late, [ORDER], START + 5 * DAY) is None


def _snapshots(market, *, known_at=None, most_rows=10**6, spec=SPEC):
    return Snapshots(
        market, spec, known_at=known_at, most_rows=most_rows, cutoffs=2, latest=START + 90 * DAY
    )


def test_a_label_row_that_arrived_after_the_origin_is_not_learned_there():
    market = _market(available_at=lambda orders: orders["ordered_at"] + 40 * DAY)
    cutoff = START + 60 * DAY
    snapshots = _snapshots(market, known_at=START + 190 * DAY)
    knowing, then = snapshots.at([cutoff]), snapshots.at([cutoff], known_at=cutoff + 30 * DAY)
    assert knowing.label.sum() == len(knowing) > 0
    assert then.label.sum() == 0
    pd.testing.assert_frame_equal(knowing.features, then.features)


def test_cutoffs_stand_one_below_the_other(market):
    snapshots = _snapshots(market)
    first, second = START + 5 * DAY, START + 60 * DAY
    both = snapshots.at([first, second])
    assert len(both) == len(snapshots.at([first])) + len(snapshots.at([second]))
    assert list(both.contact_id[:3]) == ["c00", "c01", "c02"]


def test_cutoffs_without_rows_leave_no_trace(market):
    before, after = START - 9 * DAY, START + 60 * DAY
    both = _snapshots(market).at([before, after])
    pd.testing.assert_frame_equal(both.features, _snapshots(market).at([after]).features)
    assert len(_snapshots(market).at([])) == 0


def test_absence_is_learned_as_the_opposite(market):
    absent = replace(SPEC, label=Behaviour.parse("no order"), horizon=10 * DAY)
    present = replace(SPEC, horizon=10 * DAY)
    cutoff = [START + 60 * DAY]
    did, did_not = (_snapshots(market, spec=spec).at(cutoff).label for spec in (present, absent))
    assert 0 < did.sum() < len(did)
    np.testing.assert_array_equal(did, 1 - did_not)


def test_an_open_window_is_refused(market):
    with pytest.raises(OpenLabelWindowError):
        _snapshots(market).at([START + 180 * DAY])
    with pytest.raises(OpenLabelWindowError):
        _snapshots(market, known_at=START + 100 * DAY).at([START + 80 * DAY])


def test_too_many_rows_become_a_sample_that_is_the_same_every_time():
    market = _market(people=200)
    cutoff = [START + 60 * DAY]
    some = _snapshots(market, most_rows=100).at(cutoff)
    again = _snapshots(market, most_rows=100).at(cutoff)
    assert 20 < len(some) < 90
    assert list(some.contact_id) == list(again.contact_id)
    more = _snapshots(market, most_rows=200).at(cutoff)
    assert set(some.contact_id) < set(more.contact_id)
