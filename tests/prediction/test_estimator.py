"""A classifier of somebody's own: what reaches it, and how it is kept."""

import importlib
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from mlmarket.errors import ConfigurationError
from mlmarket.features import count, gap_std
from mlmarket.prediction import TargetModel, from_estimator
from mlmarket.prediction.estimator import EstimatorLearner
from mlmarket.prediction.predictor import DeclinedError

PIPELINE = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=0.01))
BOOSTING = HistGradientBoostingClassifier(max_iter=10, random_state=0)


@pytest.fixture(scope="module")
def rows(simulated_past, plan):
    return simulated_past(seed=1, slope=1.5).at(plan.cutoffs[:1])


class Remembering(ClassifierMixin, BaseEstimator):
    """Keeps what reached it."""

    def fit(self, X, y):
        self.seen_ = X
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_numbers_and_codes_reach_it_under_their_names(rows):
    learner = EstimatorLearner(Remembering())
    features = rows.features.assign(
        country=["PT"] * 500 + ["ES"] * 200 + [None] * 100, noise=np.full(800, np.nan)
    )
    learner.fit(features, rows.label)
    seen = learner._fitted.seen_
    assert "noise" not in seen.columns
    assert all(dtype.kind == "f" for dtype in seen.dtypes)
    assert seen["country"].iloc[[0, 600, 799]].fillna(-1).tolist() == [0.0, 1.0, -1.0]
    assert learner.predict(features).tolist() == [0.5] * 800


@pytest.mark.parametrize("estimator", [PIPELINE, BOOSTING], ids=["pipeline", "boosting"])
def test_it_is_cloned_and_kept_without_pickle(estimator, rows, tmp_path):
    learner = EstimatorLearner(estimator).fit(rows.features, rows.label)
    assert not hasattr(estimator, "classes_")
    learner.save(tmp_path)
    restored = EstimatorLearner().restore(tmp_path)
    np.testing.assert_array_equal(learner.predict(rows.features), restored.predict(rows.features))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".skops"}


@pytest.mark.parametrize("estimator", [PIPELINE, BOOSTING], ids=["pipeline", "boosting"])
def test_the_same_training_is_kept_as_the_same_bytes(estimator, rows, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        EstimatorLearner(estimator).fit(rows.features, rows.label).save(tmp_path / name)
    one, two = ((tmp_path / name / "estimator.skops").read_bytes() for name in ("one", "two"))
    assert one == two


def test_an_estimator_that_refuses_missing_values_says_what_to_do(rows):
    with pytest.raises(ConfigurationError, match="refused the features") as refused:
        EstimatorLearner(LogisticRegression()).fit(rows.features, rows.label)
    what, why, fix = str(refused.value).split("\n")
    assert "NaN" in what
    assert "some are missing" in why
    assert "SimpleImputer" in fix


def test_missing_values_that_come_later_are_told_in_the_same_words(rows):
    whole = rows.features[["x", "noise"]]
    learner = EstimatorLearner(LogisticRegression()).fit(whole, rows.label)
    with pytest.raises(ConfigurationError, match="refused the features"):
        learner.predict(whole.assign(x=np.nan))


@pytest.mark.parametrize("estimator", [LinearSVC(), LogisticRegression, object(), "logistic"])
def test_what_gives_no_probabilities_is_refused_at_once(estimator):
    with pytest.raises(ConfigurationError, match="gives no probabilities") as refused:
        from_estimator(estimator, name="mine", label="event upgrade", horizon="30D")
    assert str(refused.value).count("\n") == 2


class Constant(ClassifierMixin, BaseEstimator):
    """Says a half, always."""

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


FOREIGN = {
    "a class of one's own": Constant(),
    "a function of numpy": make_pipeline(FunctionTransformer(np.savetxt), PIPELINE),
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_parts_that_are_not_scikit_learns_are_neither_kept_nor_opened(foreign, rows, tmp_path):
    learner = EstimatorLearner(PIPELINE).fit(rows.features, rows.label)
    learner.save(tmp_path)
    learner._fitted = foreign
    with pytest.raises(ConfigurationError, match="not trusted in a file") as refused:
        learner.save(tmp_path)
    assert str(refused.value).count("\n") == 2
    skops.io.dump(foreign, tmp_path / "estimator.skops")
    with pytest.raises(ConfigurationError, match="not trusted in a file"):
        EstimatorLearner().restore(tmp_path)


def test_what_cannot_be_kept_without_pickle_says_so(rows, tmp_path):
    learner = EstimatorLearner(Remembering()).fit(rows.features, rows.label)
    with pytest.raises(ConfigurationError, match="cannot be kept without pickle"):
        learner.save(tmp_path)


def test_without_skops_the_error_says_what_to_install(rows, tmp_path, monkeypatch):
    honest = importlib.import_module

    def missing(name, *more):
        if name.startswith("skops"):
            raise ModuleNotFoundError(name)
        return honest(name, *more)

    learner = EstimatorLearner(PIPELINE).fit(rows.features, rows.label)
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r"mlmarket\[estimators\]"):
        learner.save(tmp_path)


@pytest.fixture(scope="module")
def fitted(shop, now):
    model = from_estimator(PIPELINE, name="mine", label="event upgrade", horizon="30D")
    return model.fit(shop, as_of=now)


def test_a_pipeline_answers_in_the_night_like_any_other(fitted, shop, now, tmp_path):
    assert fitted.evidence_.chosen == "estimator"
    assert fitted.version_.startswith("2025-07-20-estimator-")
    fitted.save(tmp_path)
    loaded = TargetModel.load(tmp_path)
    before = fitted.predict(shop, as_of=now).contacts
    assert loaded.predict(shop, as_of=now).contacts.equals(before)
    assert not hasattr(PIPELINE[-1], "coef_")


def test_a_loaded_estimator_cannot_learn_anew_and_says_so(fitted, shop, now, tmp_path):
    fitted.save(tmp_path)
    with pytest.raises(ConfigurationError, match="was not kept") as refused:
        TargetModel.load(tmp_path).fit(shop, as_of=now)
    assert "from_estimator" in str(refused.value)


def test_an_estimator_that_knows_nothing_is_replaced_and_kept_as_the_base_rate(shop, now, tmp_path):
    dull = from_estimator(Remembering(), name="dull", label="event upgrade", horizon="30D")
    dull.features = (count("upgrade"), gap_std("upgrade"))
    dull.fit(shop, as_of=now).save(tmp_path)
    assert dull.evidence_.chosen == "base_rate"
    assert "does not beat it" in dull.evidence_.verdict
    assert not (tmp_path / "estimator.skops").exists()
    answers = TargetModel.load(tmp_path).predict(shop, as_of=now)
    assert len(set(answers.contacts.column("dull_probability_30d").to_pylist())) == 1


def test_a_history_too_short_for_an_estimator_is_declined(shop, now):
    model = from_estimator(PIPELINE, name="mine", label="event upgrade", horizon="30D")
    with pytest.raises(DeclinedError):
        model.fit(shop, as_of=now - timedelta(days=180))


def test_frames_of_an_unknown_order_of_columns_are_put_in_order(rows):
    learner = EstimatorLearner(PIPELINE).fit(rows.features, rows.label)
    turned = pd.DataFrame(rows.features)[list(reversed(rows.features.columns))]
    np.testing.assert_array_equal(learner.predict(turned), learner.predict(rows.features))
