"""What can learn an amount from feature rows, and what does a contest of them show?"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.churn.value.buy_till_you_die import BuyTillYouDieAmounts
from mlmarket.churn.value.contest import (
    AmountCandidates,
    Exam,
    Season,
    hold_amount_contest,
)
from mlmarket.churn.value.fitted import decile_edges, deciles_of
from mlmarket.churn.value.hurdle import Hurdle, LogLine
from mlmarket.churn.value.learners import (
    Lesson,
    MeanOf,
    PastRate,
    RfmAmounts,
    kept_from_outliers,
    restore_part,
    save_part,
)
from mlmarket.churn.value.model import value_blend
from mlmarket.churn.value.study import year_before
from mlmarket.churn.value.trees import AmountTrees
from mlmarket.errors import DataContractError
from mlmarket.evaluation import normalised_gini, total_bias
from mlmarket.prediction.training import TrainingPlan

MAKERS = {
    "past_rate": lambda: PastRate("net_order_total_365d"),
    "rfm_cells": RfmAmounts,
    "tweedie_trees": lambda: AmountTrees("tweedie"),
    "poisson_trees": lambda: AmountTrees("poisson"),
    "hurdle": Hurdle,
    "value_blend": value_blend,
    "buy_till_you_die": lambda: BuyTillYouDieAmounts(timedelta(days=60)),
    "buy_till_you_die orders": lambda: BuyTillYouDieAmounts(timedelta(days=60), of_value=False),
}


def world(seed, people=600, *, informative=True):
    """Return what is known of people, and what they are worth after: a Poisson number of Gammas."""
    draw = np.random.default_rng(seed)
    rate, size = draw.gamma(0.8, 0.03, people), draw.gamma(4.0, 10.0, people)
    known = draw.uniform(30.0, 300.0, people)
    repeats = draw.poisson(rate * known)
    # The last of n moments that are spread evenly.
    last = draw.uniform(0.0, 1.0, people) ** (1.0 / np.maximum(repeats, 1))
    recency = np.where(repeats > 0, known * (1.0 - last), known)
    total = draw.gamma(3.0 * (1 + repeats), size / 3.0)
    in_year = total * np.minimum(365.0 / np.maximum(known, 1.0), 1.0)
    features = pd.DataFrame(
        {
            "order_recency": recency,
            "order_first_touch": known,
            "order_days_active": 1.0 + repeats,
            "order_total": total,
            "net_order_total": total,
            "net_order_total_365d": in_year,
            "country": draw.choice(["PT", "ES", None], people),
        }
    )
    next_ones = draw.poisson(rate * 60.0 if informative else np.full(people, 1.0))
    amount = np.where(next_ones > 0, draw.gamma(3.0 * np.maximum(next_ones, 1), size / 3.0), 0.0)
    if not informative:
        amount = draw.permutation(amount)
    return features, amount


def lesson(seed=0, **options):
    features, amount = world(seed, **options)
    return Lesson(features, amount, features)


@pytest.fixture(scope="module")
def fitted():
    return {name: make().fit(lesson()) for name, make in MAKERS.items()}


@pytest.mark.parametrize("name", [name for name in MAKERS if "poisson" not in name])
def test_every_learner_finds_the_order_and_the_level(fitted, name):
    features, amount = world(1, 3000)
    said = fitted[name].predict(features)
    assert normalised_gini(amount, said) > 0.3
    if "orders" not in name:
        assert abs(total_bias(amount, said)) < 0.35


@pytest.mark.parametrize("name", MAKERS)
def test_a_saved_learner_says_the_same(fitted, name, tmp_path):
    features, _ = world(2)
    save_part(fitted[name], tmp_path, "value")
    restored = MAKERS[name]()
    restore_part(restored.restore, tmp_path, "value")
    np.testing.assert_array_equal(restored.predict(features), fitted[name].predict(features))
    assert all(path.name.startswith("value.") for path in tmp_path.iterdir())


_NUMBERS = st.one_of(st.floats(-1e9, 1e9), st.sampled_from([np.nan, 0.0, 1.0, 1e300, -1e300]))


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.lists(_NUMBERS, min_size=6, max_size=6), min_size=1, max_size=4))
def test_no_amount_is_below_zero_or_missing(fitted, name, rows):
    frame = pd.DataFrame(rows, columns=list(world(0, 2)[0].columns[:6]))
    frame["country"] = pd.Series(["PT", None, "XX", "ES"][: len(frame)], dtype=object)
    said = fitted[name].predict(frame)
    assert np.isfinite(said).all()
    assert (said >= 0.0).all()
    alone = [fitted[name].predict(frame.iloc[[place]])[0] for place in range(len(frame))]
    np.testing.assert_array_equal(said, alone)


def test_a_single_mistyped_order_moves_nobody_else_by_much():
    features, amount = world(3)
    wrong = amount.copy()
    wrong[np.flatnonzero(amount > 0)[0]] = 1e9
    for name in ("past_rate", "rfm_cells", "tweedie_trees", "hurdle", "value_blend"):
        before = MAKERS[name]().fit(Lesson(features, amount, features)).predict(features)
        after = MAKERS[name]().fit(Lesson(features, wrong, features)).predict(features)
        assert after.sum() < 1.6 * before.sum()


def test_outliers_are_those_far_beyond_the_highest_hundredth():
    amount = np.concatenate([np.zeros(100), np.linspace(1.0, 100.0, 200), [5e6]])
    kept = kept_from_outliers(amount)
    assert kept.max() < 1000.0
    np.testing.assert_array_equal(kept[:-1], amount[:-1])
    assert kept_from_outliers(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_the_currency_does_not_matter():
    features, amount = world(4)
    money = [name for name in features if "total" in name]
    cents = features.assign(**{name: features[name] * 100 for name in money})
    for name in ("past_rate", "tweedie_trees"):
        euros = MAKERS[name]().fit(Lesson(features, amount, features)).predict(features)
        in_cents = MAKERS[name]().fit(Lesson(cents, amount * 100, cents)).predict(cents)
        np.testing.assert_allclose(in_cents, euros * 100, rtol=0.02)


def test_the_line_is_that_of_ridge_regression():
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.gamma(2.0, 30.0, (200, 3)), columns=["a", "b", "c"])
    target = np.log1p(frame["a"]) + draw.normal(0, 0.1, 200)
    logs = StandardScaler().fit_transform(np.log1p(frame))
    expected = Ridge(alpha=30.0).fit(logs, target).predict(logs)
    said = LogLine(strength=30.0).learn(frame, target.to_numpy()).predict(frame)
    np.testing.assert_allclose(said, expected, atol=0.02)


def test_where_everybody_buys_the_hurdle_is_no_obstacle(tmp_path):
    features, _ = world(5)
    noise = np.random.default_rng(5).normal(0.0, 0.8, len(features))
    amount = np.exp(3.0 + 0.3 * np.log(features["order_days_active"]) + noise)
    learner = Hurdle().fit(Lesson(features, amount.to_numpy(), features))
    said = learner.predict(features)
    assert total_bias(amount, said) == pytest.approx(0.0, abs=0.05)
    learner.save(tmp_path)
    np.testing.assert_array_equal(Hurdle().restore(tmp_path).predict(features), said)


def test_too_few_who_bought_again_are_refused_by_buy_till_you_die():
    features, amount = world(6)
    once = features.assign(order_days_active=1.0)
    with pytest.raises(DataContractError, match="Only 0 contacts bought again, 20 are needed"):
        BuyTillYouDieAmounts(timedelta(days=60)).fit(Lesson(once, amount, once))
    worthless = features.assign(net_order_total=-5.0)
    with pytest.raises(DataContractError, match="bought for more than came back"):
        BuyTillYouDieAmounts(timedelta(days=60)).fit(Lesson(worthless, amount, worthless))


def test_the_mean_lies_between_its_parts(fitted):
    features, _ = world(7)
    blend = fitted["value_blend"]
    assert isinstance(blend, MeanOf)
    parts = [part.predict(features) for part in blend.parts.values()]
    said = blend.predict(features)
    assert (said >= np.minimum(*parts) - 1e-9).all()
    assert (said <= np.maximum(*parts) + 1e-9).all()


class Says:
    """Expects what it was told to, whatever it learned."""

    def __init__(self, name, column):
        self.name, self.column = name, column

    def fit(self, _lesson):
        if self.column is None:
            raise DataContractError("There is too little.", "Nothing can be said.", "wait.")
        return self

    def predict(self, features):
        return features[self.column].to_numpy(dtype=float)


def exams(seed=0, *, origins=3, season=None, level=1.0, **options):
    """Return exams whose answers stand in the columns: the truth, a noisy one, and a constant."""
    found = []
    for place in range(origins):
        draw = np.random.default_rng([seed, place])
        _, amount = world([seed, place], **options)
        truth = amount.copy()
        draw.shuffle(truth)
        columns = {
            "sharp": level * (0.7 * amount + 0.3 * amount.mean()),
            "dull": level * (0.4 * amount + 0.6 * amount.mean()),
            "same": np.full(len(amount), amount.mean()),
            "noise": amount.mean() * draw.gamma(4.0, 0.25, len(amount)),
        }
        frame = pd.DataFrame(columns)
        ids = np.array([f"c{i}" for i in range(len(amount))], dtype=object)
        then = None if season is None else Season(frame, amount * season)
        origin = datetime(2026, 1 + place, 1, tzinfo=UTC)
        found.append(Exam(origin, Lesson(frame, amount, frame), ids, amount, then))
    return found


def _candidates(challengers, baselines):
    def makers(names):
        return {
            name: lambda name=name: Says(name, None if name == "absent" else name) for name in names
        }

    return AmountCandidates(makers(challengers), makers(baselines))


def test_a_challenger_that_saves_deviance_beyond_doubt_is_used():
    contest = hold_amount_contest(exams(), _candidates(["sharp", "noise"], ["same", "dull"]))
    assert (contest.baseline, contest.challenger, contest.chosen) == ("dull", "sharp", "sharp")
    assert contest.gain.low > 0
    assert {score.model for score in contest.scores()} == {"sharp", "noise", "same", "dull"}
    assert len(contest.totals()) == 3


def test_a_better_challenger_takes_the_place_of_the_default_one():
    contest = hold_amount_contest(exams(), _candidates(["dull", "sharp"], ["same"]))
    assert contest.challenger == contest.chosen == "sharp"


@pytest.mark.parametrize("seed", range(4))
def test_noise_never_takes_the_place_of_the_same_for_everybody(seed):
    contest = hold_amount_contest(exams(seed), _candidates(["noise"], ["same"]))
    assert contest.chosen == "same"


def test_less_deviance_with_a_worse_order_is_not_enough():
    # The level is right, but everybody is the same: order is lost against a rule that is too low.
    low = exams(level=0.15)
    contest = hold_amount_contest(low, _candidates(["same"], ["sharp"]))
    assert contest.gini_gain < 0
    assert contest.chosen == "sharp"


def test_who_cannot_learn_is_left_out_with_the_reason():
    contest = hold_amount_contest(exams(), _candidates(["absent", "sharp"], ["same"]))
    assert contest.chosen == "sharp"
    assert contest.absent == (("absent", "There is too little."),)
    alone = hold_amount_contest(exams(), _candidates(["absent"], ["same"]))
    assert alone.chosen == alone.baseline == alone.challenger == "same"


def test_where_nothing_was_bought_there_is_no_contest():
    one = exams(origins=1)[0]
    bare = Exam(one.origin, one.lesson, one.contact_id, np.zeros(len(one.amount)), None)
    assert hold_amount_contest([bare], _candidates(["sharp"], ["same"])) is None


def test_the_season_corrects_totals_where_it_brought_them_nearer():
    # A year ago the same window lay 25 % above what the model says, and it does so again.
    seasonal = exams(level=0.8, season=1.0)
    contest = hold_amount_contest(seasonal, _candidates(["sharp"], ["same"]))
    assert contest.seasonal
    for total in contest.totals():
        assert total.expected == pytest.approx(total.observed, rel=0.02)


def test_the_season_is_left_alone_where_it_would_lead_astray():
    contest = hold_amount_contest(exams(season=1.5), _candidates(["sharp"], ["same"]))
    assert not contest.seasonal
    assert contest.folds[0].seasons["sharp"] == pytest.approx(1.5, rel=0.01)


def test_one_origin_with_a_year_before_it_is_not_enough_for_a_season():
    seasonal = exams(level=0.8, season=1.0, origins=1)
    assert not hold_amount_contest(seasonal, _candidates(["sharp"], ["same"])).seasonal


def test_a_season_is_never_stronger_than_a_factor_of_two():
    frame, amount = world(8)
    season = Season(frame.assign(same=1.0), amount)
    assert season.factor(Says("same", "same")) == 2.0
    assert season.factor(Says("same", "order_days_active")) <= 2.0
    assert Season(frame.assign(same=0.0), amount).factor(Says("same", "same")) == 1.0


@pytest.mark.parametrize(
    ("horizon", "days", "supported"),
    [(90, 454, False), (90, 455, True), (365, 729, False), (365, 730, True), (366, 2000, False)],
)
def test_a_season_needs_a_year_and_the_horizon(horizon, days, supported):
    first = datetime(2024, 1, 1, tzinfo=UTC)
    span = timedelta(days=horizon)
    plan = TrainingPlan(span, timedelta(days=30), first, (), (first,), 12)
    origin = first + timedelta(days=days)
    found = year_before(plan, origin)
    assert found == (origin - timedelta(days=365) if supported else None)


def test_tenths_are_of_equal_size_where_all_differ():
    value = np.random.default_rng(0).gamma(1.0, 50.0, 1000)
    tenths = deciles_of(value, decile_edges(value))
    assert [int((tenths == one).sum()) for one in range(1, 11)] == [100] * 10
    assert tenths[np.argmax(value)] == 1


def test_under_a_rule_that_tells_nobody_apart_everybody_is_in_the_middle():
    edges = decile_edges(np.full(50, 7.0))
    assert deciles_of(np.array([6.9, 7.0, 7.1]), edges).tolist() == [10.0, 6.0, 1.0]
