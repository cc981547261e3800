"""Weeks that are learned from, the rule that has to be beaten, and the choice between them."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.churn.next_order.contest import Fold, Stand, choose, factor_of
from mlmarket.churn.next_order.hazard import DueRule, scaled
from mlmarket.churn.next_order.rows import WEEKS, Known, Rows, Weeks, weekly

WAITS = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), min_size=1, max_size=20)


@given(WAITS)
@settings(deadline=None)
def test_a_week_that_is_not_over_is_neither_yes_nor_no(rows):
    wait, observed = (np.array(column) for column in zip(*rows, strict=True))
    weeks = Weeks.seen(wait, observed)
    assert (7 * (weeks.week + 1) <= observed[weeks.row]).all()
    came = wait[weeks.row]
    # Nobody is asked again after the purchase, and it is a "yes" in its own week only.
    inside = (came > 7 * weeks.week) & (came <= 7 * (weeks.week + 1))
    np.testing.assert_array_equal(weeks.label.astype(bool), inside)
    assert ((came == 0) | (came > 7 * weeks.week)).all()
    expected = [
        min(WEEKS, seen // 7, (waited - 1) // 7 + 1 if waited else WEEKS) for waited, seen in rows
    ]
    np.testing.assert_array_equal(np.bincount(weeks.row, minlength=len(rows)), expected)


def test_clocks_move_on_with_the_weeks():
    known = Known.of("contact")
    numbers = np.full((2, len(known.names)), np.nan)
    numbers[:, known.names.index("since_last")] = 10.0
    numbers[:, known.names.index("gap_mean")] = 20.0
    columns = weekly(known, numbers, np.array([0, 3]))
    assert set(columns) == set(known.all_names)
    np.testing.assert_allclose(columns["since_last_then"], [10.0, 31.0])
    np.testing.assert_allclose(columns["due_then"], [0.5, 1.55])


def test_the_rule_knows_who_is_due(tmp_path):
    draw = np.random.default_rng(0)
    due = draw.uniform(0, 2, 20_000)
    frame = pd.DataFrame(
        {"due_then": due, "since_last_then": due * 20, "gap_mean": np.where(due > 1.9, np.nan, 20)}
    )
    label = (draw.random(len(due)) < np.where(due > 1.0, 0.3, 0.1)).astype(np.int8)
    rule = DueRule("due_then").fit(frame, label)
    said = rule.predict(frame)
    assert said[due < 0.9].mean() == pytest.approx(0.1, abs=0.02)
    assert said[(due > 1.1) & (due < 1.9)].mean() == pytest.approx(0.3, abs=0.02)
    rule.save(tmp_path)
    np.testing.assert_array_equal(DueRule("due_then").restore(tmp_path).predict(frame), said)


def test_a_correction_finds_by_how_much_hazards_were_too_low():
    draw = np.random.default_rng(1)
    said = draw.uniform(0.02, 0.1, (20_000, WEEKS))
    true = scaled(said, 1.5)
    came = draw.random(true.shape) < true
    wait = np.where(came.any(axis=1), came.argmax(axis=1) * 7 + 4, 0)
    assert factor_of(said, wait, 7 * WEEKS) == pytest.approx(1.5, rel=0.05)
    # The same from four weeks alone, of which the last is not over.
    assert factor_of(said, np.where(wait <= 27, wait, 0), 27) == pytest.approx(1.5, rel=0.08)


def fold_of(chance: dict[str, np.ndarray], label: np.ndarray) -> Fold:
    people = np.array([f"c{n}" for n in range(len(label))], dtype=object)
    wait = np.where(label, 10, 0)[:, None]
    days = np.full(len(label), 3)
    rows = Rows(np.zeros((len(label), 1)), people, days, np.zeros(len(label), int), wait)
    hazard = {name: np.repeat(p[:, None], WEEKS, axis=1) for name, p in chance.items()}
    return Fold(Stand(datetime(2026, 1, 1, tzinfo=UTC), -98, -98), 0, rows, hazard)


def test_a_model_that_knows_nothing_does_not_replace_the_rule():
    draw = np.random.default_rng(2)
    label = (draw.random(3_000) < 0.3).astype(np.int8)
    flat = np.full(len(label), 0.085)
    noise = np.clip(flat + draw.normal(0, 0.03, len(label)), 0.01, 0.5)
    same = {"base_rate": flat, "due_rule": noise, "blend": noise}
    contest = choose([fold_of(same, label)])
    assert (contest.baseline, contest.chosen) == ("base_rate", "base_rate")
    knows = {"base_rate": flat, "due_rule": noise, "blend": np.where(label, 0.15, 0.05)}
    assert choose([fold_of(knows, label)]).chosen == "blend"
    assert choose([fold_of(knows, label)], rules_only=True).chosen == "base_rate"
