"""What does every prediction look like, whatever answers it?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, cast, runtime_checkable

from mlmarket.errors import MlmarketError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market
    from mlmarket.prediction.evidence import Evidence

__all__ = ["DeclinedError", "OutputColumn", "Predictions", "Predictor", "Schema"]


class DeclinedError(MlmarketError):
    """A predictor cannot answer from the data there is.

    A night goes on without it and says why.
    """

    exit_code = 1


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
