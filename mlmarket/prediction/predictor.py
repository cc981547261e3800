"""What does every prediction look like, whatever answers it?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from mlmarket.errors import MlmarketError
from mlmarket.evaluation import Interval

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlmarket.features import Feature
    from mlmarket.market import Market
    from mlmarket.prediction.buckets import Roll
    from mlmarket.prediction.evidence import Evidence

__all__ = [
    "BatchPredictor",
    "ChecksTables",
    "DeclinedError",
    "Headline",
    "OutputColumn",
    "Predictions",
    "Predictor",
    "Schema",
    "TakesDue",
]


class DeclinedError(MlmarketError):
    """A predictor cannot answer from the data there is.

    A night goes on without it and says why.
    """

    exit_code = 1

    @property
    def in_short(self) -> str:
        """What is missing, and why, without the predictor's name."""
        why = self.what.partition(" declines: ")[2].rstrip(".")
        needed = self.fix.removeprefix("it needs ").rstrip(".")
        return f"{needed} ({why})" if why else needed


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One column of the predictions table.

    Parameters
    ----------
    name : str
        Its name.
    type : {"number", "text", "time"}
        What it holds.
    owner : str
        The predictor that writes it.
    unit : str
        Such as ``probability`` or ``days``.
    description : str
        What it says.
    null_rule : str
        What a missing value means.
    """

    name: str
    type: str
    owner: str
    unit: str
    description: str
    null_rule: str = "no prediction; the reason is in missing.parquet"


Schema = Mapping[str, OutputColumn]
"""Columns of the predictions table by name."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The number that stands for a predictor, in reports, gates and segments.

    Parameters
    ----------
    column : str
        Its column, such as ``purchase_probability_30d``.
    unit : str
        ``probability``, ``currency`` or ``days``.
    counts : str
        What a sum of it counts, such as ``buyers in 30 days``; empty where a sum says nothing.
    words : str, optional
        A column that says the same in words, such as ``churn_risk``.
    """

    column: str
    unit: str
    counts: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers for one night.

    Parameters
    ----------
    contacts : pyarrow.Table
        ``contact_id`` and the predictor's columns, one row a contact, sorted by contact.
    missing : pyarrow.Table
        ``contact_id, predictor, reason``: who has no prediction, and why.
    items : pyarrow.Table, optional
        ``contact_id, item_id, rank, …`` for predictions about items.
    """

    contacts: "pa.Table"
    missing: "pa.Table"
    items: "pa.Table | None" = None

    def to_frame(self) -> "pd.DataFrame":
        """Return the rows about contacts as a pandas frame.

        Returns
        -------
        pandas.DataFrame
            One row a contact that has an answer.
        """
        return cast("pd.DataFrame", self.contacts.to_pandas())

    def _repr_html_(self) -> str:
        return str(self.to_frame().head(10).to_html(index=False, border=0))


@runtime_checkable
class Predictor(Protocol):
    """One question about contacts, answered from a Market.

    Parameters
    ----------
    name : str
        The predictor's name, and the first word of its columns.
    needs : frozenset of str
        Tables it cannot do without.
    outputs : mapping of str to OutputColumn
        What it writes.
    """

    @property
    def name(self) -> str:
        """Its name, and the first word of its columns."""
        ...

    @property
    def needs(self) -> frozenset[str]:
        """Tables it cannot do without."""
        ...

    @property
    def outputs(self) -> Schema:
        """Columns it writes."""
        ...

    def fit(self, market: "Market", *, as_of: datetime) -> Self:
        """Learn from what was known at `as_of`."""
        ...

    def predict(
        self, market: "Market", *, as_of: datetime, contacts: Sequence[str] | None = None
    ) -> Predictions:
        """Answer for contacts as they were known at `as_of`; by default for all."""
        ...

    def backtest(self, market: "Market", *, origins: Sequence[datetime]) -> "Evidence":
        """Say how good the answers would have been at earlier origins."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was learned to a folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        ...


@runtime_checkable
class BatchPredictor(Predictor, Protocol):
    """A predictor that a night can run: it answers in buckets and says what it lacks.

    Parameters
    ----------
    text : str
        Its question in words.
    headline : Headline
        The number that stands for it.
    parameters : mapping of str to object
        The arguments that made it, as plain values.
    features : tuple of Feature or str, or None
        What it was asked to know of each contact.
    evidence_ : Evidence
        What backs it, once it is trained.
    version_ : str
        Which trained model it is.
    as_of_ : datetime
        When it was trained.
    training_record_ : dict
        Parameters, data and metrics of the training.
    """

    @property
    def text(self) -> str:
        """Its question in words."""
        ...

    @property
    def headline(self) -> Headline:
        """The number that stands for it."""
        ...

    @property
    def parameters(self) -> Mapping[str, object]:
        """The arguments that made it, as plain values."""
        ...

    @property
    def features(self) -> "tuple[Feature | str, ...] | None":
        """What it was asked to know of each contact; None for all that the tables allow."""
        ...

    @property
    def evidence_(self) -> "Evidence":
        """What backs it."""
        ...

    @property
    def version_(self) -> str:
        """Which trained model it is."""
        ...

    @property
    def as_of_(self) -> datetime:
        """When it was trained."""
        ...

    @property
    def training_record_(self) -> dict[str, Any]:
        """Parameters, data and metrics of the training, for an experiment tracker."""
        ...

    def predict_batches(
        self, market: "Market", *, as_of: datetime, roll: "Roll | None" = None, first: int = 0
    ) -> Iterator[Predictions]:
        """Answer for everybody, bucket by bucket."""
        ...

    def total(self, numbers: npt.NDArray[np.float64]) -> Interval | None:
        """Return what some contacts' headline numbers add up to; None where a sum says nothing."""
        ...

    def reasons(self, contacts: "pa.StringArray", *, as_of: datetime) -> "pa.Table":
        """Return why contacts that are known have no answer."""
        ...

    def shortfall(self, market: "Market", *, as_of: datetime) -> str:
        """Return what it lacks to learn, without learning; empty where nothing is missing."""
        ...


@runtime_checkable
class TakesDue(Protocol):
    """A predictor that can be told what is due to whom, by another one's answers of the same night."""

    def with_due(self, due: "Callable[[int], pd.DataFrame | None]") -> Self:
        """Return itself for a night in which this is known.

        Parameters
        ----------
        due : callable
            Returns, for a bucket of the night's roll, ``contact_id, item_id, due_date, probability``; None where
            nothing is known.
        """
        ...


@runtime_checkable
class ChecksTables(Protocol):
    """A predictor whose arguments speak of what stands in the tables."""

    def check(self, market: "Market", *, as_of: datetime) -> None:
        """Refuse arguments that the tables cannot answer, before anything is learned.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            When it would learn.

        Raises
        ------
        ConfigurationError
            With the name that is not there.
        """
        ...
