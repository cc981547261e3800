"""What a series is described by, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.churn.next_order.purchases import Log
from mlmarket.churn.next_order.states import (
    RHYTHM,
    WINDOWS,
    count_days,
    count_days_since,
    days_until_next,
    rhythms,
)

ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(-60, 30),
        st.integers(0, 20),
        st.integers(1, 5),
        st.integers(0, 90),
    ),
    min_size=1,
    max_size=25,
)


def log_of(rows: list[tuple[int, int, int, int, int]]) -> Log:
    """Return rows of (series, day, days late, lines, size) as a log of three series."""
    table = np.array(sorted({row[:3]: row for row in rows}.values()), dtype=np.int64)
    begin = np.searchsorted(table[:, 0], np.arange(4)).astype(np.int64)
    known = table[:, 1] + table[:, 2]
    order = np.lexsort((known, table[:, 1], table[:, 0]))
    table, known = table[order], known[order]
    return Log(begin, table[:, 1].copy(), known, table[:, 3].copy(), table[:, 4].astype(float))


def seen(log: Log, series: int, at: int) -> dict[int, list[int]]:
    """Return the rows of each day that were known."""
    days: dict[int, list[int]] = {}
    for row in range(log.begin[series], log.begin[series + 1]):
        if log.day[row] <= at and log.known[row] <= at:
            days.setdefault(int(log.day[row]), []).append(row)
    return days


@given(ROWS, st.integers(-60, 30))
@settings(deadline=None, max_examples=60)
def test_a_rhythm_is_what_was_known_of_distinct_days(rows, at):
    log = log_of(rows)
    for series in range(3):
        days = seen(log, series, at)
        found = dict(zip(RHYTHM, rhythms(log, np.array([series]), np.array([at]))[0], strict=True))
        assert count_days(log, np.array([at]))[series, 0] == len(days)
        if not days:
            assert np.isnan(found["days"])
            continue
        when = np.array(sorted(days))
        assert found["days"] == len(when)
        assert found["tenure"] == at - when[0]
        assert found["since_last"] == at - when[-1]
        for window in WINDOWS:
            assert found[f"days_{window}d"] == (at - when < window).sum()
        gaps = np.diff(when)
        if not len(gaps):
            assert np.isnan(found["gap_mean"])
            continue
        assert found["gap_last"] == gaps[-1]
        assert found["gap_mean"] == pytest.approx(gaps.mean())
        assert found["gap_median"] == np.median(gaps)
        assert found["gap_geometric_mean"] == pytest.approx(np.exp(np.log(gaps).mean()))
        assert found["gap_spread"] == pytest.approx(np.log(gaps).std(), abs=1e-6)
        assert (found["gap_smallest"], found["gap_largest"]) == (gaps.min(), gaps.max())
        sizes = np.array([sum(log.size[row] for row in days[int(day)]) for day in when])
        assert found["size_last"] == sizes[-1]
        assert found["size_usual"] == pytest.approx(np.expm1(np.log1p(sizes).mean()))


@given(ROWS, st.integers(-60, 30), st.integers(0, 40))
@settings(deadline=None, max_examples=60)
def test_the_next_purchase_is_the_first_one_that_the_stand_knows(rows, at, later):
    log = log_of(rows)
    stand = at + later
    for series in range(3):
        ahead = [
            int(log.day[row]) - at
            for row in range(log.begin[series], log.begin[series + 1])
            if at < log.day[row] <= stand and log.known[row] <= stand
        ]
        found = days_until_next(log, np.array([series]), np.array([at]), np.array([stand]))
        assert found[0, 0] == min(ahead, default=0)


@given(ROWS, st.integers(-60, 30), st.integers(0, 40))
@settings(deadline=None, max_examples=40)
def test_days_are_counted_after_a_day(rows, at, before):
    log = log_of(rows)
    for series in range(3):
        expected = sum(day > at - before for day in seen(log, series, at))
        found = count_days_since(log, np.array([series]), np.array([at]), np.array([at - before]))
        assert found[0] == expected
