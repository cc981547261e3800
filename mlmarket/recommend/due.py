"""What is used up when, of what each person buys again and again?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError, suggestion
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.identity import IdKind, kind_of
from mlmarket.recommend.interactions import ITEM_ID
from mlmarket.recommend.places import places_among
from mlmarket.recommend.reading import ids

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DueItems"]

_TABLE: Final = "due"
_DATE: Final = "due_date"
_PROBABILITY: Final = "probability"

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class DueItems:
    """Days on which contacts are expected to need an item again.

    Parameters
    ----------
    contacts : pyarrow.StringArray, shape (contacts,)
        Of whom something is known, ascending.
    start : ndarray of int64, shape (contacts + 1,)
        Where each contact's items begin.
    item : ndarray of int32
        Places in the catalogue, ascending within a contact.
    date : ndarray of datetime64[D]
        The day of each; NaT where only a probability is known.
    probability : ndarray of float32
        That it is bought within the horizon the frame speaks of; NaN where only a day is known.
    """

    contacts: "pa.StringArray"
    start: npt.NDArray[np.int64]
    item: Codes
    date: npt.NDArray[np.datetime64]
    probability: npt.NDArray[np.float32]

    @classmethod
    def read(
        cls,
        frame: object,
        items: "pa.StringArray",
        *,
        kinds: Sequence[IdKind] = (),
        until: datetime | None = None,
    ) -> Self:
        """Read a frame such as :func:`mlmarket.churn.due_items` returns.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            ``contact_id, item_id`` and ``due_date``, ``probability`` or both. Of a pair that stands twice, the
            earlier day counts.
        items : pyarrow.StringArray
            The catalogue; other items are left out.
        kinds : sequence of IdKind, optional
            What ids are made of elsewhere.
        until : datetime, optional
            What is due after it is left out: nobody needs a refill tonight that is due in months.

        Returns
        -------
        Self
            Sorted by contact and item.

        Raises
        ------
        ConfigurationError
            Where a column is missing or cannot be read.
        DataContractError
            Where a probability is none.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        table = to_arrow(frame, name=_TABLE)
        for kind in kinds:
            kind.require(kind_of(table, kind.column, name=_TABLE))
        who, what = ids(table, CONTACT_ID, name=_TABLE), ids(table, ITEM_ID, name=_TABLE)
        day = _read(table, _DATE, pa.date32())
        chance = _read(table, _PROBABILITY, pa.float32())
        if day is None and chance is None:
            raise ConfigurationError(
                f"Table '{_TABLE}' has no column '{_DATE}', and no '{_PROBABILITY}'.",
                "It says neither when nor how likely an item is needed again.",
                suggestion(_DATE, table.column_names),
            )
        if chance is not None:
            _require_chances(chance, who)
        known = pc.is_in(what, value_set=items)
        if until is not None and day is not None:
            last = pa.scalar(until.astimezone(UTC).date())
            known = pc.and_(known, pc.fill_null(pc.less_equal(day, last), True))  # noqa: FBT003
        who, what = who.filter(known), what.filter(known)
        dates = _or_missing(day, known, np.datetime64("NaT", "D"))
        chances = _or_missing(chance, known, np.float32("nan"))
        contacts = pc.unique(who)
        contacts = contacts.take(pc.sort_indices(contacts))
        contact = pc.index_in(who, value_set=contacts).to_numpy(zero_copy_only=False)
        item = pc.index_in(what, value_set=items).to_numpy(zero_copy_only=False)
        order = np.lexsort((-chances, dates, item, contact))
        contact, item = contact[order], item[order]
        first = np.ones(len(item), dtype=np.bool_)
        first[1:] = (np.diff(contact) != 0) | (np.diff(item) != 0)
        order = order[first]
        start = np.searchsorted(contact[first], np.arange(len(contacts) + 1)).astype(np.int64)
        return cls(contacts, start, item[first].astype(np.int32), dates[order], chances[order])

    def of(
        self, contacts: "pa.StringArray", item: Codes
    ) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float32]]:
        """Return when items are due, and how likely.

        Parameters
        ----------
        contacts : pyarrow.StringArray, shape (recipients,)
            Whose.
        item : ndarray of int32, shape (recipients, m)
            Places in the catalogue; -1 for none.

        Returns
        -------
        date : ndarray of datetime64[D], shape (recipients, m)
            NaT where nothing is known.
        probability : ndarray of float32, shape (recipients, m)
            NaN where nothing is known.
        """
        date = np.full(item.shape, np.datetime64("NaT", "D"))
        probability = np.full(item.shape, np.nan, dtype=np.float32)
        if not len(self.item):
            return date, probability
        owner, row = self._rows_of(contacts)
        if not len(row):
            return date, probability
        size = max(int(self.item.max()), int(item.max(initial=0))) + 1
        key = owner * size + self.item[row]
        asked = np.arange(len(contacts), dtype=np.int64)[:, None] * size + item
        at = np.searchsorted(key, asked).clip(max=len(key) - 1)
        hit = (key[at] == asked) & (item >= 0)
        found = row[at[hit]]
        date[hit], probability[hit] = self.date[found], self.probability[found]
        return date, probability

    def mask(self, contacts: "pa.StringArray", items: int) -> npt.NDArray[np.bool_]:
        """Return which items are due to each of some contacts.

        Parameters
        ----------
        contacts : pyarrow.StringArray, shape (recipients,)
            Whose.
        items : int
            In the catalogue.

        Returns
        -------
        ndarray of bool, shape (recipients, items)
            True where something is known of the pair.
        """
        flags = np.zeros((len(contacts), items), dtype=np.bool_)
        owner, row = self._rows_of(contacts)
        flags[owner, self.item[row]] = True
        return flags

    def _rows_of(
        self, contacts: "pa.StringArray"
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the rows about some contacts, and which of these contacts each is about."""
        place = places_among(contacts, self.contacts)
        known = np.flatnonzero(place >= 0)
        begin = self.start[place[known]]
        count = self.start[place[known] + 1] - begin
        rows = np.repeat(begin - np.cumsum(count) + count, count)
        return np.repeat(known, count), rows + np.arange(len(rows))


def _read(table: "pa.Table", column: str, kind: "pa.DataType") -> "pa.Array | None":
    import pyarrow as pa

    if column not in table.column_names:
        return None
    values = table.column(column)
    try:
        return values.cast(kind, safe=False).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigurationError(
            f"Column '{column}' of table '{_TABLE}' holds {values.type}, which cannot be read as {kind}.",
            "It decides what is shown again, and when.",
            "convert it first, such as pandas.to_datetime or pandas.to_numeric.",
        ) from error


def _require_chances(chance: "pa.Array", who: "pa.StringArray") -> None:
    """Refuse what is no probability; a missing one is not known."""
    values = chance.to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero((values < 0.0) | (values > 1.0))
    if len(wrong):
        raise DataContractError(
            f"Table '{_TABLE}' has {len(wrong):,} rows whose '{_PROBABILITY}' is not from 0 to 1, such as "
            f"{values[wrong[0]]:g} of contact '{who[int(wrong[0])]}'.",
            "It is shown to people beside other probabilities, and decides what comes first.",
            "divide percentages by 100, and leave empty what is not known.",
        )


def _or_missing(
    values: "pa.Array | None", known: "pa.BooleanArray", missing: np.generic
) -> npt.NDArray[Any]:
    """Return the values of known rows; a column that is not there is all missing."""
    if values is None:
        return np.full(known.true_count, missing)
    return cast("npt.NDArray[Any]", values.filter(known).to_numpy(zero_copy_only=False))
