"""Will a contact do something within a horizon?

The predictor for every question of that form: it learns from snapshots of the past, takes part in a
contest against simple rules, and keeps whichever won together with the evidence.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from mlmarket.errors import ConfigurationError
from mlmarket.features import Feature, SnapshotSpec
from mlmarket.features.labels import refuse_open_windows
from mlmarket.market.time import duration_text, to_utc
from mlmarket.prediction.answers import Asking, together, without_answer
from mlmarket.prediction.buckets import Roll
from mlmarket.prediction.distributed import answers_frame, is_on_spark
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.fitted import Fitted, read_card
from mlmarket.prediction.predictor import DeclinedError, Predictions, Schema
from mlmarket.prediction.question import Question
from mlmarket.prediction.study import (
    Study,
    declined,
    declined_to_judge,
    features_of_plan,
    hold_contest,
    open_study,
    sum_up,
)
from mlmarket.prediction.training import TrainingPlan, plan_training

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from mlmarket.market import Market

__all__ = ["SupervisedPredictor"]

_WARM_UP: Final = timedelta(days=28)


class SupervisedPredictor:
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
        SnapshotSpec(question.eligible, (), question.label, question.horizon)
        self.question = question
        self.parameters = dict(parameters)
        self.features = tuple(features) if features is not None else None
        self.folds = folds
        self.most_cutoffs = most_cutoffs
        self.most_rows = most_rows
        self._fitted: Fitted | None = None

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
        return self.question.answer.columns(self.name)

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
            "features_asked": _as_plain(self.features),
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
        study = self._open(market, plan, known_at=as_of)
        contest = hold_contest(study)
        rows = study.snapshots.at(plan.cutoffs)
        learner = self.question.candidates.make(contest.chosen).fit(rows.features, rows.label)
        fitted = Fitted(
            learner=learner,
            calibrator=contest.calibrator,
            features=study.spec.features,
            evidence=sum_up(study, contest, rows),
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
        ordered = tuple(sorted({to_utc(origin).replace(tzinfo=UTC) for origin in origins}))
        if not ordered:
            raise ConfigurationError(
                "There is no origin to stand at.",
                "A backtest judges what would have been said then.",
                "pass at least one instant, such as [datetime(2026, 1, 1, tzinfo=UTC)].",
            )
        question = self.question
        until = ordered[-1] + question.horizon
        refuse_open_windows(
            market, question.label, cutoffs=ordered, horizon=question.horizon, known_at=until
        )
        plan = replace(self._plan(market, until), origins=ordered)
        last = plan.closed_at(ordered[-1])
        if not last:
            raise declined_to_judge(question)
        study = self._open(market, replace(plan, cutoffs=last), known_at=None)
        return sum_up(study, hold_contest(study), study.snapshots.at(last, known_at=ordered[-1]))

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

        Raises
        ------
        ConfigurationError
            Where `as_of` has no zone, or `contacts` is no list of texts.
        """
        import pyarrow as pa

        if contacts is None:
            return together(self.predict_batches(market, as_of=as_of))
        asked = pa.array(_distinct_ids(contacts), pa.string())
        return self._asking(market, as_of).about(asked)

    def predict_batches(
        self, market: "Market", *, as_of: datetime, roll: Roll | None = None, first: int = 0
    ) -> Iterator[Predictions]:
        """Answer for everybody, bucket by bucket, in memory that does not grow with the contacts.

        The tables are read once; what is known of a bucket is forgotten before the next one.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            Rows after it are not looked at.
        roll : Roll, optional
            Who is asked about, in which buckets; by default everybody known at `as_of`.
        first : int, default 0
            The bucket to begin with. The contacts of those before it are not looked at.

        Yields
        ------
        Predictions
            Of a bucket; the same rows as :meth:`predict`.

        Raises
        ------
        ConfigurationError
            Where `as_of` has no zone.
        RunError
            Where the rows that were read are not all there are. Ask nothing else of the market
            between two buckets: its connection reads one result at a time.
        """
        asking = self._asking(market, as_of)
        if roll is not None:
            only = roll.since(first) if first else None
            buckets = (roll[bucket] for bucket in range(first, len(roll)))
            yield from asking.in_buckets(buckets, only=only)
            return
        folder = None if market.workbench is None else market.workbench.folder
        with tempfile.TemporaryDirectory(dir=folder) as place:
            roll = Roll.record(market, Path(place) / "roll.arrow", as_of=as_of)
            yield from self.predict_batches(market, as_of=as_of, roll=roll)

    def latest_cutoff(self, market: "Market", *, as_of: datetime) -> datetime:
        """Return the last instant that :meth:`fit` would learn from.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            When it would learn.

        Returns
        -------
        datetime
            Where the last label window begins that is closed.

        Raises
        ------
        DeclinedError
            Where none is closed.
        """
        self._require_tables(market)
        return self._plan(market, as_of).cutoffs[-1]

    def features_at(self, market: "Market", *, as_of: datetime) -> tuple[Feature, ...]:
        """Return the features that :meth:`fit` would learn from, without learning.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            When it would learn.

        Returns
        -------
        tuple of Feature
            Those that could be chosen at the first origin.

        Raises
        ------
        DeclinedError
            Where it could not learn.
        """
        self._require_tables(market)
        plan = self._plan(market, as_of)
        if not plan.origins:
            raise declined_to_judge(self.question)
        return features_of_plan(market, plan, self.features).features

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

    def predict_on_spark(
        self, market: "Market", *, as_of: datetime, only: "ir.Table | None" = None
    ) -> "DataFrame":
        """Return the answers as a frame of Spark, which its workers compute when it is used.

        Parameters
        ----------
        market : Market
            On Spark.
        as_of : datetime
            Rows after it are not looked at.
        only : ibis.expr.types.Table, optional
            Only contacts whose ``contact_id`` is in it; a table of the same Spark.

        Returns
        -------
        pyspark.sql.DataFrame
            ``contact_id`` and the columns of :attr:`outputs`, a row for each eligible contact, in
            no order.

        Raises
        ------
        ConfigurationError
            Where the market is not on Spark, or `as_of` has no zone.
        """
        if not is_on_spark(market):
            raise ConfigurationError(
                "This market is not on Spark.",
                "Its workers can only read tables that are there.",
                "open it with Market.open(path, spark=session), or call predict().",
            )
        features = self._require_fitted().features
        return answers_frame(self, features, market, as_of=as_of, only=only)

    def reasons(self, contacts: "pa.StringArray", *, as_of: datetime) -> "pa.Table":
        """Return why contacts that are known have no answer.

        Parameters
        ----------
        contacts : pyarrow.StringArray
            Who has none.
        as_of : datetime
            When they were asked about.

        Returns
        -------
        pyarrow.Table
            ``contact_id, predictor, reason``.
        """
        return without_answer(self.question, contacts, as_of=as_of)

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
            self._require_tables(market)
            self._plan(market, as_of)
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
        predictor.features = _as_asked(card.get("features_asked"))
        predictor._fitted = fitted
        return predictor

    def _require_fitted(self) -> Fitted:
        if self._fitted is None:
            from sklearn.exceptions import NotFittedError

            text = f"'{self.name}' has not learned anything yet; call fit(market, as_of=…) first."
            raise NotFittedError(text)
        return self._fitted

    def _require_tables(self, market: "Market") -> None:
        absent = sorted(table for table in self.needs if not market.has(table))
        if absent:
            reason, needed = f"there is no table '{absent[0]}'", f"[tables.{absent[0]}]"
            raise declined(self.question, reason, needed)

    def _plan(self, market: "Market", as_of: datetime) -> TrainingPlan:
        question = self.question
        plan = plan_training(
            market,
            SnapshotSpec(question.eligible, (), question.label, question.horizon),
            as_of=as_of,
            folds=self.folds,
            warm_up=_WARM_UP,
            most_cutoffs=self.most_cutoffs,
        )
        if plan is None:
            span = duration_text(question.horizon)
            raise declined(
                question,
                f"no window of {span} is closed at {as_of:%Y-%m-%d}",
                f"at least {_WARM_UP.days} days of '{question.eligible or 'rows'}', and {span} "
                "after them",
            )
        return plan

    def _open(self, market: "Market", plan: TrainingPlan, *, known_at: datetime | None) -> Study:
        return open_study(
            market,
            self.question,
            plan,
            features=self.features,
            known_at=known_at,
            most_rows=self.most_rows,
        )

    def _asking(self, market: "Market", as_of: datetime) -> Asking:
        return Asking(self._require_fitted(), self.question, market, as_of=as_of)


def _as_plain(asked: tuple[Feature | str, ...] | None) -> list[Any] | None:
    if asked is None:
        return None
    return [one if isinstance(one, str) else one.to_dict() for one in asked]


def _as_asked(plain: list[Any] | None) -> tuple[Feature | str, ...] | None:
    if plain is None:
        return None
    return tuple(one if isinstance(one, str) else Feature.from_dict(one) for one in plain)


def _distinct_ids(contacts: Sequence[str]) -> list[str]:
    if isinstance(contacts, str) or not all(isinstance(contact, str) for contact in contacts):
        raise ConfigurationError(
            "The contacts asked about are not a list of texts.",
            "Ids are text: 17850 and '17850.0' may be the same person, or not.",
            "pass ids as the tables hold them, such as contacts=['17850'].",
        )
    return sorted(set(contacts))
