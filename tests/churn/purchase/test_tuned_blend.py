"""Settings are searched in the past alone, and the same past gives the same settings."""

import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from mlmarket.churn import PurchaseModel
from mlmarket.churn.purchase.beta_geo_learner import BetaGeoLearner
from mlmarket.churn.purchase.tuned_blend import BlendSettings, TunedBlend
from mlmarket.prediction.training import Rows

MONTH = timedelta(days=30)
USUAL = BlendSettings(trees=40, rows_a_leaf=20)


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Return five cutoffs of 300 contacts who buy as often as they did."""
    draw = np.random.default_rng(8)
    size, cutoffs = 300, 5
    days = draw.integers(1, 12, size * cutoffs).astype(float)
    first = draw.uniform(60, 300, size * cutoffs)
    features = pd.DataFrame(
        {
            "order_days_active": days,
            "order_first_touch": first,
            "order_recency": first * draw.random(size * cutoffs),
        }
    )
    chance = 1.0 - np.exp(-30.0 * days / first)
    months = np.repeat(np.arange(cutoffs), size)
    return Rows(
        features,
        (draw.random(size * cutoffs) < chance).astype(np.int8),
        np.array([f"c{i % size:03d}" for i in range(size * cutoffs)], dtype=object),
        np.datetime64("2025-01-01", "us") + months * np.timedelta64(30, "D"),
    )


def _tuned(trials=4):
    return TunedBlend(MONTH, BetaGeoLearner(MONTH), usual=USUAL, trials=trials)


def test_the_same_rows_give_the_same_settings_and_answers(rows):
    import optuna

    before = optuna.logging.get_verbosity()
    one, other = _tuned().fit_over_time(rows), _tuned().fit_over_time(rows)
    assert one.settings_ == other.settings_
    np.testing.assert_array_equal(one.predict(rows.features), other.predict(rows.features))
    assert optuna.logging.get_verbosity() == before


def test_it_is_examined_by_cutoffs_whose_windows_had_ended(rows):
    exams = _tuned()._exams(rows)
    assert [len(exam.judge) for exam in exams] == [300, 300]
    # The last cutoff is learned for from all four before it, the one before from three.
    assert [len(exam.learn) for exam in exams] == [900, 1200]
    two_months = TunedBlend(2 * MONTH, BetaGeoLearner(2 * MONTH), usual=USUAL)
    assert [len(exam.learn) for exam in two_months._exams(rows)] == [600, 900]


def test_large_tables_are_examined_on_a_sample_of_contacts(rows):
    small = TunedBlend(MONTH, BetaGeoLearner(MONTH), usual=USUAL, most_rows=240)
    assert all(120 < len(exam.learn) < 400 for exam in small._exams(rows))


@pytest.mark.parametrize("cutoff", [None, "one"])
def test_without_an_earlier_cutoff_the_usual_settings_are_kept(rows, cutoff):
    one_moment = None if cutoff is None else np.full(len(rows), rows.cutoff[0])
    blend = _tuned().fit_over_time(replace(rows, cutoff=one_moment))
    assert blend.settings_ == USUAL


def test_what_is_restored_has_its_settings(rows, tmp_path):
    blend = _tuned(trials=3).fit_over_time(rows)
    blend.save(tmp_path)
    restored = _tuned().restore(tmp_path)
    assert restored.settings_ == blend.settings_
    np.testing.assert_array_equal(restored.predict(rows.features), blend.predict(rows.features))


def test_it_takes_part_where_it_is_asked(monkeypatch):
    monkeypatch.delitem(sys.modules, "optuna", raising=False)
    assert "tuned_blend" not in PurchaseModel().question.candidates.challengers
    tuned = PurchaseModel(tuned=True)
    assert "tuned_blend" in tuned.question.candidates.challengers
    assert tuned.parameters["tuned"] is True
    assert "optuna" not in sys.modules


def test_settings_hold_back_where_windows_overlap():
    plain, held = BlendSettings.for_overlap(1.0), BlendSettings.for_overlap(3.0)
    assert plain == BlendSettings()
    assert (held.rows_a_leaf, held.strength) == (180, 90.0)
