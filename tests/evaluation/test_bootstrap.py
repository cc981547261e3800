from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import (
    Interval,
    average_precision,
    bootstrap,
    brier_score,
    expected_calibration_error,
    lift,
    log_loss,
    paired_difference,
    roc_auc,
)

ALL = [log_loss, brier_score, roc_auc, expected_calibration_error, average_precision, lift]


def shop(seed, contacts=200, origins=3):
    """Contacts seen at several origins, whose own leaning no prediction knows."""
    rng = np.random.default_rng(seed)
    contact = np.repeat(np.arange(contacts), origins)
    known = rng.normal(-1.5, 1.0, contacts)[contact] + rng.normal(0.0, 0.5, contact.size)
    leaning = rng.normal(0.0, 1.0, contacts)[contact]
    y = (rng.random(contact.size) < expit(known + leaning)).astype(int)
    return y, expit(known), np.char.add("c-", contact.astype(str))


def brute_force(statistic, groups, n_resamples, seed):
    """Redraw contacts by copying their rows, the slow and obvious way."""
    rng = np.random.default_rng(seed)
    names = np.unique(groups)
    rows_of = [np.flatnonzero(groups == name) for name in names]
    samples = []
    for _ in range(n_resamples):
        drawn = rng.integers(names.size, size=names.size)
        samples.append(statistic(np.concatenate([rows_of[number] for number in drawn])))
    return np.array(samples)


@pytest.mark.parametrize("metric", [log_loss, brier_score, average_precision, lift])
def test_bounds_are_those_of_copied_rows(metric):
    y, p, groups = shop(0)
    samples = brute_force(lambda rows: metric(y[rows], p[rows]), groups, 300, 7)
    interval = bootstrap(metric, y, p, groups=groups, n_resamples=300, random_state=7)
    assert interval.value == metric(y, p)
    assert [interval.low, interval.high] == pytest.approx(
        np.quantile(samples, [0.025, 0.975]), rel=1e-9
    )


@pytest.mark.parametrize("metric", [log_loss, brier_score, average_precision])
def test_bounds_of_a_difference_are_those_of_copied_rows(metric):
    y, p, groups = shop(1)
    q = np.full(y.size, y.mean())
    samples = brute_force(
        lambda rows: metric(y[rows], p[rows]) - metric(y[rows], q[rows]), groups, 200, 7
    )
    interval = paired_difference(
        metric, y, p, q, groups=groups, level=0.8, n_resamples=200, random_state=7
    )
    assert interval.value == pytest.approx(metric(y, p) - metric(y, q))
    assert [interval.low, interval.high] == pytest.approx(
        np.quantile(samples, [0.1, 0.9]), rel=1e-9
    )


def test_the_spread_of_the_auc_is_that_of_copied_rows():
    y, p, groups = shop(2)
    samples = brute_force(lambda rows: roc_auc(y[rows], p[rows]), groups, 400, 7)
    interval = bootstrap(roc_auc, y, p, groups=groups, level=0.6827, random_state=0)
    assert interval.value == pytest.approx(roc_auc(y, p))
    assert (interval.high - interval.low) / 2 == pytest.approx(samples.std(), rel=0.15)


def test_the_spread_of_a_difference_of_aucs_is_that_of_copied_rows():
    y, p, groups = shop(3)
    q = expit(np.log(p) + np.random.default_rng(3).normal(0, 1, p.size))
    samples = brute_force(
        lambda rows: roc_auc(y[rows], p[rows]) - roc_auc(y[rows], q[rows]),
        groups,
        400,
        7,
    )
    interval = paired_difference(roc_auc, y, p, q, groups=groups, level=0.6827, random_state=0)
    assert (interval.high - interval.low) / 2 == pytest.approx(samples.std(), rel=0.15)


def test_without_groups_the_auc_has_the_interval_of_delong():
    y, p, _ = shop(4, contacts=40)
    positives, negatives = p[y == 1], p[y == 0]
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    variance = (
        wins.mean(axis=1).var(ddof=1) / positives.size
        + wins.mean(axis=0).var(ddof=1) / negatives.size
    )
    auc = wins.mean()
    reach = 1.959963984540054 * np.sqrt(variance) / (auc * (1 - auc))
    interval = bootstrap(roc_auc, y, p, random_state=0)
    assert interval.low == pytest.approx(expit(np.log(auc / (1 - auc)) - reach))
    assert interval.high == pytest.approx(expit(np.log(auc / (1 - auc)) + reach))


def test_intervals_over_contacts_hold_the_truth_as_often_as_they_say():
    y, p, _ = shop(99, contacts=100_000)
    truth = {metric: metric(y, p) for metric in (log_loss, roc_auc)}
    for metric, value in truth.items():
        shops = [shop(seed) for seed in range(150)]
        held = [
            bootstrap(metric, y, p, groups=groups, n_resamples=200, random_state=5).contains(value)
            for y, p, groups in shops
        ]
        assert 0.9 <= np.mean(held) <= 0.99


def test_contacts_seen_often_make_the_interval_wider_than_rows_would():
    y, p, groups = shop(5)
    y, p, groups = np.tile(y, 4), np.tile(p, 4), np.tile(groups, 4)
    for metric in (log_loss, roc_auc):
        over_contacts = bootstrap(metric, y, p, groups=groups, random_state=0)
        over_rows = bootstrap(metric, y, p, random_state=0)
        assert over_contacts.high - over_contacts.low > 1.5 * (over_rows.high - over_rows.low)


def calibrated(seed, size):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, size)
    return (rng.random(size) < p).astype(int), p


def test_the_calibration_error_of_a_perfect_model_may_be_zero_though_its_value_never_is():
    intervals = [
        bootstrap(
            expected_calibration_error, *calibrated(seed, 800), n_resamples=100, random_state=0
        )
        for seed in range(60)
    ]
    assert all(interval.value > 0.0 for interval in intervals)
    assert np.mean([interval.contains(0.0) for interval in intervals]) >= 0.9


def test_the_interval_of_a_calibration_error_holds_the_truth_of_a_shifted_model():
    _, p = calibrated(99, 200_000)
    truth = np.abs(np.sqrt(p) - p).mean()
    held = []
    for seed in range(60):
        y, p = calibrated(seed, 800)
        interval = bootstrap(
            expected_calibration_error, y, np.sqrt(p), n_resamples=100, random_state=0
        )
        held.append(interval.contains(truth))
    assert np.mean(held) >= 0.88


def test_a_model_that_is_calibrated_beats_one_that_is_not():
    y, p, groups = shop(6, contacts=600)
    interval = paired_difference(
        expected_calibration_error, y, p, np.sqrt(p), groups=groups, random_state=0
    )
    assert interval.high < 0.0


def test_another_number_of_bins_is_asked_for_with_a_partial():
    y, p, groups = shop(7)
    few = partial(expected_calibration_error, n_bins=5)
    interval = bootstrap(few, y, p, groups=groups, random_state=0)
    assert interval.value == expected_calibration_error(y, p, n_bins=5)
    assert interval.low <= interval.value <= interval.high
    usual = partial(expected_calibration_error, n_bins=15)
    assert bootstrap(usual, y, p, random_state=0) == bootstrap(
        expected_calibration_error, y, p, random_state=0
    )


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.__name__)
def test_a_seed_repeats_the_interval_and_the_order_of_rows_does_not_change_it(metric):
    y, p, groups = shop(8, contacts=80)
    arguments = {"n_resamples": 50, "random_state": 3}
    interval = bootstrap(metric, y, p, groups=groups, **arguments)
    assert bootstrap(metric, y, p, groups=groups, **arguments) == interval
    order = np.random.default_rng(0).permutation(y.size)
    moved = bootstrap(metric, y[order], p[order], groups=groups[order], **arguments)
    assert [moved.low, moved.high] == pytest.approx([interval.low, interval.high], rel=1e-9)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.__name__)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_prediction_does_not_differ_from_itself(metric, seed):
    y, p, groups = shop(seed, contacts=30)
    interval = paired_difference(metric, y, p, p, groups=groups, n_resamples=20, random_state=0)
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.0, 0.0, 0.0))


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.__name__)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_bounds_are_in_order_and_possible(metric, seed):
    y, p, groups = shop(seed, contacts=40)
    interval = bootstrap(metric, y, p, groups=groups, n_resamples=40, random_state=0)
    assert 0.0 <= interval.low <= interval.high
    if metric not in (log_loss, lift):
        assert interval.high <= 1.0


def test_a_generator_is_drawn_from_and_moves_on():
    y, p, _ = shop(9, contacts=50)
    generator = np.random.default_rng(1)
    first = bootstrap(log_loss, y, p, n_resamples=50, random_state=generator)
    second = bootstrap(log_loss, y, p, n_resamples=50, random_state=generator)
    assert first == bootstrap(log_loss, y, p, n_resamples=50, random_state=1)
    assert first != second


def test_an_undefined_measure_has_an_undefined_interval_that_proves_nothing():
    for interval in (
        bootstrap(roc_auc, [0, 0, 0], [0.1, 0.2, 0.3], random_state=0),
        paired_difference(roc_auc, [0, 0], [0.1, 0.2], [0.2, 0.1], random_state=0),
        bootstrap(average_precision, [0, 0], [0.1, 0.2], random_state=0),
    ):
        assert np.isnan([interval.value, interval.low, interval.high]).all()
        assert interval.contains(0.0)


def test_one_positive_contact_says_nothing_about_the_spread_of_the_auc():
    interval = bootstrap(roc_auc, [1, 0, 0, 0], [0.3, 0.1, 0.2, 0.4], random_state=0)
    assert interval.value == pytest.approx(2 / 3)
    assert np.isnan([interval.low, interval.high]).all()


def test_draws_without_a_positive_are_left_out_unless_they_are_most():
    y, p = [1, 0, 0, 0, 0, 0], [0.3, 0.1, 0.2, 0.4, 0.1, 0.1]
    few = bootstrap(average_precision, y, p, random_state=0)
    assert 0.0 < few.low < few.high <= 1.0
    whole = np.zeros(12)
    whole[0] = 1
    lone = bootstrap(
        average_precision, whole, np.linspace(0, 1, 12), groups=[0] + [1] * 11, random_state=0
    )
    assert lone.value > 0.0


def test_a_perfect_order_has_an_interval_of_no_width():
    interval = bootstrap(roc_auc, [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], random_state=0)
    assert interval == Interval(1.0, 1.0, 1.0, 0.95)


def test_an_interval_holds_its_bounds():
    interval = Interval(value=0.5, low=0.4, high=0.6, level=0.95)
    assert interval.contains(0.4)
    assert interval.contains(0.6)
    assert not interval.contains(0.61)
    assert not interval.contains(0.39)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"level": 95}, "'level' is 95"), ({"n_resamples": 0}, "'n_resamples' is 0")],
)
def test_impossible_settings_are_refused(change, word):
    with pytest.raises(ConfigurationError, match=word):
        bootstrap(log_loss, [0, 1], [0.1, 0.2], random_state=0, **change)
