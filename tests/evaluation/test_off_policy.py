import warnings

import numpy as np
import pandas as pd
import pytest

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.evaluation.off_policy import (
    FewEffectiveSlotsWarning,
    LoggedSlots,
    doubly_robust,
    inverse_propensity,
    same_place,
    self_normalised,
)

CLICKS = np.array([[0.30, 0.10, 0.05], [0.05, 0.20, 0.40]])
"""Chance of a click by kind of person and item."""
SHOWN = np.array([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2]])
"""Chance with which the log shows each item to each kind."""
WANTED = np.array([[0.1, 0.1, 0.8], [0.0, 0.3, 0.7]])
"""The other policy."""
TRUTH = float((0.5 * WANTED * CLICKS).sum())


def world(seed, messages=400, slots=2):
    """Return slots of messages and the chances of the other policy; a recipient's slots resemble each other."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(rng.integers(0, 2, messages), slots)
    draw = rng.random(kind.size)[:, None]
    item = (draw > np.cumsum(SHOWN[kind], axis=1)).sum(axis=1)
    reward = (rng.random(kind.size) < CLICKS[kind, item]).astype(float)
    logged = LoggedSlots(reward, SHOWN[kind, item], np.repeat(np.arange(messages), slots))
    return logged, WANTED[kind, item], kind, item


def estimates(seed):
    logged, target, kind, item = world(seed)
    wrong_model = 0.5 * CLICKS + 0.1
    options = {"n_resamples": 300, "random_state": seed}
    return {
        "ips": inverse_propensity(logged, target, **options),
        "snips": self_normalised(logged, target, **options),
        "dr": doubly_robust(
            logged,
            target,
            predicted=wrong_model[kind, item],
            predicted_target=(WANTED * wrong_model).sum(axis=1)[kind],
            **options,
        ),
    }


@pytest.fixture(scope="module")
def many():
    return [estimates(seed) for seed in range(250)]


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_the_true_reward_is_met_on_average(many, name):
    values = np.array([one[name].value.value for one in many])
    assert abs(values.mean() - TRUTH) < 3 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_the_interval_holds_the_truth_as_often_as_it_says(many, name):
    held = np.mean([one[name].value.contains(TRUTH) for one in many])
    assert 0.90 <= held <= 0.985


def test_weights_are_one_on_average_where_the_chances_are_right(many):
    assert np.mean([one["ips"].mean_weight.contains(1.0) for one in many]) > 0.9


def test_a_model_takes_noise_away():
    logged, target, kind, item = world(0, messages=4000)
    plain = inverse_propensity(logged, target, random_state=0).value
    helped = doubly_robust(
        logged,
        target,
        predicted=CLICKS[kind, item],
        predicted_target=(WANTED * CLICKS).sum(axis=1)[kind],
        random_state=0,
    ).value
    assert helped.high - helped.low < 0.95 * (plain.high - plain.low)


def test_a_right_model_mends_wrong_chances():
    logged, target, kind, item = world(1, messages=20_000)
    wrong = LoggedSlots(logged.reward, np.full(len(logged), 1 / 3), logged.group)
    other = (WANTED * CLICKS).sum(axis=1)[kind]
    found = doubly_robust(
        wrong, target, predicted=CLICKS[kind, item], predicted_target=other, random_state=0
    )
    assert found.value.contains(TRUTH)
    misled = inverse_propensity(wrong, target, random_state=0)
    assert not misled.value.contains(TRUTH)
    assert any("logged chances are not those" in limit for limit in misled.limits)


def test_the_policy_that_was_run_earns_what_it_earned():
    logged, *_ = world(2)
    found = inverse_propensity(logged, logged.propensity, random_state=0)
    assert found.value.value == pytest.approx(logged.reward.mean())
    assert found.gain.value == pytest.approx(0.0)
    assert found.gain.high == pytest.approx(0.0)
    assert found.effective_slots == pytest.approx(len(logged))


def test_three_slots_counted_by_hand():
    logged = LoggedSlots(np.array([1.0, 0.0, 2.0]), np.array([0.5, 0.25, 1.0]), np.arange(3))
    with pytest.warns(FewEffectiveSlotsWarning):
        ips = inverse_propensity(logged, [0.5, 0.5, 0.0], random_state=0)
    with pytest.warns(FewEffectiveSlotsWarning):
        snips = self_normalised(logged, [0.5, 0.5, 0.0], random_state=0)
    with pytest.warns(FewEffectiveSlotsWarning):
        cut = inverse_propensity(logged, [0.5, 0.5, 0.0], clip=1.5, random_state=0)
    # weights 1, 2 and 0
    assert ips.value.value == pytest.approx(1 / 3)
    assert snips.value.value == pytest.approx(1 / 3)
    assert ips.effective_slots == pytest.approx(9 / 5)
    assert ips.largest_share == pytest.approx(2 / 3)
    assert ips.matching == 2
    assert cut.clipped == 1
    assert cut.effective_slots == pytest.approx(2.5**2 / (1 + 1.5**2))
    assert any("were cut" in limit for limit in cut.limits)


def test_self_normalised_values_move_with_the_rewards():
    logged, target, *_ = world(3)
    moved = LoggedSlots(logged.reward + 5.0, logged.propensity, logged.group)
    before = self_normalised(logged, target, random_state=0).value
    after = self_normalised(moved, target, random_state=0).value
    assert after.value == pytest.approx(before.value + 5.0)
    assert after.low == pytest.approx(before.low + 5.0)


def test_weights_that_rest_on_few_slots_are_warned_of():
    rng = np.random.default_rng(4)
    logged = LoggedSlots(rng.random(5000), np.full(5000, 0.5), np.arange(5000))
    target = np.zeros(5000)
    target[:30] = 1.0
    with pytest.warns(FewEffectiveSlotsWarning, match="only as much as 30"):
        found = self_normalised(logged, target, random_state=0)
    assert "30.0 of equal weight" in found._repr_html_()


def test_enough_slots_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimates(5)


@pytest.mark.parametrize(
    ("propensity", "told"),
    [
        (float("nan"), "without a propensity"),
        (0.0, r"outside \(0, 1\]"),
        (-0.1, "such as -0.1 in row 1"),
        (1.1, r"outside \(0, 1\]"),
    ],
)
def test_a_chance_that_is_none_is_refused(propensity, told):
    with pytest.raises(DataContractError, match=told) as raised:
        LoggedSlots(np.ones(3), np.array([0.5, propensity, 0.5]), np.arange(3))
    assert str(raised.value).count("\n") == 2
    assert "\nFix: " in str(raised.value)


def test_slots_are_read_from_a_frame():
    frame = pd.DataFrame(
        {
            "message_id": ["m1", "m1", "m2"],
            "position": [1, 2, 1],
            "item_id": ["a", "b", "a"],
            "propensity": [0.5, 0.25, 0.5],
            "clicked": [True, False, True],
        }
    )
    logged = LoggedSlots.from_frame(frame, reward="clicked")
    assert logged.reward.tolist() == [1.0, 0.0, 1.0]
    assert logged.group.tolist() == ["m1", "m1", "m2"]
    with pytest.raises(ConfigurationError, match="did you mean 'clicked'"):
        LoggedSlots.from_frame(frame, reward="clickd")
    with pytest.raises(ConfigurationError, match="which is no number"):
        LoggedSlots.from_frame(frame.assign(clicked=["y", "n", "y"]), reward="clicked")
    with pytest.raises(DataContractError, match="1 of 3 rows without a propensity"):
        LoggedSlots.from_frame(frame.assign(propensity=[0.5, None, 0.5]), reward="clicked")
    with pytest.raises(DataContractError, match="without a reward"):
        LoggedSlots.from_frame(frame.assign(clicked=[1.0, None, 0.0]), reward="clicked")


def test_a_policy_without_chance_agrees_where_it_shows_the_same_item_in_the_same_place():
    lists = [[3, 5], [3, 5], [3, 5], [3, -1]]
    assert same_place(lists, [3, 3, 9, 5], [1, 2, 1, 7]).tolist() == [1.0, 0.0, 0.0, 0.0]
    with pytest.raises(ConfigurationError, match="do not make slots"):
        same_place(lists, [3, 3, 9, 5], [0, 2, 1, 1])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"target": [1.0, 0.0]}, "'target'"),
        ({"target": [1.0, 0.0, 1.5]}, "outside 0 to 1"),
        ({"target": [0.0, 0.0, 0.0]}, "says nothing"),
        ({"clip": 0.0}, "'clip'"),
        ({"predicted": [1.0, 0.0]}, "'predicted'"),
        ({"predicted_target": [1.0, 0.0, float("nan")]}, "'predicted_target'"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(change, told):
    logged = LoggedSlots(np.ones(3), np.full(3, 0.5), np.arange(3))
    plain = {"target": np.ones(3), "predicted": np.ones(3), "predicted_target": np.ones(3)}
    with pytest.raises(ConfigurationError, match=told):
        doubly_robust(logged, **{**plain, **change}, random_state=0)


def test_slots_of_different_length_are_refused():
    with pytest.raises(ConfigurationError, match="1 rewards, 2 propensities"):
        LoggedSlots(np.ones(1), np.ones(2), np.arange(2))
    with pytest.raises(ConfigurationError, match="must be a slot"):
        LoggedSlots(np.empty(0), np.empty(0), np.empty(0))
