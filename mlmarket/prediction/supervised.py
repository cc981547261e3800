"""Will a contact do something within a horizon?

The predictor for every question of that form: it learns from snapshots of the past, takes part in a
contest against simple rules, and keeps whichever won together with the evidence.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import (
    Calibrator,
    calibration_curve,
    calibrator_from_dict,
    gain_table,
    relative_total_error,
)
from mlmarket.features import (
    Behaviour,
    Feature,
    SnapshotSpec,
    build,
    choose_attributes,
    default_features,
)
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.time import duration_text
from mlmarket.prediction.contest import Candidates, Contest, run_contest
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.learner import Learner
from mlmarket.prediction.predictor import DeclinedError, OutputColumn, Predictions, Schema
from mlmarket.prediction.training import Rows, Snapshots, TrainingPlan, plan_training
from mlmarket.prediction.words import gain_in_words, limits_in_words

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["Answer", "Fact", "Question", "SupervisedPredictor"]

_CARD: Final = "card.json"


@dataclass(frozen=True, slots=True)
class Fact:
    """A feature that is handed on to the predictions table as it is.

    Parameters
    ----------
    column : str
        Its name there.
    feature : str
        Its name among the features; where there is none, the column is left out.
    unit, description : str
        For the schema.
    """

    column: str
    feature: str
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """How a probability is written down.

    Parameters
    ----------
    probability : str
        Name of its column.
    description : str
        What it says.
    outcome : str
        What a sum of probabilities counts, such as ``buyers within 30 days``.
    grade : str, optional
        Name of a column with the probability in words.
    grades : tuple of (str, float)
        Words, and the share of contacts of the last closed window that lies below each.
    facts : tuple of Fact
        Features handed on.
    """

    probability: str
    description: str
    outcome: str
    grade: str = ""
    grades: tuple[tuple[str, float], ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of whom, and who tries to answer.

    Parameters
    ----------
    name : str
        Name of the predictor.
    text : str
        The question in words.
    label : Behaviour
        What is asked.
    horizon : timedelta
        Within which time.
    eligible : Behaviour or None
        Of whom: contacts with such rows; None for all.
    needs : frozenset of str
        Tables without which it cannot be answered.
    answer : Answer
        How it is written down.
    candidates : Candidates
        Who tries.
    """

    name: str
    text: str
    label: Behaviour
    horizon: timedelta
    eligible: Behaviour | None
    needs: frozenset[str]
    answer: Answer
    candidates: Candidates


@dataclass(slots=True)
class _Fitted:
    """What was learned."""

    learner: Learner
    calibrator: Calibrator
    features: tuple[Feature, ...]
    evidence: Evidence
    as_of: datetime
    grade_edges: tuple[float, ...] = field(default=())
    version: str = ""


class SupervisedPredictor:
    """Answers one :class:`Question` from snapshots of the past.

    Parameters
    ----------
    question : Question
        What is asked.
    parameters : mapping of str to object
        The arguments that made it, to be written on the card.
    features : sequence of Feature, optional
        What is known of each contact; by default all that the tables allow.
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
    """

    def __init__(
        self,
        question: Question,
        *,
        parameters: Mapping[str, object],
        features: Sequence[Feature] | None = None,
        folds: int = 4,
        most_cutoffs: int = 12,
        most_rows: int = 400_000,
    ) -> None:
        self.question = question
        self.parameters = dict(parameters)
        self.features = tuple(features) if features is not None else None
        self.folds = folds
        self.most_cutoffs = most_cutoffs
        self.most_rows = most_rows
        self._fitted: _Fitted | None = None

    @property
    def name(self) -> str:
        """Its name, and the first word of its columns."""
        return self.question.name

    @property
    def needs(self) -> frozenset[str]:
        """Tables it cannot do without."""
        return self.question.needs

    @property
    def outputs(self) -> Schema:
        """Columns it writes."""
        name, answer = self.name, self.question.answer
        columns = [
            OutputColumn(answer.probability, "number", name, "probability", answer.description)
        ]
        if answer.grade:
            words = " / ".join(word for word, _ in answer.grades)
            columns.append(OutputColumn(answer.grade, "text", name, "grade", words))
        columns += [
            OutputColumn(fact.column, "number", name, fact.unit, fact.description)
            for fact in answer.facts
        ]
        version = "which trained model gave the answer"
        columns.append(OutputColumn(f"{name}_model_version", "text", name, "version", version))
        return {column.name: column for column in columns}

    @property
    def evidence_(self) -> Evidence:
        """How good it is; raises before :meth:`fit`."""
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
    def training_record_(self) -> dict[str, Any]:
        """Parameters, data and metrics of the training, for an experiment tracker."""
        fitted = self._require_fitted()
        return {
            "predictor": self.name,
            "kind": type(self).__name__,
            "parameters": self.parameters,
            "as_of": fitted.as_of.isoformat(),
            "version": fitted.version,
            "grade_edges": list(fitted.grade_edges),
            "learner": fitted.learner.name,
            "calibrator": fitted.calibrator.to_dict(),
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

        Raises
        ------
        DeclinedError
            Where a table is missing, no label window is closed, or nobody (or everybody) did it.
        """
        spec, plan, snapshots = self._prepare(market, as_of)
        contest = run_contest(snapshots, plan, self.question.candidates)
        if contest is None:
            raise self._declined(
                "there is no origin at which it could be judged",
                f"at least two windows of {duration_text(plan.horizon)}, one to learn from and "
                "one to be judged on, with contacts who did it and contacts who did not",
            )
        rows = snapshots.at(plan.cutoffs)
        learner = self.question.candidates.make(contest.chosen).fit(rows.features, rows.label)
        attributes = choose_attributes(market, as_of=as_of, earliest=plan.cutoffs[0])
        evidence = self._evidence(contest, plan, rows, spec, attributes.left_out)
        fitted = _Fitted(learner, contest.calibrator, spec.features, evidence, as_of)
        fitted.grade_edges = self._grade_edges(fitted, snapshots.at(plan.cutoffs[-1:]))
        fitted.version = f"{as_of.astimezone(market.zone):%Y-%m-%d}-{contest.chosen}"
        self._fitted = fitted
        fitted.version += f"-{self._digest()[:8]}"
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
            As :meth:`fit` would have kept it.

        Raises
        ------
        OpenLabelWindowError
            Where a window is still open.
        DeclinedError
            Where there is nothing to learn from before the origins.
        """
        ordered = tuple(sorted(origin.astimezone(UTC) for origin in origins))
        until = ordered[-1] + self.question.horizon
        spec, plan, snapshots = self._prepare(market, until, features_at=ordered[0])
        plan = TrainingPlan(
            plan.horizon, plan.step, plan.earliest, ordered, plan.cutoffs, plan.most_cutoffs
        )
        contest = run_contest(snapshots, plan, self.question.candidates)
        if contest is None:
            raise self._declined(
                "no origin has a closed window before it",
                f"origins at least {duration_text(plan.horizon)} after the first rows",
            )
        rows = snapshots.at(plan.closed_at(ordered[-1]))
        return self._evidence(contest, plan, rows, spec, ())

    def predict(
        self, market: "Market", *, as_of: datetime, contacts: Sequence[str] | None = None
    ) -> Predictions:
        """Return the probability of each eligible contact.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            Rows after it are not looked at.
        contacts : sequence of str, optional
            Only these; by default everybody known at `as_of`.

        Returns
        -------
        Predictions
            Contacts that are not eligible are in ``missing``, with the reason.
        """
        import pyarrow as pa

        fitted = self._require_fitted()
        spec = SnapshotSpec(self.question.eligible, fitted.features)
        only = None if contacts is None else pa.table({CONTACT_ID: sorted(set(contacts))})
        batches = [
            self._answer(batch.to_pandas(), fitted)
            for batch in build(market, spec, cutoffs=[as_of], only=only)
        ]
        table = pa.concat_tables(batches) if batches else self._answer(None, fitted)
        everybody = market.contacts(as_of=as_of).select(CONTACT_ID).to_pyarrow()
        known = set(everybody.column(CONTACT_ID).to_pylist())
        wanted = known if contacts is None else set(contacts)
        answered = set(table.column(CONTACT_ID).to_pylist())
        return Predictions(table, self._missing(sorted(wanted - answered), known, as_of))

    def shortfall(self, market: "Market", *, as_of: datetime) -> str:
        """Return what the predictor lacks to learn, without learning.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            When it would learn.

        Returns
        -------
        str
            Empty where nothing is missing.
        """
        try:
            self._prepare(market, as_of)
        except DeclinedError as error:
            return error.fix.removeprefix("it needs ").rstrip(".")
        return ""

    def save(self, folder: Path) -> None:
        """Write what was learned: ``card.json`` and the learner's own files.

        Parameters
        ----------
        folder : Path
            An empty folder; it is made where it does not exist.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._require_fitted().learner.save(folder)
        text = json.dumps(self.training_record_, indent=1, sort_keys=True, default=str)
        (folder / _CARD).write_text(text + "\n", encoding="utf-8")

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
        """
        card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        predictor = cls(**card["parameters"])
        predictor._restore(folder, card)
        return predictor

    def _restore(self, folder: Path, card: Mapping[str, Any]) -> None:
        learner = self.question.candidates.make(card["learner"]).restore(folder)
        self._fitted = _Fitted(
            learner=learner,
            calibrator=calibrator_from_dict(card["calibrator"]),
            features=tuple(Feature.from_dict(plain) for plain in card["features"]),
            evidence=Evidence.from_dict(card["evidence"]),
            as_of=datetime.fromisoformat(card["as_of"]),
            grade_edges=tuple(card["grade_edges"]),
            version=card["version"],
        )

    def _require_fitted(self) -> _Fitted:
        if self._fitted is None:
            from sklearn.exceptions import NotFittedError

            text = f"'{self.name}' has not learned anything yet; call fit(market, as_of=…) first."
            raise NotFittedError(text)
        return self._fitted

    def _declined(self, reason: str, needed: str) -> DeclinedError:
        return DeclinedError(
            f"'{self.name}' declines: {reason}.",
            "A number without anything behind it would be worse than none.",
            f"it needs {needed}.",
        )

    def _prepare(
        self, market: "Market", as_of: datetime, *, features_at: datetime | None = None
    ) -> tuple[SnapshotSpec, TrainingPlan, Snapshots]:
        question = self.question
        absent = sorted(table for table in question.needs if not market.has(table))
        if absent:
            raise self._declined(f"there is no table '{absent[0]}'", f"[tables.{absent[0]}]")
        bare = SnapshotSpec(question.eligible, (), question.label, question.horizon)
        plan = plan_training(
            market,
            bare,
            as_of=as_of,
            folds=self.folds,
            warm_up=timedelta(days=28),
            most_cutoffs=self.most_cutoffs,
        )
        if plan is None:
            raise self._declined(
                f"no window of {duration_text(question.horizon)} is closed at {as_of:%Y-%m-%d}",
                f"at least 28 days of '{question.eligible or 'rows'}', and "
                f"{duration_text(question.horizon)} after them",
            )
        features = self.features or default_features(
            market, as_of=features_at or as_of, earliest=plan.cutoffs[0]
        )
        spec = SnapshotSpec(question.eligible, features, question.label, question.horizon)
        snapshots = Snapshots(
            market,
            spec,
            known_at=as_of,
            most_rows=self.most_rows,
            cutoffs=len(plan.cutoffs),
        )
        return spec, plan, snapshots

    def _evidence(
        self,
        contest: Contest,
        plan: TrainingPlan,
        rows: Rows,
        spec: SnapshotSpec,
        left_out: tuple[tuple[str, str], ...],
    ) -> Evidence:
        label, probability, _ = contest.pooled(contest.chosen)
        totals = contest.totals()
        error = relative_total_error(
            [total.observed for total in totals],
            [total.expected for total in totals],
            own_chance=[total.own_chance for total in totals],
        )
        return Evidence(
            predictor=self.name,
            question=self.question.text,
            folds=contest.scores(),
            baseline=contest.baseline,
            chosen=contest.chosen,
            gain=contest.gain,
            verdict=gain_in_words(contest),
            calibration=calibration_curve(label, probability),
            gains=gain_table(label, probability),
            totals=totals,
            relative_error=error,
            first_cutoff=plan.cutoffs[0],
            last_cutoff=plan.cutoffs[-1],
            rows=len(rows),
            contacts=len(np.unique(rows.contact_id.astype(str))),
            positives=int(rows.label.sum()),
            features=tuple(feature.name for feature in spec.features),
            left_out=left_out,
            limits=limits_in_words(contest, plan, error, left_out),
        )

    def _probability(self, features: "pd.DataFrame", fitted: _Fitted) -> npt.NDArray[np.float64]:
        return fitted.calibrator.predict(fitted.learner.predict(features))

    def _grade_edges(self, fitted: _Fitted, rows: Rows) -> tuple[float, ...]:
        """Return the probabilities at which a grade begins, so that it means the same each night."""
        grades = self.question.answer.grades
        if not grades:
            return ()
        probability = self._probability(rows.features, fitted)
        return tuple(float(np.quantile(probability, share)) for _, share in grades[1:])

    def _answer(self, frame: "pd.DataFrame | None", fitted: _Fitted) -> "pa.Table":
        """Return the columns of the predictions table for some rows of features."""
        import pandas as pd
        import pyarrow as pa

        answer = self.question.answer
        if frame is None:
            names = [CONTACT_ID, AS_OF, *(feature.name for feature in fitted.features)]
            frame = pd.DataFrame({name: [] for name in names})
        features = frame.drop(columns=[CONTACT_ID, AS_OF])
        probability = self._probability(features, fitted) if len(frame) else np.empty(0)
        columns: dict[str, Any] = {
            CONTACT_ID: pa.array(frame[CONTACT_ID], pa.string()),
            answer.probability: pa.array(probability, pa.float64()),
        }
        if answer.grade:
            words = np.array([word for word, _ in answer.grades], dtype=object)
            place = np.searchsorted(fitted.grade_edges, probability, side="right")
            columns[answer.grade] = pa.array(words[place], pa.string())
        for fact in answer.facts:
            values = features.get(fact.feature, pd.Series(np.nan, index=frame.index))
            columns[fact.column] = pa.array(values, pa.float64(), from_pandas=True)
        version = pa.repeat(pa.scalar(fitted.version), len(frame))
        columns[f"{self.name}_model_version"] = version
        return pa.table(columns)

    def _missing(self, contacts: list[str], known: set[str], as_of: datetime) -> "pa.Table":
        import pyarrow as pa

        gate = f"has no '{self.question.eligible}' at or before {as_of:%Y-%m-%d %H:%M} UTC"
        reasons = [
            gate if contact in known else f"is not known at {as_of:%Y-%m-%d %H:%M} UTC"
            for contact in contacts
        ]
        return pa.table(
            {
                CONTACT_ID: pa.array(contacts, pa.string()),
                "predictor": pa.array([self.name] * len(contacts), pa.string()),
                "reason": pa.array(reasons, pa.string()),
            }
        )

    def _digest(self) -> str:
        """Return a digest of everything that decides an answer."""
        import tempfile

        fitted = self._require_fitted()
        digest = hashlib.sha256()
        with tempfile.TemporaryDirectory() as name:
            fitted.learner.save(Path(name))
            for path in sorted(Path(name).iterdir()):
                digest.update(path.read_bytes())
        state = {"calibrator": fitted.calibrator.to_dict(), "edges": fitted.grade_edges}
        digest.update(json.dumps(state, sort_keys=True).encode())
        for feature in fitted.features:
            digest.update(json.dumps(feature.to_dict(), sort_keys=True).encode())
        return digest.hexdigest()
