"""Who resembles those who left, in a table without dates?

A cross-section says how customers are and whether they left, not when: nothing can be held back by
time, and a column may have been filled in after somebody left. What is found is judged on other rows
of the same table, and says so wherever it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.cross_section.evidence import (
    NOT_VALIDATED,
    CrossSectionEvidence,
    judge_rows,
)
from mlmarket.churn.cross_section.table import Table, as_pandas
from mlmarket.churn.plain_estimator import PlainEstimator, content_order
from mlmarket.churn.subscription.reasons import Part, Usual, reasons_in_words
from mlmarket.churn.subscription.words import wordings_of_columns
from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import (
    Calibrator,
    IsotonicCalibrator,
    SigmoidCalibrator,
    calibrator_from_dict,
)
from mlmarket.prediction.columns import FeatureRows
from mlmarket.prediction.learner import (
    BaseRate,
    Blend,
    Floats,
    Learner,
    kept_from_certainty,
    one_thread,
    read_json,
    write_json,
)
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.trees import BoostedTrees

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CrossSectionChurn"]

Labels = npt.NDArray[np.int8]

_FILE: Final = "cross_section.json"
_ISOTONIC_FROM: Final = 300
"""Rows of the rarer side from which a calibration may follow the rates step by step."""

_FOLLOWED: Final = 0.75
"""How far a probability is moved to the rate seen among its like: steps alone would make ties."""


_WEIGHTS: Final = (0.35, 0.65)
"""Of the trees and of the logistic regression: jumps are rarer than slopes in such tables."""


class _Leaning(Blend):
    """The weighted mean of boosted trees and a logistic regression."""

    def __init__(self) -> None:
        super().__init__([BoostedTrees(), LogisticModel(strength=1.0)])

    def predict(self, features: FeatureRows) -> Floats:
        said = [part.predict(features) for part in self.parts]
        return np.asarray(np.average(said, axis=0, weights=_WEIGHTS))


def _make(name: str) -> Learner:
    return BaseRate() if name == "base_rate" else _Leaning()


class CrossSectionChurn(PlainEstimator):
    """Probability that a row belongs to those who left: not time validated.

    A mean of small boosted trees and a logistic regression, calibrated by what happened to rows
    that its parts had not seen.

    Parameters
    ----------
    folds : int, default 5
        Parts of the table, each judged by a model of the others, for the evidence; with 0 none is
        made, and nothing says whether the model beats the base rate.
    shuffles : int, default 6
        How often the table is split to calibrate; the corrections of all splits are averaged. With 0 there
        is no calibration.
    random_state : int, default 0
        Of the splits.

    Attributes
    ----------
    classes_ : ndarray, shape (2,)
        The two labels in ascending order; the second one is the outcome.
    evidence_ : CrossSectionEvidence or None
        How good it is on rows it has not seen.
    left_out_ : tuple of (str, str)
        Columns that are not used, and why.
    n_features_in_ : int
        Columns of the frame.

    Notes
    -----
    Rows that left are not given more weight (``is_unbalance`` of LightGBM): it changes the order of
    rows by nothing, and its probabilities are no longer ones.

    References
    ----------
    Niculescu-Mizil and Caruana (2005), Predicting good probabilities with supervised learning, ICML.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"months": [1, 30, 2, 40] * 50, "plan": ["a", "b", "b", "a"] * 50})
    >>> model = CrossSectionChurn(folds=0).fit(table, ["left", "is here", "left", "is here"] * 50)
    >>> model.classes_.tolist()
    ['is here', 'left']
    """

    validation = NOT_VALIDATED

    def __init__(self, *, folds: int = 5, shuffles: int = 6, random_state: int = 0) -> None:
        self.folds = folds
        self.shuffles = shuffles
        self.random_state = random_state

    def fit(self, X: "pd.DataFrame", y: npt.ArrayLike) -> Self:
        """Learn from a table.

        Parameters
        ----------
        X : pandas.DataFrame, shape (rows, columns)
            Numbers and texts, both may be missing. A column of texts that all are numbers is read
            as numbers; one that names each row, as an id does, is left out.
        y : array-like of shape (rows,)
            Two different labels.

        Returns
        -------
        Self

        Raises
        ------
        ConfigurationError
            Where there are not two labels, one of them has fewer rows than there are folds, or no
            column says anything.
        """
        X = as_pandas(X)
        self.classes_, label = _two_labels(y, X)
        self._table = Table.learn(X)
        frame = self._table.read(X)
        order = content_order(frame, label)
        frame, label = frame.iloc[order].reset_index(drop=True), label[order]
        self._refuse_few(label)
        with one_thread():
            self.evidence_ = self._evidence(frame, label) if self.folds else None
            chosen = "blend" if self.evidence_ is None else self.evidence_.chosen
            self._fitted = _Calibrated.fit(frame, label, chosen, self._splits(label))
            self._usual = Usual.learn(self._fitted.parts(frame), frame)
        self.left_out_ = self._table.left_out
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X: "pd.DataFrame") -> Floats:
        """Return the probability of either label.

        Parameters
        ----------
        X : pandas.DataFrame, shape (rows, columns)
            With the columns of :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (rows, 2)
            In the order of ``classes_``; the answer for a row depends on no other row.

        Raises
        ------
        ConfigurationError
            Where a column is missing.
        """
        self._require_learned("_fitted")
        probability = self._fitted.predict(self._table.read(as_pandas(X)))
        return np.column_stack([1.0 - probability, probability])

    def predict(self, X: "pd.DataFrame") -> npt.NDArray[Any]:
        """Return the likelier label of each row.

        Parameters
        ----------
        X : pandas.DataFrame, shape (rows, columns)
            With the columns of :meth:`fit`.

        Returns
        -------
        ndarray, shape (rows,)
            Of ``classes_``.
        """
        likelier: npt.NDArray[np.intp] = np.argmax(self.predict_proba(X), axis=1)
        return np.asarray(self.classes_[likelier])

    def reasons(self, X: "pd.DataFrame") -> npt.NDArray[np.object_]:
        """Return what moves the probability of each row, in words.

        Parameters
        ----------
        X : pandas.DataFrame, shape (rows, columns)
            With the columns of :meth:`fit`.

        Returns
        -------
        ndarray of str, shape (rows,)
            Up to three reasons each, with points of the probability.
        """
        self._require_learned("_fitted")
        frame = self._table.read(X)
        return reasons_in_words(
            self._fitted.parts(frame),
            self._usual,
            frame,
            wordings=wordings_of_columns(frame, self._table.numbers),
            corrected=self._fitted.corrected,
        )

    def save(self, folder: Path) -> None:
        """Write what was learned: JSON, and LightGBM's own text.

        Parameters
        ----------
        folder : Path
            Made where it does not exist.
        """
        self._require_learned("_fitted")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._fitted.learner.save(folder)
        content = {
            "validation": self.validation,
            "arguments": self.get_params(),
            "classes": self.classes_.tolist(),
            "table": self._table.to_dict(),
            "learner": self._fitted.learner.name,
            "calibrators": [one.to_dict() for one in self._fitted.calibrators],
            "usual": self._usual.to_dict(),
            "evidence": None if self.evidence_ is None else self.evidence_.to_dict(),
        }
        write_json(folder / _FILE, content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.

        Returns
        -------
        CrossSectionChurn
            Fitted; it answers the same.

        Raises
        ------
        ConfigurationError
            Where there is no such model.
        """
        try:
            content = read_json(Path(folder) / _FILE)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"There is no model of a cross-section in '{folder}': {_FILE} cannot be read.",
                "It says which columns the model knows and how it is calibrated.",
                "pass the folder that save() wrote.",
            ) from error
        model = cls(**content["arguments"])
        model.classes_ = np.asarray(content["classes"])
        model._table = Table.from_dict(content["table"])
        model._fitted = _Calibrated(
            _make(content["learner"]).restore(Path(folder)),
            tuple(calibrator_from_dict(one) for one in content["calibrators"]),
        )
        model._usual = Usual.from_dict(content["usual"])
        plain = content["evidence"]
        model.evidence_ = None if plain is None else CrossSectionEvidence.from_dict(plain)
        model.left_out_ = model._table.left_out
        model.n_features_in_ = len(model._table.columns)
        return model

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - scikit-learn's own
        """Return what scikit-learn asks of an estimator: this one is a classifier of two labels."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(multi_class=False),
            input_tags=InputTags(allow_nan=True, string=True, categorical=True),
        )

    def _splits(self, label: Labels) -> "list[_Split]":
        return [_stratified(label, 5, self.random_state + place) for place in range(self.shuffles)]

    def _refuse_few(self, label: Labels) -> None:
        fewer = int(np.bincount(label, minlength=2).min())
        if fewer < max(self.folds, 5):
            raise ConfigurationError(
                f"Only {fewer} of {len(label):,} rows have the rarer label.",
                "Each part of the table needs rows of both, else nothing can be judged.",
                f"pass at least {max(self.folds, 5)} rows of each label.",
            )

    def _evidence(self, frame: "pd.DataFrame", label: Labels) -> CrossSectionEvidence:
        said = {
            name: np.empty(len(label))
            for name in ("blend", "boosted_trees", "logistic", "base_rate")
        }
        for learn, judge in _stratified(label, self.folds, self.random_state + 1_000):
            known, asked, truth = frame.iloc[learn], frame.iloc[judge], label[learn]
            fitted = _Calibrated.fit(known, truth, "blend", self._splits(truth))
            said["blend"][judge] = fitted.predict(asked)
            for part in fitted.learner_parts():
                said[part.name][judge] = part.predict(asked)
            said["base_rate"][judge] = BaseRate().fit(known, truth).predict(asked)
        return judge_rows(label, said, folds=self.folds)


_Split = list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]


@dataclass(frozen=True, slots=True)
class _Calibrated:
    """A model, and the corrections that rows it had not seen asked for."""

    learner: Learner
    calibrators: tuple[Calibrator, ...]

    @classmethod
    def fit(
        cls, frame: "pd.DataFrame", label: Labels, name: str, splits: Sequence[_Split]
    ) -> "_Calibrated":
        if name == "base_rate":
            return cls(_make(name).fit(frame, label), ())
        calibrators = []
        for split in splits:
            unseen = np.empty(len(label))
            for learn, rest in split:
                unseen[rest] = (
                    _make(name).fit(frame.iloc[learn], label[learn]).predict(frame.iloc[rest])
                )
            many = np.bincount(label, minlength=2).min() >= _ISOTONIC_FROM
            calibrator = IsotonicCalibrator() if many else SigmoidCalibrator()
            calibrators.append(calibrator.fit(unseen, label))
        return cls(_make(name).fit(frame, label), tuple(calibrators))

    def predict(self, frame: "pd.DataFrame") -> Floats:
        return self.corrected(self.learner.predict(frame))

    def corrected(self, probability: Floats) -> Floats:
        if not self.calibrators or not len(probability):
            return probability
        steps = np.mean([one.predict(probability) for one in self.calibrators], axis=0)
        return kept_from_certainty(_FOLLOWED * steps + (1.0 - _FOLLOWED) * probability)

    def learner_parts(self) -> tuple[Any, ...]:
        return self.learner.parts if isinstance(self.learner, Blend) else ()

    def parts(self, frame: "pd.DataFrame") -> list[Part]:
        """Return what the models behind the probability say of some rows."""
        models = self.learner_parts()
        if not models:
            return [Part(self.learner.predict(frame)[:, None], np.ones(1), {})]
        return [
            Part(one.predict(frame)[:, None], np.ones(1), one.contributions(frame), weight)
            for one, weight in zip(models, _WEIGHTS, strict=True)
        ]


def _stratified(label: Labels, folds: int, seed: int) -> _Split:
    from sklearn.model_selection import StratifiedKFold

    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return list(split.split(np.zeros((len(label), 1)), label))


def _two_labels(y: npt.ArrayLike, X: "pd.DataFrame") -> tuple[npt.NDArray[Any], Labels]:
    import pandas as pd

    labels = pd.Series(np.asarray(y).ravel())
    if len(labels) != len(X):
        raise ConfigurationError(
            f"There are {len(X):,} rows and {len(labels):,} labels.",
            "Each row needs to say whether the customer left.",
            "pass one label a row.",
        )
    if labels.isna().any():
        raise ConfigurationError(
            f"{int(labels.isna().sum()):,} of {len(labels):,} labels are missing.",
            "Who neither left nor stayed teaches nothing.",
            "leave these rows out.",
        )
    classes = np.unique(labels.to_numpy())
    if len(classes) != 2:
        found = ", ".join(repr(one) for one in classes[:4].tolist())
        raise ConfigurationError(
            f"There are {len(classes)} different labels: {found}.",
            "It is asked whether somebody left: yes or no.",
            "pass two labels, such as 0 and 1 or 'No' and 'Yes'.",
        )
    return classes, (labels.to_numpy() == classes[1]).astype(np.int8)
