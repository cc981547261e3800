"""Whether the model is used only where it earned it."""

from dataclasses import replace

import numpy as np
import pytest

from mlmarket.evaluation import expected_calibration_error
from mlmarket.prediction import MODEL_NAMES
from mlmarket.prediction.contest import Candidates, run_contest
from mlmarket.prediction.learner import BaseRate, Blend
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.target import blend
from mlmarket.prediction.trees import BoostedTrees
from mlmarket.prediction.words import gain_in_words, limits_in_words


def _blend():
    return Blend([BoostedTrees(trees=40, rows_a_leaf=30), LogisticModel(strength=30.0)])


CANDIDATES = Candidates({"blend": _blend}, {"base_rate": BaseRate})


class Hindsight:
    """A model that is certain, and wrong half of the time."""

    name = "hindsight"

    def fit(self, _features, _label):
        return self

    def predict(self, features):
        return np.where(features["x"] > 0, 0.999, 0.001)


@pytest.mark.parametrize("seed", range(6))
def test_where_there_is_nothing_to_know_the_baseline_is_used(simulated_past, plan, seed):
    contest = run_contest(simulated_past(seed=seed, slope=0.0), plan, CANDIDATES)
    assert contest.chosen == "base_rate"
    assert contest.gain.low <= 0.0
    words = gain_in_words(contest)
    assert words.startswith(f"Used is {MODEL_NAMES['base_rate']}")
    assert "does not beat it" in words


def test_labels_dealt_out_among_contacts_teach_nothing(simulated_past, plan):
    past = simulated_past(seed=3, slope=2.0)
    honest = past.one

    def shuffled(cutoff):
        rows = honest(cutoff)
        order = np.random.default_rng(cutoff.toordinal()).permutation(len(rows))
        return type(rows)(rows.features, rows.label[order], rows.contact_id)

    assert run_contest(past, plan, CANDIDATES).chosen == "blend"
    past.one = shuffled
    assert run_contest(past, plan, CANDIDATES).chosen == "base_rate"


def test_a_model_that_is_sure_and_wrong_is_never_used(simulated_past, plan):
    past = simulated_past(seed=0, slope=0.0)
    contest = run_contest(past, plan, Candidates({"hindsight": Hindsight}, {"base_rate": BaseRate}))
    assert contest.chosen == "base_rate"


def test_the_chosen_model_is_right_about_numbers(simulated_past, plan):
    past = simulated_past(seed=5, slope=1.5, people=2500)
    contest = run_contest(past, plan, Candidates({"blend": blend}, {"base_rate": BaseRate}))
    assert contest.chosen == "blend"
    for fold in contest.folds:
        month = (fold.origin - plan.cutoffs[0]) // plan.step
        truth = past.truth(month, past.one(fold.origin).features["x"].to_numpy())
        predicted = fold.predicted["blend"]
        standard_error = np.sqrt((truth * (1 - truth)).mean() / truth.size)
        assert abs(predicted.mean() - truth.mean()) < 4 * standard_error
        assert np.abs(predicted - truth).mean() < 0.05
        assert expected_calibration_error(fold.label, predicted) < 0.05
    for total in contest.totals():
        assert abs(total.expected - total.observed) < 4 * np.sqrt(total.own_chance)


def test_correcting_the_model_is_tried_and_used_where_it_pays(simulated_past, plan):
    drifting = simulated_past(seed=2, slope=1.5, drift=-0.5, people=1500)
    contest = run_contest(drifting, plan, CANDIDATES)
    assert contest.calibrated
    assert contest.calibrator.predict([0.5])[0] < 0.5
    assert "corrected by what happened" in gain_in_words(contest)
    steady = run_contest(simulated_past(seed=2, slope=1.5), plan, CANDIDATES)
    assert not steady.calibrated
    assert steady.calibrator.predict([0.3]).tolist() == [0.3]


def test_at_an_origin_only_windows_that_were_closed_and_known_then_are_learned(
    simulated_past, plan
):
    past = simulated_past(seed=0, slope=1.0)
    run_contest(past, plan, Candidates({"base_rate": BaseRate}, {"base_rate": BaseRate}))
    learned = [(cutoff, known) for cutoff, known in past.asked if known is not None]
    judged = {cutoff for cutoff, known in past.asked if known is None}
    assert judged == set(plan.origins)
    assert {known for _, known in learned} == set(plan.origins)
    assert all(cutoff + plan.horizon <= known for cutoff, known in learned)


def test_an_origin_with_one_class_only_is_not_judged(simulated_past, plan):
    past = simulated_past(seed=0, slope=1.0)
    honest = past.one

    def nobody_at_the_last(cutoff):
        rows = honest(cutoff)
        label = rows.label * np.int8(cutoff != plan.origins[-1])
        return type(rows)(rows.features, label, rows.contact_id)

    past.one = nobody_at_the_last
    contest = run_contest(past, plan, CANDIDATES)
    assert [fold.origin for fold in contest.folds] == list(plan.origins[:-1])
    past.one = lambda cutoff: type(honest(cutoff))(
        honest(cutoff).features, np.ones(800, np.int8), honest(cutoff).contact_id
    )
    assert run_contest(past, plan, CANDIDATES) is None


def test_the_limits_name_what_the_reader_should_not_conclude(simulated_past, plan):
    contest = run_contest(simulated_past(seed=0, slope=0.0), plan, CANDIDATES)
    limits = limits_in_words(contest, plan, 0.25, (("owner", "looks like an outcome"),))
    text = " ".join(limits)
    assert "150 days, less than a year" in text
    assert "missed by about 25%" in text
    assert "'owner' was not used: it looks like an outcome." in text
    assert limits[-1] == "It says who is likely to act, not whom a message would move."


def test_a_contest_judged_on_few_people_says_so(simulated_past, plan):
    contest = run_contest(simulated_past(seed=0, slope=1.0), plan, CANDIDATES)
    folds = tuple(
        replace(fold, contact_id=fold.contact_id[:40], label=fold.label[:40])
        for fold in contest.folds
    )
    few = " ".join(limits_in_words(replace(contest, folds=folds), plan, 0.0, ()))
    many = " ".join(limits_in_words(contest, plan, 0.0, ()))
    assert "may be luck" in few
    assert "may be luck" not in many


def test_a_fitted_part_of_the_blend_has_scores_of_its_own(simulated_past, plan):
    contest = run_contest(simulated_past(seed=1, slope=1.0), plan, CANDIDATES)
    scores = contest.scores()
    assert {score.model for score in scores} == {"base_rate", "blend", "boosted_trees", "logistic"}
    assert all(score.low <= score.value <= score.high for score in scores)
    assert len(scores) == 3 * 4 * 4
