"""The oracle agrees with closed forms where there are some."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma

from mlmarket.market.samples import shop
from mlmarket.market.samples.calendar import DAY
from mlmarket.market.samples.life import live
from mlmarket.market.samples.mail import Postman
from mlmarket.market.samples.oracle import foresee
from mlmarket.market.samples.people import SHAPES, draw_people
from mlmarket.market.samples.purchases import COOL, COOL_GAIN, FURTHEST, clock_hazard


@pytest.fixture(scope="module")
def plain():
    """People who never leave, never get warm and never click."""
    world = shop._world(3, 6, 0.0, oracle=True)
    rng = np.random.default_rng(3)
    people = draw_people(rng, 300, world.calendar, world.catalogue, 0.0)
    still = np.zeros(people.size)
    buying = replace(people.buying, dropout=still, wake=still, warm_up=still)
    people = replace(
        people, buying=buying, mailing=replace(people.mailing, clicks=still, leaves=still)
    )
    postman = Postman(people, world.calendar, world.campaigns, world.ahead)
    lives = live(rng, people, world.calendar, postman)
    answers = foresee(people, world.calendar, world.campaigns, world.ahead, lives)
    return world.calendar, people, lives, list(answers)


def test_without_moods_and_mail_the_oracle_is_the_chance_of_a_gamma_interval(plain):
    calendar, people, lives, answers = plain
    checked = 0
    for answer in answers:
        begin = int(np.searchsorted(calendar.starts, answer.as_of))
        end = answer.as_of + answer.horizon_days * DAY
        last = int(np.searchsorted(calendar.starts, end))
        if calendar.starts[last] != end:
            continue  # a change of the clocks lies within
        clock = lives.snapshots[begin].clock[answer.person]
        pace = calendar.pace[begin:last].sum()
        later = clock + people.buying.rate[answer.person] * pace
        inside = later < FURTHEST
        shape = SHAPES[people.buying.shape[answer.person]]
        waits = gamma(shape, scale=1 / shape)
        exact = 1 - (waits.sf(later) / waits.sf(clock)) ** COOL_GAIN
        np.testing.assert_allclose(answer.chance[inside], exact[inside], atol=2e-4)
        checked += int(inside.sum())
    assert checked > 500
    assert (lives.moods == COOL).mean() > 0.99


def test_a_longer_window_is_never_less_likely_to_hold_an_order(plain):
    *_, answers = plain
    by_window = {(a.as_of, a.horizon_days): a.chance for a in answers}
    pairs = [(by_window[t, 30], c) for (t, h), c in by_window.items() if h == 90]
    assert pairs
    assert all((short <= long + 1e-12).all() for short, long in pairs)


@given(
    shape=st.integers(0, SHAPES.size - 1),
    clock=st.floats(0, FURTHEST),
    step=st.floats(0, 0.99),
)
@settings(max_examples=100, deadline=None)
def test_the_clock_never_runs_backwards(shape, clock, step):
    rows = np.array([shape, shape])
    before, after = clock_hazard(rows, np.array([clock, clock + step]))
    assert 0 <= before <= after
