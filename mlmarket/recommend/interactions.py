"""Who did what with which item, and when?

Everything in this package reads interactions in one form: whole numbers for contacts and items, rows sorted by
contact and time. What people do with frames stays at the edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ITEM_ID", "Interactions"]

ITEM_ID: Final = "item_id"

Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Times = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, repr=False)
class Interactions:
    """Histories of contacts in one catalogue of items.

    Parameters
    ----------
    contacts : pyarrow.StringArray, shape (contacts,)
        Who, ascending. A contact may have no row.
    items : pyarrow.StringArray, shape (items,)
        The catalogue, ascending. An item may have no row.
    start : ndarray of int64, shape (contacts + 1,)
        The rows of contact ``c`` are ``start[c]`` to ``start[c + 1]``.
    item : ndarray of int32, shape (rows,)
        Places in `items`, oldest first within a contact.
    at : ndarray of float64, shape (rows,)
        When: days since 1970 in UTC, or any numbers where only an order is known; only which is larger means
        something then. Rows of one contact with the same value are one occasion, such as the lines of an order.
    weight : ndarray of float32, shape (rows,)
        How much each counts; above 0.
    now : float
        The instant these histories are looked at from, in days since 1970; NaN where only an order is known, and
        each history is looked at from its own end.
    left_out : mapping of str to int
        Rows that were not taken, by reason.
    """

    contacts: "pa.StringArray"
    items: "pa.StringArray"
    start: Offsets
    item: Codes
    at: Times
    weight: Weights
    now: float = float("nan")
    left_out: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_frame(
        cls, frame: object, *, as_of: datetime | None = None, items: "pa.StringArray | None" = None
    ) -> Self:
        """Read a pandas, polars or Arrow frame.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            Columns ``contact_id``, ``item_id``, and ``occurred_at`` or ``order`` (any numbers that sort the rows of
            a contact; equal numbers are one occasion); ``weight`` where rows do not count alike.
        as_of : datetime, optional
            Rows after it are left out and counted; needed where there is ``occurred_at``.
        items : pyarrow.StringArray, optional
            The catalogue, ascending; rows about other items are left out and counted. By default the items that
            occur.

        Returns
        -------
        Self
            Rows that repeat contact, item and time are one, their weights added up.

        Raises
        ------
        ConfigurationError
            Where the frame or `as_of` cannot be used.
        ContractViolationError
            Where rows cannot be used: an id or a time is missing, a weight is below 0.
        """
        from mlmarket.recommend.reading import read_interactions

        return cls(**read_interactions(frame, as_of=as_of, items=items))

    def __repr__(self) -> str:
        what = f"{len(self):,} of {len(self.contacts):,} contacts and {len(self.items):,} items"
        return f"Interactions({what})"

    @property
    def timed(self) -> bool:
        """Whether times are known, and not only an order."""
        return not np.isnan(self.now)

    @property
    def contact(self) -> Codes:
        """Places in `contacts`, one a row."""
        lengths = np.diff(self.start)
        return np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)

    @property
    def age(self) -> Times:
        """How long ago each row is: days before ``now``, or occasions before the history's end, from 1."""
        if self.timed:
            return self.now - self.at
        return self.occasions_back.astype(np.float64) + 1.0

    @property
    def occasions_back(self) -> Codes:
        """How many occasions of the contact came after each row's; 0 for the latest."""
        from mlmarket.recommend.reading import occasions_back

        return occasions_back(self.start, self.at)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.item)

    def holds(self, item: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Return which items stand in the histories.

        Parameters
        ----------
        item : ndarray of int32, shape (contacts, m)
            Places in `items`, of each contact; -1 for none.

        Returns
        -------
        ndarray of bool, shape (contacts, m)
            False where there is no item.
        """
        size = len(self.items)
        had = self.contact.astype(np.int64) * size + self.item
        asked = np.arange(len(item), dtype=np.int64)[:, None] * size + item
        return np.isin(asked, had) & (item >= 0)

    def rows(self, keep: npt.NDArray[np.bool_]) -> Self:
        """Return the same contacts and catalogue with some of the rows.

        Parameters
        ----------
        keep : ndarray of bool, shape (rows,)
            Which.

        Returns
        -------
        Self
            Contacts without a row stay.
        """
        kept = np.concatenate([[0], np.cumsum(keep)])
        return replace(
            self,
            start=kept[self.start].astype(np.int64),
            item=self.item[keep],
            at=self.at[keep],
            weight=self.weight[keep],
        )

    def before(self, now: float) -> Self:
        """Return what was known at an earlier instant.

        Parameters
        ----------
        now : float
            In days since 1970; rows at or before it stay.

        Returns
        -------
        Self
            Looked at from `now`.
        """
        return replace(self.rows(self.at <= now), now=now)

    def seen_from(self, now: float) -> Self:
        """Return the same histories looked at from another instant.

        Parameters
        ----------
        now : float
            In days since 1970; rows after it are left out.

        Returns
        -------
        Self
            With other ages.
        """
        return replace(self, now=now) if now >= self.now else self.before(now)

    def without_last(self, occasions: int) -> Self:
        """Return each history without its latest occasions.

        Parameters
        ----------
        occasions : int
            How many are left out of each history.

        Returns
        -------
        Self
            Shorter histories; some may be empty.
        """
        return self.rows(self.occasions_back >= occasions)

    def take(self, contacts: npt.NDArray[np.integer]) -> Self:
        """Return the histories of some contacts, in the order asked.

        Parameters
        ----------
        contacts : ndarray of int
            Places in `contacts`.

        Returns
        -------
        Self
            Of them only.
        """
        import pyarrow as pa

        lengths = np.diff(self.start)[contacts]
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        shift = np.repeat(self.start[:-1][contacts] - start[:-1], lengths)
        rows = np.arange(start[-1]) + shift
        return replace(
            self,
            contacts=self.contacts.take(pa.array(contacts)),
            start=start,
            item=self.item[rows],
            at=self.at[rows],
            weight=self.weight[rows],
        )

    def chunk(self, first: int, last: int) -> Self:
        """Return the contacts from one place to another, without copying their rows.

        Parameters
        ----------
        first, last : int
            Places in `contacts`; `last` is not among them.

        Returns
        -------
        Self
            A view.
        """
        begin, end = self.start[first], self.start[last]
        return replace(
            self,
            contacts=self.contacts.slice(first, last - first),
            start=self.start[first : last + 1] - begin,
            item=self.item[begin:end],
            at=self.at[begin:end],
            weight=self.weight[begin:end],
        )
