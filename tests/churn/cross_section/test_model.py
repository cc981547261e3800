"""A table without dates: who resembles those who left, and what must not be read into it."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict

from mlmarket.churn import CrossSectionChurn, CrossSectionEvidence
from mlmarket.churn.cross_section.evidence import judge_rows
from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import expected_calibration_error, log_loss


def _table(rows: int, *, seed: int):
    draw = np.random.default_rng(seed)
    months = draw.integers(1, 60, rows)
    plan = draw.choice(["basic", "pro"], rows)
    truth = expit(0.6 - 0.06 * months + 1.0 * (plan == "basic"))
    charge = np.where(
        draw.random(rows) < 0.02, " ", np.round(20 + draw.random(rows), 2).astype(str)
    )
    frame = pd.DataFrame(
        {
            "id": [f"c{place}" for place in range(rows)],
            "months": months,
            "plan": plan,
            "charge": charge,
            "country": "PT",
        }
    )
    return frame, np.where(draw.random(rows) < truth, "left", "is here"), truth


@pytest.fixture(scope="module")
def table():
    return _table(900, seed=1)


@pytest.fixture(scope="module")
def model(table):
    frame, label, _ = table
    return CrossSectionChurn(folds=3, shuffles=1).fit(frame, label)


def test_it_finds_the_probabilities_that_made_the_table(model):
    frame, label, truth = _table(4000, seed=2)
    said = model.predict_proba(frame)
    assert np.allclose(said.sum(axis=1), 1.0)
    assert np.abs(said[:, 1] - truth).mean() < 0.07
    left = (label == "left").astype(int)
    assert log_loss(left, said[:, 1]) < log_loss(left, truth) + 0.02
    assert expected_calibration_error(left, said[:, 1]) < 0.05
    assert set(model.predict(frame)) == {"is here", "left"}


def test_everything_it_shows_says_that_it_is_not_time_validated(model):
    words = "not time validated"
    evidence = model.evidence_
    assert model.validation == evidence.validation == words
    assert words in evidence.verdict
    assert words in str(evidence)
    assert words in evidence._repr_html_()
    assert set(evidence.to_frame()["validation"]) == {words}
    assert set(evidence.summary()["validation"]) == {words}
    assert "The table has no dates" in evidence.limits[0]


def test_the_evidence_stands_beside_the_base_rate(model, table):
    evidence = model.evidence_
    assert evidence.chosen == "blend"
    assert evidence.gain.low > 0
    assert evidence.score("blend", "log_loss") < evidence.score("base_rate", "log_loss") - 0.05
    assert np.isnan(evidence.score("blend", "unheard"))
    assert (evidence.rows, evidence.folds) == (900, 3)
    assert evidence.positives == (table[1] == "left").sum()
    assert list(evidence.summary().index)[-1] == "base_rate"


def test_where_labels_are_shuffled_the_base_rate_is_used(table):
    frame, label, _ = table
    shuffled = np.random.default_rng(0).permutation(label)
    model = CrossSectionChurn(folds=3, shuffles=1).fit(frame, shuffled)
    assert model.evidence_.chosen == "base_rate"
    assert "does not beat it" in model.evidence_.verdict
    said = model.predict_proba(frame)[:, 1]
    assert np.ptp(said) == 0
    assert said[0] == pytest.approx((label == "left").mean(), abs=0.01)
    assert set(model.reasons(frame[:3])) == {"nothing stands out: about as likely as usual"}


def test_columns_are_read_as_what_they_hold(model):
    assert dict(model.left_out_) == {
        "id": "has 900 different texts in 900 rows, as an id has",
        "country": "has the same value in all rows",
    }
    assert model._table.numbers == ("months", "charge")
    assert model.n_features_in_ == 5


def test_reasons_say_what_moves_the_probability(model):
    frame, _, _ = _table(40, seed=3)
    asked = frame.assign(months=[1] * 20 + [59] * 20)
    said = model.reasons(asked)
    assert all("months 1 (usual " in text and "raises" in text for text in said[:20])
    assert all("months 59 (usual " in text and "lowers" in text for text in said[20:])


def test_neither_the_order_of_rows_nor_of_columns_changes_a_number(model, table):
    frame, label, _ = table
    order = np.random.default_rng(4).permutation(len(frame))
    again = clone(model).fit(frame.iloc[order], label[order])
    assert np.array_equal(again.predict_proba(frame), model.predict_proba(frame))
    turned = frame[frame.columns[::-1]]
    assert np.array_equal(model.predict_proba(turned), model.predict_proba(frame))
    alone = np.concatenate([model.predict_proba(frame[at : at + 1]) for at in range(5)])
    assert np.array_equal(alone, model.predict_proba(frame[:5]))


def test_a_saved_model_answers_the_same_bytes(model, table, tmp_path):
    frame = table[0]
    model.save(tmp_path / "one")
    loaded = CrossSectionChurn.load(tmp_path / "one")
    assert np.array_equal(loaded.predict_proba(frame), model.predict_proba(frame))
    assert loaded.reasons(frame[:9]).tolist() == model.reasons(frame[:9]).tolist()
    loaded.save(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert loaded.get_params() == model.get_params()
    evidence = CrossSectionEvidence.from_dict(model.evidence_.to_dict())
    assert evidence.to_dict() == model.evidence_.to_dict()


def test_it_works_where_scikit_learn_expects_a_classifier(table):
    frame, label, _ = table
    model = CrossSectionChurn(folds=0, shuffles=0)
    assert is_classifier(model)
    said = cross_val_predict(model, frame[:300], label[:300], cv=3, method="predict_proba")
    assert said.shape == (300, 2)
    assert model.fit(frame[:300], label[:300]).evidence_ is None


def test_few_rows_are_calibrated_with_care(table):
    frame, label, _ = table
    small = CrossSectionChurn(folds=0, shuffles=1).fit(frame[:200], label[:200])
    assert [one.kind for one in small._fitted.calibrators] == ["sigmoid"]
    many = CrossSectionChurn(folds=0, shuffles=1).fit(frame, label)
    assert [one.kind for one in many._fitted.calibrators] == ["isotonic"]


@pytest.mark.parametrize(
    ("columns", "label", "message"),
    [
        ({}, ["a"] * 20, "There are 1 different labels: 'a'"),
        ({}, ["a", "b", "c", "d"] * 5, "There are 4 different labels: 'a', 'b', 'c', 'd'"),
        ({}, ["a", "b"] * 9, "There are 20 rows and 18 labels"),
        ({}, [None, "a"] * 10, "10 of 20 labels are missing"),
        ({}, ["a"] * 18 + ["b"] * 2, "Only 2 of 20 rows have the rarer label"),
        ({"x": 1.0}, ["a", "b"] * 10, "No column of the table tells its rows apart"),
    ],
)
def test_tables_that_teach_nothing_are_refused(columns, label, message):
    frame = pd.DataFrame({"x": np.arange(20.0)} | columns, index=range(20))
    with pytest.raises(ConfigurationError, match=message):
        CrossSectionChurn().fit(frame, label)


def test_a_table_that_cannot_be_read_is_refused(model, table, tmp_path):
    frame, label, _ = table
    with pytest.raises(ConfigurationError, match="did you mean 'month'"):
        model.predict_proba(frame.rename(columns={"months": "month"}))
    with pytest.raises(ConfigurationError, match="Two columns are called 'plan'"):
        CrossSectionChurn().fit(frame.rename(columns={"charge": "plan"}), label)
    with pytest.raises(ConfigurationError, match="A frame is needed, not ndarray"):
        CrossSectionChurn().fit(np.zeros((3, 2)), [0, 1, 0])
    with pytest.raises(ConfigurationError, match="There is no model of a cross-section"):
        CrossSectionChurn.load(tmp_path)
    with pytest.raises(NotFittedError, match="CrossSectionChurn has not learned anything yet"):
        CrossSectionChurn().predict_proba(frame)


def test_a_time_is_no_column_of_a_table_without_dates(table):
    frame, label, _ = table
    dated = frame.assign(since=pd.Timestamp("2024-01-01") + pd.to_timedelta(frame.index, "D"))
    model = CrossSectionChurn(folds=0, shuffles=0).fit(dated, label)
    assert "is a time" in dict(model.left_out_)["since"]


def test_the_gain_needs_an_interval_above_zero():
    label = np.array([0, 1] * 50, np.int8)
    same = np.full(100, 0.5)
    said = dict.fromkeys(("blend", "base_rate"), same)
    assert judge_rows(label, said, folds=2).chosen == "base_rate"
