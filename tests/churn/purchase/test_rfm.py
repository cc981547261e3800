"""The rules that every marketer knows, by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlmarket.churn import RecencyRule, RfmCells


def _people(recency, days=None, money=None):
    size = len(recency)
    return pd.DataFrame(
        {
            "order_recency": np.asarray(recency, dtype=float),
            "order_days_active": np.asarray(days if days is not None else [1] * size, dtype=float),
            "order_total": np.asarray(money if money is not None else [0.0] * size, dtype=float),
        }
    )


def test_the_recency_rule_by_hand():
    # Quintiles of 1 … 10 lie at 2.8, 4.6, 6.4 and 8.2: two people a cell.
    people = _people(range(1, 11))
    label = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], dtype=np.int8)
    rule = RecencyRule()
    assert rule.name == "recency_rule"
    shares = rule.fit(people, label).predict(people)
    overall = 3.5 / 11  # half a person of each kind added
    cells = [2, 1, 0, 0, 0]  # buyers
    wanted = [(buyers + 20 * overall) / (2 + 20) for buyers in cells for _ in range(2)]
    np.testing.assert_allclose(shares, wanted, rtol=1e-12)


def test_cells_are_split_by_frequency_and_money_at_their_edges():
    recency = [5.0] * 6
    days, money = [1, 1, 2, 2, 10, 10], [10.0, 10.0, 20.0, 20.0, 30.0, 30.0]
    label = np.array([0, 0, 0, 1, 1, 1], dtype=np.int8)
    people = _people(recency, days, money)
    shares = RfmCells(prior=1.0).fit(people, label).predict(people)
    overall = 3.5 / 7
    wanted = [(buyers + overall) / 3 for buyers in (0, 1, 2) for _ in range(2)]
    np.testing.assert_allclose(shares, wanted, rtol=1e-12)


def test_who_never_bought_is_as_one_who_bought_longest_ago():
    people = _people([1, 2, 3, 4, 5])
    rule = RecencyRule().fit(people, np.array([1, 0, 0, 0, 0], dtype=np.int8))
    never, long_ago = rule.predict(_people([np.nan, 900.0]))
    assert never == long_ago


def test_without_amounts_cells_are_of_recency_and_frequency():
    people = _people([1, 2, 3, 4]).drop(columns="order_total")
    label = np.array([1, 0, 0, 1], dtype=np.int8)
    assert RfmCells().fit(people, label).predict(people).shape == (4,)


NUMBERS = st.floats(0, 1e12) | st.just(np.nan)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(float, (30, 3), elements=NUMBERS), st.sampled_from([RfmCells, RecencyRule]))
def test_a_share_is_between_0_and_1_and_the_same_when_restored(numbers, make):
    people = _people(numbers[:, 0], np.nan_to_num(numbers[:, 1]), np.nan_to_num(numbers[:, 2]))
    label = np.arange(30, dtype=np.int8) % 2
    cells = make().fit(people, label)
    shares = cells.predict(people)
    assert ((shares > 0) & (shares < 1)).all()
    order = np.random.default_rng(0).permutation(30)
    mixed = make().fit(people.iloc[order], label[order])
    np.testing.assert_array_equal(mixed.predict(people), shares)


@pytest.mark.parametrize("make", [RfmCells, RecencyRule])
def test_what_is_restored_answers_the_same(make, tmp_path):
    draw = np.random.default_rng(0)
    people = _people(draw.exponential(50, 90), draw.poisson(3, 90) + 1, draw.gamma(2, 20, 90))
    cells = make().fit(people, (draw.random(90) < 0.3).astype(np.int8))
    cells.save(tmp_path)
    restored = make().restore(tmp_path)
    np.testing.assert_array_equal(restored.predict(people), cells.predict(people))
    assert json.loads((tmp_path / "rfm_cells.json").read_text())["use_money"] == cells.use_money
