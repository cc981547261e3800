"""Will a contact do something within a horizon?

The predictor for every question of that form: it learns from snapshots of the past, takes part in a
contest against simple rules, and keeps whichever won together with the evidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import Interval, expected_total
from mlmarket.features import Feature, SnapshotSpec
from mlmarket.features.labels import refuse_open_windows
from mlmarket.market.time import to_utc
from mlmarket.prediction.contest import Candidates
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.fitted import Fitted, read_card
from mlmarket.prediction.predictor import Headline, Schema
from mlmarket.prediction.question import Question
from mlmarket.prediction.snapshot_predictor import (
    SnapshotPredictor,
    plain_features,
    restored_features,
)
from mlmarket.prediction.study import (
    Study,
    declined_to_judge,
    hold_contest,
    open_study,
    ordered_origins,
    sum_up,
)
from mlmarket.prediction.training import TrainingPlan, learn_from

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["SupervisedPredictor"]

_WARM_UP: Final = timedelta(days=28)


class SupervisedPredictor(SnapshotPredictor):
    """Answers one :class:`~mlmarket.prediction.question.Question` from snapshots of the past.

    Parameters
    ----------
    question : Question
        What is asked.
    parameters : mapping of str to object
        The arguments that made it, as plain values: they are written on the card, and
        :meth:`load` passes them to the class.
    features : sequence of Feature or str, optional
        What is known of each contact: features, and names of sets; by default all that the tables
        allow. See :func:`mlmarket.features.choose_features`.
    folds : int, default 4
        Origins at which it is judged.
    most_cutoffs : int, default 12
        Cutoffs it learns from at most.
    most_rows : int, default 400_000
        Rows it learns from at most; beyond, a stable sample of contacts is used.

    Attributes
    ----------
    evidence_ : Evidence
        After :meth:`fit`.
    training_record_ : dict
        After :meth:`fit`: parameters, data and metrics, for an experiment tracker.

    Notes
    -----
    Which event types and attributes become features is decided at the first origin, so that no
    fold knows of a type that only appeared later. A type that began after it takes part once the
    model is trained again, a window later.
    """

    def __init__(
        self,
        question: Question,
        *,
        parameters: Mapping[str, object],
        features: Sequence[Feature | str] | None = None,
        folds: int = 4,
        most_cutoffs: int = 12,
        most_rows: int = 400_000,
    ) -> None:
        # Wrong questions are refused when they are asked, not when the night comes.
        super().__init__(
            SnapshotSpec(question.eligible, (), question.label, question.horizon),
            parameters=parameters,
            features=features,
            folds=folds,
            most_cutoffs=most_cutoffs,
            most_rows=most_rows,
        )
        self.question = question
        self._fitted: Fitted | None = None

    @property
    def name(self) -> str:
        """Its name, and the first word of its columns."""
        return self.question.name

    @property
    def text(self) -> str:
        """Its question in words."""
        return self.question.text

    @property
    def needs(self) -> frozenset[str]:
        """Tables it cannot do without."""
        return self.question.needs

    @property
    def outputs(self) -> Schema:
        """Columns it writes."""
        return self.question.answer.columns(self.name)

    @property
    def headline(self) -> Headline:
        """Its probability."""
        answer = self.question.answer
        return Headline(answer.probability, "probability", answer.outcome, answer.grade)

    @property
    def evidence_(self) -> Evidence:
        """How good it is; raises ``NotFittedError`` before :meth:`fit`."""
        return self._require_fitted().evidence

    @property
    def version_(self) -> str:
        """Which trained model this is: its date, the model chosen, and a digest of its content."""
        return self._require_fitted().version

    @property
    def as_of_(self) -> datetime:
        """When it was trained."""
        return self._require_fitted().as_of

    @property
    def features_(self) -> tuple[Feature, ...]:
        """What the trained model wants to know of each contact."""
        return self._require_fitted().features

    @property
    def training_record_(self) -> dict[str, Any]:
        """Parameters, data and metrics of the training, for an experiment tracker."""
        fitted = self._require_fitted()
        return {
            "predictor": self.name,
            "kind": type(self).__name__,
            "parameters": self.parameters,
            "as_of": fitted.as_of.isoformat(),
            "version": fitted.version,
            "files": dict(fitted.files),
            "grade_edges": list(fitted.grade_edges),
            "learner": fitted.learner.name,
            "calibrator": fitted.calibrator.to_dict(),
            "features_asked": plain_features(self.features),
            "features": [feature.to_dict() for feature in fitted.features],
            "evidence": fitted.evidence.to_dict(),
        }

    def fit(self, market: "Market", *, as_of: datetime) -> Self:
        """Learn from what was known at an instant, and choose by contest.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            Rows after it are not looked at.

        Returns
        -------
        Self
            With ``evidence_``, ``version_`` and ``training_record_``.

        Raises
        ------
        DeclinedError
            Where a table is missing, no label window is closed, or nobody (or everybody) did it.
        ConfigurationError
            Where `as_of` has no zone.
        """
        to_utc(as_of)
        self._require_tables(market)
        plan = self._plan(market, as_of)
        candidates, limits = self.admitted(market, as_of=as_of)
        study = self._open(market, plan, candidates, known_at=as_of)
        contest = hold_contest(study)
        rows = study.snapshots.at(plan.cutoffs)
        learner = learn_from(candidates.make(contest.chosen), rows)
        fitted = Fitted(
            learner=learner,
            calibrator=contest.calibrator,
            features=study.spec.features,
            evidence=_with_limits(sum_up(study, contest, rows), limits),
            as_of=as_of,
        )
        latest = fitted.probability(study.snapshots.at(plan.cutoffs[-1:]).features)
        fitted = replace(fitted, grade_edges=self.question.answer.edges(latest))
        day = f"{as_of.astimezone(market.zone):%Y-%m-%d}"
        self._fitted = fitted.with_version(f"{day}-{contest.chosen}")
        return self

    def backtest(self, market: "Market", *, origins: Sequence[datetime]) -> Evidence:
        """Judge every candidate at given origins.

        Parameters
        ----------
        market : Market
            The tables.
        origins : sequence of datetime
            Where models stand; their label windows must be closed.

        Returns
        -------
        Evidence
            As :meth:`fit` would have kept it with these origins.

        Raises
        ------
        OpenLabelWindowError
            Where a window is still open.
        DeclinedError
            Where a table is missing, or there is nothing to learn from before the origins.
        ConfigurationError
            Where there is no origin, or one has no zone.
        """
        self._require_tables(market)
        ordered = ordered_origins(origins)
        question = self.question
        until = ordered[-1] + question.horizon
        refuse_open_windows(
            market, question.label, cutoffs=ordered, horizon=question.horizon, known_at=until
        )
        plan = replace(self._plan(market, until), origins=ordered)
        last = plan.closed_at(ordered[-1])
        if not last:
            raise declined_to_judge(question.name, question.horizon)
        candidates, limits = self.admitted(market, as_of=ordered[-1])
        study = self._open(market, replace(plan, cutoffs=last), candidates, known_at=None)
        rows = study.snapshots.at(last, known_at=ordered[-1])
        return _with_limits(sum_up(study, hold_contest(study), rows), limits)

    def admitted(self, market: "Market", *, as_of: datetime) -> tuple[Candidates, tuple[str, ...]]:
        """Return who may take part in the contest, given what the tables hold.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            Rows after it are not looked at.

        Returns
        -------
        tuple of (Candidates, tuple of str)
            All of them, unless a kind of question knows better; and why there are no more.

        Raises
        ------
        DeclinedError
            Where the tables cannot carry any answer.
        """
        _ = market, as_of
        return self.question.candidates, ()

    def answer(self, batch: "pa.RecordBatch") -> "pa.Table":
        """Return the answers for some rows of features.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            As :func:`mlmarket.features.build` yields it, without a label.

        Returns
        -------
        pyarrow.Table
            ``contact_id`` and the columns of :attr:`outputs`, in the order of the rows.
        """
        return self._require_fitted().answer(batch, self.question)

    def total(self, numbers: npt.NDArray[np.float64]) -> Interval:
        """Return how many of some contacts are expected to do it.

        Parameters
        ----------
        numbers : ndarray of float64, shape (contacts,)
            Their probabilities.

        Returns
        -------
        Interval
            See :func:`mlmarket.evaluation.expected_total`; as wrong as totals were in the past.
        """
        return expected_total(numbers, relative_error=self.evidence_.relative_error)

    def save(self, folder: Path) -> None:
        """Write what was learned: ``card.json`` and the learner's own files.

        Parameters
        ----------
        folder : Path
            An empty folder; it is made where it does not exist.
        """
        self._require_fitted().save(Path(folder), self.training_record_)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the predictor that :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.

        Returns
        -------
        Self
            Fitted.

        Raises
        ------
        ConfigurationError
            Where there is none, it is of another class, or its files were changed.
        """
        card = read_card(Path(folder), cls.__name__)
        predictor = cls(**card["parameters"])
        learner = predictor.question.candidates.make(card["learner"])
        fitted = Fitted.restore(Path(folder), card, learner)
        predictor.features = restored_features(card.get("features_asked"))
        predictor._fitted = fitted
        return predictor

    def _require_fitted(self) -> Fitted:
        if self._fitted is None:
            from sklearn.exceptions import NotFittedError

            text = f"'{self.name}' has not learned anything yet; call fit(market, as_of=…) first."
            raise NotFittedError(text)
        return self._fitted

    def _open(
        self,
        market: "Market",
        plan: TrainingPlan,
        candidates: Candidates,
        *,
        known_at: datetime | None,
    ) -> Study:
        return open_study(
            market,
            replace(self.question, candidates=candidates),
            plan,
            features=self.features,
            known_at=known_at,
            most_rows=self.most_rows,
        )


def _with_limits(evidence: Evidence, limits: Sequence[str]) -> Evidence:
    return replace(evidence, limits=(*limits, *evidence.limits))
