"""Points and words: by how much a probability would be lower if a feature said what it usually says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from mlmarket.churn.subscription.contracts import BEGUN, CONTRACT_DAYS
from mlmarket.churn.subscription.reasons import NOTHING, Part, Usual, reasons_in_words
from mlmarket.churn.subscription.words import (
    Wording,
    contract_wordings,
    wordings_of_columns,
    wordings_of_features,
)
from mlmarket.features import (
    attribute,
    count,
    days_active,
    first_touch,
    gap_mean,
    gap_std,
    last,
    maximum,
    mean,
    minimum,
    ratio,
    recency,
    total,
    trend,
)

ONE = np.ones(1)


def _said(rows, adds, usual, base=-1.0):
    frame = pd.DataFrame(rows)
    odds = base + np.sum(list(adds.values()), axis=0)
    part = Part(expit(odds)[:, None], ONE, adds)
    wordings = wordings_of_columns(frame, [n for n in frame if frame[n].dtype.kind == "f"])
    return reasons_in_words([part], usual, frame, wordings=wordings, corrected=lambda p: p)


def test_points_are_the_difference_that_the_feature_makes():
    adds = {"logins": np.array([1.0, 0.0, -1.0]), "plan": np.array([0.0, 0.0, 0.5])}
    rows = {"logins": [1.0, 4.0, 9.0], "plan": ["pro", "pro", "basic"]}
    usual = Usual(({"logins": 0.0, "plan": 0.0},), {"logins": 4.0})
    said = _said(rows, adds, usual)
    up = round(100 * (expit(0.0) - expit(-1.0)))
    down = round(100 * (expit(-0.5) - expit(-1.5)))
    plan = round(100 * (expit(-1.5) - expit(-2.0)))
    assert said.tolist() == [
        f"logins 1 (usual 4) raises it by {up} points",
        NOTHING,
        f"logins 9 (usual 4) lowers it by {down} points; plan 'basic' raises it by {plan} points",
    ]


def test_what_is_usual_counts_for_nothing():
    adds = {"plan": np.array([0.7, 0.7])}
    usual = Usual.learn([Part(np.full((2, 1), 0.5), ONE, adds)], pd.DataFrame({"plan": ["a", "a"]}))
    assert set(_said({"plan": ["a", "a"]}, adds, usual)) == {NOTHING}


@given(
    hazard=st.lists(st.floats(0.01, 0.5), min_size=1, max_size=5),
    less=st.floats(-3, 3),
    share=st.floats(0.1, 1.0),
)
def test_taking_odds_away_moves_the_whole_horizon_the_same_way(hazard, less, share):
    shares = np.array([1.0] * (len(hazard) - 1) + [share])
    part = Part(np.array([hazard]), shares, {})
    full = part.probability()[0]
    expected = 1 - np.prod((1 - np.array(hazard)) ** shares)
    assert full == pytest.approx(expected, rel=1e-9)
    moved = part.probability(np.array([less]))[0]
    assert (moved <= full) if less >= 0 else (moved >= full)
    by_hand = 1 - np.prod((1 - expit(logit(np.array(hazard)) - less)) ** shares)
    assert moved == pytest.approx(by_hand, rel=1e-9)


def test_features_about_one_thing_speak_once_through_the_one_that_weighs_most():
    frame = pd.DataFrame({"login_recency": [21.0], "login_count_30d": [1.0], "pause": [2.0]})
    adds = {
        "login_recency": np.array([0.9]),
        "login_count_30d": np.array([0.3]),
        "pause": np.array([0.2]),
    }
    part = Part(expit(np.array([[0.4]])), ONE, adds)
    features = [recency("login"), count("login", "30D"), attribute("pause")]
    usual = Usual(({},), {"login_recency": 3.0, "login_count_30d": 6.0})
    (said,) = reasons_in_words(
        [part],
        usual,
        frame,
        wordings=wordings_of_features(features, own={}),
        corrected=lambda probability: probability,
    )
    points = round(100 * (expit(0.4) - expit(0.4 - 1.2)))
    assert said.startswith(f"no login for 21 days (usual 3) raises it by {points} points; pause 2")


@pytest.mark.parametrize(
    ("feature", "value", "usual", "words"),
    [
        (recency("login"), 21.0, 3.0, "no login for 21 days (usual 3)"),
        (recency("login"), 1.0, 3.0, "last login 1 days ago (usual 3)"),
        (recency("login"), None, 3.0, "no login so far"),
        (first_touch("login"), 100.0, None, "first login 100 days ago"),
        (count("page_view", "30D"), 2.0, 9.5, "page view 2 times in 30 days (usual 9.5)"),
        (days_active("login", "90D"), 12.0, 12.0, "login on 12 days in 90 days"),
        (gap_mean("login"), 4.5, 2.0, "login every 4.5 days (usual 2)"),
        (gap_std("login"), None, 2.0, "login on fewer than three days"),
        (total("order"), 1234.5, 99.0, "order worth 1,234 (usual 99)"),
        (mean("order"), 12.0, None, "order of 12 on average"),
        (minimum("order", "30D"), 1.0, None, "smallest order of 1 in 30 days"),
        (maximum("order"), 1.0, None, "largest order of 1"),
        (last("order"), None, 3.0, "no value of order"),
        (trend("login", "30D"), np.log(0.5), 0.0, "login -50% in 30 days (usual +0%)"),
        (ratio(recency("a"), gap_mean("a"), name="a_overdue"), 3.0, 1.0, "a overdue 3 (usual 1)"),
        (attribute("plan", categorical=True), "basic", None, "plan 'basic'"),
        (attribute("plan", categorical=True), None, None, "plan not known"),
        (attribute("seats"), 3.0, 1.0, "seats 3 (usual 1)"),
        (count("a | b | c | d"), -0.0, 1.0, "activity 0 times (usual 1)"),
        (count("login where value > 3"), 1.0, 0.0, "login where value > 3 1 times (usual 0)"),
        (count('"{odd}"'), 1.0, None, "{odd} 1 times"),
        (count('"{odd}"'), None, None, "no {odd}"),
    ],
)
def test_every_kind_of_feature_speaks(feature, value, usual, words):
    (wording,) = wordings_of_features([feature], own={}).values()
    assert wording.say(value, usual) == words


def test_the_contract_itself_speaks_in_months():
    own = contract_wordings(CONTRACT_DAYS, BEGUN)
    assert own[CONTRACT_DAYS].say(60.9, 304.4) == "under contract for 2 months (usual 10)"
    assert own[BEGUN].say(2.0, 1.0) == "contracts begun so far: 2 (usual 1)"


def test_values_of_a_batch_are_those_of_a_frame():
    import pyarrow as pa

    frame = pd.DataFrame({"n": [1.0, np.nan], "t": ["x", None]})
    batch = pa.RecordBatch.from_pandas(frame)
    for name, kind in (("n", "number"), ("t", "category")):
        wording = Wording("it", "{value}", "", kind=kind)
        assert wording.values(frame, name).tolist() == wording.values(batch, name).tolist()


def test_usual_is_kept_in_a_file():
    usual = Usual(({"a": 0.5},), {"a": 3.0})
    assert Usual.from_dict(usual.to_dict()) == usual
    empty = reasons_in_words([], usual, pd.DataFrame({"a": []}), wordings={}, corrected=abs)
    assert len(empty) == 0
