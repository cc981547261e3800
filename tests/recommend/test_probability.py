"""Chances are those of the truth."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from mlmarket.recommend import Interactions
from mlmarket.recommend.probability import SlotProbability

NIGHT = datetime(2026, 6, 1, tzinfo=UTC)


def world(people=4_000, seed=0):
    """Return histories, items, scores, and the chance with which each is taken: lively people take more."""
    draw = np.random.default_rng(seed)
    lively = draw.integers(1, 8, people)
    rows = {
        "contact_id": np.repeat([f"c{one:05}" for one in range(people)], lively),
        "item_id": np.concatenate([draw.choice(20, one, replace=False) for one in lively]).astype(
            str
        ),
        "occurred_at": pd.Timestamp("2026-05-01")
        + pd.to_timedelta(np.arange(lively.sum()) % 25, "D"),
    }
    known = Interactions.from_frame(pd.DataFrame(rows), as_of=NIGHT)
    item = np.argsort(draw.random((people, 20)), axis=1)[:, :5].astype(np.int32)
    score = np.sort(draw.normal(size=(people, 5)).astype(np.float32), axis=1)[:, ::-1].copy()
    own = known.holds(item)
    log_odds = -4.0 + 0.8 * score + 1.5 * own + 0.6 * np.log1p(lively)[:, None]
    return known, item, score, 1.0 / (1.0 + np.exp(-log_odds))


def test_what_is_told_is_what_is_true():
    known, item, score, truth = world()
    hit = np.random.default_rng(1).random(truth.shape) < truth
    model = SlotProbability.fit(known, item, score, hit)
    assert model is not None
    told = model.predict(known, item, score)
    assert np.corrcoef(told.ravel(), truth.ravel())[0, 1] > 0.95
    np.testing.assert_allclose(told.mean(), hit.mean(), rtol=1e-3)
    assert np.abs(told - truth).mean() < 0.02
    assert model.error < 0.01


def test_what_has_no_score_has_no_chance():
    known, item, score, truth = world(people=1_000)
    hit = np.random.default_rng(1).random(truth.shape) < truth
    model = SlotProbability.fit(known, item, score, hit)
    assert model is not None
    score[0, 0], item[0, 1] = np.nan, -1
    told = model.predict(known, item, score)
    assert np.isnan(told[0]).tolist() == [True, True, False, False, False]


def test_nobody_else_changes_a_chance():
    known, item, score, truth = world(people=1_000)
    hit = np.random.default_rng(1).random(truth.shape) < truth
    model = SlotProbability.fit(known, item, score, hit)
    assert model is not None
    whole = model.predict(known, item, score)
    alone = model.predict(known.chunk(7, 9), item[7:9], score[7:9])
    np.testing.assert_array_equal(alone, whole[7:9])


def test_too_few_hits_tell_nothing():
    known, item, score, _ = world(people=200)
    hit = np.zeros(item.shape, dtype=np.bool_)
    hit[:20, 0] = True
    assert SlotProbability.fit(known, item, score, hit) is None


def test_what_was_learned_comes_back():
    known, item, score, truth = world(people=1_000)
    hit = np.random.default_rng(1).random(truth.shape) < truth
    model = SlotProbability.fit(known, item, score, hit)
    assert model is not None
    again = SlotProbability.from_state(model.to_state())
    np.testing.assert_array_equal(
        again.predict(known, item, score), model.predict(known, item, score)
    )


def test_a_higher_score_never_has_a_lower_chance():
    known, item, score, truth = world(people=2_000)
    # beyond a point, higher scores are taken less often: noise that the order must not follow
    hit = np.random.default_rng(1).random(truth.shape) < np.where(score > 1.0, 0.02, truth)
    model = SlotProbability.fit(known, item, score, hit)
    assert model is not None
    lone = known.chunk(0, 1)
    new = np.flatnonzero(~lone.holds(np.arange(20, dtype=np.int32)[None, :])[0])[:8]
    rising = np.linspace(-4, 6, 8, dtype=np.float32)[None, :]
    told = model.predict(lone, new.astype(np.int32)[None, :], rising)[0]
    assert (np.diff(told) >= 0).all()
