"""Which items are named, for everybody or for some people?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.identity import IdKind, kind_of
from mlmarket.recommend.interactions import ITEM_ID
from mlmarket.recommend.reading import ids

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ItemSets"]

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ItemSets:
    """Items named for everybody, and items named for single contacts.

    Parameters
    ----------
    everybody : ndarray of bool, shape (items,)
        Named for all.
    contacts : pyarrow.StringArray, shape (named contacts,)
        For whom more are named, ascending.
    start : ndarray of int64, shape (named contacts + 1,)
        Where the items of each begin.
    item : ndarray of int32
        Places in the catalogue.
    unknown : int
        Rows about items that are not in the catalogue.
    """

    everybody: Mask
    contacts: "pa.StringArray"
    start: Offsets
    item: Codes
    unknown: int = 0

    @classmethod
    def read(
        cls,
        named: object,
        items: "pa.StringArray",
        *,
        table: str,
        kinds: Sequence[IdKind] = (),
    ) -> Self:
        """Read a list of items, or a frame of items or of contacts and items.

        Parameters
        ----------
        named : sequence of str, pandas.DataFrame, polars.DataFrame or pyarrow.Table
            Item ids; or a frame with ``item_id``, and ``contact_id`` where they are named for single contacts.
        items : pyarrow.StringArray
            The catalogue, ascending.
        table : str
            What it is called in messages.
        kinds : sequence of IdKind, optional
            What ids are made of elsewhere.

        Returns
        -------
        Self
            In the order of the catalogue.

        Raises
        ------
        ConfigurationError
            Where it is neither, none of its items is in the catalogue, or its ids are of another kind.
        """
        import pyarrow.compute as pc

        rows = _as_table(named, table)
        for kind in kinds:
            kind.require(kind_of(rows, kind.column, name=table))
        what = ids(rows, ITEM_ID, name=table)
        place = pc.index_in(what, value_set=items)
        known = place.is_valid()
        _require_known(what, known, items, table)
        code = place.filter(known).to_numpy(zero_copy_only=False).astype(np.int32)
        everybody = np.zeros(len(items), dtype=np.bool_)
        unknown = len(what) - len(code)
        if CONTACT_ID not in rows.column_names:
            everybody[code] = True
            return cls(everybody, items.slice(0, 0), np.zeros(1, np.int64), code[:0], unknown)
        who = ids(rows, CONTACT_ID, name=table).filter(known)
        contacts = pc.unique(who)
        contacts = contacts.take(pc.sort_indices(contacts))
        contact = pc.index_in(who, value_set=contacts).to_numpy(zero_copy_only=False)
        order = np.lexsort((code, contact))
        start = np.searchsorted(contact[order], np.arange(len(contacts) + 1)).astype(np.int64)
        return cls(everybody, contacts, start, code[order], unknown)

    def mask(self, contacts: "pa.StringArray") -> Mask:
        """Return what is named for each of some contacts.

        Parameters
        ----------
        contacts : pyarrow.StringArray, shape (contacts,)
            Whom it is asked for.

        Returns
        -------
        ndarray of bool, shape (contacts, items)
            True where the item is named.
        """
        import pyarrow.compute as pc

        mask = np.repeat(self.everybody[None, :], len(contacts), axis=0)
        if len(self.contacts):
            place = pc.index_in(contacts, value_set=self.contacts).fill_null(-1)
            place = cast("npt.NDArray[Any]", place.to_numpy(zero_copy_only=False))
            _name(mask, place.astype(np.int64), self.start, self.item)
        return mask


def _name(mask: Mask, place: Offsets, start: Offsets, item: Codes) -> None:
    for row in range(len(place)):
        if place[row] >= 0:
            for at in range(start[place[row]], start[place[row] + 1]):
                mask[row, item[at]] = True


_name = numba.njit(cache=True, nogil=True, error_model="numpy")(_name)


def _as_table(named: object, table: str) -> "pa.Table":
    import pyarrow as pa

    if isinstance(named, str):
        raise ConfigurationError(
            f"{table} is the text {named!r}.",
            "It would be read letter by letter.",
            f"pass a list, such as [{named!r}], or a frame with '{ITEM_ID}'.",
        )
    if hasattr(named, "columns") or hasattr(named, "column_names"):
        return to_arrow(named, name=table)
    try:
        return pa.table({ITEM_ID: pa.array(named)})
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise ConfigurationError(
            f"{table} is a {type(named).__name__}, which names no items.",
            "Items are named by their ids.",
            f"pass a list of ids, or a frame with '{ITEM_ID}' and, for single contacts, '{CONTACT_ID}'.",
        ) from error


def _require_known(
    what: "pa.StringArray", known: "pa.BooleanArray", items: "pa.StringArray", table: str
) -> None:
    """Refuse a set of which no item is known: it was surely meant to do something."""
    if not len(what) or known.true_count:
        return
    example = what[0].as_py()
    raise ConfigurationError(
        f"{table} names {len(what):,} items, and none of them is in the catalogue of "
        f"{len(items):,}, such as '{example}'.",
        "It would silently do nothing, or leave nothing to show.",
        suggestion(example, items.slice(0, 10_000).to_pylist()),
    )
