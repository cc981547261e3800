"""What is due to whom, as the model of the next order says?"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.reading import days, ids

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DUE_DATE", "PROBABILITY", "Due"]

Values = npt.NDArray[np.float32]

DUE_DATE: Final = "due_date"
PROBABILITY: Final = "probability"
_TABLE: Final = "due"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Due:
    """Predictions of the next taking of items, by contact and item.

    Parameters
    ----------
    contact : pyarrow.StringArray, shape (rows,)
        Who.
    item : pyarrow.StringArray, shape (rows,)
        What.
    day : ndarray of float64, shape (rows,)
        When it is due, in days since 1970; NaN where nothing is said.
    probability : ndarray of float64, shape (rows,)
        That it is taken within the window of that model; NaN where nothing is said.
    now : float
        The instant at which it was said, in days since 1970.
    """

    contact: "pa.StringArray"
    item: "pa.StringArray"
    day: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    now: float

    @classmethod
    def from_frame(cls, frame: object, *, as_of: datetime) -> Self:
        """Read a pandas, polars or Arrow frame.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            ``contact_id, item_id, due_date`` and ``probability``; the first row of a contact and item counts.
        as_of : datetime
            When it was said.

        Returns
        -------
        Self

        Raises
        ------
        ConfigurationError
            Where a column is missing, or a probability lies outside 0 to 1.
        DataContractError
            Where an id is missing.
        """
        import pyarrow as pa

        table = to_arrow(frame, name=_TABLE)
        who, what = ids(table, CONTACT_ID, name=_TABLE), ids(table, ITEM_ID, name=_TABLE)
        for column in (DUE_DATE, PROBABILITY):
            if column not in table.column_names:
                raise ConfigurationError(
                    f"Table '{_TABLE}' has no column '{column}'.",
                    "It says when somebody is expected to take an item again, and how surely.",
                    suggestion(column, table.column_names),
                )
        day = table.column(DUE_DATE).cast(pa.timestamp("us")).cast(pa.int64())
        chance = table.column(PROBABILITY).cast(pa.float64())
        probability = chance.to_numpy(zero_copy_only=False).astype(np.float64)
        wrong = np.flatnonzero((probability < 0.0) | (probability > 1.0))
        if len(wrong):
            raise ConfigurationError(
                f"Column '{PROBABILITY}' of table '{_TABLE}' is outside 0 to 1 in "
                f"{len(wrong):,} of {len(probability):,} rows, such as {probability[wrong[0]]:g}.",
                "It is read as the chance of a purchase.",
                "pass probabilities, not per cent or scores.",
            )
        instant = day.cast(pa.float64()).to_numpy(zero_copy_only=False) / 86_400_000_000
        return cls(who, what, instant.astype(np.float64), probability, days(as_of))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.contact)

    def __repr__(self) -> str:
        return f"Due({len(self):,} pairs of contact and item)"

    def values(self, recipients: Interactions, item: npt.NDArray[np.int32]) -> Values:
        """Return what is said of candidates.

        Parameters
        ----------
        recipients : Interactions
            Who, and the catalogue.
        item : ndarray of int32, shape (recipients, m)
            Places in the catalogue, -1 where there is no candidate.

        Returns
        -------
        ndarray of float32, shape (recipients, m, 2)
            The probability, and the days until the item is due, below 0 when it is overdue. All NaN where the
            recipients are looked at from another day than the one on which it was said: then it was not known.
        """
        import pyarrow.compute as pc

        out = np.full((*item.shape, 2), np.nan, dtype=np.float32)
        if not len(self) or not abs(recipients.now - self.now) < 1.0:
            return out
        count = max(len(recipients.items), 1)
        who = pc.fill_null(pc.index_in(self.contact, value_set=recipients.contacts), -1)
        what = pc.fill_null(pc.index_in(self.item, value_set=recipients.items), -1)
        place, product = who.to_numpy().astype(np.int64), what.to_numpy().astype(np.int64)
        known = np.flatnonzero((place >= 0) & (product >= 0))
        if not len(known):
            return out
        keys, first = np.unique(place[known] * count + product[known], return_index=True)
        rows = known[first]
        asked = np.arange(len(item))[:, None] * count + item
        found = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        hit = (keys[found] == asked) & (item >= 0)
        out[hit, 0] = self.probability[rows[found[hit]]]
        out[hit, 1] = self.day[rows[found[hit]]] - self.now
        return out
