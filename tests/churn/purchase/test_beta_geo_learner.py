"""BG/NBD on features says what BG/NBD on a summary says."""

import warnings
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.churn import BetaGeoModel
from mlmarket.churn.purchase.beta_geo_learner import ALIVE, BetaGeoLearner
from mlmarket.churn.purchase.history_blend import HistoryBlend, widened
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.training import Rows
from mlmarket.prediction.trees import BoostedTrees

MONTH = timedelta(days=30)


def _contacts(size=900, seed=5):
    """Return summaries of people who buy and leave as BG/NBD says, and the same as features."""
    model = BetaGeoModel.from_dict(
        {
            "kind": "beta_geo",
            "arguments": {"unit": "1D", "penalty": 0.0, "start": None},
            "parameters": {"r": 0.7, "alpha": 40.0, "a": 0.8, "b": 2.5},
            "standard_errors": None,
            "log_likelihood": 0.0,
            "converged": True,
            "message": "",
            "iterations": 0,
            "contacts": 0,
            "longest_history": 300.0,
        }
    )
    draw = np.random.default_rng(seed)
    summary = model.simulate(draw.integers(60, 300, size).astype(float), random_state=draw)
    again = summary["frequency"] > 0
    recency = summary["recency"].round().clip(lower=1).where(again, 0.0)
    summary = summary.assign(recency=np.minimum(recency, summary["T"]))
    features = pd.DataFrame(
        {
            "order_days_active": summary["frequency"] + 1.0,
            "order_first_touch": summary["T"],
            "order_recency": summary["T"] - summary["recency"],
        }
    )
    bought = model.probability_purchase(summary, horizon="30D")
    return summary, features, (draw.random(size) < bought).astype(np.int8)


@pytest.fixture(scope="module")
def contacts():
    return _contacts()


def test_it_is_the_model_of_the_same_summary(contacts):
    summary, features, label = contacts
    learner = BetaGeoLearner(MONTH).fit(features, label)
    model = BetaGeoModel(unit="1D", penalty=1.0).fit(summary)
    wanted = model.probability_purchase(summary, horizon="30D")
    np.testing.assert_allclose(learner.predict(features), wanted, rtol=1e-12)
    alive = learner.diagnostics(features)[ALIVE]
    np.testing.assert_allclose(alive, model.probability_alive(summary), rtol=1e-12)


def test_of_no_order_it_says_the_rest(contacts):
    _, features, label = contacts
    buys = BetaGeoLearner(MONTH).fit(features, label).predict(features)
    leaves = BetaGeoLearner(MONTH, negated=True).fit(features, 1 - label).predict(features)
    np.testing.assert_allclose(leaves, 1.0 - buys, rtol=1e-12)


def test_labels_change_nothing_for_who_has_ordered(contacts):
    _, features, label = contacts
    one, other = (BetaGeoLearner(MONTH).fit(features, of) for of in (label, 1 - label))
    np.testing.assert_array_equal(one.predict(features), other.predict(features))


def test_hours_of_a_day_are_not_told_apart(contacts):
    _, features, label = contacts
    later = features.assign(
        order_first_touch=features["order_first_touch"] + 0.4,
        order_recency=features["order_recency"] + 0.4,
    )
    learner = BetaGeoLearner(MONTH).fit(features, label)
    np.testing.assert_array_equal(learner.predict(later), learner.predict(features))


def test_who_never_ordered_has_the_share_of_such_people(contacts):
    _, features, label = contacts
    strangers = pd.DataFrame(
        {"order_days_active": 0.0, "order_first_touch": np.nan, "order_recency": np.nan},
        index=range(99),
    )
    both = pd.concat([features, strangers], ignore_index=True)
    learner = BetaGeoLearner(MONTH).fit(both, np.append(label, np.arange(99) < 24).astype(np.int8))
    assert learner.predict(strangers) == pytest.approx(np.full(99, 24.5 / 100))
    assert np.isnan(learner.diagnostics(strangers)[ALIVE]).all()
    assert np.isnan([*learner.stacked(strangers).values()]).all()
    alone = BetaGeoLearner(MONTH).fit(strangers, (np.arange(99) < 24).astype(np.int8))
    assert alone.predict(features) == pytest.approx(np.full(len(features), 24.5 / 100))


def test_where_everybody_ordered_today_it_knows_the_share_only():
    today = pd.DataFrame(
        {"order_days_active": [1.0] * 4, "order_first_touch": 0.2, "order_recency": 0.2}
    )
    learner = BetaGeoLearner(MONTH).fit(today, np.array([0, 1, 0, 1], dtype=np.int8))
    assert learner.predict(today).tolist() == [0.5] * 4


def test_a_young_shop_and_few_orders_raise_no_warning(contacts):
    _, features, label = contacts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner = BetaGeoLearner(timedelta(days=900)).fit(features.head(40), label[:40])
        assert np.isfinite(learner.predict(features)).all()
        assert np.isfinite([*learner.stacked(features).values()]).all()


def _blend():
    parts = [BoostedTrees(trees=30, rows_a_leaf=20), LogisticModel(strength=30.0)]
    return HistoryBlend(parts, BetaGeoLearner(MONTH))


@pytest.mark.parametrize("make", [_blend, lambda: BetaGeoLearner(MONTH)])
def test_frames_batches_and_restored_models_say_the_same(make, contacts, tmp_path):
    _, features, label = contacts
    learner = make().fit(features, label)
    said = learner.predict(features)
    batch = pa.RecordBatch.from_pandas(features, preserve_index=False)
    np.testing.assert_array_equal(learner.predict(batch), said)
    np.testing.assert_array_equal(learner.predict(batch.slice(7, 90)), said[7:97])
    learner.save(tmp_path)
    restored = make().restore(tmp_path)
    np.testing.assert_array_equal(restored.predict(batch), said)
    np.testing.assert_array_equal(
        restored.diagnostics(batch)[ALIVE], learner.diagnostics(features)[ALIVE]
    )


def test_the_blend_moves_towards_the_level_of_the_latest_cutoff(contacts, tmp_path):
    _, features, label = contacts
    months = np.datetime64("2025-01-01", "us") + np.repeat([0, 30, 60], 300).astype("m8[D]")
    risen = np.where((months == months[-1]) & (np.arange(900) % 3 == 0), 1, label).astype(np.int8)
    people = np.array([f"c{i}" for i in range(900)], dtype=object)
    plain = _blend().fit(features, risen)
    moved = _blend().fit_over_time(Rows(features, risen, people, months))
    assert (moved.predict(features) > plain.predict(features)).all()
    moved.save(tmp_path)
    restored = _blend().restore(tmp_path)
    np.testing.assert_array_equal(restored.predict(features), moved.predict(features))
    unknown = _blend().fit_over_time(Rows(features, risen, people))
    np.testing.assert_array_equal(unknown.predict(features), plain.predict(features))


def test_the_blend_learns_from_what_the_history_says(contacts):
    _, features, label = contacts
    blend = _blend().fit(features, label)
    wide = widened(features, blend.history)
    assert set(wide) - set(features) == set(blend.history.stacked(features))
    parts = blend.predict_parts(features)
    assert set(parts) == {"boosted_trees", "logistic", "beta_geo"}
    mean = (parts["boosted_trees"] + parts["logistic"]) / 2.0
    np.testing.assert_allclose(blend.predict(features), mean, rtol=1e-12)
    assert sum(name.startswith("beta_geo") for name in blend.parts[0].importance()) == 3
