"""What does every predictor do that looks at snapshots of the past?

One row a contact and instant: it plans where to look, asks about everybody bucket by bucket, and says
who has no answer. What is learned from the rows, and how a row is answered, is its own.
"""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import Interval
from mlmarket.features import Behaviour, Feature, SnapshotSpec
from mlmarket.market.time import duration_text
from mlmarket.prediction.answers import Asking, asked_ids, together, without_answer
from mlmarket.prediction.buckets import Roll
from mlmarket.prediction.distributed import answers_frame, is_on_spark
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.predictor import DeclinedError, Headline, Predictions, Schema
from mlmarket.prediction.study import (
    declined,
    declined_to_judge,
    features_of_plan,
    require_market,
)
from mlmarket.prediction.training import TrainingPlan, plan_training

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from mlmarket.market import Market

__all__ = ["SnapshotPredictor", "plain_features", "restored_features"]

_WARM_UP: Final = timedelta(days=28)


class SnapshotPredictor(ABC):
    """Asks a question of each contact from what was known of it at an instant.

    Parameters
    ----------
    asked : SnapshotSpec
        Of whom it is asked, what, and within which time; without features.
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
    """

    def __init__(
        self,
        asked: SnapshotSpec,
        *,
        parameters: Mapping[str, object],
        features: Sequence[Feature | str] | None = None,
        folds: int = 4,
        most_cutoffs: int = 12,
        most_rows: int = 400_000,
    ) -> None:
        self.asked = asked
        self.parameters = dict(parameters)
        self.features = tuple(features) if features is not None else None
        self.folds = folds
        self.most_cutoffs = most_cutoffs
        self.most_rows = most_rows

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name, and the first word of its columns."""

    @property
    @abstractmethod
    def text(self) -> str:
        """Its question in words."""

    @property
    @abstractmethod
    def needs(self) -> frozenset[str]:
        """Tables it cannot do without."""

    @property
    @abstractmethod
    def outputs(self) -> Schema:
        """Columns it writes."""

    @property
    @abstractmethod
    def headline(self) -> Headline:
        """The number that stands for it."""

    @property
    @abstractmethod
    def evidence_(self) -> Evidence:
        """How good it is; raises ``NotFittedError`` before :meth:`fit`."""

    @property
    @abstractmethod
    def version_(self) -> str:
        """Which trained model this is: its date, the model chosen, and a digest of its content."""

    @property
    @abstractmethod
    def as_of_(self) -> datetime:
        """When it was trained."""

    @property
    @abstractmethod
    def training_record_(self) -> dict[str, Any]:
        """Parameters, data and metrics of the training, for an experiment tracker."""

    @property
    @abstractmethod
    def features_(self) -> tuple[Feature, ...]:
        """What the trained model wants to know of each contact."""

    @property
    def eligible(self) -> Behaviour | None:
        """Of whom it is asked; None for everybody."""
        return self.asked.eligible

    @property
    def horizon(self) -> timedelta:
        """Within which time; without one nothing is asked."""
        if self.asked.horizon is None:
            message = "a predictor asks within a horizon"
            raise TypeError(message)
        return self.asked.horizon

    @abstractmethod
    def fit(self, market: "Market", *, as_of: datetime) -> Self:
        """Learn from what was known at an instant."""

    @abstractmethod
    def backtest(self, market: "Market", *, origins: Sequence[datetime]) -> Evidence:
        """Judge every candidate at given origins."""

    @abstractmethod
    def answer(self, batch: "pa.RecordBatch") -> "pa.Table":
        """Return the answers for some rows of features.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            As :func:`mlmarket.features.build` yields it, without a label.

        Returns
        -------
        pyarrow.Table
            ``contact_id`` and the columns of :attr:`outputs`, in the order of the rows; who cannot
            be answered is left out. The answer for a row depends on no other row.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was learned: ``card.json`` and the model's own files."""

    @abstractmethod
    def total(self, numbers: npt.NDArray[np.float64]) -> Interval | None:
        """Return what some contacts' headline numbers add up to, with an interval.

        Parameters
        ----------
        numbers : ndarray of float64, shape (contacts,)
            Of :attr:`headline`, without missing ones.

        Returns
        -------
        Interval or None
            None where a sum says nothing.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Return the predictor that :meth:`save` wrote."""

    def predict(
        self, market: "Market", *, as_of: datetime, contacts: Sequence[str] | None = None
    ) -> Predictions:
        """Return the answer for each eligible contact.

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
        if contacts is None:
            return together(self.predict_batches(market, as_of=as_of))
        asked = asked_ids(contacts)
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
            raise declined_to_judge(self.name, self.horizon)
        return features_of_plan(market, plan, self.features).features

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
        return answers_frame(self, market, as_of=as_of, only=only)

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
        return without_answer(self.name, self.eligible, contacts, as_of=as_of)

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

    def _require_tables(self, market: "Market") -> None:
        require_market(market)
        absent = sorted(table for table in self.needs if not market.has(table))
        if absent:
            reason, needed = f"there is no table '{absent[0]}'", f"[tables.{absent[0]}]"
            raise declined(self.name, reason, needed)

    def _plan(self, market: "Market", as_of: datetime) -> TrainingPlan:
        plan = plan_training(
            market,
            self.asked,
            as_of=as_of,
            folds=self.folds,
            warm_up=_WARM_UP,
            most_cutoffs=self.most_cutoffs,
        )
        if plan is None:
            span = duration_text(self.horizon)
            raise declined(
                self.name,
                f"no window of {span} is closed at {as_of:%Y-%m-%d}",
                f"at least {_WARM_UP.days} days of '{self.eligible or 'rows'}', and {span} "
                "after them",
            )
        return plan

    def _asking(self, market: "Market", as_of: datetime) -> Asking:
        return Asking(self, market, as_of=as_of)


def plain_features(asked: tuple[Feature | str, ...] | None) -> list[Any] | None:
    """Return the features that were asked for as plain values, for a card.

    Parameters
    ----------
    asked : tuple of Feature or str, or None
        Features, and names of sets.

    Returns
    -------
    list or None
        Texts and dicts.
    """
    if asked is None:
        return None
    return [one if isinstance(one, str) else one.to_dict() for one in asked]


def restored_features(plain: list[Any] | None) -> tuple[Feature | str, ...] | None:
    """Return the features that :func:`plain_features` wrote down.

    Parameters
    ----------
    plain : list or None
        From a card.

    Returns
    -------
    tuple of Feature or str, or None
        The same ones.
    """
    if plain is None:
        return None
    return tuple(one if isinstance(one, str) else Feature.from_dict(one) for one in plain)
